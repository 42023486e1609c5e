/*
 * The table of the report for people: a line for each size class in use, or, where these are too
 * many to read, for each doubling of the size.
 */
#ifndef DUET_TOOL_REPORT_TABLE_H
#define DUET_TOOL_REPORT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/style.h"
#include "run/summary.h"

/* Prints nothing where no row has anything in it. `all_classes`: however many there are. */
void report_table_print(FILE *stream, const struct process_summary *process, bool all_classes,
                        const struct style *style);

#endif
