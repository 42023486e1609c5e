/*
 * A bench's tables, one for time and one for memory: ratios over the base, and below them the
 * geometric means. A table that is too wide goes on in further ones with the same rows.
 */
#include <stdlib.h>
#include <string.h>

#include "common/style.h"
#include "present/results_text.h"
#include "present/results_text_parts.h"
#include "present/show.h"

#define LABEL_COLUMNS_MOST 26
#define NAME_COLUMNS_MOST 12

/* Between columns. */
#define GAP_COLUMNS 2

struct cell {
    char text[SHOW_CHARS];
    bool marked; /* none is better */
    bool bad;
};

struct table {
    FILE *stream;
    const struct results *results;
    const struct style *style;
    enum metric metric; /* METRIC_WALL or METRIC_PEAK_RSS */
    int label_columns;
    int columns[ALLOCATORS_MOST];
    allocator_set marked_means;
};

/* ---- Cells --------------------------------------------------------------------------------- */

/* In the base's column stands what the others are over. */
static void base_cell(struct cell *cell, const struct series *series, enum metric metric)
{
    char cost[COST_CHARS];

    snprintf(cell->text, sizeof cell->text, "%s%s", cell->marked ? BEST_MARK : "",
             format_cost(cost, metric, series_estimate(series, metric).median));
}

static struct cell make_cell(const struct table *table, const struct trial *trial, unsigned index,
                             enum metric metric, allocator_set marked)
{
    const struct series *series = &trial->series[index];
    const struct series *base = &trial->series[table->results->base];
    struct cell cell = {.marked = set_has(marked, index), .bad = series_failed(series)};
    char number[SHOW_CHARS];

    if (cell.bad) {
        snprintf(cell.text, sizeof cell.text, "%s", outcome_word(series->outcome));
    } else if (!series_is_fine(series)) {
        snprintf(cell.text, sizeof cell.text, "-");
    } else if (series == base || !series_is_fine(base)) {
        base_cell(&cell, series, metric);
    } else {
        struct estimate ratio = series_ratio(series, base, metric);
        snprintf(cell.text, sizeof cell.text, "%s%s%s", cell.marked ? BEST_MARK : "",
                 ratio_mark(&ratio), show_ratio(number, &ratio));
    }
    return cell;
}

static void print_cell(const struct table *table, const struct cell *cell, int columns)
{
    fputs(cell->bad ? table->style->bad : cell->marked ? table->style->strong : "", table->stream);
    print_right(table->stream, cell->text, GAP_COLUMNS + columns);
    fputs(cell->bad || cell->marked ? table->style->plain : "", table->stream);
}

/* ---- Means --------------------------------------------------------------------------------- */

static struct estimate mean_over_base(const struct table *table, unsigned index, unsigned *trials)
{
    return results_mean(table->results, index, (int)table->results->base, table->metric, trials);
}

static struct cell mean_cell(const struct table *table, unsigned index)
{
    unsigned trials;
    struct estimate mean = mean_over_base(table, index, &trials);
    struct cell cell = {.marked = set_has(table->marked_means, index)};
    char number[SHOW_CHARS];
    bool over_itself = index == table->results->base;

    snprintf(cell.text, sizeof cell.text, "%s%s%s", cell.marked ? BEST_MARK : "",
             over_itself ? "" : ratio_mark(&mean), show_ratio(number, &mean));
    return cell;
}

static struct cell interval_cell(const struct table *table, unsigned index)
{
    unsigned trials;
    struct estimate mean = mean_over_base(table, index, &trials);
    struct estimate low = {.count = mean.count, .median = mean.low};
    struct estimate high = {.count = mean.count, .median = mean.high};
    struct cell cell = {0};
    char numbers[2][SHOW_CHARS];

    if (mean.count > 0 && index != table->results->base)
        snprintf(cell.text, sizeof cell.text, "%.8s%s%.8s", show_ratio(numbers[0], &low),
                 table->style->glyphs->dash, show_ratio(numbers[1], &high));
    return cell;
}

static struct cell over_best_cell(const struct table *table, unsigned index)
{
    unsigned trials;
    struct estimate mean = results_mean(table->results, index, -1, table->metric, &trials);
    struct cell cell = {0};

    show_ratio(cell.text, &mean);
    return cell;
}

static struct cell trials_cell(const struct table *table, unsigned index)
{
    unsigned trials;
    struct cell cell = {0};

    mean_over_base(table, index, &trials);
    snprintf(cell.text, sizeof cell.text, "%u", trials);
    return cell;
}

struct mean_row {
    const char *label;
    struct cell (*make)(const struct table *table, unsigned index);
};

static const struct mean_row mean_rows[] = {
    {"geometric mean", mean_cell},
    {"  its interval", interval_cell},
    {"  of so many workloads", trials_cell},
    {"mean over the best other", over_best_cell},
};

#define MEAN_ROWS (sizeof mean_rows / sizeof *mean_rows)

/* ---- Measures ------------------------------------------------------------------------------ */

static void widen(int *columns, const char *text)
{
    if (text_columns(text) > *columns)
        *columns = text_columns(text);
}

