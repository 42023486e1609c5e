/*
 * Extents beside each other. A segment is a row of extents that name each other by address; what is
 * cut in two needs a record more, and what is joined one less. No two neighbours are free and of
 * one kind.
 *
 * Concurrency: all of it is the holder's (holder.h), but for the pool of the records, which has a
 * lock of its own.
 */
#ifndef DUET_SPANS_EXTENTS_NEIGHBOURS_H
#define DUET_SPANS_EXTENTS_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spans/extents.h"

extern struct meta_pool extents_pool;

/* Some that lie in a row, to the end of the last. */
struct extent_row {
    struct extent *first;
    char *end;
};

static inline char *extent_end(const struct extent *extent)
{
    return extent->start + extent->length;
}

/* Of a neighbour, which may be none. */
static inline bool extent_is_free(const struct extent *extent)
{
    return extent != NULL && extent->state == EXTENT_FREE;
}

/* What must hold of it, and between it and its neighbours. */
bool extent_is_valid(const struct extent *extent);

/* In the checked build, after each operation: what it was about, if anything, and a few others in
 * turn, since all of them would be too many. */
void extents_check_around(const struct extent *extent);

/* Takes its neighbour behind into itself. Neither is in a bin. */
void extent_absorb(struct extent *extent);

/* Cuts off what is behind `length`, as an extent that is in no bin, of the same state and kind.
 * NULL: there is no memory for a record, and nothing has changed. */
struct extent *extent_split(struct extent *extent, size_t length);

/* Makes it free, and one with its free neighbours of the same kind. */
void extent_put_free(struct extent *extent);

#endif
