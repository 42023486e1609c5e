/*
 * A bench workload by workload: a row each, and in it a point for each allocator at its ratio over
 * the base. Points of a row lie a little above and below each other, so that equal ones are all
 * seen. Failures stand at the right, in words.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "present/canvas.h"
#include "present/gnuplot.h"
#include "present/picture_parts.h"
#include "present/show.h"

/* Pixels. */
#define WIDTH 1000
#define MARGIN 24
#define LABELS_RIGHT 196
#define LEFT 212
#define RIGHT_WITHOUT_FAILURES 976
#define RIGHT_WITH_FAILURES 776
#define LEGEND_TOP 82
#define AXIS_ABOVE 42
#define AXIS_BELOW 40
#define ROW_LEAST 20
#define ROW_MOST 34
#define ROW_FOR_POINT 3.2 /* of a row's height, for each allocator */

#define LABEL_COLUMNS_MOST 24

struct drawing {
    struct canvas canvas;
    const struct results *results;
    enum metric metric;
    unsigned rows; /* of workloads; the means have one more */
    double row;
    double top;
    double bottom;
    double right;
    struct ratio_axis axis;
};

static struct estimate ratio_of(const struct drawing *drawing, const struct trial *trial,
                                unsigned index)
{
    enum metric shown;

    if (!trial_counts_for(trial, drawing->metric, &shown))
        return (struct estimate){0};
    return series_ratio(&trial->series[index], &trial->series[drawing->results->base], shown);
}

static struct estimate mean_of(const struct drawing *drawing, unsigned index)
{
    unsigned trials;

    return results_mean(drawing->results, index, (int)drawing->results->base, drawing->metric,
                        &trials);
}

static double row_middle(const struct drawing *drawing, unsigned row)
{
    return drawing->top + drawing->row * (row + 0.5);
}

/* ---- Measures ------------------------------------------------------------------------------ */

static bool any_failed(const struct drawing *drawing)
{
    enum metric shown;

    for (unsigned i = 0; i < drawing->results->count; i++) {
        const struct trial *trial = &drawing->results->trials[i];
        for (unsigned k = 0; k < drawing->results->allocators.count; k++) {
            if (trial_counts_for(trial, drawing->metric, &shown) &&
                series_failed(&trial->series[k]))
                return true;
        }
    }
    return false;
}

static void show_on_axis(struct drawing *drawing, const struct estimate *ratio)
{
    if (ratio->count == 0)
        return;
    ratio_axis_show(&drawing->axis, ratio->low);
    ratio_axis_show(&drawing->axis, ratio->high);
}

static void measure(struct drawing *drawing)
{
    const struct results *results = drawing->results;
    enum metric shown;

    for (unsigned i = 0; i < results->count; i++) {
        drawing->rows += trial_counts_for(&results->trials[i], drawing->metric, &shown);
        for (unsigned k = 0; k < results->allocators.count; k++) {
            struct estimate ratio = ratio_of(drawing, &results->trials[i], k);
            show_on_axis(drawing, &ratio);
        }
    }
    ratio_axis_finish(&drawing->axis);
    drawing->row = fmin(fmax(ROW_LEAST, ROW_FOR_POINT * results->allocators.count), ROW_MOST);
    drawing->right = any_failed(drawing) ? RIGHT_WITH_FAILURES : RIGHT_WITHOUT_FAILURES;
}

/* ---- Title and legend ---------------------------------------------------------------------- */

static const char *title_of(const struct drawing *drawing)
{
    return drawing->metric == METRIC_WALL ? "Time, workload by workload"
                                          : "Memory, workload by workload";
}

static void draw_title(const struct drawing *drawing)
{
    static const struct font title = {SIZE_TITLE, true, INK, PLACE_LEFT};
    static const struct font soft = {SIZE_SMALL, false, INK_SOFT, PLACE_LEFT};
    const struct results *results = drawing->results;
    char base[SHOW_CHARS];
    char text[2 * SHOW_CHARS];

    canvas_text(&drawing->canvas, MARGIN, 30, &title, title_of(drawing));
    snprintf(text, sizeof text, "%s over %s, medians with their intervals; left is %s",
             drawing->metric == METRIC_WALL ? "Wall time" : "Resident memory",
             show_full_name(base, &results->allocators.all[results->base]),
             metrics[drawing->metric].less);
    canvas_text(&drawing->canvas, MARGIN, 54, &soft, text);
}

