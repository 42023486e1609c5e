/*
 * A bench that was interrupted and goes on. With --json FILE, what is done stands in FILE.part
 * after each workload; a later bench that measures the same in the same way takes it over. At the
 * end FILE is written, and FILE.part removed.
 */
#ifndef DUET_TOOL_RESUME_H
#define DUET_TOOL_RESUME_H

#include <limits.h>
#include <stdbool.h>

#include "measure/results.h"

struct resume {
    char file[PATH_MAX]; /* "": what is done is kept nowhere */
    char part[PATH_MAX + 8];
    char
        beside[PATH_MAX + 16]; /* where a new part is written before it takes the old one's place */
    struct results done;       /* what was taken over */
};

/* Looks for what can be taken over, and makes sure that a part can be written. `results` has all
 * but trials; `files`, up to a NULL, are what is measured, besides the allocators. False: nothing
 * can be written there, and it was said why. */
bool resume_begin(struct resume *resume, const char *file, const struct results *results,
                  const char *const *files);

/* Moves what is done of this workload to the end of the results; false: nothing is, or there is no
 * memory for it, and it was said. */
bool resume_take(struct resume *resume, struct results *results, const char *workload,
                 unsigned threads, unsigned counts);

/* How many workloads were taken over. */
unsigned resume_count(const struct resume *resume);

/* Writes what is done so far. Says why and returns false where it cannot. */
bool resume_keep(const struct resume *resume, const struct results *results);

/* Writes all results as FILE. */
bool resume_finish(const struct resume *resume, const struct results *results);

void resume_free(struct resume *resume);

#endif