static void measure_column(struct table *table, unsigned index)
{
    const struct results *results = table->results;
    int *columns = &table->columns[index];
    char name[SHOW_CHARS];
    enum metric metric;

    widen(columns, show_name(name, &results->allocators.all[index], NAME_COLUMNS_MOST,
                             table->style->glyphs));
    for (unsigned i = 0; i < results->count; i++) {
        const struct trial *trial = &results->trials[i];
        if (trial_counts_for(trial, table->metric, &metric))
            /* As wide as with the mark. */
            widen(columns, make_cell(table, trial, index, metric, 1u << index).text);
    }
    for (unsigned i = 0; i < MEAN_ROWS; i++)
        widen(columns, mean_rows[i].make(table, index).text);
}

static void measure(struct table *table)
{
    char label[SHOW_CHARS];
    enum metric metric;

    for (unsigned i = 0; i < table->results->count; i++) {
        const struct trial *trial = &table->results->trials[i];
        if (trial_counts_for(trial, table->metric, &metric))
            widen(&table->label_columns, show_workload(label, trial, table->style->glyphs));
    }
    for (unsigned i = 0; i < MEAN_ROWS; i++)
        widen(&table->label_columns, mean_rows[i].label);
    if (table->label_columns > LABEL_COLUMNS_MOST)
        table->label_columns = LABEL_COLUMNS_MOST;
    table->marked_means = mean_marked_set(table->results, table->metric);
    for (unsigned k = 0; k < table->results->allocators.count; k++)
        measure_column(table, k);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void print_label(const struct table *table, const char *text)
{
    char label[SHOW_CHARS];

    clean_text(label, sizeof label, text, strlen(text));
    shorten(label, sizeof label, table->label_columns, table->style->glyphs->ellipsis);
    fputs("  ", table->stream);
    print_left(table->stream, label, table->label_columns);
}

static void print_row(const struct table *table, const struct trial *trial, unsigned from,
                      unsigned to)
{
    char label[SHOW_CHARS];
    enum metric metric;

    if (!trial_counts_for(trial, table->metric, &metric))
        return;
    allocator_set marked = trial_marked_set(table->results, trial, metric);
    print_label(table, show_workload(label, trial, table->style->glyphs));
    for (unsigned k = from; k < to; k++) {
        struct cell cell = make_cell(table, trial, k, metric, marked);
        print_cell(table, &cell, table->columns[k]);
    }
    fputc('\n', table->stream);
}

static void print_headings(const struct table *table, unsigned from, unsigned to)
{
    const struct allocators *allocators = &table->results->allocators;
    char title[SHOW_CHARS + PHRASE_CHARS];
    char name[SHOW_CHARS];

    snprintf(title, sizeof title, "%s over %s", table->metric == METRIC_WALL ? "time" : "memory",
             show_name(name, &allocators->all[table->results->base], NAME_COLUMNS_MOST,
                       table->style->glyphs));
    fprintf(table->stream, "\n%s", table->style->strong);
    print_label(table, title);
    for (unsigned k = from; k < to; k++)
        print_right(table->stream,
                    show_name(name, &allocators->all[k], NAME_COLUMNS_MOST, table->style->glyphs),
                    GAP_COLUMNS + table->columns[k]);
    fprintf(table->stream, "%s\n", table->style->plain);
}

/* The columns from `from` to before `to`. */
static void print_part(const struct table *table, unsigned from, unsigned to)
{
    print_headings(table, from, to);
    for (unsigned i = 0; i < table->results->count; i++)
        print_row(table, &table->results->trials[i], from, to);
    for (unsigned i = 0; i < MEAN_ROWS; i++) {
        fputs(i == 0 ? table->style->plain : table->style->dim, table->stream);
        print_label(table, mean_rows[i].label);
        for (unsigned k = from; k < to; k++) {
            struct cell cell = mean_rows[i].make(table, k);
            print_cell(table, &cell, table->columns[k]);
        }
        fprintf(table->stream, "%s\n", table->style->plain);
    }
}

static bool counts_anywhere(const struct table *table)
{
    enum metric metric;

    for (unsigned i = 0; i < table->results->count; i++) {
        if (trial_counts_for(&table->results->trials[i], table->metric, &metric))
            return true;
    }
    return false;
}

static void print_table(struct table *table)
{
    unsigned from = 0;

    if (!counts_anywhere(table))
        return;
    measure(table);
    while (from < table->results->allocators.count) {
        unsigned to = from;
        int used = 2 + table->label_columns;
        do
            used += GAP_COLUMNS + table->columns[to++];
        while (to < table->results->allocators.count &&
               used + GAP_COLUMNS + table->columns[to] <= TEXT_COLUMNS);
        print_part(table, from, to);
        from = to;
    }
}

static void print_title(FILE *stream, const struct results *results, const struct style *style)
{
    char workloads[PHRASE_CHARS];
    char allocators[PHRASE_CHARS];

    fprintf(stream, "%sduet bench: %s under %s%s\n", style->strong,
            format_things(workloads, results->count, "workload"),
            format_things(allocators, results->allocators.count, "allocator"), style->plain);
    fputs("  Medians of the ratios in each round.\n", stream);
    print_marks(stream);
}

void results_text_bench(FILE *stream, const struct results *results, bool colours)
{
    struct style style = style_make(colours);

    print_title(stream, results, &style);
    for (int i = 0; i < 2; i++) {
        struct table table = {
            .stream = stream,
            .results = results,
            .style = &style,
            .metric = i == 0 ? METRIC_WALL : METRIC_PEAK_RSS,
        };
        print_table(&table);
    }
    fputc('\n', stream);
    print_sentences(stream, results);
}
