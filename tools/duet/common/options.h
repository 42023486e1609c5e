/*
 * The options that the library takes in DUET_OPTIONS, as a user is told of them. The library has
 * its own reader; this table is for help, and for refusing a slip of the pen before the run.
 */
#ifndef DUET_TOOL_OPTIONS_H
#define DUET_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_ENV "DUET_OPTIONS"

/* Prints the table. */
void options_print(FILE *stream);

/* Whether `entry` is key=value with a known key and a value that fits it; says so if not. */
bool options_check(const char *entry);

/* Appends `entry` to *list, an allocated string or NULL, after a comma if need be: the library
 * lets later entries win. Returns false when memory is short. */
bool options_append(char **list, const char *entry);

#endif
