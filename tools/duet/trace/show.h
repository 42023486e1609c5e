/*
 * A trace's summary, for people and for machines.
 */
#ifndef DUET_TOOL_TRACE_SHOW_H
#define DUET_TOOL_TRACE_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "trace/summary.h"

/* Prints it as text, in colours if they are wanted. */
void summary_print(FILE *stream, const struct trace_summary *summary, bool colours);

/* Writes it as JSON; false: it could not be. */
bool summary_write_json(FILE *stream, const struct trace_summary *summary);

#endif
