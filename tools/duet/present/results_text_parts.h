/*
 * What both texts begin and end with.
 */
#ifndef DUET_TOOL_RESULTS_TEXT_PARTS_H
#define DUET_TOOL_RESULTS_TEXT_PARTS_H

#include <stdio.h>

#include "measure/results.h"

/* What the marks before figures mean. */
void print_marks(FILE *stream);

/* The sentences, indented, in lines of at most TEXT_COLUMNS. */
void print_sentences(FILE *stream, const struct results *results);

#endif
