/*
 * Starts the programs that are measured, and tells what each cost.
 *
 * The kernel counts as a process's peak also what it had before exec: the pages of whoever forked
 * it. So the starter is a process of its own, forked before the tool has anything in memory, and
 * forks from there: what the tool holds is never measured as a program's.
 *
 * A program runs in a session of its own, reads a file, and writes into temporary files, so that no
 * terminal and no reader slows it. When it ends, or its time is up, whatever it has left
 * running is killed, so that nothing disturbs the next.
 */
#ifndef DUET_TOOL_STARTER_H
#define DUET_TOOL_STARTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "measure/cost.h"

enum stream { STREAM_OUTPUT, STREAM_ERROR, STREAM_COUNT };

struct starter {
    pid_t pid;
    int channel;               /* a socket pair's end */
    int streams[STREAM_COUNT]; /* temporary files, emptied before each run */
};

struct order {
    const char *path;         /* the file to execute, with a slash in it */
    char *const *arguments;   /* up to a NULL; the first is the program's name */
    const char *preload;      /* goes in front of LD_PRELOAD; NULL: nothing does */
    char *const *environment; /* KEY=VALUE, over the tool's own, up to a NULL; NULL: none */
    const char *input;        /* the file that it reads; NULL: an empty one */
    double limit_s;           /* the time that it has; 0: for ever */
    bool one_cpu;             /* it is kept on one CPU, the same in every run */
};

struct ended {
    int error;       /* errno where it could not be executed; nothing else is set then */
    int wait_status; /* as waitpid gives it */
    bool timed_out;
    bool interrupted; /* the user wants no more: SIGINT, SIGTERM or SIGHUP has come */
    pid_t pid;        /* what its number was */
    struct cost cost; /* all but METRIC_END_RSS */
};

/* Forks the starter: to be called before the command allocates much, or has threads. Says why and
 * returns false where it cannot. */
bool starter_begin(struct starter *starter);

/* Whether a signal has asked for the end, now or in an earlier run. */
bool starter_interrupted(void);

/* Runs the program and waits for its end. Says why and returns false where the starter itself is
 * in trouble. */
bool starter_run(struct starter *starter, const struct order *order, struct ended *ended);

/* Reads up to `capacity` - 1 bytes of what the last run wrote, from its start or, if `last`, its
 * end, into a string. */
void starter_read(const struct starter *starter, enum stream stream, bool last, char *text,
                  size_t capacity);

/* A number that changes with what the last run wrote on its output. */
uint64_t starter_output_hash(const struct starter *starter);

void starter_end(struct starter *starter);

#endif
