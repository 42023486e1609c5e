/*
 * Which free extent serves a request. The shortest that holds it, of equals the one at the lowest
 * address, as far as a bin is looked into; any dirty one before a clean one, since its pages are
 * there already.
 *
 *   dirty bins, clean bins, free neighbours of both kinds joined, a new segment
 *
 * A block that realloc had to move, since it could not grow, will grow again. It gets the start of
 * the largest free run, twice as long at least, or of a new segment; and what is taken from the run
 * behind it later is taken from that run's far end. So a block that grows step by step is moved
 * each time it has doubled, not at each step.
 *
 * What it gives up: purged memory beside dirty memory is used together only where nothing else
 * fits.
 *
 * Concurrency: all of it is the holder's (holder.h).
 */
#ifndef DUET_SPANS_EXTENTS_FIND_H
#define DUET_SPANS_EXTENTS_FIND_H

#include <stdbool.h>
#include <stddef.h>

#include "spans/extents.h"

/* An extent of `length` bytes, which are whole pages, at a multiple of `align`, that is in no bin
 * any more. What is left of the run that it was cut from stays free. NULL: no memory. */
struct extent *extent_find(size_t length, size_t align, bool growing);

#endif
