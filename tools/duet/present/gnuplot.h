/*
 * Runs gnuplot on a script, and takes its SVG in hand, so that it can be opened alone and stand in
 * a page beside others.
 */
#ifndef DUET_TOOL_GNUPLOT_H
#define DUET_TOOL_GNUPLOT_H

#include <stdbool.h>
#include <stdio.h>

/* Whether there is a gnuplot that runs. */
bool gnuplot_is_there(void);

/* Writes the text, which is clean, as one of gnuplot's strings in which nothing has a meaning: not
 * even a quote, which is doubled. */
void gnuplot_text(FILE *script, const char *text);

/* Runs the script, an open file that was written from its start, and writes the SVG. All names in
 * it begin with `prefix`, a word, since those of two pictures on a page must differ. `title` is for
 * those who cannot see it. False, after a message, if gnuplot failed; or if the stream did. */
bool gnuplot_draw(FILE *script, FILE *stream, const char *prefix, const char *title);

#endif
