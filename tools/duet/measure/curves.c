/* Costs lie in one block for each curve, in which every place is known from the start. */
#include "measure/curves.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/format.h"
#include "common/say.h"

/* ---- The list ------------------------------------------------------------------------------ */

bool curves_add(struct curves *curves, const char *name, enum curve_unit unit, uint64_t reference,
                const char *description)
{
    const struct results *results = &curves->results;

    if (curves->count == CURVES_MOST) {
        say("there are more than %d curves", CURVES_MOST);
        return false;
    }
    /* What rounds do not fill is never in memory. */
    double *ns =
        calloc((size_t)results->allocators.count * results->runs * CURVE_POINTS_MOST, sizeof *ns);
    if (ns == NULL) {
        say("not enough memory for the curve %s", name);
        return false;
    }
    if (results_add(&curves->results, name, 0, COUNTS_TIME, false) == NULL) {
        free(ns);
        return false;
    }
    struct curve *curve = &curves->all[curves->count++];
    *curve = (struct curve){.unit = unit, .reference = reference, .ns = ns};
    clean_text(curve->name, sizeof curve->name, name, strlen(name));
    clean_text(curve->description, sizeof curve->description, description, strlen(description));
    return true;
}

void curves_drop_last(struct curves *curves)
{
    free(curves->all[--curves->count].ns);
    results_drop_last(&curves->results);
}

void curves_free(struct curves *curves)
{
    while (curves->count > 0)
        curves_drop_last(curves);
    results_free(&curves->results);
}

static double *place_of(const struct curves *curves, unsigned curve, unsigned allocator,
                        unsigned round)
{
    size_t run = (size_t)allocator * curves->results.runs + round;

    return curves->all[curve].ns + run * CURVE_POINTS_MOST;
}

const double *curve_costs(const struct curves *curves, unsigned curve, unsigned allocator,
                          unsigned round)
{
    return place_of(curves, curve, allocator, round);
}

/* ---- Reports ------------------------------------------------------------------------------- */

/* The two numbers of a line "point X NS"; false: it is none. */
static bool read_point(const char *line, uint64_t *point, double *ns)
{
    const char *word = "point ";
    char *end;

    if (strncmp(line, word, strlen(word)) != 0)
        return false;
    errno = 0;
    *point = strtoull(line + strlen(word), &end, 10);
    if (*end != ' ' || errno != 0)
        return false;
    *ns = strtod(end + 1, &end);
    return (*end == '\n' || *end == '\0') && isfinite(*ns) && *ns > 0;
}

bool curve_take(struct curves *curves, unsigned curve, unsigned allocator, unsigned round,
                const char *report)
{
    struct curve *into = &curves->all[curve];
    double *costs = place_of(curves, curve, allocator, round);
    bool first = into->count == 0;
    bool good = true;
    unsigned count = 0;

    for (const char *line = report; good && *line != '\0';) {
        uint64_t point;
        if (read_point(line, &point, &costs[count])) {
            if (first)
                into->points[count] = point;
            good = point == into->points[count] && ++count < CURVE_POINTS_MOST;
        }
        line = strchrnul(line, '\n');
        line += *line == '\n';
    }
    if (first)
        into->count = count;
    if (!good || count == 0 || count != into->count) {
        say("the curve %s has no points, or other ones in each run", into->name);
        return false;
    }
    return true;
}

/* ---- Figures ------------------------------------------------------------------------------- */

/* What the costs at a point are divided by, where it is nothing. */
#define NO_POINT CURVE_POINTS_MOST

static struct estimate estimate_of(const struct curves *curves, unsigned curve, unsigned allocator,
                                   unsigned of, unsigned over)
{
    const struct series *series = &curves->results.trials[curve].series[allocator];
    struct estimate made = {0};

    if (!series_is_fine(series))
        return made;
    double *figures = malloc(series->count * sizeof *figures);
    if (figures == NULL)
        return made;
    for (unsigned round = 0; round < series->count; round++) {
        const double *costs = curve_costs(curves, curve, allocator, round);
        figures[round] = over == NO_POINT ? costs[of] : costs[of] / costs[over];
    }
    made = estimate_median(figures, series->count);
    free(figures);
    return made;
}

struct estimate curve_cost(const struct curves *curves, unsigned curve, unsigned allocator,
                           unsigned point)
{
    return estimate_of(curves, curve, allocator, point, NO_POINT);
}

struct estimate curve_ratio(const struct curves *curves, unsigned curve, unsigned allocator,
                            unsigned of, unsigned over)
{
    return estimate_of(curves, curve, allocator, of, over);
}

/* The step from a point to the next one, told from its lower side. */
static struct curve_change step_at(const struct curves *curves, unsigned curve, unsigned allocator,
                                   unsigned point)
{
    struct curve_change up = {.of = point + 1, .over = point};

    up.ratio = curve_ratio(curves, curve, allocator, up.of, up.over);
    if (up.ratio.median >= 1)
        return up;
    struct curve_change down = {.of = point, .over = point + 1};
    down.ratio = curve_ratio(curves, curve, allocator, down.of, down.over);
    return down;
}

struct curve_change curve_greatest_step(const struct curves *curves, unsigned curve,
                                        unsigned allocator)
{
    struct curve_change greatest = {0};

    for (unsigned i = 0; i + 1 < curves->all[curve].count; i++) {
        struct curve_change step = step_at(curves, curve, allocator, i);
        if (step.ratio.count > 0 && step.ratio.median > greatest.ratio.median)
            greatest = step;
    }
    return greatest;
}

unsigned curve_cliffs(const struct curves *curves, unsigned curve, unsigned allocator)
{
    unsigned cliffs = 0;

    for (unsigned i = 0; i + 1 < curves->all[curve].count; i++)
        cliffs += step_at(curves, curve, allocator, i).ratio.median > CLIFF_FROM;
    return cliffs;
}

struct curve_change curve_most_over_reference(const struct curves *curves, unsigned curve,
                                              unsigned allocator)
{
    const struct curve *of = &curves->all[curve];
    struct curve_change most = {0};
    unsigned reference = 0;

    while (reference < of->count && of->points[reference] < of->reference)
        reference++;
    if (of->reference == 0 || reference == of->count || of->points[reference] != of->reference)
        return most;
    for (unsigned i = reference + 1; i < of->count; i++) {
        struct estimate ratio = curve_ratio(curves, curve, allocator, i, reference);
        if (ratio.count > 0 && ratio.median > most.ratio.median)
            most = (struct curve_change){.of = i, .over = reference, .ratio = ratio};
    }
    return most;
}
