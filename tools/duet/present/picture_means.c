/*
 * A bench in one look: each allocator at its mean time and its mean memory over the base, with the
 * intervals of both. Down and to the left is better. A name is put where it covers neither a point
 * nor another name, as far as there is such a place.
 */
#include <math.h>
#include <string.h>

#include "present/canvas.h"
#include "present/gnuplot.h"
#include "present/picture_parts.h"
#include "present/show.h"

/* Pixels. */
#define WIDTH 760
#define HEIGHT 600
#define LEFT 84
#define RIGHT 736
#define TOP 84
#define BOTTOM 530
#define POINT 7 /* half of a point's width, and a little */
#define STEP 8  /* further away, for a name that has no room near its point */
#define NAME_COLUMNS_MOST 20

#define PREFIX "means"

struct box {
    double left;
    double top;
    double right;
    double bottom;
};

struct dot {
    unsigned index; /* of the allocator */
    struct estimate time;
    struct estimate memory;
    double x;
    double y;
    struct box name;
    bool is_led_to; /* the name, by a line */
};

struct drawing {
    struct canvas canvas;
    const struct results *results;
    struct ratio_axis time;
    struct ratio_axis memory;
    struct dot dots[ALLOCATORS_MOST];
    unsigned count;
};

/* ---- Points -------------------------------------------------------------------------------- */

static double x_of(const struct drawing *drawing, double time)
{
    return LEFT + ratio_axis_place(&drawing->time, time) * (RIGHT - LEFT);
}

static double y_of(const struct drawing *drawing, double memory)
{
    return BOTTOM - ratio_axis_place(&drawing->memory, memory) * (BOTTOM - TOP);
}

static void find_dots(struct drawing *drawing)
{
    const struct results *results = drawing->results;
    int base = (int)results->base;
    unsigned trials;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        struct dot *dot = &drawing->dots[drawing->count];
        *dot = (struct dot){
            .index = k,
            .time = results_mean(results, k, base, METRIC_WALL, &trials),
            .memory = results_mean(results, k, base, METRIC_PEAK_RSS, &trials),
        };
        if (dot->time.count == 0 || dot->memory.count == 0)
            continue;
        drawing->count++;
        ratio_axis_show(&drawing->time, dot->time.low);
        ratio_axis_show(&drawing->time, dot->time.high);
        ratio_axis_show(&drawing->memory, dot->memory.low);
        ratio_axis_show(&drawing->memory, dot->memory.high);
    }
    ratio_axis_finish(&drawing->time);
    ratio_axis_finish(&drawing->memory);
    for (unsigned i = 0; i < drawing->count; i++) {
        struct dot *dot = &drawing->dots[i];
        dot->x = x_of(drawing, dot->time.median);
        dot->y = y_of(drawing, dot->memory.median);
    }
}

static void write_dots(const struct drawing *drawing)
{
    fprintf(drawing->canvas.script, "$dots << END\n");
    for (unsigned i = 0; i < drawing->count; i++) {
        const struct dot *dot = &drawing->dots[i];
        struct look look = look_of(drawing->results, dot->index);
        fprintf(drawing->canvas.script, "%.9g %.9g %.9g %.9g %.9g %.9g %u %d\n", dot->time.median,
                dot->memory.median, dot->time.low, dot->time.high, dot->memory.low,
                dot->memory.high, look.colour, look.point);
    }
    fprintf(drawing->canvas.script, "END\n");
}

/* ---- Names --------------------------------------------------------------------------------- */

static struct font name_font(const struct drawing *drawing, const struct dot *dot)
{
    bool ours = drawing->results->allocators.all[dot->index].kind == ALLOCATOR_DUET;
    return (struct font){SIZE_TEXT, ours, INK, PLACE_LEFT};
}

