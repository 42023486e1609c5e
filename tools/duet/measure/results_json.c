/*
 * Results to JSON, one tree from the inside out. What can be worked out from the samples is in it
 * too, so that nobody has to.
 */
#include "measure/results_json.h"

#include <math.h>
#include <stdlib.h>

#include "common/json.h"
#include "measure/results_json_parts.h"

const char *const allocator_kind_words[] = {
    [ALLOCATOR_LIBC] = "libc",
    [ALLOCATOR_DUET] = "duet",
    [ALLOCATOR_KNOWN] = "known",
    [ALLOCATOR_GIVEN] = "given",
};

const struct counts_word counts_words[COUNTS_WORDS] = {
    {"time", COUNTS_TIME},
    {"memory", COUNTS_MEMORY},
    {"end_rss", COUNTS_END_RSS},
};

/* ---- Numbers ------------------------------------------------------------------------------- */

/* What is whole looks so; times are reals all the same. */
static json_t *figure_json(enum metric metric, double value)
{
    const double exact_below = 9007199254740992.0; /* 2^53 */
    bool is_time = metric == METRIC_WALL || metric == METRIC_USER || metric == METRIC_SYSTEM;

    if (!is_time && trunc(value) == value && fabs(value) < exact_below)
        return json_integer((json_int_t)value);
    return json_real(value);
}

/* A figure worked out from samples, of which six digits are plenty. */
static json_t *rounded_json(double value)
{
    char text[32];

    snprintf(text, sizeof text, "%.6g", value);
    return json_real(strtod(text, NULL));
}

json_t *estimate_json(const struct estimate *estimate)
{
    if (estimate->count == 0)
        return json_null();

    json_t *object = json_object();
    bool whole = json_set(object, "median", rounded_json(estimate->median)) &&
                 json_set(object, "low", rounded_json(estimate->low)) &&
                 json_set(object, "high", rounded_json(estimate->high)) &&
                 json_set(object, "confidence", rounded_json(estimate->confidence));
    return json_if_whole(object, whole);
}

/* ---- Entries ------------------------------------------------------------------------------- */

/* All but what a workload did not say. */
static bool has_metric(const struct trial *trial, enum metric metric)
{
    return metric != METRIC_END_RSS || (trial->counts & COUNTS_END_RSS) != 0;
}

static json_t *counts_json(unsigned counts)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (int i = 0; whole && i < COUNTS_WORDS; i++) {
        if ((counts & counts_words[i].bit) != 0)
            whole = json_array_append_new(array, json_string(counts_words[i].word)) == 0;
    }
    return json_if_whole(array, whole);
}

static bool set_medians(json_t *object, const struct trial *trial, const struct series *series)
{
    bool whole = true;

    for (enum metric i = 0; whole && i < METRIC_COUNT; i++) {
        struct estimate median = series_estimate(series, i);
        if (has_metric(trial, i))
            whole = json_set(object, metrics[i].key,
                             median.count > 0 ? figure_json(i, median.median) : json_null());
    }
    return whole;
}

static json_t *over_base_json(const struct trial *trial, const struct series *series,
                              const struct series *base)
{
    json_t *object = json_object();
    bool whole = object != NULL;

    for (enum metric i = 0; whole && i < METRIC_COUNT; i++) {
        struct estimate ratio = series_ratio(series, base, i);
        if (has_metric(trial, i))
            whole = json_set(object, metrics[i].key, estimate_json(&ratio));
    }
    return json_if_whole(object, whole);
}

static json_t *samples_of_metric(const struct series *series, enum metric metric)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; whole && i < series->count; i++)
        whole = json_array_append_new(array, figure_json(metric, series->costs[i].of[metric])) == 0;
    return json_if_whole(array, whole);
}

static json_t *samples_json(const struct trial *trial, const struct series *series)
{
    json_t *object = json_object();
    bool whole = object != NULL;

    for (enum metric i = 0; whole && i < METRIC_COUNT; i++) {
        if (has_metric(trial, i))
            whole = json_set(object, metrics[i].key, samples_of_metric(series, i));
    }
    return json_if_whole(object, whole);
}

static json_t *entry_json(const struct results *results, const struct trial *trial, unsigned of)
{
    const struct series *series = &trial->series[of];
    const struct series *base = &trial->series[results->base];
    json_t *object = json_object();
    bool whole =
        json_set(object, "workload", json_text(trial->workload)) &&
        json_set(object, "threads", json_number(trial->threads)) &&
        json_set(object, "kind", json_string(trial->program ? PROGRAM_WORD : PATTERN_WORD)) &&
        json_set(object, "counts", counts_json(trial->counts)) &&
        json_set(object, "own_malloc", json_text(trial->own_malloc)) &&
        json_set(object, "stray_malloc", json_text(trial->stray_malloc)) &&
        json_set(object, "base_status", json_number(trial->base_status)) &&
        json_set(object, "allocator", json_text(results->allocators.all[of].name)) &&
        set_medians(object, trial, series) &&
        json_set(object, "runs", json_number(series->count)) &&
        json_set(object, "status", json_string(outcome_word(series->outcome))) &&
        json_set(object, "detail", json_integer(series->detail)) &&
        json_set(object, "note", json_text(series->note)) &&
        json_set(object, "over_base", over_base_json(trial, series, base)) &&
        json_set(object, "samples", samples_json(trial, series));
    return json_if_whole(object, whole);
}

