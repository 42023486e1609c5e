/*
 * The free extents: in bins by length, some eight for each doubling, dirty and clean apart, with a
 * bit for each bin that has one. So a search is a look at a few. The dirty ones are in a list by
 * age, too, since the oldest are purged first.
 *
 * Concurrency: all of it is the holder's (holder.h).
 */
#ifndef DUET_SPANS_EXTENTS_BINS_H
#define DUET_SPANS_EXTENTS_BINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "spans/extents.h"

/* Bins are by units of the smallest page, whatever the page is: each unit up to 8, then 8 for each
 * doubling. The last has the longest segment that there can be. */
#define BIN_UNIT_SHIFT 12
#define BIN_BITS 3
#define BINS_PER_DOUBLING ((size_t)1 << BIN_BITS)
#define BINS ((size_t)(EXTENT_MAX_SHIFT - BIN_UNIT_SHIFT - BIN_BITS + 1) * BINS_PER_DOUBLING + 1)
static_assert(EXTENT_MAX_BYTES >> (EXTENT_MAX_SHIFT - BIN_BITS) == BINS_PER_DOUBLING,
              "the longest are in the last bin");
#define BIN_WORD_BITS 64
#define BIN_WORDS ((BINS + BIN_WORD_BITS - 1) / BIN_WORD_BITS)

struct bins {
    uint64_t filled[BIN_WORDS];
    struct extent *first[BINS];
};

/* What `dirty` says of an extent, as an index. */
enum { CLEAN, DIRTY, KINDS };

extern struct bins extent_bins[KINDS];
extern struct extent *extents_oldest_dirty;
extern size_t extents_clean_segments; /* that are one free, clean extent */

/* How much there is of each sort; each file here counts what it makes of what. */
extern struct extents_count extents_now;

/* The bin of the free extents of such a length. */
size_t bin_of(size_t length);

/* The first bin from `bin` on that has an extent, or BINS. */
size_t bin_filled_from(const struct bins *kind, size_t bin);

/* The last bin below `bin` that has one, or BINS. */
size_t bin_filled_below(const struct bins *kind, size_t bin);

/* Makes it a free one; its neighbours must be other than it: see extent_put_free. */
void bins_add(struct extent *extent);

void bins_remove(struct extent *extent);

/* How many extents are in the bins. Stops the program where one is in the wrong place. */
size_t bins_check(void);

/* Those in a bin, and those that are purged, are linked by `next` and `previous`. */
static inline void extent_list_add(struct extent **list, struct extent *extent)
{
    extent->previous = NULL;
    extent->next = *list;
    if (*list != NULL)
        (*list)->previous = extent;
    *list = extent;
}

static inline void extent_list_remove(struct extent **list, struct extent *extent)
{
    *(extent->previous == NULL ? list : &extent->previous->next) = extent->next;
    if (extent->next != NULL)
        extent->next->previous = extent->previous;
    extent->next = extent->previous = NULL;
}

static inline bool extent_is_whole_segment(const struct extent *extent)
{
    return extent->before == NULL && extent->after == NULL;
}

#endif