static double overlap(const struct box *a, const struct box *b)
{
    double width = fmin(a->right, b->right) - fmax(a->left, b->left);
    double height = fmin(a->bottom, b->bottom) - fmax(a->top, b->top);

    return width > 0 && height > 0 ? width * height : 0;
}

static struct box box_around(const struct dot *dot)
{
    return (struct box){dot->x - POINT, dot->y - POINT, dot->x + POINT, dot->y + POINT};
}

/* How much of the lines at the base's figures, and of the intervals, the box would cover. */
static double cover_of_lines(const struct drawing *drawing, const struct box *box)
{
    const double weight = 10; /* a name through which a line goes is as bad as two that overlap */
    double x = x_of(drawing, 1);
    double y = y_of(drawing, 1);
    struct box upright = {x - 1, TOP, x + 1, BOTTOM};
    struct box level = {LEFT, y - 1, RIGHT, y + 1};
    double covered = overlap(box, &upright) + overlap(box, &level);

    for (unsigned i = 0; i < drawing->count; i++) {
        const struct dot *dot = &drawing->dots[i];
        upright = (struct box){dot->x - 1, y_of(drawing, dot->memory.high), dot->x + 1,
                               y_of(drawing, dot->memory.low)};
        level = (struct box){x_of(drawing, dot->time.low), dot->y - 1,
                             x_of(drawing, dot->time.high), dot->y + 1};
        covered += overlap(box, &upright) + overlap(box, &level);
    }
    return weight * covered;
}

/* How much of what is there already the box would cover, and how much of it would be outside. */
static double cover(const struct drawing *drawing, unsigned placed, const struct box *box)
{
    struct box inside = {LEFT, TOP, RIGHT, BOTTOM};
    double covered = cover_of_lines(drawing, box) - overlap(box, &inside) +
                     (box->right - box->left) * (box->bottom - box->top);

    for (unsigned i = 0; i < drawing->count; i++) {
        struct box point = box_around(&drawing->dots[i]);
        covered += overlap(box, &point);
        if (i < placed)
            covered += overlap(box, &drawing->dots[i].name);
    }
    return covered;
}

/* Right of the point, left, above, below; then the corners; then the same further away, where a
 * line leads from the point to the name. */
static void place_name(struct drawing *drawing, unsigned index, double width)
{
    static const struct {
        double x;
        double y;
    } sides[] = {{1, 0}, {-1, 0}, {0, -1},   {0, 1},     {1, -1},  {-1, -1},
                 {1, 1}, {-1, 1}, {0.5, -1}, {-0.5, -1}, {0.5, 1}, {-0.5, 1}};
    const int furthest = 8;
    const double cost = 4; /* of each step away, in what is covered */
    const double height = SIZE_TEXT + 2;
    struct dot *dot = &drawing->dots[index];
    double least = INFINITY;

    for (int away = 0; away < furthest; away++) {
        for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
            double x = dot->x + sides[i].x * (away * STEP + POINT + 2 + width / 2);
            double y = dot->y + sides[i].y * (away * STEP + POINT + 2 + height / 2);
            struct box box = {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
            double covered = cover(drawing, index, &box) + cost * away;
            if (covered < least) {
                least = covered;
                dot->name = box;
                dot->is_led_to = away > 1;
            }
        }
    }
}

static double clamp(double value, double least, double most)
{
    return fmin(fmax(value, least), most);
}

static void draw_names(struct drawing *drawing)
{
    char name[SHOW_CHARS];

    for (unsigned i = 0; i < drawing->count; i++) {
        struct dot *dot = &drawing->dots[i];
        struct font font = name_font(drawing, dot);
        show_name(name, &drawing->results->allocators.all[dot->index], NAME_COLUMNS_MOST,
                  glyphs_for_files());
        place_name(drawing, i, text_width(name, &font));
        font.place = PLACE_CENTRE;
        if (dot->is_led_to)
            canvas_line(&drawing->canvas, dot->x, dot->y,
                        clamp(dot->x, dot->name.left, dot->name.right),
                        clamp(dot->y, dot->name.top + 2, dot->name.bottom - 2), INK_FAINT);
        /* Near the point, since the box is rather too wide. */
        double middle = (dot->name.left + dot->name.right) / 2;
        if (dot->name.left > dot->x) {
            font.place = PLACE_LEFT;
            middle = dot->name.left;
        } else if (dot->name.right < dot->x) {
            font.place = PLACE_RIGHT;
            middle = dot->name.right;
        }
        canvas_text(&drawing->canvas, middle, (dot->name.top + dot->name.bottom) / 2, &font, name);
    }
}