/* Draws the legend, or with no canvas only finds out how far down it goes. */
static double draw_legend(const struct drawing *drawing, bool draw)
{
    return picture_legend(draw ? &drawing->canvas : NULL, drawing->results,
                          (int)drawing->results->base, MARGIN, WIDTH - MARGIN, LEGEND_TOP);
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* "jemalloc crash, hoard timeout". */
static void draw_failures(const struct drawing *drawing, const struct trial *trial, double y)
{
    static const struct font font = {SIZE_SMALL, false, INK_FAILURE, PLACE_LEFT};
    const struct glyphs *glyphs = glyphs_for_files();
    const int columns = (int)((WIDTH - MARGIN - RIGHT_WITH_FAILURES) / text_width("x", &font));
    char text[ALLOCATORS_MOST * (ALLOCATOR_NAME_CHARS + 16)] = "";
    char name[SHOW_CHARS];
    size_t used = 0;

    for (unsigned k = 0; k < drawing->results->allocators.count; k++) {
        if (series_failed(&trial->series[k]))
            used += (size_t)snprintf(
                text + used, sizeof text - used, "%s%s %s", used > 0 ? ", " : "",
                show_name(name, &drawing->results->allocators.all[k], ALLOCATOR_NAME_CHARS, glyphs),
                outcome_word(trial->series[k].outcome));
    }
    shorten(text, sizeof text, columns, glyphs->ellipsis);
    if (used > 0)
        canvas_text(&drawing->canvas, drawing->right + 12, y, &font, text);
}

static void draw_rows(const struct drawing *drawing)
{
    static const struct font label = {SIZE_TEXT, false, INK, PLACE_RIGHT};
    static const struct font strong = {SIZE_TEXT, true, INK, PLACE_RIGHT};
    unsigned row = 0;
    char text[SHOW_CHARS];
    enum metric shown;

    for (unsigned i = 0; i < drawing->results->count; i++) {
        const struct trial *trial = &drawing->results->trials[i];
        if (!trial_counts_for(trial, drawing->metric, &shown))
            continue;
        if (row % 2 == 0)
            canvas_box(&drawing->canvas, MARGIN, drawing->top + row * drawing->row, WIDTH - MARGIN,
                       drawing->top + (row + 1) * drawing->row, INK_BAND);
        show_workload(text, trial, glyphs_for_files());
        shorten(text, sizeof text, LABEL_COLUMNS_MOST, glyphs_for_files()->ellipsis);
        canvas_text(&drawing->canvas, LABELS_RIGHT, row_middle(drawing, row), &label, text);
        draw_failures(drawing, trial, row_middle(drawing, row));
        row++;
    }
    canvas_line(&drawing->canvas, MARGIN, drawing->top + row * drawing->row, WIDTH - MARGIN,
                drawing->top + row * drawing->row, INK_SOFT);
    canvas_text(&drawing->canvas, LABELS_RIGHT, row_middle(drawing, row), &strong,
                "geometric mean");
}

/* ---- Points -------------------------------------------------------------------------------- */

/* How far below a row's middle an allocator's points are, in rows. */
static double offset_of(const struct drawing *drawing, unsigned index)
{
    const double share = 0.7; /* of the row, that points use at most */
    const double most = 0.22; /* between two */
    unsigned others = drawing->results->allocators.count - 1;
    unsigned place = index - (index > drawing->results->base);

    return fmin(share / others, most) * (place - (others - 1) / 2.0);
}

static void write_point(const struct drawing *drawing, unsigned index, unsigned row,
                        const struct estimate *ratio)
{
    if (ratio->count > 0 && ratio->median > 0)
        fprintf(drawing->canvas.script, "%.4f %.9g %.9g %.9g\n",
                row + 0.5 + offset_of(drawing, index), ratio->median, ratio->low, ratio->high);
}

/* The data of one allocator; returns whether there is any. */
static bool write_points(const struct drawing *drawing, unsigned index)
{
    struct estimate mean = mean_of(drawing, index);
    unsigned row = 0;
    enum metric shown;

    if (mean.count == 0)
        return false;
    fprintf(drawing->canvas.script, "$points%u << END\n", index);
    for (unsigned i = 0; i < drawing->results->count; i++) {
        struct estimate ratio = ratio_of(drawing, &drawing->results->trials[i], index);
        if (!trial_counts_for(&drawing->results->trials[i], drawing->metric, &shown))
            continue;
        write_point(drawing, index, row++, &ratio);
    }
    write_point(drawing, index, row, &mean);
    fprintf(drawing->canvas.script, "END\n");
    return true;
}

static void plot_points(const struct drawing *drawing)
{
    FILE *script = drawing->canvas.script;
    bool there[ALLOCATORS_MOST] = {false};

    for (unsigned k = 0; k < drawing->results->allocators.count; k++)
        there[k] = k != drawing->results->base && write_points(drawing, k);
    fputs("plot NaN notitle", script);
    for (unsigned k = 0; k < drawing->results->allocators.count; k++) {
        struct look look = look_of(drawing->results, k);
        if (there[k])
            fprintf(script,
                    ", $points%u using 2:1:3:4 with xerrorbars pointtype %d pointsize 0.75 "
                    "linewidth 1.2 linecolor rgb '#%06x' notitle",
                    k, look.point, look.colour);
    }
    fputc('\n', script);
}

/* ---- The whole ----------------------------------------------------------------------------- */

bool picture_of_ratios(FILE *stream, const struct results *results, enum metric metric)
{
    struct drawing drawing = {.results = results, .metric = metric};
    const char *prefix = metric == METRIC_WALL ? "time" : "memory";

    measure(&drawing);
    if (drawing.rows == 0)
        return picture_of_nothing(stream, prefix);
    drawing.top = draw_legend(&drawing, false) + AXIS_ABOVE;
    drawing.bottom = drawing.top + drawing.row * (drawing.rows + 1);
    if (!canvas_begin(&drawing.canvas, WIDTH, drawing.bottom + AXIS_BELOW))
        return false;
    draw_title(&drawing);
    draw_legend(&drawing, true);
    draw_rows(&drawing);
    canvas_panel(&drawing.canvas, LEFT, drawing.top, drawing.right, drawing.bottom);
    ratio_axis_set(&drawing.canvas, &drawing.axis, 'x');
    ratio_axis_repeat(&drawing.canvas, &drawing.axis, LEFT, drawing.right, drawing.top - 12);
    fprintf(drawing.canvas.script,
            "set yrange [%u:0]\n"
            "set errorbars 0\n"
            "set arrow from first 1, graph 0 to first 1, graph 1 nohead back linewidth 1.2 "
            "linecolor rgb '#%06x'\n",
            drawing.rows + 1, INK);
    plot_points(&drawing);
    return canvas_end(&drawing.canvas, stream, prefix, title_of(&drawing));
}
