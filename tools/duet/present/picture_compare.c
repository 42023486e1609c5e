/*
 * A compare in bars: a row per allocator, time at the left, memory at the right, each with its
 * interval and its figure. Figures stand in columns of their own, where no bar can reach them.
 */
#include <math.h>
#include <stdlib.h>

#include "present/canvas.h"
#include "present/picture_parts.h"
#include "present/show.h"

/* Pixels. */
#define WIDTH 1000
#define MARGIN 24
#define NAMES_RIGHT 176
#define TOP 122
#define ROW 30
#define BAR_SHARE 0.62 /* of a row */
#define AXIS_ROOM 58
#define NAME_COLUMNS_MOST 18

#define PREFIX "compare"

struct panel {
    enum metric metric;
    const char *heading;
    double left;
    double right;       /* of the bars */
    double value_right; /* of the figures */
    double ratio_right;
};

static const struct panel panels[] = {
    {METRIC_WALL, "Time", 188, 416, 496, 562},
    {METRIC_PEAK_RSS, "Peak memory (RSS)", 626, 826, 914, 976},
};

struct drawing {
    struct canvas canvas;
    const struct results *results;
    const struct trial *trial;
    double bottom;
};

static double row_middle(unsigned index)
{
    return TOP + ROW * (index + 0.5);
}

/* ---- Text ---------------------------------------------------------------------------------- */

static bool has_few_runs(const struct drawing *drawing)
{
    for (unsigned k = 0; k < drawing->results->allocators.count; k++) {
        struct estimate median = series_estimate(&drawing->trial->series[k], METRIC_WALL);
        if (is_of_few_runs(&median))
            return true;
    }
    return false;
}

static void draw_title(const struct drawing *drawing)
{
    static const struct font title = {SIZE_TITLE, true, INK, PLACE_LEFT};
    static const struct font soft = {SIZE_SMALL, false, INK_SOFT, PLACE_LEFT};
    const int columns = 96;
    char *command = show_command(drawing->results, columns, glyphs_for_files());
    char runs[PHRASE_CHARS];
    char base[SHOW_CHARS];
    char text[2 * SHOW_CHARS];

    canvas_text(&drawing->canvas, MARGIN, 30, &title,
                command != NULL ? command : drawing->trial->workload);
    free(command);
    snprintf(text, sizeof text,
             "Medians of %s with their intervals, and the difference to %s (dashed); ≈ within the "
             "noise%s",
             format_things(runs, drawing->results->runs, "run"),
             show_full_name(base, &drawing->results->allocators.all[drawing->results->base]),
             has_few_runs(drawing) ? "; ? too few runs to tell" : "");
    canvas_text(&drawing->canvas, MARGIN, 54, &soft, text);
}

static void draw_names(const struct drawing *drawing)
{
    const struct allocators *allocators = &drawing->results->allocators;
    char name[SHOW_CHARS];

    for (unsigned k = 0; k < allocators->count; k++) {
        bool ours = allocators->all[k].kind == ALLOCATOR_DUET;
        struct font font = {SIZE_TEXT, ours, INK, PLACE_RIGHT};
        canvas_text(&drawing->canvas, NAMES_RIGHT, row_middle(k), &font,
                    show_name(name, &allocators->all[k], NAME_COLUMNS_MOST, glyphs_for_files()));
    }
}

/* What a bar's row says instead of one. */
static void draw_failure(const struct drawing *drawing, unsigned index, const struct panel *panel)
{
    static const struct font font = {SIZE_SMALL, false, INK_FAILURE, PLACE_LEFT};
    char text[SHOW_CHARS];

    canvas_text(&drawing->canvas, panel->left + 4, row_middle(index), &font,
                show_failure(text, &drawing->trial->series[index]));
}

/* "−8 %", "≈ +1 %", "3.1 ×". */
static const char *difference_text(char buffer[SHOW_CHARS], const struct estimate *ratio)
{
    if (ratio->count == 0)
        return "";
    double percent = round((ratio->median - 1) * 100);
    const char *about = is_of_few_runs(ratio) ? "? " : is_within_noise(ratio) ? "≈ " : "";
    if (ratio->median >= PLAIN_BELOW)
        snprintf(buffer, SHOW_CHARS, "%s%.*f ×", about, ratio->median < 9.95 ? 1 : 0,
                 ratio->median);
    else
        snprintf(buffer, SHOW_CHARS, "%s%s%.0f %%", about,
                 percent < 0   ? "−"
                 : percent > 0 ? "+"
                               : "",
                 fabs(percent));
    return buffer;
}

static void draw_figures(const struct drawing *drawing, unsigned index, const struct panel *panel,
                         bool best)
{
    const struct series *series = &drawing->trial->series[index];
    const struct series *base = &drawing->trial->series[drawing->results->base];
    struct font value = {SIZE_TEXT, best, INK, PLACE_RIGHT};
    struct font difference = {SIZE_SMALL, best, INK_SOFT, PLACE_RIGHT};
    struct estimate ratio = series_ratio(series, base, panel->metric);
    char cost[COST_CHARS];
    char text[SHOW_CHARS];

    canvas_text(&drawing->canvas, panel->value_right, row_middle(index), &value,
                format_cost(cost, panel->metric, series_estimate(series, panel->metric).median));
    if (index != drawing->results->base)
        canvas_text(&drawing->canvas, panel->ratio_right, row_middle(index), &difference,
                    difference_text(text, &ratio));
}

/* ---- Bars ---------------------------------------------------------------------------------- */

