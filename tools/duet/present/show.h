/*
 * How names, failures, ratios and differences read: the same words in tables, sentences, pictures
 * and the page. Each function writes clean text into the caller's buffer and returns it.
 */
#ifndef DUET_TOOL_SHOW_H
#define DUET_TOOL_SHOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/format.h"
#include "measure/results.h"

/* Room for any of the texts below: the longest is a workload's name of characters that were
 * cleaned, or a failure with the last words on stderr. */
#define SHOW_CHARS 256

/* ---- Names --------------------------------------------------------------------------------- */

/* An allocator's name in at most so many columns. */
char *show_name(char buffer[SHOW_CHARS], const struct allocator *allocator, int columns,
                const struct glyphs *glyphs);

/* The name in full. */
char *show_full_name(char buffer[SHOW_CHARS], const struct allocator *allocator);

/* A workload's name with its threads: "larson ×2". */
char *show_workload(char buffer[SHOW_CHARS], const struct trial *trial,
                    const struct glyphs *glyphs);

/* The program and its arguments with blanks between, in at most so many columns. Returns an
 * allocated string; NULL: no memory. */
char *show_command(const struct results *results, int columns, const struct glyphs *glyphs);

/* ---- Failures ------------------------------------------------------------------------------ */

/* Whether a run of it was not fine. */
bool series_failed(const struct series *series);

/* "crash (SIGSEGV)", "wrong exit status 3", "other output"; "not run". */
char *show_failure(char buffer[SHOW_CHARS], const struct series *series);

/* ---- Figures ------------------------------------------------------------------------------- */

/* A ratio: "0.92", "12.3", "140"; "-": there is none. */
char *show_ratio(char buffer[SHOW_CHARS], const struct estimate *ratio);

/* What stands before a ratio that cannot be told from 1: NOISE_MARK, or FEW_MARK where nothing
 * could be; otherwise "". */
#define NOISE_MARK "~"
#define FEW_MARK "?"
const char *ratio_mark(const struct estimate *ratio);

/* Whether there is a ratio, but it cannot be told from 1. */
bool is_within_noise(const struct estimate *ratio);

/* Whether so few runs were made that nothing can be told from noise. */
bool is_of_few_runs(const struct estimate *ratio);

/* From here on multiples are told: "95 % slower" is understood, "195 % slower" is not. */
#define PLAIN_BELOW 1.995

/* What a ratio that differs from 1 says: "8 % faster", "3.1 times as slow". */
char *show_difference(char buffer[SHOW_CHARS], enum metric metric, const struct estimate *ratio);

/* How much of a difference cannot be told from noise: "1.4 %". */
char *show_noise(char buffer[SHOW_CHARS], double noise);

/* The noise of a metric over all trials that count for it: the median of what the ratios over the
 * base have that are of enough runs. 0: there are none. For METRIC_PEAK_RSS, each trial's memory
 * metric counts. */
double typical_noise(const struct results *results, enum metric metric);

/* The metrics that a compare's tables show, in their order: it knows no end of a workload. */
#define COMPARED_COUNT 6
extern const enum metric compared_metrics[COMPARED_COUNT];

/* The unit in which all allocators' medians of a metric are shown; times all have one. */
struct unit trial_unit(const struct results *results, const struct trial *trial,
                       enum metric metric);

/* The greatest median of a metric; 0: there is none. */
double trial_largest(const struct results *results, const struct trial *trial, enum metric metric);

/* ---- Which are best ------------------------------------------------------------------------ */

/* A bit for each allocator, by its index. */
typedef uint32_t allocator_set;

static inline bool set_has(allocator_set set, unsigned index)
{
    return (set >> index & 1) != 0;
}

/* Those than which no other is better beyond noise, of those that were fine. */
allocator_set trial_best_set(const struct results *results, const struct trial *trial,
                             enum metric metric);

/* The same by the geometric means over the base. */
allocator_set mean_best_set(const struct results *results, enum metric metric);

/* Those to be marked as the best of the metric: the best set, but nobody where all are in it. */
allocator_set trial_marked_set(const struct results *results, const struct trial *trial,
                               enum metric metric);
allocator_set mean_marked_set(const struct results *results, enum metric metric);

/* Whether the trial's figures for time (METRIC_WALL) or memory (METRIC_PEAK_RSS) mean something;
 * puts the metric to look at in *shown. */
bool trial_counts_for(const struct trial *trial, enum metric metric, enum metric *shown);

#endif
