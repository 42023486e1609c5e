/*
 * What a bench is to measure: workloads by name, each with the numbers of threads that it is to
 * have.
 */
#ifndef DUET_TOOL_SELECTION_H
#define DUET_TOOL_SELECTION_H

#include <stdbool.h>

#include "bench/suite.h"

#define THREADS_MOST 1024 /* of one run; as many as duet-workloads takes */
#define THREAD_COUNTS_MOST 16

/* Numbers of threads, in the order given, none twice. */
struct thread_counts {
    unsigned count;
    unsigned all[THREAD_COUNTS_MOST];
};

/* One, as many as CPUs, and four times as many. */
void thread_counts_default(struct thread_counts *counts, unsigned cpus);

/* "1,2,8"; false, after a message, if it is something else. */
bool thread_counts_parse(struct thread_counts *counts, const char *word);

/* As "1,2,8". */
#define THREAD_COUNTS_CHARS (THREAD_COUNTS_MOST * 5)
void thread_counts_print(const struct thread_counts *counts, char text[THREAD_COUNTS_CHARS]);

struct selected {
    unsigned workload; /* its place in the suite */
    unsigned threads;  /* 0: as the program likes */
    unsigned percent;  /* of a pattern's work */
};

struct selection {
    unsigned count;
    struct selected *all;
};

struct choice {
    char **names; /* NAME, a glob, or the file of a trace */
    int name_count;
    bool quick;                         /* the workloads for a quick look, if nothing is named */
    const struct thread_counts *counts; /* NULL: none were asked for */
    unsigned cpus;
    unsigned percent; /* 0: not asked for */
};

/* Chooses from the suite, in its order; traces in files are added to it. Workloads that lack
 * something are left out, which is said. Says why and returns false where a name means nothing, or
 * what it names cannot be run, or nothing is left. */
bool selection_make(struct selection *selection, struct suite *suite, const struct choice *choice);

void selection_free(struct selection *selection);

#endif
