/*
 * The report for people: plain text of at most 100 columns, in colour where that is wanted.
 */
#ifndef DUET_TOOL_REPORT_TEXT_H
#define DUET_TOOL_REPORT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "run/summary.h"

/* Prints the report, or, where no process loaded the library, that and why it can be.
 * `all_classes`: the table has a line for each size class in use, however many there are. */
void report_text_print(FILE *stream, const struct run_summary *run, bool all_classes, bool colours);

#endif
