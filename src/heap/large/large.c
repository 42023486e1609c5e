#include "large.h"

#include <string.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "base/thread.h"
#include "heap/large/empty.h"
#include "large_guard.h"
#include "large_memory.h"
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
    size_t length; /* whole pages, and those of the guard */
    size_t asked;  /* usable, where there is a seal, which lies behind it */
    struct large *next_stuck;
    struct large_memory *memory; /* what the source has given, unless it is a mapping of its own */
    uint32_t state;              /* enum large_state */
    bool zeroed;                 /* as it is handed out; if stuck: whether the purge succeeded */
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

/* Whole pages, with the guard, or 0 if there are not as many. */
static size_t pages_for(size_t length, size_t align)
{
    if (length > PTRDIFF_MAX - BLOCK_BYTES - large_guard_bytes())
        return 0;
    return round_up(large_guard_room(length, align), os_page_bytes()) + large_guard_bytes();
}

static size_t before_guard(const struct large *large)
{
    return large->length - large_guard_bytes();
}

static size_t usable(const struct large *large)
{
    return LARGE_GUARD_EXACT ? large->asked : large->length;
}

static void settle(struct large *large, size_t asked)
{
    large->asked = asked;
    large_guard_seal(large->start, asked, before_guard(large));
}

static void check_seal(const struct large *large, const char *call)
{
    if (unlikely(!large_guard_is_sealed(large->start, large->asked, before_guard(large))))
        fatal_pointer(call, large->start, "was written to behind its end");
}

/* What is mapped for a length: whole BLOCK_BYTES, though no page behind the length is touched. So
 * a mapping that the kernel places beside another is aligned as it comes, and the two are one to
 * the kernel, which allows only 65,530 in a process. */
static size_t mapped_for(size_t length)
{
    return round_up(length, BLOCK_BYTES);
}

/* The table's entry for a block is that of the large block that starts in it. */
static char *entry_of(const struct large *large)
{
    return large->start - ((uintptr_t)large->start & (BLOCK_BYTES - 1));
}

static void enter_in_table(const struct large *large)
{
    table_set(entry_of(large), 1, TABLE_LARGE, large->head.index);
}

static void publish(struct large *large)
{
    store_release(&large->state, (uint32_t)LARGE_LIVE);
    enter_in_table(large);
}

static void hide(const struct large *large)
{
    table_clear(entry_of(large), 1);
}

static void add_stuck(struct large *large)
{
    store_relaxed(&large->state, (uint32_t)LARGE_STUCK);
    lock_take(&stuck_lock);
    large->next_stuck = stuck;
    store_relaxed(&stuck, large);
    lock_release(&stuck_lock);
}

/* As a new block of all that is mapped. */
static bool open_stuck(struct large *large)
{
    size_t length = mapped_for(large->length);
    if (!large_guard_open(large->start, length))
        return false;
    large_guard_install(large->start + length);
    large->length = length;
    return true;
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
    if (found != NULL && !open_stuck(found)) {
        add_stuck(found);
        return NULL;
    }
    return found;
}

static struct large *take_all_stuck(void)
{
    lock_take(&stuck_lock);
    struct large *all = stuck;
    store_relaxed(&stuck, NULL);
    lock_release(&stuck_lock);
    return all;
}

static bool is_mapping(const struct large *large)
{
    return large_memory_is_mapping(large->memory);
}

/* Returns the memory of a block that is in no table and no list. */
static bool return_memory(const struct large *large)
{
    if (is_mapping(large))
        return os_unmap(large->start, mapped_for(large->length));
    large_guard_close(large->start, large->length);
    struct large_memory *memory = large_guard_wait(large->memory, large->length);
    if (memory != NULL)
        large_memory_give(memory);
    return true;
}

/* Says whether anything has waited. */
static bool return_waiting(void)
{
    bool any = false;
    for (size_t place = LARGE_GUARD_PLACES; place-- > 0;) {
        struct large_memory *memory = large_guard_end_wait(place);
        if (memory == NULL)
            continue;
        large_memory_give(memory);
        any = true;
    }
    return any;
}

static void give_back_untouched(const struct large *large)
{
    if (is_mapping(large))
        os_discard(large->start, mapped_for(large->length));
    else
        return_memory(large);
}

/* From the source, if that can be. */
static bool find_in_source(struct large *large, size_t align, bool growing)
{
    if (!large_memory_serves(large->length))
        return false;
    large->memory = large_memory_take(large->length, align, growing, &large->start, &large->zeroed);
    if (large->memory == NULL)
        return false;
    if (large_guard_open(large->start, large->length))
        return true;
    large_memory_give(large->memory);
    return false;
}

