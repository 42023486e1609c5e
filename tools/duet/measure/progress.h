/*
 * Progress on stderr while programs run: one line that is written over where that is a terminal,
 * and nothing elsewhere.
 */
#ifndef DUET_TOOL_PROGRESS_H
#define DUET_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;        /* whether there is a terminal */
    uint64_t start_ns; /* of the first round after the warm-up; 0: not yet */
};

void progress_begin(struct progress *progress);

/* Shows where a trial is; made to be a plan's `progress`, with a struct progress as context. */
void progress_show(void *context, unsigned round, unsigned rounds, const char *allocator);

/* Wipes the line. */
void progress_end(struct progress *progress);

#endif
