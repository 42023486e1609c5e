/*
 * The page's tables. A cell's colour says how far it is from the base, where that is no noise; its
 * title, which appears under the pointer, says it in words.
 */
#include <math.h>
#include <string.h>

#include "present/markup.h"
#include "present/page_parts.h"
#include "present/show.h"

/* ---- Cells --------------------------------------------------------------------------------- */

/* "b3": clearly better; "w1": a little worse; "": no more than noise. */
static const char *depth(const struct estimate *ratio)
{
    static const char *const better[] = {"b1", "b2", "b3", "b4"};
    static const char *const worse[] = {"w1", "w2", "w3", "w4"};
    static const double ends[] = {1.05, 1.15, 1.4}; /* of all depths but the last */
    size_t step = 0;

    if (verdict_on(ratio) == VERDICT_SAME)
        return "";
    double factor = ratio->median < 1 ? 1 / ratio->median : ratio->median;
    while (step < sizeof ends / sizeof *ends && factor >= ends[step])
        step++;
    return ratio->median < 1 ? better[step] : worse[step];
}

/* The start tag of a cell that shows a ratio over the base, whose name is in `base`. */
static void open_cell(FILE *stream, enum metric metric, const struct estimate *ratio, bool best,
                      const char *base)
{
    char words[SHOW_CHARS];
    bool tells = ratio->count > 0;

    fprintf(stream, "<td class=\"%s%s\"", depth(ratio), best ? " best" : "");
    if (tells && is_of_few_runs(ratio))
        fputs(" title=\"too few runs to tell", stream);
    else if (tells && is_within_noise(ratio))
        fprintf(stream, " title=\"within the noise (± %s)", show_noise(words, noise_of(ratio)));
    else if (tells)
        fprintf(stream, " title=\"%s", show_difference(words, metric, ratio));
    if (tells) {
        fputs("; over ", stream);
        markup_text(stream, base);
        fprintf(stream, " %.3f, interval %.3f–%.3f\"", ratio->median, ratio->low, ratio->high);
    }
    fputs(">", stream);
}

static void print_ratio(FILE *stream, const struct estimate *ratio)
{
    char number[SHOW_CHARS];

    fprintf(stream, "%s%s", ratio_mark(ratio), show_ratio(number, ratio));
}

static void print_name(FILE *stream, const struct allocator *allocator, const char *scope)
{
    char name[SHOW_CHARS];

    fprintf(stream, "<th scope=\"%s\"%s>", scope,
            allocator->kind == ALLOCATOR_DUET ? " class=\"ours\"" : "");
    markup_text(stream, show_full_name(name, allocator));
    fputs("</th>", stream);
}

static void print_failure(FILE *stream, const struct series *series)
{
    char failure[SHOW_CHARS];
    char note[sizeof series->note];

    clean_text(note, sizeof note, series->note, sizeof series->note);
    fprintf(stream, "<td class=\"bad words\" colspan=\"%d\">%s%s", COMPARED_COUNT,
            show_failure(failure, series), note[0] != '\0' ? ": " : "");
    markup_text(stream, note);
    fputs("</td>", stream);
}

static void print_legend(FILE *stream)
{
    fputs("<p class=\"soft legend\"><span class=\"b4\">much better</span><span "
          "class=\"b2\">better</span><span class=\"w2\">worse</span><span class=\"w4\">much "
          "worse</span>than the base; <b>bold</b>: none is better; ~ within the noise; ? too few "
          "runs to tell</p>\n",
          stream);
}

/* ---- Compare ------------------------------------------------------------------------------- */

static void print_compared(FILE *stream, const struct results *results, unsigned index,
                           const allocator_set *marked)
{
    const struct trial *trial = &results->trials[0];
    const struct series *series = &trial->series[index];
    const struct estimate nothing = {0};
    bool over_itself = index == results->base;
    char base[SHOW_CHARS];
    char cost[COST_CHARS];
    char number[SHOW_CHARS];

    show_full_name(base, &results->allocators.all[results->base]);
    for (unsigned i = 0; i < COMPARED_COUNT; i++) {
        enum metric metric = compared_metrics[i];
        struct unit unit = trial_unit(results, trial, metric);
        struct estimate ratio = series_ratio(series, &trial->series[results->base], metric);
        open_cell(stream, metric, over_itself ? &nothing : &ratio, set_has(marked[i], index), base);
        fprintf(stream, "%s<small>%s",
                format_with_unit(cost, &unit, series_estimate(series, metric).median),
                over_itself ? "" : ratio_mark(&ratio));
        fprintf(stream, "%s</small></td>", show_ratio(number, &ratio));
    }
}

void page_table_compare(FILE *stream, const struct results *results)
{
    const struct trial *trial = &results->trials[0];
    allocator_set marked[COMPARED_COUNT];

    fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">allocator</th>", stream);
    for (unsigned i = 0; i < COMPARED_COUNT; i++) {
        marked[i] = trial_marked_set(results, trial, compared_metrics[i]);
        fprintf(stream, "<th scope=\"col\">%s</th>", metrics[compared_metrics[i]].heading);
    }
    fputs("</tr></thead>\n<tbody>\n", stream);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        fputs("<tr>", stream);
        print_name(stream, &results->allocators.all[k], "row");
        if (series_is_fine(&trial->series[k]))
            print_compared(stream, results, k, marked);
        else
            print_failure(stream, &trial->series[k]);
        fputs("</tr>\n", stream);
    }
    fputs("</tbody></table></div>\n", stream);
    print_legend(stream);
}

/* ---- Bench --------------------------------------------------------------------------------- */

