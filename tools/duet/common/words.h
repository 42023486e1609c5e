/*
 * What the commands' readers of words share.
 */
#ifndef DUET_TOOL_WORDS_H
#define DUET_TOOL_WORDS_H

#include <getopt.h>
#include <stdbool.h>

enum parsed { PARSED_RUN, PARSED_DONE, PARSED_WRONG };

/* Says what getopt_long, with ':' first in its letters, has refused. `letter` is what it
 * returned. */
void say_refused(int letter, int word_count, char **words, const struct option *known);

/* The name of a file or folder, which must not be empty; says so if it is. */
bool parse_name(const char **name, const char *what, const char *word);

/* The whole number that the word is, from `least` to `most`; says so and returns -1 if it is not.
 * `what` names it: "--runs". */
long parse_number(const char *what, const char *word, long least, long most);

#endif
