/* Words and sets, worked out anew on each call: there are few. */
#include "present/show.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static_assert(ALLOCATORS_MOST <= 32, "allocator_set has a bit for each");

/* ---- Names --------------------------------------------------------------------------------- */

char *show_full_name(char buffer[SHOW_CHARS], const struct allocator *allocator)
{
    clean_text(buffer, SHOW_CHARS, allocator->name, sizeof allocator->name);
    return buffer;
}

char *show_name(char buffer[SHOW_CHARS], const struct allocator *allocator, int columns,
                const struct glyphs *glyphs)
{
    shorten(show_full_name(buffer, allocator), SHOW_CHARS, columns, glyphs->ellipsis);
    return buffer;
}

char *show_workload(char buffer[SHOW_CHARS], const struct trial *trial, const struct glyphs *glyphs)
{
    char name[sizeof trial->workload];

    clean_text(name, sizeof name, trial->workload, sizeof trial->workload);
    if (trial->threads == 0)
        snprintf(buffer, SHOW_CHARS, "%s", name);
    else
        snprintf(buffer, SHOW_CHARS, "%s %s%u", name, glyphs->times, trial->threads);
    return buffer;
}

char *show_command(const struct results *results, int columns, const struct glyphs *glyphs)
{
    size_t bytes = 1;

    for (char **word = results->words; word != NULL && *word != NULL; word++)
        bytes += strlen(*word) + 1;
    /* The ellipsis may be longer than what it stands for. */
    bytes += strlen(glyphs->ellipsis);

    char *raw = calloc(2, bytes);
    if (raw == NULL)
        return NULL;
    char *clean = raw + bytes;
    char *end = raw;
    for (char **word = results->words; word != NULL && *word != NULL; word++)
        end += sprintf(end, "%s%s", end > raw ? " " : "", *word);
    clean_text(clean, bytes, raw, bytes);
    shorten(clean, bytes, columns, glyphs->ellipsis);
    memmove(raw, clean, bytes);
    return raw;
}

/* ---- Failures ------------------------------------------------------------------------------ */

bool series_failed(const struct series *series)
{
    return series->outcome != OUTCOME_FINE && series->outcome != OUTCOME_PENDING;
}

char *show_failure(char buffer[SHOW_CHARS], const struct series *series)
{
    const char *signal_name;

    switch (series->outcome) {
    case OUTCOME_CRASH:
        signal_name = sigabbrev_np(series->detail);
        if (signal_name != NULL)
            snprintf(buffer, SHOW_CHARS, "crash (SIG%s)", signal_name);
        else
            snprintf(buffer, SHOW_CHARS, "crash (signal %d)", series->detail);
        break;
    case OUTCOME_STATUS:
        snprintf(buffer, SHOW_CHARS, "wrong exit status %d", series->detail);
        break;
    case OUTCOME_OUTPUT:
        snprintf(buffer, SHOW_CHARS, "other output");
        break;
    case OUTCOME_PENDING:
    case OUTCOME_FINE: /* with no run that counts */
        snprintf(buffer, SHOW_CHARS, "not run");
        break;
    default:
        snprintf(buffer, SHOW_CHARS, "%s", outcome_word(series->outcome));
    }
    return buffer;
}

/* ---- Figures ------------------------------------------------------------------------------- */

/* Three digits of a ratio, and never more than two behind the point. */
static void print_ratio(char buffer[SHOW_CHARS], double ratio)
{
    int decimals = ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0;

    snprintf(buffer, SHOW_CHARS, "%.*f", decimals, ratio);
}

char *show_ratio(char buffer[SHOW_CHARS], const struct estimate *ratio)
{
    if (ratio->count == 0)
        snprintf(buffer, SHOW_CHARS, "-");
    else
        print_ratio(buffer, ratio->median);
    return buffer;
}

bool is_within_noise(const struct estimate *ratio)
{
    return ratio->count > 0 && verdict_on(ratio) == VERDICT_SAME;
}

const char *ratio_mark(const struct estimate *ratio)
{
    return is_of_few_runs(ratio) ? FEW_MARK : is_within_noise(ratio) ? NOISE_MARK : "";
}

bool is_of_few_runs(const struct estimate *ratio)
{
    return ratio->count > 0 && ratio->confidence < NEEDED_CONFIDENCE;
}

char *show_difference(char buffer[SHOW_CHARS], enum metric metric, const struct estimate *ratio)
{
    char number[NUMBER_CHARS];

    if (ratio->median < 1)
        snprintf(buffer, SHOW_CHARS, "%s %s", format_percent(number, 1 - ratio->median),
                 metrics[metric].less);
    else if (ratio->median < PLAIN_BELOW)
        snprintf(buffer, SHOW_CHARS, "%.0f %% %s", (ratio->median - 1) * 100, metrics[metric].more);
    else
        snprintf(buffer, SHOW_CHARS, "%.*f times %s", ratio->median < 9.95 ? 1 : 0, ratio->median,
                 metrics[metric].twice);
    return buffer;
}

