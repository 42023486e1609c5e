/*
 * Results for people on a terminal: plain text of at most 100 columns, in colour where wanted.
 */
#ifndef DUET_TOOL_RESULTS_TEXT_H
#define DUET_TOOL_RESULTS_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"

/* The widest that a line of a table may be. */
#define TEXT_COLUMNS 100

/* Before what no other is better than. */
#define BEST_MARK "*"

/* One workload: a row per allocator, a column per metric, the winner of each, bars, sentences. */
void results_text_compare(FILE *stream, const struct results *results, bool colours);

/* Many: a row per workload, a column per allocator, for time and for memory; geometric means over
 * the base, and over the best other of each workload; failures; sentences. */
void results_text_bench(FILE *stream, const struct results *results, bool colours);

#endif
