#include "spans/spans.h"

#include "base/bits.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "os/os.h"
#include "spans/decay.h"
#include "spans/metas.h"
#include "spans/table.h"

#define WORD_BITS 64
#define SEGMENT_WORDS ((SEGMENT_LAST_BLOCKS + WORD_BITS - 1) / WORD_BITS)

/* One bit a block. */
typedef uint64_t block_set[SEGMENT_WORDS];

struct segment {
    struct meta head;
    char *start;
    uint32_t blocks;
    uint32_t free_blocks;
    block_set free;       /* in no span */
    block_set dirty;      /* may hold something else than zeros */
    struct segment *next; /* in `segments`, rising addresses */
    struct segment *previous;
};

#define SEGMENT_RECORD_BYTES (SEGMENT_WORDS <= 4 ? 128 : 512)
static_assert(sizeof(struct segment) <= SEGMENT_RECORD_BYTES, "a segment fits its record");
static_assert(SEGMENT_FIRST_BLOCKS >= 1 && SEGMENT_FIRST_BLOCKS <= SEGMENT_LAST_BLOCKS,
              "segments grow");

/* Dirty free blocks that stay whatever is in use, and else this share of it: what engines give back
 * is mostly taken again soon, in a process of any size. 2 MiB. */
#define DIRTY_FLOOR_BLOCKS (DUET_TINY ? (size_t)32 : ((size_t)2 << 20) / BLOCK_BYTES)
#define DIRTY_SHARE 4

/* The most that a tick purges, and how much of it under one hold of the lock: 1 MiB takes some
 * 100 us, and with a tick of 16 MiB every 10 ms more than a GiB goes in a second. */
#define TICK_MOST_BLOCKS (DUET_TINY ? (size_t)256 : ((size_t)16 << 20) / BLOCK_BYTES)
#define PURGE_MOST_BLOCKS (DUET_TINY ? (size_t)16 : ((size_t)1 << 20) / BLOCK_BYTES)

static struct lock spans_lock = LOCK_INITIAL(LOCK_RANK_SPANS);
static struct meta_pool segment_pool =
    META_POOL_WITH_FIRST(SEGMENT_RECORD_BYTES, LOCK_RANK_SEGMENT_METAS, 2);
static struct segment *segments; /* those with a free block, lowest address first */
static size_t next_segment_blocks = SEGMENT_FIRST_BLOCKS;
static struct spans_count count;
static struct decay decay; /* of dirty free blocks, in bytes; its clock is anybody's */

static bool set_has(const block_set set, size_t block)
{
    return set[block / WORD_BITS] >> (block % WORD_BITS) & 1;
}

static void set_add(block_set set, size_t block)
{
    set[block / WORD_BITS] |= (uint64_t)1 << (block % WORD_BITS);
}

static void set_remove(block_set set, size_t block)
{
    set[block / WORD_BITS] &= ~((uint64_t)1 << (block % WORD_BITS));
}

static size_t set_size(const block_set set)
{
    size_t size = 0;
    for (size_t word = 0; word < SEGMENT_WORDS; word++)
        size += (size_t)__builtin_popcountll(set[word]);
    return size;
}

static bool segment_is_valid(const struct segment *segment)
{
    return meta_is_valid(&segment_pool, &segment->head) &&
           is_aligned((uintptr_t)segment->start, BLOCK_BYTES) && segment->blocks >= 1 &&
           segment->blocks <= SEGMENT_LAST_BLOCKS &&
           segment->free_blocks == set_size(segment->free) &&
           segment->free_blocks <= segment->blocks;
}

/* The list keeps segments that have room, so none is looked at in vain. */
static void list_add(struct segment *segment)
{
    struct segment *after = NULL;
    for (struct segment *at = segments; at != NULL && at->start < segment->start; at = at->next)
        after = at;
    segment->previous = after;
    segment->next = after == NULL ? segments : after->next;
    if (segment->next != NULL)
        segment->next->previous = segment;
    if (after == NULL)
        segments = segment;
    else
        after->next = segment;
}

static void list_remove(struct segment *segment)
{
    if (segment->previous == NULL)
        segments = segment->next;
    else
        segment->previous->next = segment->next;
    if (segment->next != NULL)
        segment->next->previous = segment->previous;
    segment->next = segment->previous = NULL;
}

/* Where pages are larger than blocks, whole pages go together. */
static size_t blocks_per_page(void)
{
    return max_size(os_page_bytes() / BLOCK_BYTES, 1);
}

/* Maps a segment's memory: the next size if the kernel gives it, else as much as it gives. */
static char *map_blocks(size_t least, size_t *blocks)
{
    least = round_up(least, blocks_per_page());
    for (*blocks = max_size(next_segment_blocks, least);; *blocks = max_size(*blocks / 2, least)) {
        size_t length = *blocks * BLOCK_BYTES;
        char *start = os_map(length, BLOCK_BYTES);
        if (start != NULL && table_cover(start, length))
            return start;
        if (start != NULL)
            os_discard(start, length);
        if (*blocks == least)
            return NULL;
    }
}

