/*
 * What the report says, as numbers: made once from the records and the launch, and then printed
 * as text or JSON.
 *
 * A record comes from a process that may have been killed at any moment, or may have scribbled
 * over it: every number is bounded and every string is cleaned here, and sums saturate.
 */
#ifndef DUET_TOOL_SUMMARY_H
#define DUET_TOOL_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/counters.h"
#include "run/launch.h"
#include "run/watch.h"

enum ending {
    ENDED_EXIT,    /* the destructors have run */
    ENDED_EXEC,    /* another program followed in the same process */
    ENDED_SUDDEN,  /* killed, or left by _exit */
    ENDED_NOT_YET, /* still there when the program had ended */
};

/* One row of the table: a size class, or large blocks of one power of two. */
struct row_summary {
    bool large;
    uint64_t cell_bytes; /* of large rows: the most that one block has */
    uint64_t peak_cells;
    uint64_t peak_bytes;
    uint64_t live_cells; /* at the end */
    uint64_t live_bytes;
    uint64_t allocated; /* cells, those by reallocs that moved included */
    uint64_t freed;
    uint64_t allocated_bytes;
};

struct process_summary {
    int32_t pid;
    int32_t parent_pid;
    char program[sizeof((struct count_record *)0)->program * 3 + 1];
    char engine[sizeof((struct count_record *)0)->engine * 3 + 1];
    enum ending ending;
    uint64_t start_ns;
    uint64_t wall_ns;
    bool wall_exact; /* otherwise as far as it was seen alive */
    uint64_t rss_kib;
    bool rss_exact; /* otherwise at least that; 0: never seen */

    uint64_t peak_bytes;
    uint64_t peak_error_bytes; /* peak_bytes is off by at most this much */
    uint64_t peak_cells;       /* as the rows have them, here and in the next */
    uint64_t peak_rows_bytes;
    bool peak_rows_at_end; /* the rows' peak is what they had at the end: exact */
    uint64_t live_bytes;   /* at the end */
    uint64_t live_cells;
    uint64_t allocations; /* moves by realloc not counted, here and in frees */
    uint64_t allocated_bytes;
    uint64_t reallocs;
    uint64_t reallocs_moved;
    uint64_t frees;
    uint64_t failures;
    uint64_t held_bytes; /* mapped for the heap, touched or not */
    uint64_t held_peak_bytes;

    unsigned row_count;
    struct row_summary rows[COUNT_ROWS]; /* empty ones left out */
};

struct run_summary {
    const char *engine;
    const char *library;
    char *const *command;
    const struct launch *launch;
    bool program_counted; /* whether the launched process itself loaded the library */
    uint32_t refused;     /* processes that found no record left */

    /* The last program in the launched process, if it allocated nothing through the library, and
     * otherwise "". */
    char silent_program[sizeof((struct process_summary *)0)->program];

    uint32_t count;
    struct process_summary *processes; /* by peak, the greatest first */

    uint64_t allocations; /* over all processes, as the four below */
    uint64_t allocated_bytes;
    uint64_t reallocs;
    uint64_t frees;
    uint64_t failures;
};

/* Fills in `processes` and all below, and what comes from the launch; engine, library, command
 * and launch are set already. Says so and returns false when memory is short. */
bool summary_make(struct run_summary *run, const struct watch *watch);

void summary_free(struct run_summary *run);

/* Whether the peak is known well enough, and large enough, for ratios to mean something. */
bool peak_is_firm(const struct process_summary *process);

/* Whether the rows were noted near enough to the peak to stand for it. */
bool rows_are_near_peak(const struct process_summary *process);

/* Whether nothing was ever allocated, or tried to be, through the library. */
bool is_silent(const struct process_summary *process);

/* a / b, and 0 where b is 0. */
double ratio(uint64_t a, uint64_t b);

#endif
