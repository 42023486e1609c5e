/*
 * Text in HTML and SVG.
 */
#ifndef DUET_TOOL_MARKUP_H
#define DUET_TOOL_MARKUP_H

#include <stdio.h>

/* Writes clean text with all characters that mean something in markup escaped, in an attribute
 * too. */
void markup_text(FILE *stream, const char *text);

#endif
