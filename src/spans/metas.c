#include "spans/metas.h"

#include <string.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/fatal.h"
#include "base/random.h"
#include "os/os.h"

static uint32_t records_per_step(const struct meta_pool *pool)
{
    return (uint32_t)(META_STEP_BYTES >> pool->record_shift);
}

static uint32_t records_there_are(const struct meta_pool *pool)
{
    return pool->first_count + pool->steps_open * records_per_step(pool);
}

/* Reserves area k between two steps that stay inaccessible. */
static bool add_area(struct meta_pool *pool, size_t area)
{
    size_t length = META_STEP_BYTES << area;
    char *reserved = os_reserve(length + 2 * META_STEP_BYTES, META_STEP_BYTES);
    if (reserved == NULL)
        return false;
    store_release(&pool->areas[area], reserved + META_STEP_BYTES);
    return true;
}

static bool open_step(struct meta_pool *pool)
{
    uint32_t per_step = records_per_step(pool);
    uint32_t step = pool->steps_open;
    struct meta_place place = meta_place_of_step(step);
    if (place.area >= META_AREAS || pool->opened > UINT32_MAX - per_step ||
        (pool->steps != NULL && step >= pool->steps_most))
        return false;
    if (pool->areas[place.area] == NULL && !add_area(pool, place.area))
        return false;
    if (!os_open(pool->areas[place.area] + place.offset, META_STEP_BYTES))
        return false;
    if (pool->steps != NULL)
        store_release(&pool->steps[step], pool->areas[place.area] + place.offset);
    pool->steps_open = step + 1;
    return true;
}

/* The next record that was never used; a step's records come into being one by one, so that
 * only pages that are needed are touched. */
static struct meta *make_record(struct meta_pool *pool)
{
    if (pool->opened == records_there_are(pool) && !open_step(pool))
        return NULL;
    if (pool->secret == 0)
        pool->secret = random_secret() | 1;
    struct meta *meta = meta_address(pool, pool->opened + 1);
    meta->index = pool->opened + 1;
    store_release(&pool->opened, pool->opened + 1);
    return meta;
}

/* The topmost free record. Another thread may take it in between, so that what is read of it is
 * another's by then: the record stays readable for ever, and the count above the index tells. */
static struct meta *reuse_record(struct meta_pool *pool)
{
    for (uint64_t top = load_acquire(&pool->first_free); (uint32_t)top != 0;
         top = load_acquire(&pool->first_free)) {
        struct meta *meta = meta_address(pool, (uint32_t)top);
        uint64_t count = (top >> META_TOP_SHIFT) + 1;
        uint64_t next = load_relaxed(&meta->next_free) | count << META_TOP_SHIFT;
        if (!cas_acquire(&pool->first_free, top, next))
            continue;
        require(load_relaxed(&meta->check) == 0 && meta->index == (uint32_t)top);
        store_relaxed(&meta->next_free, 0);
        return meta;
    }
    return NULL;
}

static void push_free(struct meta_pool *pool, struct meta *meta)
{
    uint64_t top, count;
    do {
        top = load_relaxed(&pool->first_free);
        count = top >> META_TOP_SHIFT;
        store_relaxed(&meta->next_free, (uint32_t)top);
    } while (!cas_release(&pool->first_free, top, meta->index | count << META_TOP_SHIFT));
}

static struct meta *make_record_slow(struct meta_pool *pool)
{
    lock_take(&pool->lock);
    struct meta *meta = make_record(pool);
    lock_release(&pool->lock);
    return meta;
}

struct meta *meta_take(struct meta_pool *pool)
{
    struct meta *meta = reuse_record(pool);
    if (meta == NULL)
        meta = make_record_slow(pool);
    if (meta != NULL)
        store_release(&meta->check, pool->secret ^ (uintptr_t)meta);
    return meta;
}

void meta_give(struct meta_pool *pool, struct meta *meta)
{
    require(meta_is_valid(pool, meta));
    store_relaxed(&meta->check, 0);
    memset(meta + 1, 0, ((size_t)1 << pool->record_shift) - sizeof *meta);
    push_free(pool, meta);
}

uint32_t meta_last(const struct meta_pool *pool)
{
    return load_acquire(&pool->opened);
}

/* ---- Trimming ---------------------------------------------------------------------------- */

/* What a free record has for a check while it is in no stack: no record in use has this. */
#define CHECK_OUT ((uint64_t)1)

/* Takes all free records out of the stack and marks them. Returns the first; they are linked. */
static uint32_t take_all_free(struct meta_pool *pool)
{
    uint64_t top, count;
    do {
        top = load_acquire(&pool->first_free);
        count = (top >> META_TOP_SHIFT) + 1;
    } while (!cas_acquire(&pool->first_free, top, count << META_TOP_SHIFT));
    for (uint32_t index = (uint32_t)top; index != 0;) {
        struct meta *meta = meta_address(pool, index);
        store_relaxed(&meta->check, CHECK_OUT);
        index = load_relaxed(&meta->next_free);
    }
    return (uint32_t)top;
}

/* Purges the whole pages of records in (last, end], step by step. */
static bool purge_records(struct meta_pool *pool, uint32_t last, uint32_t end)
{
    bool purged = false;
    uint32_t per_step = records_per_step(pool);
    for (uint32_t index = (uint32_t)max_size(last, pool->first_count); index < end;) {
        uint32_t step = (index - pool->first_count) / per_step;
        size_t step_end = pool->first_count + (step + (size_t)1) * per_step;
        uint32_t next = (uint32_t)min_size(end, step_end);
        uintptr_t from = round_up((uintptr_t)meta_address(pool, index + 1), os_page_bytes());
        uintptr_t to = (uintptr_t)meta_address(pool, next) + ((uintptr_t)1 << pool->record_shift);
        to = round_down(to, os_page_bytes());
        if (from < to)
            purged |= os_purge((void *)from, to - from);
        index = next;
    }
    return purged;
}

/* Others may read records that they found in the stack before it was taken: what they read means
 * nothing then, since the stack's count has changed. */
bool metas_trim(struct meta_pool *pool)
{
    lock_take(&pool->lock);
    uint32_t first = take_all_free(pool), end = pool->opened, last = end;
    while (last > 0 && load_relaxed(&meta_address(pool, last)->check) == CHECK_OUT)
        last--;
    for (uint32_t index = first, next; index != 0; index = next) {
        struct meta *meta = meta_address(pool, index);
        next = load_relaxed(&meta->next_free);
        store_relaxed(&meta->check, 0);
        if (index <= last)
            push_free(pool, meta);
    }
    store_release(&pool->opened, last);
    bool purged = purge_records(pool, last, end);
    lock_release(&pool->lock);
    return purged;
}
