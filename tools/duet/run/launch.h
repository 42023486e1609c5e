/*
 * Runs the program as the shell would have run it: with the launcher's input, output and group,
 * the signals that are sent to the launcher, and its end passed on.
 */
#ifndef DUET_TOOL_LAUNCH_H
#define DUET_TOOL_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/watch.h"

struct launch {
    pid_t child;
    int wait_status;   /* as waitpid gives it */
    uint64_t start_ns; /* CLOCK_MONOTONIC */
    uint64_t end_ns;
    uint64_t user_us; /* of the program and of all its descendants that were waited for */
    uint64_t system_us;
    uint64_t largest_rss_kib; /* of the largest of them */
    uint64_t own_rss_kib;     /* the launcher's own when it forked */

    /* What the launcher changed for the time of the run. */
    sigset_t outer_mask;
    struct sigaction outer_child_action;
};

/* Holds all signals back, to be called before anything exists that needs cleaning up: from here
 * to launch_release none ends the launcher. */
void launch_hold_signals(struct launch *launch);

/* Drops the signals that came since the program's end, and still holds them back. */
void launch_drop_signals(void);

/* Lets signals come again. Those that came since the program's end are dropped: they were meant
 * for it. */
void launch_release_signals(struct launch *launch);

/* Starts the file with these arguments and the launcher's environment, watches and waits for it.
 * Where there are no counters, `watch` and `file` are NULL. Returns 0, or says why not and returns
 * an exit status where it could not be started. */
int launch_program(struct launch *launch, const char *path, char *const *arguments,
                   struct watch *watch, struct counters_file *file);

/* The exit status for what became of the program: its own, or 128 + signal. */
int launch_exit_status(const struct launch *launch);

/* If a signal ended the program, ends the launcher by the same, without a second core dump. */
void launch_mirror_death(const struct launch *launch);

#endif
