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
    uint32_t step = pool->opened / per_step;
    struct meta_place place = meta_place_of_step(step);
    if (place.area >= META_AREAS || pool->opened > UINT32_MAX - per_step ||
        (pool->steps != NULL && step >= pool->steps_most))
        return false;
    if (pool->areas[place.area] == NULL && !add_area(pool, place.area))
        return false;
    if (!os_open(pool->areas[place.area] + place.offset, META_STEP_BYTES))
        return false;
    if (pool->secret == 0)
        pool->secret = random_secret() | 1;
    if (pool->steps != NULL)
        store_release(&pool->steps[step], pool->areas[place.area] + place.offset);
    return true;
}

/* The next record that was never used; a step's records come into being one by one, so that
 * only pages that are needed are touched. */
static struct meta *make_record(struct meta_pool *pool)
{
    if (pool->opened % records_per_step(pool) == 0 && !open_step(pool))
        return NULL;
    struct meta *meta = meta_address(pool, pool->opened + 1);
    meta->index = pool->opened + 1;
    store_release(&pool->opened, pool->opened + 1);
    return meta;
}

static struct meta *reuse_record(struct meta_pool *pool)
{
    struct meta *meta = meta_address(pool, pool->first_free);
    require(meta->check == 0 && meta->index == pool->first_free);
    pool->first_free = meta->next_free;
    meta->next_free = 0;
    return meta;
}

struct meta *meta_take(struct meta_pool *pool)
{
    lock_take(&pool->lock);
    struct meta *meta = pool->first_free != 0 ? reuse_record(pool) : make_record(pool);
    if (meta != NULL) {
        pool->in_use++;
        store_release(&meta->check, pool->secret ^ (uintptr_t)meta);
    }
    lock_release(&pool->lock);
    return meta;
}

void meta_give(struct meta_pool *pool, struct meta *meta)
{
    lock_take(&pool->lock);
    require(meta_is_valid(pool, meta));
    store_relaxed(&meta->check, 0);
    memset(meta + 1, 0, ((size_t)1 << pool->record_shift) - sizeof *meta);
    meta->next_free = pool->first_free;
    pool->first_free = meta->index;
    pool->in_use--;
    lock_release(&pool->lock);
}

uint32_t meta_last(const struct meta_pool *pool)
{
    return load_acquire(&pool->opened);
}
