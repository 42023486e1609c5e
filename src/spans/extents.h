/*
 * Extents: runs of whole pages for one block each, above the classes and up to EXTENT_MAX_BYTES.
 *
 * They are cut from segments of their own, and what is given back joins its free neighbours. Each
 * has a record apart from it, which names its neighbours in address order: a segment is a row of
 * extents. Free ones are dirty, or clean: never touched, or purged, so that they read as zero.
 *
 * A taken extent is BLOCK_BYTES long at least, so no more than one starts in any block, and the
 * address table can lead from a pointer to whatever record its user keeps.
 *
 * Concurrency: one lock, taken once for each operation; a purge goes on without it. It is only
 * ever tried, for some milliseconds, and what cannot be done then is refused, or left for the next
 * holder; so a signal handler may call whatever it likes. Whoever gives or resizes an extent must
 * be the only one who does.
 */
#ifndef DUET_SPANS_EXTENTS_H
#define DUET_SPANS_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "spans/metas.h"

/* A longer one cannot be had; who needs one maps it. Above this, what a mapping's system calls cost
 * is nothing to what its pages do. 64 MiB, and a page for what their user puts behind them. */
#define EXTENT_MAX_SHIFT (DUET_TINY ? 22 : 26)
#define EXTENT_MAX_BYTES (((size_t)1 << EXTENT_MAX_SHIFT) + ((size_t)64 << 10))

enum extent_state { EXTENT_TAKEN = 1, EXTENT_FREE, EXTENT_PURGING };

struct extent {
    struct meta head;
    char *start;           /* its user may read this */
    size_t length;         /* whole pages */
    struct extent *before; /* its neighbours in the segment, NULL at the segment's ends */
    struct extent *after;
    struct extent *next; /* in its bin while free, in `purging` while it is purged */
    struct extent *previous;
    struct extent *older; /* while free and dirty: those given before and after it; else `older` */
    struct extent *newer; /* links what is left for the next holder of the lock */
    uintptr_t purger;     /* while it is purged: by whom; see thread_self */
    uint8_t state;        /* enum extent_state */
    bool dirty;           /* may hold something else than zeros */
    bool grows;           /* taken to grow, or has grown: the room behind it is left to it */
};

/* Takes at least `length` bytes, 1 to EXTENT_MAX_BYTES, from a multiple of `align`. `growing`: it
 * will likely be resized, and goes where there is room behind it. *zeroed: whether it reads as
 * zero. NULL: no memory, or the lock was not to be had. */
struct extent *extent_take(size_t length, size_t align, bool growing, bool *zeroed);

/* Gives back what extent_take returned. */
void extent_give(struct extent *extent);

/* Changes a taken one's length where it is. False: refused, nothing changed; only growing is. What
 * cannot be cut off now may stay. */
bool extent_resize(struct extent *extent, size_t new_length);

/* Lets half of the dirty memory that lies unused go in about a second, however often it is called;
 * and free segments, once they are clean. Cheap when nothing is due. */
void extents_tick(uint64_t now_ns);

/* Returns all free memory to the OS, and segments that are wholly free. Says whether there was
 * any. */
bool extents_trim(void);

struct extents_count {
    size_t taken; /* extents */
    size_t taken_bytes;
    size_t dirty_bytes; /* free, and kept */
    size_t clean_bytes; /* free, with no pages behind them */
    size_t purging_bytes;
    size_t mapped_bytes; /* all of these together */
};
struct extents_count extents_count(void);

/* Every invariant; stops the program where one is broken. */
void extents_check(void);

/* Around fork; the end in the parent or in the child. */
void extents_fork_prepare(void);
void extents_fork_end(bool child);

#endif