static struct segment *add_segment(size_t least)
{
    struct segment *segment = (struct segment *)meta_take(&segment_pool);
    if (segment == NULL)
        return NULL;
    size_t blocks;
    segment->start = map_blocks(least, &blocks);
    if (segment->start == NULL) {
        meta_give(&segment_pool, &segment->head);
        return NULL;
    }
    segment->blocks = segment->free_blocks = (uint32_t)blocks;
    for (size_t block = 0; block < blocks; block++)
        set_add(segment->free, block);
    next_segment_blocks = min_size(blocks * 2, SEGMENT_LAST_BLOCKS);
    count.blocks += blocks;
    count.free_blocks += blocks;
    list_add(segment);
    return segment;
}

/* The first run of `blocks` free blocks, or the segment's end if there is none. */
static size_t find_run(const struct segment *segment, size_t blocks)
{
    size_t run = 0;
    for (size_t block = 0; block < segment->blocks; block++) {
        if (block % WORD_BITS == 0 && segment->free[block / WORD_BITS] == 0) {
            run = 0;
            block += WORD_BITS - 1;
            continue;
        }
        run = set_has(segment->free, block) ? run + 1 : 0;
        if (run == blocks)
            return block + 1 - blocks;
    }
    return segment->blocks;
}

static struct segment *find_room(size_t blocks, size_t *first)
{
    for (struct segment *segment = segments; segment != NULL; segment = segment->next) {
        if (segment->free_blocks < blocks)
            continue;
        *first = find_run(segment, blocks);
        if (*first < segment->blocks)
            return segment;
    }
    *first = 0;
    return add_segment(blocks);
}

static void count_dirty(size_t blocks)
{
    count.dirty_blocks += blocks;
    decay_note(&decay, count.dirty_blocks * BLOCK_BYTES);
}

static bool take_locked(struct span *span, size_t blocks)
{
    size_t first;
    struct segment *segment = find_room(blocks, &first);
    if (segment == NULL)
        return false;
    check(segment_is_valid(segment));
    size_t dirty = 0;
    for (size_t block = first; block < first + blocks; block++) {
        dirty += set_has(segment->dirty, block);
        set_remove(segment->free, block);
        set_add(segment->dirty, block);
    }
    segment->free_blocks -= (uint32_t)blocks;
    count.free_blocks -= blocks;
    count_dirty(-dirty);
    if (segment->free_blocks == 0)
        list_remove(segment);
    *span = (struct span){segment->start + first * BLOCK_BYTES, (uint32_t)blocks,
                          segment->head.index, dirty == 0, false};
    return true;
}

bool span_take(struct span *span, size_t blocks, uint8_t class, uint32_t meta)
{
    check(blocks >= 1 && blocks <= SPAN_MAX_BLOCKS);
    lock_take(&spans_lock);
    bool taken = take_locked(span, blocks);
    if (taken)
        table_set(span->start, blocks, class, meta);
    lock_release(&spans_lock);
    return taken;
}

void span_give(const struct span *span)
{
    lock_take(&spans_lock);
    struct segment *segment = (struct segment *)meta_at(&segment_pool, span->segment);
    require(segment != NULL && segment_is_valid(segment));
    size_t first = (size_t)(span->start - segment->start) / BLOCK_BYTES;
    require(span->start >= segment->start && first + span->blocks <= segment->blocks);
    table_clear(span->start, span->blocks);
    for (size_t block = first; block < first + span->blocks; block++) {
        require(!set_has(segment->free, block));
        set_add(segment->free, block);
    }
    if (segment->free_blocks == 0)
        list_add(segment);
    segment->free_blocks += span->blocks;
    count.free_blocks += span->blocks;
    count_dirty(span->blocks);
    lock_release(&spans_lock);
}

/* The blocks of a word that are free and dirty. */
static uint64_t dirty_free(const struct segment *segment, size_t word)
{
    return segment->free[word] & segment->dirty[word];
}

/* The end of the highest run of dirty free blocks below `block`; 0: there is none. */
static size_t run_end_below(const struct segment *segment, size_t block)
{
    while (block > 0) {
        size_t word = (block - 1) / WORD_BITS;
        uint64_t bits =
            dirty_free(segment, word) & ~(uint64_t)0 >> (WORD_BITS - 1 - (block - 1) % WORD_BITS);
        if (bits != 0)
            return word * WORD_BITS + highest_bit(bits) + 1;
        block = word * WORD_BITS;
    }
    return 0;
}

static size_t run_start(const struct segment *segment, size_t end, size_t most)
{
    size_t start = end;
    while (start > 0 && end - start < most && set_has(segment->free, start - 1) &&
           set_has(segment->dirty, start - 1))
        start--;
    return start;
}

/* Purges blocks that are dirty and free. Refused, they stay dirty. */
static bool purge_run(struct segment *segment, size_t start, size_t end)
{
    start = round_up(start, blocks_per_page());
    end = round_down(end, blocks_per_page());
    if (start >= end)
        return false;
    if (!os_purge(segment->start + start * BLOCK_BYTES, (end - start) * BLOCK_BYTES))
        return false;
    for (size_t block = start; block < end; block++)
        set_remove(segment->dirty, block);
    count_dirty(start - end);
    return true;
}

