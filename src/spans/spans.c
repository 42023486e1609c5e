#include "spans/spans.h"

#include "base/bits.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "os/os.h"
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

#define SEGMENT_RECORD_BYTES 128
static_assert(sizeof(struct segment) <= SEGMENT_RECORD_BYTES, "a segment fits its record");
static_assert(SEGMENT_FIRST_BLOCKS >= 1 && SEGMENT_FIRST_BLOCKS <= SEGMENT_LAST_BLOCKS,
              "segments grow");

static struct lock spans_lock = LOCK_INITIAL(LOCK_RANK_SPANS);
static struct meta_pool segment_pool =
    META_POOL_INITIAL(SEGMENT_RECORD_BYTES, LOCK_RANK_SEGMENT_METAS);
static struct segment *segments; /* those with a free block, lowest address first */
static size_t next_segment_blocks = SEGMENT_FIRST_BLOCKS;
static struct spans_count count;

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

/* Maps a segment's memory: the next size if the kernel gives it, else as much as it gives. */
static char *map_blocks(size_t least, size_t *blocks)
{
    for (*blocks = max_size(next_segment_blocks, least);; *blocks = max_size(*blocks / 2, least)) {
        size_t length = *blocks * BLOCK_BYTES;
        char *start = os_map(length, BLOCK_BYTES);
        if (start != NULL && table_cover(start, length))
            return start;
        if (start != NULL)
            os_unmap(start, length);
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

static bool take_locked(struct span *span, size_t blocks)
{
    size_t first;
    struct segment *segment = find_room(blocks, &first);
    if (segment == NULL)
        return false;
    check(segment_is_valid(segment));
    bool zeroed = true;
    for (size_t block = first; block < first + blocks; block++) {
        zeroed = zeroed && !set_has(segment->dirty, block);
        set_remove(segment->free, block);
        set_add(segment->dirty, block);
    }
    segment->free_blocks -= (uint32_t)blocks;
    count.free_blocks -= blocks;
    if (segment->free_blocks == 0)
        list_remove(segment);
    *span = (struct span){segment->start + first * BLOCK_BYTES, (uint32_t)blocks,
                          segment->head.index, zeroed};
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
    lock_release(&spans_lock);
}

/* Purges the free blocks that may hold something, run by run. A run that the kernel refuses
 * stays dirty. */
static bool purge_segment(struct segment *segment)
{
    bool purged = false;
    for (size_t block = 0; block < segment->blocks; block++) {
        size_t end = block;
        while (end < segment->blocks && set_has(segment->free, end) && set_has(segment->dirty, end))
            end++;
        if (end == block ||
            !os_purge(segment->start + block * BLOCK_BYTES, (end - block) * BLOCK_BYTES))
            continue;
        purged = true;
        for (; block < end; block++)
            set_remove(segment->dirty, block);
    }
    return purged;
}

static bool unmap_segment(struct segment *segment)
{
    if (!os_unmap(segment->start, segment->blocks * BLOCK_BYTES))
        return false;
    count.blocks -= segment->blocks;
    count.free_blocks -= segment->blocks;
    list_remove(segment);
    meta_give(&segment_pool, &segment->head);
    return true;
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
    size_t free_blocks = 0;
    for (const struct segment *at = segments; at != NULL; at = at->next) {
        require(segment_is_valid(at) && at->free_blocks > 0);
        require(at->next == NULL || (at->next->previous == at && at->next->start > at->start));
        free_blocks += at->free_blocks;
    }
    require(free_blocks == count.free_blocks);
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
