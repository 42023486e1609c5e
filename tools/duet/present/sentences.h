/*
 * What the figures say, in plain sentences: "smp: 8 % faster and 21 % smaller than glibc."
 */
#ifndef DUET_TOOL_SENTENCES_H
#define DUET_TOOL_SENTENCES_H

#include <stdio.h>

#include "common/format.h"
#include "measure/results.h"

/* Which of them. */
enum sentences {
    SENTENCES_ALL,
    SENTENCES_CHOICE,     /* what to take */
    SENTENCES_BUT_CHOICE, /* and all that leads to it */
};

/* Each sentence after `before` and followed by `after`: for a terminal "  " and "\n". They are
 * clean text, with names in them that may have any character: for a page they must be escaped. */
void sentences_print(FILE *stream, const struct results *results, const char *before,
                     const char *after);

/* The same of some of them, with glyphs that need not be the locale's. */
void sentences_print_some(FILE *stream, const struct results *results, enum sentences which,
                          const struct glyphs *glyphs, const char *before, const char *after);

#endif