static void print_trial_cell(FILE *stream, const struct results *results, const struct trial *trial,
                             unsigned index, enum metric metric, bool best)
{
    const struct series *series = &trial->series[index];
    const struct series *base = &trial->series[results->base];
    struct estimate ratio = series_ratio(series, base, metric);
    char text[SHOW_CHARS];
    char cost[COST_CHARS];

    if (!series_is_fine(series)) {
        fprintf(stream, "<td class=\"bad\" title=\"%s", show_failure(text, series));
        clean_text(text, sizeof text, series->note, sizeof series->note);
        fputs(text[0] != '\0' ? ": " : "", stream);
        markup_text(stream, text);
        fprintf(stream, "\">%s</td>", outcome_word(series->outcome));
        return;
    }
    if (series == base || !series_is_fine(base)) {
        fprintf(stream, "<td class=\"soft%s\">%s</td>", best ? " best" : "",
                format_cost(cost, metric, series_estimate(series, metric).median));
        return;
    }
    show_full_name(text, &results->allocators.all[results->base]);
    open_cell(stream, metric, &ratio, best, text);
    print_ratio(stream, &ratio);
    fputs("</td>", stream);
}

static void print_trial(FILE *stream, const struct results *results, const struct trial *trial,
                        enum metric metric)
{
    allocator_set marked = trial_marked_set(results, trial, metric);
    char label[SHOW_CHARS];

    fputs("<tr><th scope=\"row\">", stream);
    markup_text(stream, show_workload(label, trial, glyphs_for_files()));
    fputs("</th>", stream);
    for (unsigned k = 0; k < results->allocators.count; k++)
        print_trial_cell(stream, results, trial, k, metric, set_has(marked, k));
    fputs("</tr>\n", stream);
}

static void print_means(FILE *stream, const struct results *results, enum metric metric)
{
    allocator_set marked = mean_marked_set(results, metric);
    const struct estimate nothing = {0};
    char base[SHOW_CHARS];
    char number[SHOW_CHARS];
    unsigned trials;

    show_full_name(base, &results->allocators.all[results->base]);
    fputs("<tbody>\n<tr><th scope=\"row\" class=\"strong\">geometric mean</th>", stream);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        struct estimate mean = results_mean(results, k, (int)results->base, metric, &trials);
        bool over_itself = k == results->base;
        open_cell(stream, metric, over_itself ? &nothing : &mean, set_has(marked, k), base);
        fprintf(stream, "%s%s</td>", over_itself ? "" : ratio_mark(&mean),
                show_ratio(number, &mean));
    }
    fputs("</tr>\n<tr><th scope=\"row\">of so many workloads</th>", stream);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        results_mean(results, k, (int)results->base, metric, &trials);
        fprintf(stream, "<td class=\"soft\">%u</td>", trials);
    }
    fputs("</tr>\n<tr><th scope=\"row\">mean over the best other</th>", stream);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        struct estimate mean = results_mean(results, k, -1, metric, &trials);
        fprintf(stream, "<td class=\"soft\">%s</td>", show_ratio(number, &mean));
    }
    fputs("</tr>\n</tbody>", stream);
}

void page_table_bench(FILE *stream, const struct results *results, enum metric metric)
{
    enum metric shown;

    fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">workload</th>", stream);
    for (unsigned k = 0; k < results->allocators.count; k++)
        print_name(stream, &results->allocators.all[k], "col");
    fputs("</tr></thead>\n<tbody>\n", stream);
    for (unsigned i = 0; i < results->count; i++) {
        if (trial_counts_for(&results->trials[i], metric, &shown))
            print_trial(stream, results, &results->trials[i], shown);
    }
    fputs("</tbody>\n", stream);
    print_means(stream, results, metric);
    fputs("</table></div>\n", stream);
    print_legend(stream);
}

/* ---- Samples ------------------------------------------------------------------------------- */

static void print_samples(FILE *stream, const struct series *series, enum metric metric)
{
    fputs("<td>", stream);
    for (unsigned i = 0; i < series->count; i++)
        fprintf(stream, "%s%.6g", i > 0 ? " " : "", series->costs[i].of[metric]);
    fputs("</td>", stream);
}

static bool has_metric(const struct trial *trial, enum metric metric)
{
    return metric != METRIC_END_RSS || (trial->counts & COUNTS_END_RSS) != 0;
}

static void print_trial_samples(FILE *stream, const struct results *results,
                                const struct trial *trial)
{
    char label[SHOW_CHARS];

    fputs("<h3>", stream);
    markup_text(stream, show_workload(label, trial, glyphs_for_files()));
    fputs("</h3>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">allocator</th>",
          stream);
    for (enum metric i = 0; i < METRIC_COUNT; i++) {
        if (has_metric(trial, i))
            fprintf(stream, "<th scope=\"col\">%s</th>", metrics[i].key);
    }
    fputs("</tr></thead>\n<tbody>\n", stream);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        fputs("<tr>", stream);
        print_name(stream, &results->allocators.all[k], "row");
        for (enum metric i = 0; i < METRIC_COUNT; i++) {
            if (has_metric(trial, i))
                print_samples(stream, &trial->series[k], i);
        }
        fputs("</tr>\n", stream);
    }
    fputs("</tbody></table></div>\n", stream);
}

void page_samples(FILE *stream, const struct results *results)
{
    fputs("<details><summary>Every run</summary>\n", stream);
    for (unsigned i = 0; i < results->count; i++)
        print_trial_samples(stream, results, &results->trials[i]);
    fputs("</details>\n", stream);
}
