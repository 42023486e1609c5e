/*
 * The pictures, a file each, and what they share. Those of type bool return as picture_write.
 */
#ifndef DUET_TOOL_PICTURE_PARTS_H
#define DUET_TOOL_PICTURE_PARTS_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"
#include "present/canvas.h"

bool picture_of_compare(FILE *stream, const struct results *results);
bool picture_of_means(FILE *stream, const struct results *results);

/* `metric` is METRIC_WALL or METRIC_PEAK_RSS. */
bool picture_of_ratios(FILE *stream, const struct results *results, enum metric metric);

/* A legend from `left` to `right`, an entry for each allocator but that one (-1: for all), the
 * first row at `top`. Returns where the last row is; with no canvas it is only found out. */
double picture_legend(const struct canvas *canvas, const struct results *results, int but,
                      double left, double right, double top);

/* Where nothing was measured. `prefix` is that of the picture in whose place it is. */
bool picture_of_nothing(FILE *stream, const char *prefix);

#endif
