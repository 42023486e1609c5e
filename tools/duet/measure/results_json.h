/*
 * Results as JSON: for machines, and for a bench to go on from. What is written can be read back:
 * samples without loss, to 15 digits, which is finer than any clock. How an allocator is preloaded
 * is not in it, since that is found anew on each machine.
 *
 * One object. In `results` stands an entry for each workload and allocator: the medians of its
 * runs, null where one failed; what they are over the base's; and the samples. Entries of a
 * workload follow each other, in the order of `allocators`. In `means` stand the geometric means of
 * a bench.
 */
#ifndef DUET_TOOL_RESULTS_JSON_H
#define DUET_TOOL_RESULTS_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"

/* Raised when a field changes its name or meaning. */
#define RESULTS_FORMAT 1

/* The words for these in JSON. */
extern const char *const allocator_kind_words[];
#define PROGRAM_WORD "program"
#define PATTERN_WORD "pattern"

struct counts_word {
    const char *word;
    enum counts bit;
};
#define COUNTS_WORDS 3
extern const struct counts_word counts_words[COUNTS_WORDS];

bool results_json_write(FILE *stream, const struct results *results);

/* Fills in results from a file; results_free releases them, but for `words`, which is then one
 * allocation of its own, as `asked` is. Anything may be in the file: what is not as
 * results_json_write writes it is refused with a message that names the file and what is wrong. */
bool results_json_read(const char *path, struct results *results);

#endif
