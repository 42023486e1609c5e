/*
 * The program that has the patterns and the curves: where it is, and what it lists.
 */
#ifndef DUET_TOOL_PATTERNS_H
#define DUET_TOOL_PATTERNS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "measure/starter.h"

#define PATTERNS_PROGRAM "duet-workloads"

/* Finds the program, and calls `take` with the fields of each line that it lists for the option:
 * there are `count` of them. False, after a message, where it cannot be run, a line has too few, or
 * `take` returned false. */
#define PATTERN_FIELDS_MOST 5
bool patterns_list(struct starter *starter, const char *option, unsigned count,
                   bool (*take)(void *context, char *const *fields), void *context,
                   char path[PATH_MAX]);

#endif
