/*
 * Building JSON as one tree with jansson, which escapes and checks. A value that could not be made
 * is NULL, and jansson then refuses to add it; so a function that builds needs to look only once,
 * at the end.
 */
#ifndef DUET_TOOL_JSON_H
#define DUET_TOOL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A count; what JSON's integers cannot hold becomes the greatest that they can. */
json_t *json_number(uint64_t value);

/* A string that may hold anything. jansson escapes control characters, but takes only UTF-8. */
json_t *json_text(const char *string);

/* Strings up to a NULL. */
json_t *json_texts(char *const *strings);

/* Sets a field, taking over `value`; false: there is no value, or no memory. */
bool json_set(json_t *object, const char *key, json_t *value);

/* The object or array if it is whole; otherwise releases it. */
json_t *json_if_whole(json_t *made, bool whole);

/* Writes it with an end of line and releases it; false: it is NULL, or could not be written. */
bool json_finish(FILE *stream, json_t *object);

/* The same for an object with long arrays: each of its fields begins a line, and so does each
 * element of those arrays; what is inside these is not broken into lines. Reals have as many
 * digits as any decimal number of 15 needs to be read back as the same. */
bool json_finish_in_rows(FILE *stream, json_t *object);

#endif
