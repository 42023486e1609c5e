/*
 * A curve for each allocator, both axes logarithmic: a step that doubles the cost is as high
 * everywhere, and a cliff looks like one.
 */
#include <math.h>
#include <string.h>

#include "present/canvas.h"
#include "present/curves.h"
#include "present/gnuplot.h"
#include "present/picture_parts.h"
#include "present/show.h"

/* Pixels. */
#define WIDTH 1000
#define MARGIN 24
#define LEFT 76
#define RIGHT 960
#define LEGEND_TOP 82
#define PANEL_ABOVE 50
#define PANEL_HEIGHT 460
#define AXIS_BELOW 62
#define AXIS_NAME 42
#define COST_NAME 18

/* Of sizes, the powers of this stand at the axis. */
#define SHOWN_POWER 4

/* Each so many points of a line have their symbol. */
#define SYMBOL_EACH 6

struct drawing {
    struct canvas canvas;
    const struct curves *curves;
    unsigned index;
    double low; /* costs */
    double high;
    double top;
    double bottom;
};

static const struct curve *curve_of(const struct drawing *drawing)
{
    return &drawing->curves->all[drawing->index];
}

static double cost_at(const struct drawing *drawing, unsigned allocator, unsigned point)
{
    return curve_cost(drawing->curves, drawing->index, allocator, point).median;
}

static bool is_there(const struct drawing *drawing, unsigned allocator)
{
    return series_is_fine(&drawing->curves->results.trials[drawing->index].series[allocator]);
}

/* False: nobody has a curve. */
static bool measure(struct drawing *drawing)
{
    drawing->low = INFINITY;
    for (unsigned k = 0; k < drawing->curves->results.allocators.count; k++) {
        for (unsigned i = 0; is_there(drawing, k) && i < curve_of(drawing)->count; i++) {
            drawing->low = fmin(drawing->low, cost_at(drawing, k, i));
            drawing->high = fmax(drawing->high, cost_at(drawing, k, i));
        }
    }
    return drawing->high > 0;
}

/* ---- Axes ---------------------------------------------------------------------------------- */

/* 1, 2, 5, 10 and so on; beyond a few decades the powers of ten alone. */
static void set_cost_axis(const struct drawing *drawing)
{
    static const double steps[] = {1, 2, 5};
    const double few_decades = 3;
    const double room = 1.15; /* above and below the curves */
    double low = drawing->low / room;
    double high = drawing->high * room;
    unsigned step_count = log10(high / low) > few_decades ? 1 : 3;
    FILE *script = drawing->canvas.script;
    char text[NUMBER_CHARS];
    const char *comma = "";

    fprintf(script, "set logscale y\nset yrange [%.9g:%.9g]\nset ytics scale 0 (", low, high);
    for (double ten = pow(10, floor(log10(low))); ten <= high; ten *= 10) {
        for (unsigned i = 0; i < step_count; i++) {
            double tic = steps[i] * ten;
            if (tic < low || tic > high)
                continue;
            if (tic < 1)
                snprintf(text, sizeof text, "%.4g", tic);
            else
                format_count(text, (uint64_t)llround(tic));
            fprintf(script, "%s'%s' %.9g", comma, text, tic);
            comma = ", ";
        }
    }
    fprintf(script,
            ") textcolor rgb '#%06x'\n"
            "set grid ytics linetype 1 linewidth 1 linecolor rgb '#%06x'\n",
            INK_SOFT, INK_GRID);
}

static void set_point_axis(const struct drawing *drawing)
{
    const struct curve *curve = curve_of(drawing);
    FILE *script = drawing->canvas.script;
    char text[NUMBER_CHARS];
    const char *comma = "";

    fprintf(script, "set logscale x\nset xrange [%llu:%llu]\nset xtics scale 0 (",
            (unsigned long long)curve->points[0],
            (unsigned long long)curve->points[curve->count - 1]);
    for (unsigned i = 0; i < curve->count; i++) {
        if (!is_round_point(curve, i, SHOWN_POWER))
            continue;
        fprintf(script, "%s'%s' %llu", comma, format_point(text, curve, i),
                (unsigned long long)curve->points[i]);
        comma = ", ";
    }
    fprintf(script,
            ") textcolor rgb '#%06x'\n"
            "set grid xtics linetype 1 linewidth 1 linecolor rgb '#%06x'\n",
            INK_SOFT, INK_GRID);
}