static bool purge_segment(struct segment *segment)
{
    bool purged = false;
    for (size_t end = segment->blocks, start; (end = run_end_below(segment, end)) > 0;
         end = start) {
        start = run_start(segment, end, SIZE_MAX);
        purged |= purge_run(segment, start, end);
    }
    return purged;
}

static size_t dirty_in(const struct segment *segment)
{
    size_t dirty = 0;
    for (size_t word = 0; word < SEGMENT_WORDS; word++)
        dirty += (size_t)__builtin_popcountll(dirty_free(segment, word));
    return dirty;
}

static bool unmap_segment(struct segment *segment)
{
    if (!os_unmap(segment->start, segment->blocks * BLOCK_BYTES))
        return false;
    count.blocks -= segment->blocks;
    count.free_blocks -= segment->blocks;
    count_dirty(-dirty_in(segment));
    list_remove(segment);
    meta_give(&segment_pool, &segment->head);
    return true;
}

static struct segment *last_segment(void)
{
    struct segment *last = segments;
    while (last != NULL && last->next != NULL)
        last = last->next;
    return last;
}

/* Purges the highest run of dirty free blocks, of `most` at most. Returns how many; 0: there is
 * none, or the kernel refuses. */
static size_t purge_highest(size_t most)
{
    size_t purged = 0;
    lock_take(&spans_lock);
    for (struct segment *segment = last_segment(); segment != NULL; segment = segment->previous) {
        size_t end = run_end_below(segment, segment->blocks);
        if (end == 0)
            continue;
        size_t start = run_start(segment, end, most);
        purged = purge_run(segment, start, end) ? end - start : 0;
        break;
    }
    decay_paid(&decay, purged > 0 ? purged * BLOCK_BYTES : SIZE_MAX);
    lock_release(&spans_lock);
    return purged;
}

/* Segments that are free and clean cost address space alone; the lowest is kept, for what comes. */
static void unmap_clean_segments(void)
{
    struct segment *kept = NULL;
    for (struct segment *at = segments, *next; at != NULL; at = next) {
        next = at->next;
        if (at->free_blocks < at->blocks || dirty_in(at) > 0)
            continue;
        if (kept == NULL)
            kept = at;
        else if (!unmap_segment(at))
            return; /* too many mappings; the next tick tries again */
    }
}

static void note_due(uint64_t ticks)
{
    lock_take(&spans_lock);
    decay_owe(&decay, count.dirty_blocks * BLOCK_BYTES, ticks);
    size_t in_use = count.blocks - count.free_blocks;
    size_t allowed = max_size(in_use / DIRTY_SHARE, DIRTY_FLOOR_BLOCKS);
    if (count.dirty_blocks > allowed)
        raise_relaxed(&decay.owed, (count.dirty_blocks - allowed) * BLOCK_BYTES);
    unmap_clean_segments();
    lock_release(&spans_lock);
}

/* A look at what is owed takes no lock; who acts on an old value purges what is due anyway. */
void spans_tick(uint64_t now_ns)
{
    uint64_t ticks = decay_ticks(&decay, now_ns);
    if (ticks > 0)
        note_due(ticks);
    for (size_t left = TICK_MOST_BLOCKS, purged = 1; purged > 0 && left > 0; left -= purged) {
        size_t due = load_relaxed(&decay.owed) / BLOCK_BYTES;
        if (due == 0)
            break;
        purged = purge_highest(min_size(min_size(due, left), PURGE_MOST_BLOCKS));
    }
}

bool spans_trim(void)
{
    bool returned = false;
    lock_take(&spans_lock);
    for (struct segment *segment = segments, *next; segment != NULL; segment = next) {
        next = segment->next;
        bool wholly_free = segment->free_blocks == segment->blocks;
        returned |= (wholly_free && unmap_segment(segment)) || purge_segment(segment);
    }
    lock_release(&spans_lock);
    return returned;
}

struct spans_count spans_count(void)
{
    lock_take(&spans_lock);
    struct spans_count now = count;
    lock_release(&spans_lock);
    return now;
}

void spans_check(void)
{
    lock_take(&spans_lock);
    size_t free_blocks = 0, dirty_blocks = 0;
    for (const struct segment *at = segments; at != NULL; at = at->next) {
        require(segment_is_valid(at) && at->free_blocks > 0);
        require(at->next == NULL || (at->next->previous == at && at->next->start > at->start));
        free_blocks += at->free_blocks;
        dirty_blocks += dirty_in(at);
    }
    require(free_blocks == count.free_blocks && dirty_blocks == count.dirty_blocks);
    lock_release(&spans_lock);
}

void spans_fork_prepare(void)
{
    lock_take(&spans_lock);
    lock_take(&segment_pool.lock);
}

void spans_fork_end(void)
{
    lock_release(&segment_pool.lock);
    lock_release(&spans_lock);
}
