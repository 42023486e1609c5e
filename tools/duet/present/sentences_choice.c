/*
 * What the figures say to somebody who has to choose. A choice is what no other was measurably
 * better than; the base is left only where there is a reason to.
 */
#include <math.h>

#include "present/teller.h"

/* Runs whose interval holds the median with the confidence that is wanted. */
#define FIRM_RUNS 8

/* ---- The choice ---------------------------------------------------------------------------- */

/* What allocators are ranked by; infinity: it has no such figure. */
static double figure_of(const struct teller *teller, unsigned of, enum metric metric)
{
    struct estimate figure = teller->trial != NULL
                                 ? series_estimate(&teller->trial->series[of], metric)
                                 : teller_ratio(teller, of, (int)teller->results->base, metric);
    return figure.count > 0 ? figure.median : INFINITY;
}

static unsigned set_count(allocator_set set)
{
    return (unsigned)__builtin_popcount(set);
}

/* The set's names, the best of the metric first: "smp, ng or jemalloc". */
static void tell_names(const struct teller *teller, allocator_set set, enum metric metric)
{
    unsigned count = set_count(set);
    char name[SHOW_CHARS];

    for (unsigned i = 0; i < count && i < LIST_MOST; i++) {
        unsigned next = 0;
        double least = INFINITY;
        for (unsigned k = 0; k < teller->results->allocators.count; k++) {
            double figure = set_has(set, k) ? figure_of(teller, k, metric) : INFINITY;
            if (figure < least) {
                least = figure;
                next = k;
            }
        }
        set &= ~(1u << next);
        fprintf(teller->stream, "%s%s",
                i == 0          ? ""
                : i + 1 < count ? ", "
                                : " or ",
                teller_name(name, teller, next));
    }
    if (count > LIST_MOST)
        fprintf(teller->stream, " or one of %u others", count - LIST_MOST);
}

static void tell_choice_by_time(const struct teller *teller, allocator_set best, allocator_set all)
{
    if (best == all) {
        fputs("In time it does not matter which you take", teller->stream);
    } else if (set_has(best, teller->results->base)) {
        fprintf(teller->stream, "No other was measurably faster than %s", teller->base);
    } else {
        fputs("When time matters, take ", teller->stream);
        tell_names(teller, best, METRIC_WALL);
    }
}

static void tell_choice_by_memory(const struct teller *teller, allocator_set best,
                                  allocator_set all)
{
    if (best == all) {
        fputs("in memory it does not matter which you take", teller->stream);
    } else if (set_has(best, teller->results->base)) {
        fprintf(teller->stream, "no other was measurably smaller than %s", teller->base);
    } else {
        fputs("when memory matters, take ", teller->stream);
        tell_names(teller, best, METRIC_PEAK_RSS);
    }
}

static allocator_set best_set(const struct teller *teller, enum metric metric)
{
    return teller->trial != NULL ? trial_best_set(teller->results, teller->trial, metric)
                                 : mean_best_set(teller->results, metric);
}

/* Those that have a figure at all. */
static allocator_set there_set(const struct teller *teller, enum metric metric)
{
    allocator_set set = 0;

    for (unsigned k = 0; k < teller->results->allocators.count; k++) {
        if (figure_of(teller, k, metric) < INFINITY)
            set |= 1u << k;
    }
    return set;
}

static void tell_choice(const struct teller *teller, allocator_set there)
{
    allocator_set time = best_set(teller, METRIC_WALL);
    allocator_set memory = best_set(teller, METRIC_PEAK_RSS);
    allocator_set both = time & memory;

    teller_begin(teller);
    if (both == there) {
        fputs("It does not matter which one you take: in time and in memory none was measurably "
              "better than another",
              teller->stream);
    } else if (set_has(both, teller->results->base)) {
        fprintf(teller->stream,
                "There is no reason to leave %s: none was measurably faster or smaller",
                teller->base);
    } else if (both != 0) {
        fputs("Take ", teller->stream);
        tell_names(teller, both, METRIC_WALL);
        fputs(": none was measurably faster or smaller", teller->stream);
    } else {
        tell_choice_by_time(teller, time, there);
        fputs("; ", teller->stream);
        tell_choice_by_memory(teller, memory, there);
    }
    teller_end(teller);
}

/* Whether any ratio comes from enough runs to tell a difference. */
static bool can_tell(const struct teller *teller, allocator_set there)
{
    for (unsigned k = 0; k < teller->results->allocators.count; k++) {
        struct estimate ratio = teller_ratio(teller, k, -1, METRIC_WALL);
        if (set_has(there, k) && ratio.count > 0 && !is_of_few_runs(&ratio))
            return true;
    }
    return false;
}

void tell_conclusion(const struct teller *teller)
{
    allocator_set there = there_set(teller, METRIC_WALL) & there_set(teller, METRIC_PEAK_RSS);
    char name[SHOW_CHARS];

    if (set_count(there) == 0)
        tell(teller, "There is nothing to compare: %s",
             results_failed(teller->results) ? "none came through" : "nothing was measured");
    else if (set_count(there) == 1)
        tell(teller, "There is nothing to compare: %s alone %s",
             teller_name(name, teller, (unsigned)__builtin_ctz(there)),
             results_failed(teller->results) ? "came through" : "was measured");
    else if (!can_tell(teller, there))
        tell(teller, "So few runs tell no difference from noise: take %u or more", FIRM_RUNS);
    else
        tell_choice(teller, there);
}
