/*
 * A compare's table. A column's figures have one unit, so that they can be compared at a glance,
 * and the width that they need; what is left of the line goes to the bars.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/style.h"
#include "present/results_text.h"
#include "present/results_text_parts.h"
#include "present/show.h"

/* Where columns would be wider, names and bars give way. */
#define NAME_COLUMNS_MOST 16
#define BAR_COLUMNS_MOST 12
#define BAR_COLUMNS_LEAST 3

/* " ± 12.4 %" and " ~12.3". */
#define SPREAD_COLUMNS 9
#define RATIO_COLUMNS 7

struct table {
    FILE *stream;
    const struct results *results;
    const struct trial *trial;
    const struct style *style;
    int name_columns;
    int bar_columns;
    struct unit units[METRIC_COUNT];
    double largest[METRIC_COUNT]; /* median */
    int columns[METRIC_COUNT];    /* of the figure alone */
    allocator_set marked[METRIC_COUNT];
};

/* Those that have a ratio and a bar. */
static bool has_bar(enum metric metric)
{
    return metric == METRIC_WALL || metric == METRIC_PEAK_RSS;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* ---- Measures ------------------------------------------------------------------------------ */

static void measure_column(struct table *table, enum metric metric)
{
    char text[COST_CHARS];

    table->units[metric] = trial_unit(table->results, table->trial, metric);
    table->largest[metric] = trial_largest(table->results, table->trial, metric);
    table->columns[metric] = text_columns(metrics[metric].heading);
    for (unsigned k = 0; k < table->results->allocators.count; k++) {
        struct estimate median = series_estimate(&table->trial->series[k], metric);
        if (median.count > 0)
            table->columns[metric] =
                larger(table->columns[metric],
                       text_columns(format_in_unit(text, &table->units[metric], median.median)));
    }
}

static void measure(struct table *table)
{
    const struct results *results = table->results;
    char name[SHOW_CHARS];
    int used = 2;

    for (unsigned k = 0; k < results->allocators.count; k++)
        table->name_columns = larger(
            table->name_columns, text_columns(show_name(name, &results->allocators.all[k],
                                                        NAME_COLUMNS_MOST, table->style->glyphs)));
    used += table->name_columns;
    for (unsigned i = 0; i < COMPARED_COUNT; i++) {
        measure_column(table, compared_metrics[i]);
        table->marked[compared_metrics[i]] =
            trial_marked_set(results, table->trial, compared_metrics[i]);
        used += 2 + table->columns[compared_metrics[i]];
        if (has_bar(compared_metrics[i]))
            used += RATIO_COLUMNS + 1;
    }
    used += SPREAD_COLUMNS;
    int left = (TEXT_COLUMNS - used) / 2;
    table->bar_columns = left > BAR_COLUMNS_MOST ? BAR_COLUMNS_MOST : left;
    if (table->bar_columns < BAR_COLUMNS_LEAST)
        table->bar_columns = 0;
}

/* ---- Heading ------------------------------------------------------------------------------- */

static const char *noise_words(double noise)
{
    return noise < 0.015 ? "a quiet machine" : noise < 0.05 ? "some noise" : "much noise";
}

/* The confidence that the intervals have: 0 where there are none. */
static double confidence_of(const struct table *table)
{
    for (unsigned k = 0; k < table->results->allocators.count; k++) {
        struct estimate median = series_estimate(&table->trial->series[k], METRIC_WALL);
        if (median.count > 0)
            return median.confidence;
    }
    return 0;
}

static void print_title(const struct table *table)
{
    const struct results *results = table->results;
    const struct style *style = table->style;
    char *command =
        show_command(results, TEXT_COLUMNS - (int)strlen("duet compare: "), style->glyphs);
    char base[SHOW_CHARS];
    char runs[PHRASE_CHARS];
    char percent[NUMBER_CHARS];
    double noise = typical_noise(results, METRIC_WALL);
    double confidence = confidence_of(table);

    fprintf(table->stream, "%sduet compare: %s%s\n", style->strong,
            command != NULL ? command : table->trial->workload, style->plain);
    free(command);
    fprintf(table->stream, "  %s of each after a warm-up%s%s.\n  Medians",
            format_things(runs, results->runs, "run"), noise > 0 ? "; " : "",
            noise > 0 ? noise_words(noise) : "");
    if (confidence > 0)
        fprintf(table->stream, ", %s half of their %s interval", style->glyphs->plus_minus,
                format_percent(percent, confidence));
    fprintf(
        table->stream, "; ratios over %s.\n",
        show_name(base, &results->allocators.all[results->base], NAME_COLUMNS_MOST, style->glyphs));
    print_marks(table->stream);
    fputc('\n', table->stream);
}

/* The columns of a metric beside its figure. */
static int columns_beside(const struct table *table, enum metric metric)
{
    return (metric == METRIC_WALL ? SPREAD_COLUMNS : 0) +
           (has_bar(metric) ? RATIO_COLUMNS + 1 + table->bar_columns : 0);
}

/* Above each column its metric, and below that the unit, as far as there are units. */
static void print_headings(const struct table *table)
{
    FILE *stream = table->stream;
    int blanks = 2 + table->name_columns;

    fprintf(stream, "%s%*s", table->style->strong, blanks, "");
    for (unsigned i = 0; i < COMPARED_COUNT; i++) {
        enum metric metric = compared_metrics[i];
        int beside = columns_beside(table, metric);
        print_right(stream, metrics[metric].heading, 2 + table->columns[metric]);
        if (beside > 0)
            fprintf(stream, "%*s%*s", beside - 1 - table->bar_columns, "ratio",
                    1 + table->bar_columns, "");
    }
    fprintf(stream, "%s\n%s", table->style->plain, table->style->dim);
    for (unsigned i = 0; i < COMPARED_COUNT; i++) {
        enum metric metric = compared_metrics[i];
        int columns = 2 + table->columns[metric];
        if (table->units[metric].name[0] != '\0') {
            fprintf(stream, "%*s%*s", blanks, "", columns, table->units[metric].name);
            blanks = 0;
        } else {
            blanks += columns;
        }
        blanks += columns_beside(table, metric);
    }
    fprintf(stream, "%s\n", table->style->plain);
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static void print_spread(const struct table *table, const struct estimate *median)
{
    char noise[SHOW_CHARS];
    char text[SHOW_CHARS + PHRASE_CHARS] = "";

    if (median->count > 1 && median->median > 0)
        snprintf(text, sizeof text, " %s %s", table->style->glyphs->plus_minus,
                 show_noise(noise, (median->high - median->low) / 2 / median->median));
    fputs(table->style->dim, table->stream);
    print_left(table->stream, text, SPREAD_COLUMNS);
    fputs(table->style->plain, table->stream);
}

static void print_ratio_and_bar(const struct table *table, unsigned index, enum metric metric,
                                double median)
{
    const struct series *base = &table->trial->series[table->results->base];
    struct estimate ratio = series_ratio(&table->trial->series[index], base, metric);
    bool over_itself = index == table->results->base;
    char number[SHOW_CHARS];
    char text[SHOW_CHARS + 1];
    char bar[BAR_CHARS] = "";

    snprintf(text, sizeof text, "%s%s", over_itself ? "" : ratio_mark(&ratio),
             show_ratio(number, &ratio));
    print_right(table->stream, text, RATIO_COLUMNS);
    if (table->bar_columns > 0 && table->largest[metric] > 0)
        format_bar(bar, median / table->largest[metric], table->bar_columns, table->style->glyphs);
    fprintf(table->stream, " %s%s%s", table->style->bar, bar, table->style->plain);
    print_padding(table->stream, bar, table->bar_columns);
}

static void print_figure(const struct table *table, unsigned index, enum metric metric)
{
    struct estimate median = series_estimate(&table->trial->series[index], metric);
    bool marked = set_has(table->marked[metric], index);
    char number[COST_CHARS];
    char text[COST_CHARS + 1];

    snprintf(text, sizeof text, "%s%s", marked ? BEST_MARK : "",
             format_in_unit(number, &table->units[metric], median.median));
    fputs(marked ? table->style->strong : "", table->stream);
    print_right(table->stream, text, 2 + table->columns[metric]);
    fputs(marked ? table->style->plain : "", table->stream);
    if (metric == METRIC_WALL)
        print_spread(table, &median);
    if (has_bar(metric))
        print_ratio_and_bar(table, index, metric, median.median);
}

/* How it failed, and the last that it said. */
static void print_failure(const struct table *table, const struct series *series)
{
    char failure[SHOW_CHARS];
    char note[sizeof series->note];
    char text[SHOW_CHARS + sizeof note + 2];

    clean_text(note, sizeof note, series->note, sizeof series->note);
    snprintf(text, sizeof text, "%s%s%s", show_failure(failure, series),
             note[0] != '\0' ? ": " : "", note);
    shorten(text, sizeof text, TEXT_COLUMNS - table->name_columns - 4,
            table->style->glyphs->ellipsis);
    fprintf(table->stream, "  %s%s%s\n", table->style->bad, text, table->style->plain);
}

static void print_row(const struct table *table, unsigned index)
{
    const struct series *series = &table->trial->series[index];
    char name[SHOW_CHARS];

    fputs("  ", table->stream);
    print_left(table->stream,
               show_name(name, &table->results->allocators.all[index], NAME_COLUMNS_MOST,
                         table->style->glyphs),
               table->name_columns);
    if (!series_is_fine(series)) {
        print_failure(table, series);
        return;
    }
    for (unsigned i = 0; i < COMPARED_COUNT; i++)
        print_figure(table, index, compared_metrics[i]);
    fputc('\n', table->stream);
}

void results_text_compare(FILE *stream, const struct results *results, bool colours)
{
    struct style style = style_make(colours);
    struct table table = {.stream = stream, .results = results, .style = &style};

    if (results->count > 0) {
        table.trial = &results->trials[0];
        measure(&table);
        print_title(&table);
        print_headings(&table);
        for (unsigned k = 0; k < results->allocators.count; k++)
            print_row(&table, k);
        fputc('\n', stream);
    }
    print_sentences(stream, results);
}
