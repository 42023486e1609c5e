/*
 * The pictures, a file each. All return as picture_write.
 */
#ifndef DUET_TOOL_PICTURE_PARTS_H
#define DUET_TOOL_PICTURE_PARTS_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"

bool picture_of_compare(FILE *stream, const struct results *results);
bool picture_of_means(FILE *stream, const struct results *results);

/* `metric` is METRIC_WALL or METRIC_PEAK_RSS. */
bool picture_of_ratios(FILE *stream, const struct results *results, enum metric metric);

/* Where nothing was measured. `prefix` is that of the picture in whose place it is. */
bool picture_of_nothing(FILE *stream, const char *prefix);

#endif
