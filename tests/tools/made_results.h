/*
 * Results that nobody measured, to see what is made of them.
 */
#ifndef TESTS_MADE_RESULTS_H
#define TESTS_MADE_RESULTS_H

#include <stdio.h>

#include "cmocka_tests.h"
#include "measure/results.h"

/* No allocator yet, and no trial. `words`: a compare's; NULL: of a bench. */
static inline struct results *make_results(char **words, unsigned runs)
{
    struct results *results = calloc(1, sizeof *results);

    assert_non_null(results);
    results->command = words != NULL ? "compare" : "bench";
    results->words = words;
    snprintf(results->started, sizeof results->started, "2026-11-26T01:02:03Z");
    results->runs = runs;
    results->whole = true;
    results->elapsed_s = 12.345678901;
    machine_look(&results->machine);
    return results;
}

static inline void drop_results(struct results *results)
{
    results_free(results);
    free(results);
}

static inline void make_allocator(struct results *results, enum allocator_kind kind,
                                  const char *name)
{
    struct allocator *allocator = &results->allocators.all[results->allocators.count++];

    allocator->kind = kind;
    snprintf(allocator->name, sizeof allocator->name, "%s", name);
    snprintf(allocator->version, sizeof allocator->version, "2.%u", results->allocators.count);
    snprintf(allocator->path, sizeof allocator->path, "/usr/lib/lib%s.so", name);
}

static inline struct trial *make_trial(struct results *results, const char *workload,
                                       unsigned threads, unsigned counts)
{
    struct trial *trial = results_add(results, workload, threads, counts, false);

    assert_non_null(trial);
    return trial;
}

/* `count` good runs of about so many seconds and KiB, up and down by `spread`, a share, from round
 * to round. */
static inline void make_runs(struct series *series, unsigned count, double wall, double rss,
                             double spread)
{
    series->outcome = OUTCOME_FINE;
    series->count = count;
    series->costs = calloc(count > 0 ? count : 1, sizeof *series->costs);
    assert_non_null(series->costs);
    for (unsigned i = 0; i < count; i++) {
        double factor = 1 + spread * ((int)(i % 3) - 1);
        double *of = series->costs[i].of;
        of[METRIC_WALL] = wall * factor;
        of[METRIC_USER] = wall * factor * 0.75;
        of[METRIC_SYSTEM] = wall * factor * 0.125;
        of[METRIC_PEAK_RSS] = rss * factor;
        of[METRIC_FAULTS] = rss / 4;
        of[METRIC_SWITCHES] = i;
        of[METRIC_END_RSS] = rss * factor / 2;
    }
}

static inline void make_failure(struct series *series, enum outcome outcome, int detail,
                                const char *note)
{
    series->outcome = outcome;
    series->detail = detail;
    snprintf(series->note, sizeof series->note, "%s", note);
}

#endif
