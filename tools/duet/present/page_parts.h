/*
 * The parts of the page that have a file each.
 */
#ifndef DUET_TOOL_PAGE_PARTS_H
#define DUET_TOOL_PAGE_PARTS_H

#include <stdio.h>

#include "measure/results.h"

extern const char page_style[];

/* A compare's table. */
void page_table_compare(FILE *stream, const struct results *results);

/* A bench's table of time (METRIC_WALL) or memory (METRIC_PEAK_RSS). */
void page_table_bench(FILE *stream, const struct results *results, enum metric metric);

/* Every figure of every run, folded. */
void page_samples(FILE *stream, const struct results *results);

#endif
