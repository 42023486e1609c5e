/* One tree from the inside out, as of a bench's results. */
#include "measure/curves_json.h"

#include <stdlib.h>

#include "common/json.h"
#include "measure/results_json_parts.h"

/* Nanoseconds, of which five digits are finer than any two runs agree. */
static json_t *cost_json(double ns)
{
    char text[32];

    snprintf(text, sizeof text, "%.5g", ns);
    return json_real(strtod(text, NULL));
}

static json_t *points_json(const struct curve *curve)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; whole && i < curve->count; i++)
        whole = json_array_append_new(array, json_number(curve->points[i])) == 0;
    return json_if_whole(array, whole);
}

static json_t *curve_json(const struct curve *curve)
{
    json_t *object = json_object();
    bool whole =
        json_set(object, "curve", json_text(curve->name)) &&
        json_set(object, "over", json_string(curve->unit == CURVE_CELLS ? "cells" : "bytes")) &&
        json_set(object, "reference",
                 curve->reference > 0 ? json_number(curve->reference) : json_null()) &&
        json_set(object, "description", json_text(curve->description)) &&
        json_set(object, "points", points_json(curve));
    return json_if_whole(object, whole);
}

/* The ratio with the points that it is between; null where there is none. */
static json_t *change_json(const struct curve *curve, const struct curve_change *change)
{
    json_t *object = estimate_json(&change->ratio);

    if (!json_is_object(object))
        return object;
    bool whole = json_set(object, "at", json_number(curve->points[change->of])) &&
                 json_set(object, "over", json_number(curve->points[change->over]));
    return json_if_whole(object, whole);
}

/* The medians, or null where the allocator has no curve. */
static json_t *medians_json(const struct curves *curves, unsigned curve, unsigned allocator)
{
    if (!series_is_fine(&curves->results.trials[curve].series[allocator]))
        return json_null();

    json_t *array = json_array();
    bool whole = array != NULL;
    for (unsigned i = 0; whole && i < curves->all[curve].count; i++) {
        struct estimate cost = curve_cost(curves, curve, allocator, i);
        whole = json_array_append_new(array, cost_json(cost.median)) == 0;
    }
    return json_if_whole(array, whole);
}

static json_t *samples_json(const struct curves *curves, unsigned curve, unsigned allocator)
{
    const struct series *series = &curves->results.trials[curve].series[allocator];
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned round = 0; whole && round < series->count; round++) {
        const double *costs = curve_costs(curves, curve, allocator, round);
        json_t *run = json_array();
        for (unsigned i = 0; whole && i < curves->all[curve].count; i++)
            whole = json_array_append_new(run, cost_json(costs[i])) == 0;
        whole = json_array_append_new(array, run) == 0 && whole;
    }
    return json_if_whole(array, whole);
}

static json_t *entry_json(const struct curves *curves, unsigned curve, unsigned allocator)
{
    const struct results *results = &curves->results;
    const struct series *series = &results->trials[curve].series[allocator];
    struct curve_change step = curve_greatest_step(curves, curve, allocator);
    struct curve_change most = curve_most_over_reference(curves, curve, allocator);
    json_t *object = json_object();
    bool whole =
        json_set(object, "curve", json_text(curves->all[curve].name)) &&
        json_set(object, "allocator", json_text(results->allocators.all[allocator].name)) &&
        json_set(object, "runs", json_number(series->count)) &&
        json_set(object, "status", json_string(outcome_word(series->outcome))) &&
        json_set(object, "detail", json_integer(series->detail)) &&
        json_set(object, "note", json_text(series->note)) &&
        json_set(object, "ns", medians_json(curves, curve, allocator)) &&
        json_set(object, "greatest_step", change_json(&curves->all[curve], &step)) &&
        json_set(object, "cliffs", json_number(curve_cliffs(curves, curve, allocator))) &&
        json_set(object, "most_over_reference", change_json(&curves->all[curve], &most)) &&
        json_set(object, "samples", samples_json(curves, curve, allocator));
    return json_if_whole(object, whole);
}

static json_t *curves_json(const struct curves *curves)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; whole && i < curves->count; i++)
        whole = json_array_append_new(array, curve_json(&curves->all[i])) == 0;
    return json_if_whole(array, whole);
}

static json_t *entries_json(const struct curves *curves)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; i < curves->count; i++) {
        for (unsigned k = 0; whole && k < curves->results.allocators.count; k++)
            whole = json_array_append_new(array, entry_json(curves, i, k)) == 0;
    }
    return json_if_whole(array, whole);
}

bool curves_json_write(FILE *stream, const struct curves *curves)
{
    const struct results *results = &curves->results;
    json_t *object = json_object();
    bool whole = json_set(object, "format", json_integer(CURVES_FORMAT)) &&
                 json_set(object, "duet", json_text(results->machine.duet)) &&
                 json_set(object, "command", json_text(results->command)) &&
                 json_set(object, "started", json_text(results->started)) &&
                 json_set(object, "runs", json_number(results->runs)) &&
                 json_set(object, "whole", json_boolean(results->whole)) &&
                 json_set(object, "elapsed_s", json_real(results->elapsed_s)) &&
                 json_set(object, "machine", machine_json(&results->machine)) &&
                 json_set(object, "allocators", allocators_json(&results->allocators)) &&
                 json_set(object, "curves", curves_json(curves)) &&
                 json_set(object, "results", entries_json(curves));

    return json_finish_in_rows(stream, json_if_whole(object, whole));
}
