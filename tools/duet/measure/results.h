/*
 * What was measured: for each workload, each allocator's runs, in the order of their rounds. It is
 * what JSON holds, what tables, pictures and sentences are made from, and what an interrupted bench
 * goes on from.
 */
#ifndef DUET_TOOL_RESULTS_H
#define DUET_TOOL_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "measure/allocators.h"
#include "measure/cost.h"
#include "measure/statistics.h"

enum outcome {
    OUTCOME_PENDING, /* nothing has been run yet */
    OUTCOME_FINE,
    OUTCOME_CRASH,      /* ended by a signal: `detail` is its number */
    OUTCOME_TIMEOUT,    /* did not end in its time */
    OUTCOME_CORRUPT,    /* a workload found its memory overwritten or not as promised */
    OUTCOME_STATUS,     /* another exit status than under the base: `detail` is it */
    OUTCOME_OUTPUT,     /* other output than under the base, where that never differs */
    OUTCOME_NOT_LOADED, /* the library was not in the process, or malloc not its own */
    OUTCOME_NO_MEMORY,  /* a workload got NULL */
    OUTCOME_COUNT
};

/* The one word for it, in JSON and tables: "ok", "crash", "timeout", "corrupt", "status", "output",
 * "not loaded", "no memory". */
const char *outcome_word(enum outcome outcome);

/* The runs of one workload under one allocator. */
struct series {
    enum outcome outcome; /* of the first run that was not fine; it was the last */
    int detail;
    char note[160];     /* what it last wrote on stderr, if it failed; cleaned text */
    unsigned count;     /* of the runs that count */
    struct cost *costs; /* of each, in the order of the rounds; the same round of another
                            allocator's has the same index */
};

/* Which of a workload's figures mean something. */
enum counts {
    COUNTS_TIME = 1,
    COUNTS_MEMORY = 2,
    COUNTS_END_RSS = 4, /* memory is what was resident at the end, not at the peak */
};

struct trial {
    char workload[64];
    unsigned threads;      /* 0: as the program likes */
    unsigned counts;       /* of enum counts */
    bool program;          /* a real program, or a trace of one; otherwise a pattern of calls */
    unsigned base_status;  /* the exit status under the base, which was taken as right */
    char own_malloc[64];   /* the file whose malloc the program has by itself, where that is not
                              the C library: for this trial, that was preloaded as well */
    char stray_malloc[64]; /* the file whose malloc a process had that the program has started, in
                              place of an allocator's; "": none had */
    struct series *series; /* one for each allocator */
};

struct machine {
    char cpu[128];
    unsigned cpus; /* that the process may run on */
    char kernel[128];
    char libc[64];
    char page_text[64]; /* page size and transparent huge pages: "4 KiB, huge pages on request" */
    uint64_t memory_bytes;
    char duet[64]; /* our version */
};

struct results {
    const char *command; /* "compare" or "bench" */
    char started[32];    /* UTC, as 2026-11-26T01:02:03Z */
    char **words;        /* compare: the program and its arguments, up to a NULL; else NULL */
    char *asked;         /* bench: the words that say what is measured, in one line; NULL: none */
    unsigned runs;       /* asked for, warm-up not counted */
    bool quick;
    bool whole; /* false: interrupted */
    double elapsed_s;
    struct machine machine;
    struct allocators allocators;
    unsigned base; /* index of the allocator that ratios are over */
    unsigned count;
    struct trial *trials;
};

/* Sets `started` to now. */
void results_stamp(struct results *results);

/* Looks the machine up. */
void machine_look(struct machine *machine);

/* A new trial at the end of the list, all its series pending; NULL: no memory, and said so. */
struct trial *results_add(struct results *results, const char *workload, unsigned threads,
                          unsigned counts, bool program);

/* Forgets the trial at the end of the list. */
void results_drop_last(struct results *results);

void results_free(struct results *results);

/* Whether the series was run and no run failed. */
bool series_is_fine(const struct series *series);

/* The metric that a trial's memory is judged by. */
enum metric trial_memory_metric(const struct trial *trial);

/* The median over the runs. */
struct estimate series_estimate(const struct series *series, enum metric metric);

/* The ratio of `series` over `base`, taken within each round; count 0 where either failed, or a
 * figure of the base is 0. */
struct estimate series_ratio(const struct series *series, const struct series *base,
                             enum metric metric);

/* The allocator with the least median of the metric, of those that were fine; -1: none was. */
int trial_best(const struct results *results, const struct trial *trial, enum metric metric);

/* The same without allocator `but`. */
int trial_best_other(const struct results *results, const struct trial *trial, enum metric metric,
                     int but);

/* Over the trials that count for it and where both were fine: the geometric mean of the ratios of
 * allocator `of` over allocator `over` (or, if -1, over the best other allocator of each trial),
 * with an interval from the rounds. `metric` is METRIC_WALL or METRIC_PEAK_RSS; for the latter each
 * trial's memory metric counts. `*trials` is how many there were. */
struct estimate results_mean(const struct results *results, unsigned of, int over,
                             enum metric metric, unsigned *trials);

/* Whether any run under any allocator failed. */
bool results_failed(const struct results *results);

#endif