static json_t *entries_json(const struct results *results)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; i < results->count; i++) {
        for (unsigned k = 0; whole && k < results->allocators.count; k++)
            whole = json_array_append_new(array, entry_json(results, &results->trials[i], k)) == 0;
    }
    return json_if_whole(array, whole);
}

/* ---- Means --------------------------------------------------------------------------------- */

static json_t *mean_json(const struct results *results, unsigned of, int over, enum metric metric)
{
    unsigned trials;
    struct estimate mean = results_mean(results, of, over, metric, &trials);
    json_t *object = estimate_json(&mean);

    if (json_is_object(object) && !json_set(object, "workloads", json_number(trials)))
        return json_if_whole(object, false);
    return object;
}

static json_t *means_of_metric(const struct results *results, unsigned of, enum metric metric)
{
    json_t *object = json_object();
    bool whole =
        json_set(object, "over_base", mean_json(results, of, (int)results->base, metric)) &&
        json_set(object, "over_best_other", mean_json(results, of, -1, metric));
    return json_if_whole(object, whole);
}

static json_t *means_json(const struct results *results)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned k = 0; whole && k < results->allocators.count; k++) {
        json_t *object = json_object();
        bool good = json_set(object, "allocator", json_text(results->allocators.all[k].name)) &&
                    json_set(object, "time", means_of_metric(results, k, METRIC_WALL)) &&
                    json_set(object, "memory", means_of_metric(results, k, METRIC_PEAK_RSS));
        whole = json_array_append_new(array, json_if_whole(object, good)) == 0;
    }
    return json_if_whole(array, whole);
}

/* ---- The whole ----------------------------------------------------------------------------- */

json_t *machine_json(const struct machine *machine)
{
    json_t *object = json_object();
    bool whole = json_set(object, "cpu", json_text(machine->cpu)) &&
                 json_set(object, "cpus", json_number(machine->cpus)) &&
                 json_set(object, "kernel", json_text(machine->kernel)) &&
                 json_set(object, "libc", json_text(machine->libc)) &&
                 json_set(object, "pages", json_text(machine->page_text)) &&
                 json_set(object, "memory_bytes", json_number(machine->memory_bytes));
    return json_if_whole(object, whole);
}

json_t *allocators_json(const struct allocators *allocators)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned k = 0; whole && k < allocators->count; k++) {
        const struct allocator *allocator = &allocators->all[k];
        json_t *object = json_object();
        bool good = json_set(object, "name", json_text(allocator->name)) &&
                    json_set(object, "version", json_text(allocator->version)) &&
                    json_set(object, "path", json_text(allocator->path)) &&
                    json_set(object, "kind", json_string(allocator_kind_words[allocator->kind]));
        whole = json_array_append_new(array, json_if_whole(object, good)) == 0;
    }
    return json_if_whole(array, whole);
}

bool results_json_write(FILE *stream, const struct results *results)
{
    json_t *object = json_object();
    bool whole = json_set(object, "format", json_integer(RESULTS_FORMAT)) &&
                 json_set(object, "duet", json_text(results->machine.duet)) &&
                 json_set(object, "command", json_text(results->command)) &&
                 json_set(object, "started", json_text(results->started)) &&
                 json_set(object, "words",
                          results->words != NULL ? json_texts(results->words) : json_null()) &&
                 json_set(object, "asked",
                          results->asked != NULL ? json_text(results->asked) : json_null()) &&
                 json_set(object, "runs", json_number(results->runs)) &&
                 json_set(object, "quick", json_boolean(results->quick)) &&
                 json_set(object, "whole", json_boolean(results->whole)) &&
                 json_set(object, "elapsed_s", json_real(results->elapsed_s)) &&
                 json_set(object, "machine", machine_json(&results->machine)) &&
                 json_set(object, "base", json_text(results->allocators.all[results->base].name)) &&
                 json_set(object, "allocators", allocators_json(&results->allocators)) &&
                 json_set(object, "results", entries_json(results));

    if (whole && results->words == NULL)
        whole = json_set(object, "means", means_json(results));
    return json_finish_in_rows(stream, json_if_whole(object, whole));
}
