/*
 * What a program that is run again and again reads: the same each time.
 */
#ifndef DUET_TOOL_INPUT_H
#define DUET_TOOL_INPUT_H

#include <limits.h>
#include <stdbool.h>

/* Puts a name into `path` under which what `name` has can be read any number of times, until the
 * tool ends. "-" is stdin. What can be read once only, a pipe or a terminal, is read now, to its
 * end. Says why and returns false where it cannot be read, or a signal asks for the end. */
bool input_prepare(const char *name, char path[PATH_MAX]);

#endif
