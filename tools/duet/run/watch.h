/*
 * Watches the program's processes while they run, for what a process that is killed, or leaves
 * by _exit or exec, cannot write down itself: its peak RSS, and when it was seen last.
 *
 * A look costs a few microseconds for each process that is alive, and is bounded, so that even
 * thousands of them do not make the launcher felt.
 */
#ifndef DUET_TOOL_WATCH_H
#define DUET_TOOL_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/counters_file.h"

enum watch_phase {
    WATCH_CLAIMED, /* the record is taken, but not filled in yet */
    WATCH_ALIVE,
    WATCH_OVER, /* exited, gone, replaced by exec, or not to be looked at */
};

struct watched {
    enum watch_phase phase;
    int32_t pid;
    uint64_t rss_kib;      /* the greatest VmHWM seen; 0: never seen */
    uint64_t last_seen_ns; /* CLOCK_MONOTONIC */
};

struct watch {
    struct counters_file *file;
    uint64_t first_start_ticks; /* no process of the program started before this */
    struct watched *records;    /* as many as have been taken */
    uint32_t count;
    uint32_t *current; /* those of them that are not over */
    uint32_t current_count;
    uint32_t next; /* where in `current` the next look starts */
};

/* Begins to watch the processes that descend from `child`. */
void watch_start(struct watch *watch, struct counters_file *file, pid_t child);

/* Looks once. Where memory is short, later processes go unwatched. */
void watch_look(struct watch *watch);

void watch_end(struct watch *watch);

#endif
