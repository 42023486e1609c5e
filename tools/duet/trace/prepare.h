/*
 * Lays a trace out for duet-player, so that it can be played under any allocator: by duet replay,
 * by duet compare and bench as a workload.
 */
#ifndef DUET_TOOL_PREPARE_H
#define DUET_TOOL_PREPARE_H

#include <limits.h>
#include <stdbool.h>

#include "trace/format.h"

enum play_mode {
    PLAY_PARALLEL, /* as many threads at once as in the recording, each at its own speed */
    PLAY_SERIAL,   /* the same threads, one after another in the recorded order */
};

/* Where the player is; says why and returns false where it is not. It is called as
 * `duet-player FILE [REPEATS]`; what it prints, and its exit statuses, are those of
 * bench/workloads. */
bool player_find(char path[PATH_MAX]);

/* Reads the trace, all of it, and writes the file that the player takes. *head is the trace's. Says
 * why and returns false where the trace is none or damaged, or the file cannot be written. */
bool trace_prepare(const char *trace, const char *file, enum play_mode mode,
                   struct trace_head *head);

#endif