static double greatest(const struct drawing *drawing, enum metric metric)
{
    double most = 0;

    for (unsigned k = 0; k < drawing->results->allocators.count; k++)
        most = fmax(most, series_estimate(&drawing->trial->series[k], metric).high);
    return most;
}

/* The data of the bars: place, median, interval, colour. */
static void write_bars(const struct drawing *drawing, const struct panel *panel,
                       const struct unit *unit)
{
    FILE *script = drawing->canvas.script;

    fprintf(script, "$bars << END\n");
    for (unsigned k = 0; k < drawing->results->allocators.count; k++) {
        struct estimate median = series_estimate(&drawing->trial->series[k], panel->metric);
        if (median.count > 0)
            fprintf(script, "%g %.9g %.9g %.9g %u\n", k + 0.5, median.median / unit->size,
                    median.low / unit->size, median.high / unit->size,
                    look_of(drawing->results, k).colour);
    }
    fprintf(script, "END\n");
}

/* The distance of figures on an axis that ends at `most`: 1, 2 or 5 times a power of ten, and so
 * that there are some, but not many. */
static double tic_step(double most)
{
    const double tics = 6;
    double power = pow(10, floor(log10(most / tics)));
    double rest = most / tics / power;

    return power * (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10);
}

static void set_axes(const struct drawing *drawing, double most, const struct panel *panel,
                     const struct unit *unit)
{
    FILE *script = drawing->canvas.script;
    const struct series *base = &drawing->trial->series[drawing->results->base];
    const double room = 1.02;
    double at = series_estimate(base, panel->metric).median / unit->size;

    canvas_panel(&drawing->canvas, panel->left, TOP, panel->right, drawing->bottom);
    fprintf(script, "set xrange [0:%.9g]\nset yrange [%u:0]\n",
            most > 0 ? most / unit->size * room : 1, drawing->results->allocators.count);
    if (most > 0)
        fprintf(script,
                "set xtics 0, %.9g scale 0 format '%%g' textcolor rgb '#%06x'\n"
                "set grid xtics linetype 1 linewidth 1 linecolor rgb '#%06x'\n",
                tic_step(most / unit->size), INK_SOFT, INK_GRID);
    /* Row by row, but where words stand instead of a bar; the dashes come out even. */
    for (unsigned k = 0; series_is_fine(base) && k < drawing->results->allocators.count; k++) {
        if (series_is_fine(&drawing->trial->series[k]))
            fprintf(script,
                    "set arrow from %.9g, %u to %.9g, %u nohead front dashtype (3,3) linewidth 1.2 "
                    "linecolor rgb '#%06x'\n",
                    at, k, at, k + 1, INK);
    }
}

static void draw_panel(const struct drawing *drawing, const struct panel *panel)
{
    static const struct font heading = {SIZE_HEADING, true, INK, PLACE_LEFT};
    static const struct font unit_font = {SIZE_SMALL, false, INK_SOFT, PLACE_CENTRE};
    const struct results *results = drawing->results;
    allocator_set best = trial_marked_set(results, drawing->trial, panel->metric);
    double most = greatest(drawing, panel->metric);
    struct unit unit = unit_for(panel->metric, most);
    FILE *script = drawing->canvas.script;

    canvas_text(&drawing->canvas, panel->left, TOP - 22, &heading, panel->heading);
    if (most > 0)
        canvas_text(&drawing->canvas, (panel->left + panel->right) / 2, drawing->bottom + 38,
                    &unit_font, unit.name);
    for (unsigned k = 0; k < results->allocators.count; k++) {
        if (series_is_fine(&drawing->trial->series[k]))
            draw_figures(drawing, k, panel, set_has(best, k));
        else if (panel == &panels[0])
            draw_failure(drawing, k, panel);
    }
    write_bars(drawing, panel, &unit);
    set_axes(drawing, most, panel, &unit);
    /* A function that is nowhere defined keeps the axes where there is no bar. */
    fputs("plot NaN notitle", script);
    if (most > 0)
        fprintf(script,
                ", $bars using (0):1:(0):2:($1-%g):($1+%g):5 with boxxyerror fillstyle solid 1 "
                "noborder linecolor rgb variable notitle"
                ", $bars using 2:1:3:4 with xerrorbars pointtype 7 pointsize 0.1 linewidth 1.4 "
                "linecolor rgb "
                "'#%06x' notitle",
                BAR_SHARE / 2, BAR_SHARE / 2, INK);
    fputs("\nunset label\nunset arrow\n", script);
}

bool picture_of_compare(FILE *stream, const struct results *results)
{
    struct drawing drawing = {.results = results};
    unsigned rows = results->allocators.count;
    char *title;

    if (results->count == 0)
        return picture_of_nothing(stream, PREFIX);
    drawing.trial = &results->trials[0];
    drawing.bottom = TOP + ROW * rows;
    if (!canvas_begin(&drawing.canvas, WIDTH, drawing.bottom + AXIS_ROOM))
        return false;
    draw_title(&drawing);
    draw_names(&drawing);
    fprintf(drawing.canvas.script, "set errorbars small\nset multiplot\n");
    for (unsigned i = 0; i < sizeof panels / sizeof *panels; i++)
        draw_panel(&drawing, &panels[i]);
    fprintf(drawing.canvas.script, "unset multiplot\n");
    title = show_command(results, SHOW_CHARS, glyphs_for_files());
    bool drawn = canvas_end(&drawing.canvas, stream, PREFIX,
                            title != NULL ? title : drawing.trial->workload);
    free(title);
    return drawn;
}
