#include "large.h"

#include <string.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "os/os.h"
#include "spans/metas.h"
#include "spans/table.h"

enum large_state {
    LARGE_FREE = 0,    /* the record is not in use */
    LARGE_LIVE = 1,    /* handed out */
    LARGE_CLAIMED = 2, /* being freed or moved */
    LARGE_STUCK = 3,   /* freed, but still mapped */
};

struct large {
    struct meta head;
    char *start;
    size_t length; /* usable: whole pages */
    struct large *next_stuck;
    uint32_t state; /* enum large_state */
    bool zeroed;    /* if stuck: whether the purge succeeded */
};

#define LARGE_RECORD_BYTES 64
static_assert(sizeof(struct large) <= LARGE_RECORD_BYTES, "a large block's record fits");

/* A block that stays is used again for one of at least this share of its length; where no memory
 * can be mapped, for any that it can hold. */
#define STUCK_FIT 2

/* How many are looked at before a new block is mapped. */
#define STUCK_LOOKS 32

static struct meta_pool records = META_POOL_INITIAL(LARGE_RECORD_BYTES, LOCK_RANK_LARGE_METAS);
static struct lock stuck_lock = LOCK_INITIAL(LOCK_RANK_LARGE);
static struct large *stuck; /* singly linked; rarely more than a few */
static struct large_count live;

static void count_live(size_t blocks, size_t bytes)
{
    add_relaxed(&live.blocks, blocks);
    add_relaxed(&live.bytes, bytes);
}

/* Whole pages, or 0 if there are not as many. */
static size_t pages_for(size_t length)
{
    return length > PTRDIFF_MAX - BLOCK_BYTES ? 0 : round_up(length, os_page_bytes());
}

/* What is mapped for a length: whole BLOCK_BYTES, though no page behind the length is touched. So
 * a mapping that the kernel places beside another is aligned as it comes, and the two are one to
 * the kernel, which allows only 65,530 in a process. */
static size_t mapped_for(size_t length)
{
    return round_up(length, BLOCK_BYTES);
}

static void publish(struct large *large)
{
    store_release(&large->state, (uint32_t)LARGE_LIVE);
    table_set(large->start, 1, TABLE_LARGE, large->head.index);
}

/* Out of the first `looks` blocks that stay: one that holds `length` bytes and at most `most`. */
static struct large *take_stuck(size_t length, size_t most, size_t align, size_t looks)
{
    if (likely(load_relaxed(&stuck) == NULL))
        return NULL;
    struct large *found = NULL;
    lock_take(&stuck_lock);
    for (struct large **at = &stuck; *at != NULL && looks > 0; at = &(*at)->next_stuck, looks--) {
        size_t mapped = mapped_for((*at)->length);
        if (mapped < length || mapped > most || !is_aligned((uintptr_t)(*at)->start, align))
            continue;
        found = *at;
        store_relaxed(at, found->next_stuck);
        break;
    }
    lock_release(&stuck_lock);
    if (found != NULL)
        found->length = mapped_for(found->length);
    return found;
}

static void add_stuck(struct large *large)
{
    store_relaxed(&large->state, (uint32_t)LARGE_STUCK);
    lock_take(&stuck_lock);
    large->next_stuck = stuck;
    store_relaxed(&stuck, large);
    lock_release(&stuck_lock);
}

static struct large *take_all_stuck(void)
{
    lock_take(&stuck_lock);
    struct large *all = stuck;
    store_relaxed(&stuck, NULL);
    lock_release(&stuck_lock);
    return all;
}

/* Maps a new block; its first address is covered by the table. */
static bool map_block(struct large *large, size_t length, size_t align)
{
    char *start = os_map(mapped_for(length), align);
    if (start == NULL)
        return false;
    if (!table_cover(start, 1)) {
        os_unmap(start, mapped_for(length));
        return false;
    }
    large->start = start;
    large->length = length;
    return true;
}

/* A record with a mapping of its own, new. NULL: no memory. */
static struct large *make_block(size_t length, size_t align)
{
    struct large *large = (struct large *)meta_take(&records);
    if (large != NULL && !map_block(large, length, align)) {
        meta_give(&records, &large->head);
        large = NULL;
    }
    if (large != NULL)
        large->zeroed = true;
    return large;
}

void *large_alloc(size_t length, size_t align, bool *zeroed)
{
    length = pages_for(length);
    align = max_size(align, BLOCK_BYTES);
    if (length == 0)
        return NULL;
    struct large *large = take_stuck(length, length * STUCK_FIT, align, STUCK_LOOKS);
    if (large == NULL)
        large = make_block(length, align);
    if (large == NULL)
        large = take_stuck(length, SIZE_MAX, align, SIZE_MAX);
    if (large == NULL)
        return NULL;
    *zeroed = large->zeroed;
    count_live(1, large->length);
    publish(large);
    return large->start;
}