/* ---- Lines --------------------------------------------------------------------------------- */

static void write_costs(const struct drawing *drawing, unsigned allocator)
{
    const struct curve *curve = curve_of(drawing);

    fprintf(drawing->canvas.script, "$costs%u << END\n", allocator);
    for (unsigned i = 0; i < curve->count; i++)
        fprintf(drawing->canvas.script, "%llu %.6g\n", (unsigned long long)curve->points[i],
                cost_at(drawing, allocator, i));
    fputs("END\n", drawing->canvas.script);
}

/* Ours come last, and so above the others. */
static void plot_kind(const struct drawing *drawing, bool ours)
{
    const struct results *results = &drawing->curves->results;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        struct look look = look_of(results, k);
        if (is_there(drawing, k) && (results->allocators.all[k].kind == ALLOCATOR_DUET) == ours)
            fprintf(drawing->canvas.script,
                    ", $costs%u using 1:2 with linespoints pointtype %d pointsize 0.6 "
                    "pointinterval %d linewidth %s linecolor rgb '#%06x' notitle",
                    k, look.point, SYMBOL_EACH, ours ? "2" : "1.3", look.colour);
    }
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void draw_words(const struct drawing *drawing)
{
    static const struct font title = {SIZE_TITLE, true, INK, PLACE_LEFT};
    static const struct font soft = {SIZE_SMALL, false, INK_SOFT, PLACE_LEFT};
    static const struct font axis = {SIZE_SMALL, false, INK_SOFT, PLACE_CENTRE};
    const struct curve *curve = curve_of(drawing);

    canvas_text(&drawing->canvas, MARGIN, 30, &title,
                curve->unit == CURVE_CELLS ? "Cost over the number of cells"
                                           : "Cost over the size of a cell");
    canvas_text(&drawing->canvas, MARGIN, 54, &soft, curve->description);
    canvas_text(&drawing->canvas, (LEFT + RIGHT) / 2.0, drawing->bottom + AXIS_NAME, &axis,
                curve->unit == CURVE_CELLS ? "cells at once" : "size");
    canvas_text(&drawing->canvas, MARGIN, drawing->top - COST_NAME, &soft,
                "ns for a malloc and its free");
}

bool picture_of_curve(FILE *stream, const struct curves *curves, unsigned curve)
{
    struct drawing drawing = {.curves = curves, .index = curve};
    const struct results *results = &curves->results;
    const char *name = curves->all[curve].name;

    if (!measure(&drawing))
        return picture_of_nothing(stream, name);
    drawing.top =
        picture_legend(NULL, results, -1, MARGIN, WIDTH - MARGIN, LEGEND_TOP) + PANEL_ABOVE;
    drawing.bottom = drawing.top + PANEL_HEIGHT;
    if (!canvas_begin(&drawing.canvas, WIDTH, drawing.bottom + AXIS_BELOW))
        return false;
    draw_words(&drawing);
    picture_legend(&drawing.canvas, results, -1, MARGIN, WIDTH - MARGIN, LEGEND_TOP);
    canvas_panel(&drawing.canvas, LEFT, drawing.top, RIGHT, drawing.bottom);
    set_cost_axis(&drawing);
    set_point_axis(&drawing);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        if (is_there(&drawing, k))
            write_costs(&drawing, k);
    }
    fputs("plot NaN notitle", drawing.canvas.script);
    plot_kind(&drawing, false);
    plot_kind(&drawing, true);
    fputc('\n', drawing.canvas.script);
    return canvas_end(&drawing.canvas, stream, name, curves->all[curve].description);
}
