/*
 * Runs one workload under all allocators in turn, A B C A B C, after a warm-up of each, so that
 * whatever else the machine does falls on all of them alike. Which is first changes from round to
 * round, and so does the direction: none gains by its place.
 *
 * The warm-up is where it is made sure that malloc is really the allocator's: the loader is asked
 * to write down what it bound the name to.
 */
#ifndef DUET_TOOL_TRIAL_H
#define DUET_TOOL_TRIAL_H

#include "measure/results.h"
#include "measure/starter.h"

struct program {
    const char *path;
    char *const *arguments;
    char *const *environment; /* as in struct order */
    const char *input;        /* as in struct order */
    bool any_output;          /* it may write what it likes */
    bool exact; /* it is ours or known: it ends with 0 and always writes the same, and whoever makes
                   it do something else once has failed. Otherwise the base says what is right */
    bool one_cpu; /* it has one thread. CPUs differ in speed for seconds at a time, by what the host
                     does beside; so all allocators have the same one */
    bool own_status; /* its exit statuses are those of our workloads (corrupt, no memory) and its
                          output their KEY VALUE lines; else any is right that the base ends with */
};

struct plan {
    unsigned runs;
    double limit_s; /* 0: 20 times what the first that works took in its warm-up, and ten seconds */
    double deadline_s; /* seconds for all of it, after which no round begins, if three are done;
                          0: none */
    void (*progress)(void *context, unsigned round, unsigned rounds, const char *allocator);
    void *context;

    /* Looks at what a run that counts has written, if it was fine: the starter's streams are of
     * that run. False: it is of no use, and that was said. NULL: nobody looks. */
    bool (*look)(void *looker, unsigned allocator, unsigned round);
    void *looker;
};

enum trial_end { TRIAL_DONE, TRIAL_INTERRUPTED, TRIAL_BROKEN };

/* Fills in the trial's series. BROKEN: the tool itself was in trouble, and said so. An interrupted
 * trial has whole rounds only. */
enum trial_end trial_run(struct starter *starter, const struct results *results,
                         struct trial *trial, const struct program *program,
                         const struct plan *plan);

#endif