/* The table knows a block's first address only; for messages, all blocks are looked through. */
static bool is_inside_a_block(const void *ptr)
{
    const char *address = ptr;
    for (uint32_t index = 1; index <= meta_last(&records); index++) {
        const struct large *large = (const struct large *)meta_at(&records, index);
        if (large != NULL && load_relaxed(&large->state) == LARGE_LIVE && address >= large->start &&
            address < large->start + large->length)
            return true;
    }
    return false;
}

/* The record of the block that starts at ptr. */
static struct large *find(const void *ptr, const char *call)
{
    struct large *large = NULL;
    if (table_class(ptr) == TABLE_LARGE)
        large = (struct large *)meta_at(&records, table_meta(ptr));
    if (large != NULL && large->start == ptr)
        return large;
    fatal_pointer(call, ptr,
                  is_inside_a_block(ptr) ? "is not the start of a block"
                                         : "is not from this heap, or was freed already");
}

static struct large *claim(const void *ptr, const char *call)
{
    struct large *large = find(ptr, call);
    if (!cas_acquire(&large->state, (uint32_t)LARGE_LIVE, (uint32_t)LARGE_CLAIMED))
        fatal_pointer(call, ptr, "was freed twice");
    return large;
}

/* Unmaps a block that is in no table and no list. */
static bool unmap_block(struct large *large)
{
    if (!os_unmap(large->start, mapped_for(large->length)))
        return false;
    store_relaxed(&large->state, (uint32_t)LARGE_FREE);
    meta_give(&records, &large->head);
    return true;
}

size_t large_free(void *ptr, const char *call)
{
    struct large *large = claim(ptr, call);
    size_t length = large->length;
    table_clear(large->start, 1);
    count_live((size_t)-1, -length);
    if (!unmap_block(large)) {
        large->zeroed = os_purge(large->start, mapped_for(length));
        add_stuck(large);
    }
    return length;
}

bool large_trim(void)
{
    bool returned = false;
    for (struct large *large = take_all_stuck(), *next; large != NULL; large = next) {
        next = large->next_stuck;
        if (unmap_block(large))
            returned = true;
        else
            add_stuck(large);
    }
    return returned;
}

size_t large_bytes(const void *ptr, const char *call)
{
    return find(ptr, call)->length;
}

static void note_length(struct large *large, size_t new_length)
{
    count_live(0, new_length - large->length);
    large->length = new_length;
}

static bool resize_claimed(struct large *large, size_t new_length)
{
    if (new_length == large->length)
        return true;
    size_t mapped = mapped_for(large->length);
    size_t new_mapped = mapped_for(new_length);
    if (new_mapped != mapped && !os_resize(large->start, mapped, new_mapped))
        return new_length < large->length; /* what cannot be cut off may stay */
    note_length(large, new_length);
    return true;
}

bool large_resize(void *ptr, size_t new_length, const char *call)
{
    struct large *large = claim(ptr, call);
    size_t length = pages_for(new_length);
    bool resized = length != 0 && resize_claimed(large, length);
    store_release(&large->state, (uint32_t)LARGE_LIVE);
    return resized;
}

/* The reservation keeps the alignment and, once the table covers it, all that can still fail is
 * the move itself. */
static bool move_claimed(struct large *large, size_t new_length, size_t align)
{
    size_t new_mapped = mapped_for(new_length);
    char *target = os_reserve(new_mapped, max_size(align, BLOCK_BYTES));
    if (target == NULL)
        return false;
    if (table_cover(target, 1)) {
        table_clear(large->start, 1);
        if (os_move(large->start, mapped_for(large->length), target, new_mapped)) {
            note_length(large, new_length);
            large->start = target;
            publish(large);
            return true;
        }
        publish(large);
        return false; /* and the reservation is nobody's any more */
    }
    os_unreserve(target, new_mapped);
    return false;
}

void *large_remap(void *ptr, size_t new_length, size_t align, const char *call)
{
    struct large *large = claim(ptr, call);
    size_t length = pages_for(new_length);
    bool done =
        length != 0 && (resize_claimed(large, length) || move_claimed(large, length, align));
    store_release(&large->state, (uint32_t)LARGE_LIVE);
    return done ? large->start : NULL;
}

struct large_count large_count(void)
{
    return (struct large_count){load_relaxed(&live.blocks), load_relaxed(&live.bytes)};
}

void large_fork_prepare(void)
{
    lock_take(&stuck_lock);
    lock_take(&records.lock);
}

void large_fork_end(void)
{
    lock_release(&records.lock);
    lock_release(&stuck_lock);
}
