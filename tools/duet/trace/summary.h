/*
 * What there is to know of a trace, from reading it once.
 */
#ifndef DUET_TOOL_TRACE_SUMMARY_H
#define DUET_TOOL_TRACE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/format.h"

/* Row k has the sizes of more than 2^(k-1) and at most 2^k bytes; row 0 those of 0 and 1. */
#define SIZE_ROWS 64

/* Row k has the cells that were freed when 10^(k-1) to below 10^k others had been allocated since,
 * row 0 those that were freed before any other was; the last, all that lived longer. */
#define LIFE_ROWS 12

/* The most threads of which each has a line of its own. */
#define THREAD_ROWS_MOST 16

struct size_row {
    uint64_t allocated;  /* by allocations, not reallocs */
    uint64_t peak_cells; /* live at the peak */
    uint64_t peak_bytes;
};

struct life_row {
    uint64_t cells;
    uint64_t bytes; /* as when they were freed */
};

struct thread_row {
    uint32_t thread;
    uint64_t operations;
    uint64_t allocations;
    uint64_t frees;
    uint64_t frees_of_others; /* cells that another thread had allocated */
    uint64_t first;           /* operation, and last */
    uint64_t last;
};

struct trace_summary {
    struct trace_head head;
    uint64_t kinds[OPERATION_KINDS];
    struct size_row sizes[SIZE_ROWS];
    struct life_row lives[LIFE_ROWS];
    uint64_t median_life; /* half of the freed cells saw no more allocations than this: an upper
                             bound, within an eighth; 0 where half saw none */
    uint64_t frees_of_others;
    uint64_t reallocs_of_others;

    uint64_t reallocs_grown;
    uint64_t reallocs_shrunk;
    double growth; /* of those that grew a cell of a byte or more, the geometric mean; 0: none */
    uint64_t cells_reallocated; /* how many cells were at all */
    uint64_t realloc_chain;     /* the most reallocs of one cell ... */
    uint64_t realloc_chain_end; /* ... and its size after the last */

    uint64_t largest_size;
    unsigned largest_align_log2; /* of aligned allocations; 0: there were none */
    uint64_t thread_row_count;
    struct thread_row threads[THREAD_ROWS_MOST]; /* those with the most operations, most first */
};

/* Reads the trace. Says why and returns false where it is none or damaged. */
bool summary_read(struct trace_summary *summary, const char *file);

#endif
