/*
 * Curves for people: tables, and pictures.
 */
#ifndef DUET_TOOL_PRESENT_CURVES_H
#define DUET_TOOL_PRESENT_CURVES_H

#include <stdbool.h>
#include <stdio.h>

#include "common/format.h"
#include "measure/curves.h"

/* A table for each curve, of at most 100 columns: a row per allocator, with its costs at some
 * points, its greatest step between neighbours, and how many are cliffs. */
void curves_print(FILE *stream, const struct curves *curves, bool colours);

/* Draws a curve; returns as picture_write. */
bool picture_of_curve(FILE *stream, const struct curves *curves, unsigned curve);

/* A point as people read it: "10,000", "64 KiB". */
char *format_point(char buffer[NUMBER_CHARS], const struct curve *curve, unsigned point);

/* Whether a point is a round number: a power of ten, or of `power` where it is a size. */
bool is_round_point(const struct curve *curve, unsigned point, unsigned power);

#endif
