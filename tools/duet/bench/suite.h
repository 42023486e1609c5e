/*
 * The workloads of a bench: the patterns that duet-workloads has, real programs, traces of
 * programs.
 */
#ifndef DUET_TOOL_SUITE_H
#define DUET_TOOL_SUITE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "bench/programs.h"
#include "measure/call.h"
#include "measure/starter.h"

enum workload_kind { WORKLOAD_PATTERN, WORKLOAD_PROGRAM, WORKLOAD_TRACE };

struct workload {
    enum workload_kind kind;
    char name[64];
    char description[256]; /* a sentence */
    char missing[160];     /* what it needs and is not here; "": nothing */
    bool threaded;         /* it can be run with any number of threads */
    unsigned counts;       /* of enum counts */
    unsigned runs_most;    /* more tell nothing new, and take long; 0: as many as asked for */
    const struct real_program *real;
    char trace[PATH_MAX]; /* the file */
};

struct suite {
    unsigned count;
    struct workload *all;
    char workloads_path[PATH_MAX]; /* of the program that has the patterns */
    char folder[PATH_MAX];         /* to write in; "": none was made yet */
};

/* Finds all workloads. Says why and returns false where it cannot. */
bool suite_load(struct suite *suite, struct starter *starter);

/* Adds the trace in this file and returns its place in the list; -1, after a message, if it is
 * none. */
int suite_add_trace(struct suite *suite, const char *path);

/* Makes the call that runs the workload: so many threads, and so many percent of the work, if it is
 * one that can do less. Says why and returns false where it cannot. */
bool suite_call(struct suite *suite, const struct workload *workload, unsigned threads,
                unsigned percent, struct call *call, struct program *program);

/* The workloads with what they are, and what is missing here. `threads` is what stands for the
 * numbers of threads that threaded ones are run with. */
void suite_print(FILE *stream, const struct suite *suite, const char *threads);

/* Removes the folder, and what programs left there. */
void suite_free(struct suite *suite);

#endif
