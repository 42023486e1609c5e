/*
 * Plain sentences about a process's heap that its user may not have known.
 */
#ifndef DUET_TOOL_FACTS_H
#define DUET_TOOL_FACTS_H

#include <stdio.h>

#include "run/summary.h"

/* Prints the few that say most about this process, after an empty line, each on a line
 * of its own and after `indent`. */
void facts_print(FILE *stream, const struct process_summary *process, const char *indent);

#endif
