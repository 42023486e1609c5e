/*
 * Text in columns on a terminal, in colours where they are wanted.
 */
#ifndef DUET_TOOL_STYLE_H
#define DUET_TOOL_STYLE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/format.h"

struct style {
    const struct glyphs *glyphs;
    const char *strong; /* headings, and what stands out */
    const char *bar;
    const char *dim;   /* what matters less */
    const char *bad;   /* failures */
    const char *plain; /* ends each of them */
};

struct style style_make(bool colours);

/* Blanks that make up for a clean text narrower than its column. */
void print_padding(FILE *stream, const char *text, int columns);

/* A clean text at the left or the right of its column. */
void print_left(FILE *stream, const char *text, int columns);
void print_right(FILE *stream, const char *text, int columns);

/* A share from 0 to 1 in a column of SHARE_COLUMNS, and behind it a blank and a bar of up to so
 * many columns; with `last`, which is when nothing stands behind it, without the bar's padding. Of
 * 0 nothing is shown. */
#define SHARE_COLUMNS 6
void print_share(FILE *stream, double share, int bar_columns, bool last, const struct style *style);

/* A clean text in lines of at most `columns`, broken at blanks: the first after `indent` blanks,
 * the others after `further`. */
void print_wrapped(FILE *stream, const char *text, int indent, int further, int columns);

#endif
