/*
 * The report for machines: all processes, all rows, in bytes, seconds and counts.
 */
#ifndef DUET_TOOL_REPORT_JSON_H
#define DUET_TOOL_REPORT_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "run/summary.h"

/* Writes the report as one JSON object and a newline. False: memory or the stream gave out. */
bool report_json_write(FILE *stream, const struct run_summary *run);

#endif
