/*
 * What a workload is, and what is known of a run of one.
 *
 * A workload is a fixed amount of work: so many operations, shared out among the threads, on so
 * much live memory at once. It calls malloc and its relatives by their standard names, so that
 * whoever preloads an allocator chooses it, and the machine code is the same under all of them.
 */
#ifndef DUET_WORKLOADS_WORKLOAD_H
#define DUET_WORKLOADS_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

/* Which of its figures say something about the allocator. */
enum figures {
    FIGURES_TIME,   /* so little is live that the peak is the process's own */
    FIGURES_MEMORY, /* its time is a clock's */
    FIGURES_BOTH,
};

struct run;

struct workload {
    const char *name;
    const char *description; /* one sentence */
    void (*run)(struct run *run);
    enum figures figures;
    bool threads; /* whether it takes more than one */
    bool large;   /* whether page faults are most of its time */
};

struct run {
    const struct workload *workload;
    unsigned threads;
    unsigned percent;

    /* Filled in by the workload, most of it by team_run. */
    uint64_t operations;  /* mallocs, callocs, reallocs ... of the measured part, by all threads */
    double seconds;       /* of the measured part */
    uint64_t end_rss_kib; /* bookkeeping taken off; 0: the workload has no such figure */
};

/* All of them, in the order in which they are listed; NULL at the end. */
extern const struct workload *const workloads[];

extern const struct workload workload_aligned;
extern const struct workload workload_alloc_test;
extern const struct workload workload_batch;
extern const struct workload workload_cache_scratch;
extern const struct workload workload_cache_thrash;
extern const struct workload workload_calloc;
extern const struct workload workload_fragment;
extern const struct workload workload_glibc_simple;
extern const struct workload workload_glibc_thread;
extern const struct workload workload_idle;
extern const struct workload workload_large;
extern const struct workload workload_larson;
extern const struct workload workload_mstress;
extern const struct workload workload_pair;
extern const struct workload workload_random;
extern const struct workload workload_realloc;
extern const struct workload workload_rptest;
extern const struct workload workload_server;
extern const struct workload workload_sh6;
extern const struct workload workload_sh8;
extern const struct workload workload_xmalloc;

#endif