static bool find_mapping(struct large *large, size_t align)
{
    large->memory = NULL;
    large->start = os_map(mapped_for(large->length), max_size(align, BLOCK_BYTES));
    large->zeroed = true;
    return large->start != NULL;
}

/* Gives the record new memory. The table covers its first address then. `growing`: the block is one
 * that could not grow where it was. */
static bool find_memory(struct large *large, size_t length, size_t align, bool growing)
{
    large->length = length;
    if (!find_in_source(large, align, growing) && !find_mapping(large, align))
        return false;
    if (!table_cover(large->start, 1)) {
        give_back_untouched(large);
        return false;
    }
    large_guard_install(large->start + length);
    return true;
}

/* A new record with new memory. NULL: no memory. */
static struct large *make_block(size_t length, size_t align)
{
    struct large *large = (struct large *)meta_take(&records);
    if (large != NULL && !find_memory(large, length, align, false)) {
        meta_give(&records, &large->head);
        large = NULL;
    }
    return large;
}

void *large_alloc(size_t asked, size_t align, bool *zeroed)
{
    void *empty = asked == 0 ? empty_take(align) : NULL;
    if (empty != NULL) {
        *zeroed = true;
        count_live(1, 0);
        return empty;
    }
    size_t length = pages_for(asked, align);
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
    settle(large, asked);
    count_live(1, usable(large));
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

/* Ends a block that is in no table and no list. */
static bool end_block(struct large *large)
{
    if (!return_memory(large))
        return false;
    store_relaxed(&large->state, (uint32_t)LARGE_FREE);
    meta_give(&records, &large->head);
    return true;
}

size_t large_free(void *ptr, const char *call)
{
    if (empty_is(ptr)) {
        empty_give(ptr, call);
        count_live((size_t)-1, 0);
        return 0;
    }
    struct large *large = claim(ptr, call);
    size_t bytes = usable(large), mapped = mapped_for(large->length);
    check_seal(large, call);
    hide(large);
    count_live((size_t)-1, -bytes);
    if (!end_block(large)) {
        large->zeroed = os_purge(large->start, mapped);
        large_guard_close(large->start, mapped);
        add_stuck(large);
    }
    return bytes;
}

bool large_trim(void)
{
    bool returned = false;
    for (struct large *large = take_all_stuck(), *next; large != NULL; large = next) {
        next = large->next_stuck;
        if (end_block(large))
            returned = true;
        else
            add_stuck(large);
    }
    returned |= return_waiting();
    bool source = large_memory_trim();
    return returned || source;
}

/* A block that a signal handler has interrupted is claimed, or not live yet. */
void large_end(void)
{
    if (!LARGE_GUARD_EXACT || !thread_is_alone())
        return;
    for (uint32_t index = 1; index <= meta_last(&records); index++) {
        const struct large *large = (const struct large *)meta_at(&records, index);
        if (large != NULL && load_relaxed(&large->state) == LARGE_LIVE)
            check_seal(large, "exit");
    }
}

/* False: it has bytes, or is none at all, as will be seen. */
static bool is_empty_in_use(const void *ptr, const char *call)
{
    if (!empty_is(ptr))
        return false;
    empty_verify(ptr, call);
    return true;
}

size_t large_bytes(const void *ptr, const char *call)
{
    if (is_empty_in_use(ptr, call))
        return 0;
    return usable(find(ptr, call));
}

bool large_was_allocated(const void *ptr, size_t length, const char *call)
{
    if (is_empty_in_use(ptr, call))
        return length == 0;
    const struct large *large = find(ptr, call);
    return !LARGE_GUARD_EXACT || large->asked == length;
}

/* Another length, for what is asked for now. */
static void note_length(struct large *large, size_t new_length, size_t asked)
{
    size_t before = usable(large);
    if (asked > large->asked)
        large_guard_unseal(large->start, large->asked, before_guard(large));
    large->length = new_length;
    settle(large, asked);
    count_live(0, usable(large) - before);
}

/* For a block that is to have another length. What holds it already stays, with a seal as far as
 * there is room. */
static size_t pages_for_other(const struct large *large, size_t length, size_t align)
{
    size_t pages = pages_for(length, align);
    return pages > large->length && length <= before_guard(large) ? large->length : pages;
}

static bool resize_mapping(const struct large *large, size_t new_length)
{
    size_t mapped = mapped_for(large->length), new_mapped = mapped_for(new_length);
    size_t guard = large_guard_bytes();
    if (!large_guard_open(large->start + before_guard(large), guard))
        return false;
    bool resized = new_mapped == mapped || os_resize(large->start, mapped, new_mapped);
    large_guard_install(large->start + (resized ? new_length : large->length));
    return resized;
}

/* What is cut off is inaccessible before it may be anybody else's. */
static bool resize_in_source(const struct large *large, size_t new_length)
{
    char *opened = large->start + before_guard(large);
    if (new_length < large->length) {
        large_guard_close(large->start + new_length, large->length - new_length);
        large_guard_install(large->start + new_length);
        return large_memory_resize(large->memory, new_length);
    }
    if (!large_memory_resize(large->memory, new_length))
        return false;
    if (!large_guard_open(opened, (size_t)(large->start + new_length - opened))) {
        large_memory_resize(large->memory, large->length);
        large_guard_install(large->start + large->length);
        return false;
    }
    large_guard_install(large->start + new_length);
    return true;
}

static bool resize_claimed(struct large *large, size_t new_length, size_t asked)
{
    if (new_length != large->length) {
        bool resized = is_mapping(large) ? resize_mapping(large, new_length)
                                         : resize_in_source(large, new_length);
        if (!resized && new_length > large->length)
            return false;
        if (!resized) /* what cannot be cut off may stay */
            new_length = large->length;
    }
    note_length(large, new_length, asked);
    return true;
}

bool large_resize(void *ptr, size_t new_length, const char *call)
{
    struct large *large = claim(ptr, call);
    size_t length = pages_for_other(large, new_length, 1);
    check_seal(large, call);
    bool resized = length != 0 && resize_claimed(large, length, new_length);
    store_release(&large->state, (uint32_t)LARGE_LIVE);
    return resized;
}

/* The reservation keeps the alignment and, once the table covers it, all that can still fail is
 * the move itself. */
static bool move_to(struct large *large, char *target, size_t new_length)
{
    bool moved = false;
    hide(large);
    if (large_guard_open(large->start + before_guard(large), large_guard_bytes()))
        moved = os_move(large->start, mapped_for(large->length), target, mapped_for(new_length));
    else
        os_unreserve(target, mapped_for(new_length));
    if (moved)
        large->start = target;
    large_guard_install(large->start + (moved ? new_length : large->length));
    enter_in_table(large);
    return moved;
}

static bool move_mapping(struct large *large, size_t new_length, size_t align, size_t asked)
{
    size_t new_mapped = mapped_for(new_length);
    char *target = os_reserve(new_mapped, max_size(align, BLOCK_BYTES));
    if (target == NULL)
        return false;
    if (!table_cover(target, 1)) {
        os_unreserve(target, new_mapped);
        return false;
    }
    if (!move_to(large, target, new_length)) /* and the reservation is nobody's any more */
        return false;
    note_length(large, new_length, asked);
    return true;
}

/* What has its memory from the source has pages among those of others: they stay where they are. */
static bool copy_claimed(struct large *large, size_t new_length, size_t align, size_t asked)
{
    struct large target = {0};
    if (!find_memory(&target, new_length, align, true))
        return false;
    memcpy(target.start, large->start, min_size(usable(large), asked));
    hide(large);
    return_memory(large);
    large->start = target.start;
    large->memory = target.memory;
    note_length(large, new_length, asked);
    enter_in_table(large);
    return true;
}

static bool move_claimed(struct large *large, size_t new_length, size_t align, size_t asked,
                         bool may_copy)
{
    if (is_mapping(large))
        return move_mapping(large, new_length, align, asked);
    return may_copy && copy_claimed(large, new_length, align, asked);
}

void *large_remap(void *ptr, size_t new_length, size_t align, bool may_copy, const char *call)
{
    if (is_empty_in_use(ptr, call))
        return NULL; /* it grows into another */
    struct large *large = claim(ptr, call);
    size_t length = pages_for_other(large, new_length, align);
    check_seal(large, call);
    bool done = length != 0 && (resize_claimed(large, length, new_length) ||
                                move_claimed(large, length, align, new_length, may_copy));
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
    large_memory_fork_prepare();
}

void large_fork_end(bool child)
{
    large_memory_fork_end(child);
    lock_release(&records.lock);
    lock_release(&stuck_lock);
}