/* ---- The rest ------------------------------------------------------------------------------ */

static void draw_title(const struct drawing *drawing)
{
    static const struct font title = {SIZE_TITLE, true, INK, PLACE_LEFT};
    static const struct font soft = {SIZE_SMALL, false, INK_SOFT, PLACE_LEFT};
    static const struct font axis = {SIZE_SMALL, false, INK_SOFT, PLACE_CENTRE};
    const struct results *results = drawing->results;
    char base[SHOW_CHARS];
    char workloads[PHRASE_CHARS];
    char text[2 * SHOW_CHARS];

    show_full_name(base, &results->allocators.all[results->base]);
    canvas_text(&drawing->canvas, 24, 30, &title, "Time and memory on the whole");
    snprintf(text, sizeof text, "Geometric means of %s, over %s; with their intervals",
             format_things(workloads, results->count, "workload"), base);
    canvas_text(&drawing->canvas, 24, 54, &soft, text);
    snprintf(text, sizeof text, "time over %s", base);
    canvas_text(&drawing->canvas, (LEFT + RIGHT) / 2, BOTTOM + 46, &axis, text);
    canvas_text(&drawing->canvas, 24, BOTTOM + 46, &soft, "↙ faster and smaller");
    snprintf(text, sizeof text, "memory over %s", base);
    fputs("set ylabel ", drawing->canvas.script);
    gnuplot_text(drawing->canvas.script, text);
    fprintf(drawing->canvas.script, " font 'sans-serif,%d' textcolor rgb '#%06x'\n", SIZE_SMALL,
            INK_SOFT);
}

/* Lines of equality with the base. */
static void draw_ones(const struct drawing *drawing)
{
    fprintf(drawing->canvas.script,
            "set arrow from first 1, graph 0 to first 1, graph 1 nohead back linewidth 1 "
            "linecolor rgb '#%06x'\n"
            "set arrow from graph 0, first 1 to graph 1, first 1 nohead back linewidth 1 "
            "linecolor rgb '#%06x'\n",
            INK_SOFT, INK_SOFT);
}

bool picture_of_means(FILE *stream, const struct results *results)
{
    struct drawing drawing = {.results = results};

    find_dots(&drawing);
    if (drawing.count == 0)
        return picture_of_nothing(stream, PREFIX);
    if (!canvas_begin(&drawing.canvas, WIDTH, HEIGHT))
        return false;
    draw_title(&drawing);
    draw_names(&drawing);
    write_dots(&drawing);
    canvas_panel(&drawing.canvas, LEFT, TOP, RIGHT, BOTTOM);
    ratio_axis_set(&drawing.canvas, &drawing.time, 'x');
    ratio_axis_set(&drawing.canvas, &drawing.memory, 'y');
    draw_ones(&drawing);
    fputs("set errorbars 0\n"
          "plot $dots using 1:2:3:4:5:6:7 with xyerrorbars pointtype 7 pointsize 0.1 linewidth 1.2 "
          "linecolor "
          "rgb variable notitle, "
          "$dots using 1:2:8:7 with points pointsize 1 pointtype variable linecolor rgb variable "
          "notitle\n",
          drawing.canvas.script);
    return canvas_end(&drawing.canvas, stream, PREFIX, "Time and memory on the whole");
}