char *show_noise(char buffer[SHOW_CHARS], double noise)
{
    double percent = noise * 100;
    bool tenths = percent < 9.95 && fabs(percent - round(percent)) >= 0.05;

    snprintf(buffer, SHOW_CHARS, "%.*f %%", tenths ? 1 : 0, percent);
    return buffer;
}

bool trial_counts_for(const struct trial *trial, enum metric metric, enum metric *shown)
{
    if (metric == METRIC_WALL) {
        *shown = METRIC_WALL;
        return (trial->counts & COUNTS_TIME) != 0;
    }
    *shown = trial_memory_metric(trial);
    return (trial->counts & (COUNTS_MEMORY | COUNTS_END_RSS)) != 0;
}

double typical_noise(const struct results *results, enum metric metric)
{
    size_t most = (size_t)results->count * results->allocators.count;
    double *noises = malloc((most > 0 ? most : 1) * sizeof *noises);
    unsigned count = 0;

    for (unsigned i = 0; noises != NULL && i < results->count; i++) {
        const struct trial *trial = &results->trials[i];
        enum metric shown;
        if (!trial_counts_for(trial, metric, &shown))
            continue;
        for (unsigned k = 0; k < results->allocators.count; k++) {
            struct estimate ratio =
                series_ratio(&trial->series[k], &trial->series[results->base], shown);
            if (k != results->base && ratio.count > 0 && !is_of_few_runs(&ratio))
                noises[count++] = noise_of(&ratio);
        }
    }
    double typical = estimate_median(noises, count).median;
    free(noises);
    return typical;
}

const enum metric compared_metrics[COMPARED_COUNT] = {
    METRIC_WALL, METRIC_USER, METRIC_SYSTEM, METRIC_PEAK_RSS, METRIC_FAULTS, METRIC_SWITCHES};

double trial_largest(const struct results *results, const struct trial *trial, enum metric metric)
{
    double largest = 0;

    for (unsigned k = 0; k < results->allocators.count; k++)
        largest = fmax(largest, series_estimate(&trial->series[k], metric).median);
    return largest;
}

struct unit trial_unit(const struct results *results, const struct trial *trial, enum metric metric)
{
    double largest = trial_largest(results, trial, metric);

    if (metric == METRIC_WALL || metric == METRIC_USER || metric == METRIC_SYSTEM)
        largest = fmax(trial_largest(results, trial, METRIC_WALL),
                       fmax(trial_largest(results, trial, METRIC_USER),
                            trial_largest(results, trial, METRIC_SYSTEM)));
    return unit_for(metric, largest);
}

/* ---- Which are best ------------------------------------------------------------------------ */

/* Whether the second is better than the first beyond noise. Figures of 0 have no ratio: there the
 * intervals must lie apart. */
static bool is_beaten(const struct series *series, const struct series *other, enum metric metric)
{
    struct estimate ratio = series_ratio(series, other, metric);

    if (ratio.count > 0)
        return verdict_on(&ratio) == VERDICT_MORE;
    struct estimate own = series_estimate(series, metric);
    struct estimate others = series_estimate(other, metric);
    return own.count > 0 && others.count > 0 && !is_of_few_runs(&own) && own.low > others.high;
}

allocator_set trial_best_set(const struct results *results, const struct trial *trial,
                             enum metric metric)
{
    int least = trial_best(results, trial, metric);
    allocator_set set = 0;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        bool beaten = !series_is_fine(&trial->series[k]);
        for (unsigned i = 0; !beaten && i < results->allocators.count; i++)
            beaten = is_beaten(&trial->series[k], &trial->series[i], metric);
        if (!beaten)
            set |= 1u << k;
    }
    /* Noise may have them beat each other in a circle. */
    return set == 0 && least >= 0 ? 1u << least : set;
}

/* Those that have a mean over the base. */
static allocator_set mean_there_set(const struct results *results, enum metric metric)
{
    allocator_set set = 0;
    unsigned trials;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        if (results_mean(results, k, (int)results->base, metric, &trials).count > 0)
            set |= 1u << k;
    }
    return set;
}

allocator_set mean_best_set(const struct results *results, enum metric metric)
{
    allocator_set there = mean_there_set(results, metric);
    allocator_set set = 0;
    unsigned trials;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        bool beaten = !set_has(there, k);
        for (unsigned i = 0; !beaten && i < results->allocators.count; i++) {
            struct estimate ratio = results_mean(results, k, (int)i, metric, &trials);
            beaten = verdict_on(&ratio) == VERDICT_MORE;
        }
        if (!beaten)
            set |= 1u << k;
    }
    return set != 0 ? set : there;
}

/* Nobody, where it has all of them. */
static allocator_set unless_all(allocator_set set, allocator_set all)
{
    return set == all ? 0 : set;
}

allocator_set trial_marked_set(const struct results *results, const struct trial *trial,
                               enum metric metric)
{
    allocator_set fine = 0;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        if (series_is_fine(&trial->series[k]))
            fine |= 1u << k;
    }
    return unless_all(trial_best_set(results, trial, metric), fine);
}

allocator_set mean_marked_set(const struct results *results, enum metric metric)
{
    return unless_all(mean_best_set(results, metric), mean_there_set(results, metric));
}
