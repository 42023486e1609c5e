/*
 * Of a curve's many points the round ones are shown, and what there is to be found in all of them:
 * where the cost jumps.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/style.h"
#include "present/curves.h"
#include "present/results_text.h"
#include "present/show.h"

/* The columns: with the indent and six points they make 97. */
#define NAME_COLUMNS 10
#define POINT_COLUMNS 9
#define POINTS_MOST 6
#define STEP_COLUMNS 16
#define CLIFFS_COLUMNS 6
#define REFERENCE_COLUMNS 9

/* Of sizes, the powers of this are shown. */
#define SHOWN_POWER 16

struct shown {
    unsigned count;
    unsigned points[POINTS_MOST];
};

char *format_point(char buffer[NUMBER_CHARS], const struct curve *curve, unsigned point)
{
    return curve->unit == CURVE_CELLS ? format_count(buffer, curve->points[point])
                                      : format_cell_bytes(buffer, curve->points[point]);
}

bool is_round_point(const struct curve *curve, unsigned point, unsigned power)
{
    const uint64_t base = curve->unit == CURVE_CELLS ? 10 : power;
    uint64_t number = curve->points[point];

    while (number > 1 && number % base == 0)
        number /= base;
    return number == 1;
}

static struct shown choose_points(const struct curve *curve)
{
    struct shown shown = {0};

    for (unsigned i = 0; i < curve->count && shown.count < POINTS_MOST; i++) {
        if (is_round_point(curve, i, SHOWN_POWER))
            shown.points[shown.count++] = i;
    }
    return shown;
}

/* Nanoseconds: three digits where there are fewer. */
static char *format_ns(char buffer[NUMBER_CHARS], double ns)
{
    if (ns >= 99.95)
        return format_count(buffer, (uint64_t)llround(ns));
    snprintf(buffer, NUMBER_CHARS, "%.1f", ns);
    return buffer;
}

static void print_heading(FILE *stream, const struct curve *curve, const struct shown *shown,
                          const struct style *style)
{
    char text[NUMBER_CHARS];
    char reference[NUMBER_CHARS];

    fprintf(stream, "\n  %s%s%s: %s\n\n%s", style->strong, curve->name, style->plain,
            curve->description, style->strong);
    print_left(stream, "", 2 + NAME_COLUMNS);
    for (unsigned i = 0; i < shown->count; i++)
        print_right(stream, format_point(text, curve, shown->points[i]), POINT_COLUMNS);
    print_right(stream, "greatest step", STEP_COLUMNS);
    snprintf(text, sizeof text, "> %.2g", CLIFF_FROM);
    print_right(stream, text, CLIFFS_COLUMNS);
    if (curve->reference > 0) {
        snprintf(text, sizeof text, "over %.20s", format_count(reference, curve->reference));
        print_right(stream, text, REFERENCE_COLUMNS);
    }
    fprintf(stream, "%s\n", style->plain);
}

/* Red from a cliff on. */
static void print_ratio(FILE *stream, const char *text, int columns, const struct estimate *ratio,
                        const struct style *style)
{
    bool bad = ratio->median > CLIFF_FROM;

    fputs(bad ? style->bad : "", stream);
    print_right(stream, text, columns);
    fputs(bad ? style->plain : "", stream);
}

static void print_changes(FILE *stream, const struct curves *curves, unsigned index,
                          unsigned allocator, const struct style *style)
{
    const struct curve *curve = &curves->all[index];
    struct curve_change step = curve_greatest_step(curves, index, allocator);
    struct curve_change most = curve_most_over_reference(curves, index, allocator);
    char ratio[SHOW_CHARS];
    char point[NUMBER_CHARS];
    char text[SHOW_CHARS + NUMBER_CHARS + sizeof " at "];
    unsigned behind = step.of > step.over ? step.of : step.over;

    snprintf(text, sizeof text, "%s at %s", show_ratio(ratio, &step.ratio),
             format_point(point, curve, behind));
    print_ratio(stream, step.ratio.count > 0 ? text : "-", STEP_COLUMNS, &step.ratio, style);
    print_ratio(stream, format_count(point, curve_cliffs(curves, index, allocator)), CLIFFS_COLUMNS,
                &step.ratio, style);
    if (curve->reference > 0)
        print_ratio(stream, show_ratio(ratio, &most.ratio), REFERENCE_COLUMNS, &most.ratio, style);
}

static void print_row(FILE *stream, const struct curves *curves, unsigned index, unsigned allocator,
                      const struct shown *shown, const struct style *style)
{
    const struct series *series = &curves->results.trials[index].series[allocator];
    char text[SHOW_CHARS];

    fputs("  ", stream);
    print_left(
        stream,
        show_name(text, &curves->results.allocators.all[allocator], NAME_COLUMNS, style->glyphs),
        NAME_COLUMNS);
    if (!series_is_fine(series)) {
        fprintf(stream, "  %s%s%s%s%s\n", style->bad, show_failure(text, series), style->plain,
                series->note[0] != '\0' ? ": " : "", series->note);
        return;
    }
    for (unsigned i = 0; i < shown->count; i++) {
        struct estimate cost = curve_cost(curves, index, allocator, shown->points[i]);
        print_right(stream, format_ns(text, cost.median), POINT_COLUMNS);
    }
    print_changes(stream, curves, index, allocator, style);
    fputc('\n', stream);
}

void curves_print(FILE *stream, const struct curves *curves, bool colours)
{
    struct style style = style_make(colours);
    char runs[PHRASE_CHARS];

    fprintf(stream, "duet bench --curves: %s of each after a warm-up\n",
            format_things(runs, curves->results.runs, "run"));
    print_wrapped(stream,
                  "Nanoseconds for a malloc and its free, medians. A step is from one point to the "
                  "next, up or down, within a run; it stands with the point behind it. Of each "
                  "table a part of the points is shown.",
                  2, 2, TEXT_COLUMNS);
    for (unsigned i = 0; i < curves->count; i++) {
        struct shown shown = choose_points(&curves->all[i]);
        print_heading(stream, &curves->all[i], &shown, &style);
        for (unsigned k = 0; k < curves->results.allocators.count; k++)
            print_row(stream, curves, i, k, &shown, &style);
    }
}
