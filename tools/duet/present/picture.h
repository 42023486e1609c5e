/*
 * Pictures of results, drawn by gnuplot as SVG.
 */
#ifndef DUET_TOOL_PICTURE_H
#define DUET_TOOL_PICTURE_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"

enum picture {
    PICTURE_COMPARE,  /* compare: time and memory of each allocator, with their intervals */
    PICTURE_OVERVIEW, /* bench: each allocator's mean time against its mean memory */
    PICTURE_TIME,     /* bench: each workload's time over the base, by allocator */
    PICTURE_MEMORY,   /* bench: and its memory */
};

/* Whether gnuplot is there; says what to install if it is not. To be asked before a long run. */
bool picture_possible(void);

/* Writes the picture; false, after a message, if gnuplot failed. */
bool picture_write(FILE *stream, enum picture picture, const struct results *results);

#endif
