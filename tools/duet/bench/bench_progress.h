/*
 * Where a bench is, on stderr: on a terminal one line that is written over, with the time that is
 * left; elsewhere a line for each workload that is done.
 */
#ifndef DUET_TOOL_BENCH_PROGRESS_H
#define DUET_TOOL_BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "measure/results.h"

struct bench_progress {
    bool terminal;
    unsigned count; /* workloads in all */
    unsigned taken; /* those that an earlier bench has done */
    unsigned done;  /* and this one */
    uint64_t start_ns;
    uint64_t trial_start_ns;
    char trial[96]; /* "larson, 8 threads" */
};

void bench_progress_begin(struct bench_progress *progress, unsigned count);

/* The next workload was taken over from an earlier bench. */
void bench_progress_take(struct bench_progress *progress);

/* A workload begins, goes on (made to be a plan's `progress`), and is done. */
void bench_progress_trial(struct bench_progress *progress, const struct trial *trial);
void bench_progress_run(void *context, unsigned round, unsigned rounds, const char *allocator);
void bench_progress_done(struct bench_progress *progress, const struct results *results,
                         const struct trial *trial);

/* Wipes the line. */
void bench_progress_end(const struct bench_progress *progress);

#endif
