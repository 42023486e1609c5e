/*
 * One HTML page that needs no other file: sentences, tables, pictures, the machine, the raw
 * figures.
 */
#ifndef DUET_TOOL_PAGE_H
#define DUET_TOOL_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"

/* Writes the page; false if it could not be written, or, after a message, if gnuplot failed. */
bool page_write(FILE *stream, const struct results *results);

#endif
