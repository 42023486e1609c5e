/*
 * Files that a command writes its results into. They are opened ahead of a run, so that a slip in a
 * name costs no run; what is in them stays until there is something to write.
 */
#ifndef DUET_TOOL_OUTPUT_H
#define DUET_TOOL_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct output {
    const char *name; /* as messages call it; NULL: none is wanted */
    int fd;
};

/* Opens the file; "-" is stdout, NULL nothing. False: could not, and said so. */
bool output_open(struct output *output, const char *name);

/* Makes the folder unless it is there, and opens a file in it; its name is put into `name`. False
 * as output_open. */
bool output_open_in(struct output *output, const char *folder, const char *file,
                    char name[PATH_MAX]);

/* Whether a name, which may be NULL, stands for stdout. */
bool output_is_stdout(const char *name);

bool output_is_wanted(const struct output *output);

/* Empties the file and makes a stream of it; NULL, after a message, if that fails. */
FILE *output_begin(struct output *output);

/* Closes the stream. `written` is whether all went well so far; false, after a message, if not all
 * could be written. */
bool output_end(struct output *output, FILE *stream, bool written);

/* Gives up a file that nothing was written into. */
void output_drop(struct output *output);

#endif
