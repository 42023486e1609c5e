/*
 * Spans: runs of blocks, cut from segments.
 *
 * A segment is one mapping of 2^n blocks; the first has 1 MiB, each further one twice as much,
 * up to 16 MiB; where the kernel refuses, halves are tried down to what is needed. Which blocks
 * are free is a bit each, in the segment's meta. Spans come from the lowest address that has room,
 * so that the high ones empty and can be unmapped. What is dirty and free goes back to the OS by
 * time, from the highest address down.
 *
 * Concurrency: one lock. Only slow paths come here: a span serves hundreds of cells.
 */
#ifndef DUET_SPANS_SPANS_H
#define DUET_SPANS_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

/* A longer span cannot be had; who needs one maps it. */
#define SPAN_MAX_BLOCKS SEGMENT_LAST_BLOCKS

struct span {
    char *start;
    uint32_t blocks;
    uint32_t segment; /* the index of its segment's meta */
    bool zeroed;      /* reads as zero when it is taken */
    bool guarded;     /* false then; its user's to note that the last block is inaccessible */
};

/* Takes 1 to SPAN_MAX_BLOCKS blocks and sets their table entries to `class` and `meta`. False: no
 * memory, *span is not written. */
bool span_take(struct span *span, size_t blocks, uint8_t class, uint32_t meta);

/* Gives back what span_take filled in; clears its table entries. The memory stays mapped, and
 * keeps its pages until spans_tick or spans_trim. */
void span_give(const struct span *span);

/* Lets half of the dirty free blocks that lie unused go in about a second, however often it is
 * called, and what is more than a quarter of what is in use soon. Free segments but for one are
 * unmapped, once they are clean. Does a bounded amount of work; what is left is for the next call.
 * Cheap when nothing is due. */
void spans_tick(uint64_t now_ns);

/* Returns the pages of free blocks to the OS, and segments that are wholly free. Says whether
 * there were any. */
bool spans_trim(void);

/* Blocks in all segments, those of them in no span, and of these the ones with pages. */
struct spans_count {
    size_t blocks;
    size_t free_blocks;
    size_t dirty_blocks;
};
struct spans_count spans_count(void);

/* Every invariant of the segments; stops the program where one is broken. */
void spans_check(void);

/* Around fork, in this order; `_end` in parent and child alike. */
void spans_fork_prepare(void);
void spans_fork_end(void);

#endif
