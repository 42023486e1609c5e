/*
 * The one lock of all extents, a latch (os/latch.h), and what its holder does for others.
 *
 * Who does not get it takes no extent, and leaves one to be given, or put back after a purge, on a
 * stack for the next holder, who settles that before anything else.
 *
 * A purge may take milliseconds, and goes on without the latch. What is to be purged is claimed by
 * the holder, and belongs to its purger until it is put back. The child of a fork puts back what
 * other threads were purging.
 */
#ifndef DUET_SPANS_EXTENTS_HOLDER_H
#define DUET_SPANS_EXTENTS_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "spans/extents.h"

/* Some 10 ms for an operation, the most of it asleep: a holder that runs is done by then, even one
 * that maps or unmaps a segment. Ten times as much for what has no other way. */
#define EXTENTS_PATIENCE 150
#define EXTENTS_MORE_PATIENCE (10 * EXTENTS_PATIENCE)

/* The most bytes that were taken at a time; decays. The holder's. */
extern size_t extents_recently_taken;

/* Takes the latch, and settles what was left over. False: it was not to be had, or is this thread's
 * already, in an operation that a signal handler interrupted. */
bool extents_hold_for(unsigned rounds);
bool extents_hold(void);
void extents_let_go(void);

/* For anybody: leaves a taken extent, or one that was purged, to the next holder. */
void extent_leave(struct extent *extent);

/* The rest is for the holder. More, or with negative numbers fewer, are taken now. */
void extents_count_taken(size_t number, size_t bytes);

/* Takes a taken one back. */
void extent_give_held(struct extent *extent);

/* Claims one that is in no bin for this thread, which will purge it. */
void extent_claim(struct extent *extent);

/* Puts a claimed one back after its purge, or without one; `dirty` says what came of it. */
void extent_put_back(struct extent *extent);

#endif
