/*
 * Metas: records that describe memory and lie apart from it.
 *
 * A pool hands out records of one size. They live in areas of their own, at an address that has
 * nothing to do with the cells', each between inaccessible memory, so that no overflow of a cell
 * runs into them. Areas double in size; inside one, steps are opened as they are needed. The
 * first few records may lie in the library's own data, side by side with those of other pools: a
 * small process has a few of each, and a page for each pool would be most of what it takes. A
 * record is named by a 32-bit index, which leads to it without a look-up, since the areas'
 * sizes are known. Records are type-stable: one that was given back may be read, and shows by
 * its check word that it is not in use. Nothing is ever unmapped. (After mallocng's meta areas.)
 *
 * Concurrency: free records are a stack, from which and to which records go by compare-and-swap;
 * the pool's lock is for making new ones, which is rare. Looking up takes no lock.
 */
#ifndef DUET_SPANS_METAS_H
#define DUET_SPANS_METAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/lock.h"

/* 2^24 steps in all: more records than a 32-bit index can name. */
#define META_AREAS 24

/* The top of a pool's free records is an index; above it counts, so that a compare-and-swap sees
 * that the stack was another one in between, how often a record was taken from there. */
#define META_TOP_SHIFT 32

/* The head of every record; what follows is its user's. */
struct meta {
    uint64_t check;     /* the pool's secret and this address while in use, else 0 */
    uint32_t index;     /* its own; never 0 */
    uint32_t next_free; /* index of the next free record while not in use, 0 at the end */
};

struct meta_pool {
    struct lock lock;
    uint32_t record_shift; /* records have 2^this bytes: sizeof(struct meta) to META_STEP_BYTES */
    uint32_t opened;       /* records that exist; indices are 1 to opened */
    uint32_t steps_open;
    uint64_t first_free; /* index of the topmost free record, 0 if there is none; META_TOP_SHIFT */
    uint64_t secret;
    char *areas[META_AREAS]; /* area k has 2^k steps */
    char **steps;        /* NULL, or a table of the steps' addresses, for look-ups of its owner's */
    uint32_t steps_most; /* entries of the table; no more steps are opened */
    char *first;         /* records 1 to first_count; none where there is a table of steps */
    uint32_t first_count;
};

/* `bytes` is a power of two. The second has so many first records, in data of its own:
 * as many as a small process needs, which then maps none. */
#define META_POOL_INITIAL(bytes, rank)                                                             \
    {                                                                                              \
        META_POOL_FIELDS(bytes, rank)                                                              \
    }
#define META_POOL_WITH_FIRST(bytes, rank, count)                                                   \
    {                                                                                              \
        META_POOL_FIELDS(bytes, rank), .first_count = (count),                                     \
                                       .first = META_FIRST((bytes) * (count))                      \
    }
#define META_POOL_FIELDS(bytes, rank)                                                              \
    .lock = LOCK_INITIAL(rank), .record_shift = (uint32_t)__builtin_ctz(bytes)
#define META_FIRST(bytes) (struct { alignas(CACHE_LINE_PAIR) char data[bytes]; }){{0}}.data

/* A record, zero behind its head. NULL: no memory. */
struct meta *meta_take(struct meta_pool *pool);

/* Wipes the record. It must be in use and not be named anywhere any more. */
void meta_give(struct meta_pool *pool, struct meta *meta);

/* Returns the pages of free records with the highest indices to the OS; these records are as if
 * they had never been. Says whether there were any. */
bool metas_trim(struct meta_pool *pool);

/* Indices run from 1 to this. */
uint32_t meta_last(const struct meta_pool *pool);

/* Where a step lies: areas 0 to k - 1 have 2^k - 1 steps together. */
struct meta_place {
    size_t area;
    size_t offset; /* of the step in its area */
};

ALWAYS_INLINE struct meta_place meta_place_of_step(uint32_t step)
{
    size_t area = highest_bit((size_t)step + 1);
    return (struct meta_place){area, (step + 1 - ((size_t)1 << area)) * META_STEP_BYTES};
}

/* Where the record of an index lies, which must be 1 to `opened`. */
static inline struct meta *meta_address(const struct meta_pool *pool, uint32_t index)
{
    unsigned shift = pool->record_shift;
    if (index <= pool->first_count)
        return (struct meta *)(pool->first + ((size_t)(index - 1) << shift));
    index -= pool->first_count;
    size_t number_in_step = (index - 1) & ((META_STEP_BYTES >> shift) - 1);
    struct meta_place place = meta_place_of_step((index - 1) >> (META_STEP_SHIFT - shift));
    char *area = load_acquire(&pool->areas[place.area]);
    return (struct meta *)(area + place.offset + (number_in_step << shift));
}

ALWAYS_INLINE bool meta_is_valid(const struct meta_pool *pool, const struct meta *meta)
{
    return load_relaxed(&meta->check) == (pool->secret ^ (uintptr_t)meta);
}

/* The record of this index, or NULL if there is none or it is not in use. */
static inline struct meta *meta_at(const struct meta_pool *pool, uint32_t index)
{
    if (unlikely(index == 0) || unlikely(index > load_acquire(&pool->opened)))
        return NULL;
    struct meta *meta = meta_address(pool, index);
    return likely(meta_is_valid(pool, meta)) ? meta : NULL;
}

#endif
