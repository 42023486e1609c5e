/* gnuplot's words for places, colours and axes. */
#include "present/canvas.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/format.h"
#include "common/say.h"
#include "present/gnuplot.h"

bool canvas_begin(struct canvas *canvas, double width, double height)
{
    *canvas = (struct canvas){.script = tmpfile(), .width = width, .height = height};
    if (canvas->script == NULL) {
        say("cannot make a temporary file: %s", strerror(errno));
        return false;
    }
    fprintf(canvas->script,
            "set terminal svg size %.0f,%.0f fixed noenhanced font 'sans-serif,%d' "
            "background '#ffffff'\n"
            "set encoding utf8\n"
            "unset key\n"
            "unset border\n"
            "unset xtics\n"
            "unset ytics\n"
            "set grid linetype 1 linewidth 1 linecolor rgb '#%06x'\n"
            "unset grid\n",
            width, height, SIZE_SMALL, INK_GRID);
    return true;
}

bool canvas_end(struct canvas *canvas, FILE *stream, const char *prefix, const char *title)
{
    bool drawn = gnuplot_draw(canvas->script, stream, prefix, title);

    fclose(canvas->script);
    return drawn;
}

/* ---- Places -------------------------------------------------------------------------------- */

static void print_place(const struct canvas *canvas, double x, double y)
{
    /* gnuplot's origin is below. */
    fprintf(canvas->script, "screen %.6f, screen %.6f", x / canvas->width, 1 - y / canvas->height);
}

void canvas_text(const struct canvas *canvas, double x, double y, const struct font *font,
                 const char *text)
{
    static const char *const words[] = {
        [PLACE_LEFT] = "left", [PLACE_CENTRE] = "center", [PLACE_RIGHT] = "right"};

    fputs("set label ", canvas->script);
    gnuplot_text(canvas->script, text);
    fputs(" at ", canvas->script);
    print_place(canvas, x, y);
    fprintf(canvas->script, " %s front font 'sans-serif%s,%d' textcolor rgb '#%06x'\n",
            words[font->place], font->bold ? ":Bold" : "", font->size, font->colour);
}

void canvas_point(const struct canvas *canvas, double x, double y, const struct look *look)
{
    fputs("set label '' at ", canvas->script);
    print_place(canvas, x, y);
    fprintf(canvas->script, " front point pointtype %d pointsize 0.9 linecolor rgb '#%06x'\n",
            look->point, look->colour);
}

void canvas_line(const struct canvas *canvas, double x1, double y1, double x2, double y2,
                 unsigned colour)
{
    fputs("set arrow from ", canvas->script);
    print_place(canvas, x1, y1);
    fputs(" to ", canvas->script);
    print_place(canvas, x2, y2);
    fprintf(canvas->script, " nohead back linewidth 1 linecolor rgb '#%06x'\n", colour);
}

void canvas_box(const struct canvas *canvas, double left, double top, double right, double bottom,
                unsigned colour)
{
    fputs("set object rectangle from ", canvas->script);
    print_place(canvas, left, bottom);
    fputs(" to ", canvas->script);
    print_place(canvas, right, top);
    fprintf(canvas->script, " behind fillstyle solid 1 noborder fillcolor rgb '#%06x'\n", colour);
}

void canvas_panel(const struct canvas *canvas, double left, double top, double right, double bottom)
{
    fprintf(canvas->script,
            "set lmargin at screen %.6f\n"
            "set rmargin at screen %.6f\n"
            "set tmargin at screen %.6f\n"
            "set bmargin at screen %.6f\n",
            left / canvas->width, right / canvas->width, 1 - top / canvas->height,
            1 - bottom / canvas->height);
}

/* Of the height, for a letter of the widest of common fonts. */
static double letter_width(char letter)
{
    if (strchr("ijl.,:;'|!", letter) != NULL)
        return 0.34;
    if (strchr("frtI()[]/\\- ", letter) != NULL)
        return 0.42;
    if (strchr("mwMW@%", letter) != NULL)
        return 0.98;
    return letter >= 'A' && letter <= 'Z' ? 0.72 : 0.63;
}

double text_width(const char *text, const struct font *font)
{
    const double for_bold = 1.1;
    double width = 0;

    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xc0u) != 0x80) /* a character's first byte */
            width += letter_width(*text);
    }
    return width * font->size * (font->bold ? for_bold : 1);
}

/* ---- Looks --------------------------------------------------------------------------------- */

/* Shades of ours, which differ in lightness. */
static const unsigned our_colours[] = {0x0b63b5, 0x58ade6, 0x06305c};
static const unsigned libc_colour = 0x52606d;

/* Those of Okabe and Ito that are no blue, which people with any sight of colours can tell apart,
 * and two more. */
static const unsigned other_colours[] = {0xe69f00, 0x009e73, 0xd55e00,
                                         0xcc79a7, 0x7a5c2e, 0x8a8d00};

/* gnuplot's filled circle, for ours; square, for the C library's. */
#define OUR_POINT 7
#define LIBC_POINT 5

/* Triangle, diamond, triangle upside down, pentagon; then the same with nothing in them. */
static const int other_points[] = {9, 13, 11, 15, 8, 12, 10, 14};

struct look look_of(const struct results *results, unsigned index)
{
    enum allocator_kind kind = results->allocators.all[index].kind;
    bool is_other = kind == ALLOCATOR_KNOWN || kind == ALLOCATOR_GIVEN;
    unsigned before = 0;

    for (unsigned i = 0; i < index; i++) {
        enum allocator_kind its = results->allocators.all[i].kind;
        before += is_other ? its == ALLOCATOR_KNOWN || its == ALLOCATOR_GIVEN : its == kind;
    }
    if (kind == ALLOCATOR_LIBC)
        return (struct look){libc_colour, LIBC_POINT};
    if (kind == ALLOCATOR_DUET)
        return (struct look){our_colours[before % (sizeof our_colours / sizeof *our_colours)],
                             OUR_POINT};
    /* 6 colours and 8 shapes come together in 24 ways. */
    return (struct look){other_colours[before % (sizeof other_colours / sizeof *other_colours)],
                         other_points[before % (sizeof other_points / sizeof *other_points)]};
}

/* ---- Axes of ratios ------------------------------------------------------------------------ */

/* As near as figures on an axis may come, of its length. */
#define TIC_GAP 0.07

/* No axis is shorter than from 1 to this: what is below is noise. */
#define LEAST_SPAN 1.1

void ratio_axis_show(struct ratio_axis *axis, double ratio)
{
    if (axis->low == 0)
        *axis = (struct ratio_axis){1, 1};
    if (!(ratio > 0))
        return;
    axis->low = fmin(axis->low, ratio);
    axis->high = fmax(axis->high, ratio);
}

void ratio_axis_finish(struct ratio_axis *axis)
{
    const double room = 0.06; /* of its length, on both sides */

    ratio_axis_show(axis, 1);
    if (axis->high / axis->low < LEAST_SPAN) {
        axis->low = fmin(axis->low, 1 / sqrt(LEAST_SPAN));
        axis->high = fmax(axis->high, sqrt(LEAST_SPAN));
    }
    double factor = pow(axis->high / axis->low, room);
    axis->low /= factor;
    axis->high *= factor;
}

double ratio_axis_place(const struct ratio_axis *axis, double ratio)
{
    return log(ratio / axis->low) / log(axis->high / axis->low);
}

/* Whether a figure at `step` times a whole number has room beside those that are there. */
static bool has_room(const struct ratio_axis *axis, const double *tics, unsigned count, double tic)
{
    double place = ratio_axis_place(axis, tic);

    if (place < 0 || place > 1)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (fabs(place - ratio_axis_place(axis, tics[i])) < TIC_GAP)
            return false;
    }
    return true;
}

#define TICS_MOST 32

/* The roundest figures first: 1, then powers of ten, halves and doubles, tenths, and so on, as long
 * as there is room. */
static unsigned choose_tics(const struct ratio_axis *axis, double tics[TICS_MOST])
{
    static const double steps[] = {1, 5, 2, 3, 7, 1.5, 4, 6, 8, 9, 1.2, 1.1, 1.3, 9.5, 1.05, 8.5};
    unsigned count = 0;

    if (has_room(axis, tics, count, 1))
        tics[count++] = 1;
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        for (int power = -6; power <= 6 && count < TICS_MOST; power++) {
            double tic = steps[i] * pow(10, power);
            if (has_room(axis, tics, count, tic))
                tics[count++] = tic;
        }
    }
    return count;
}

void ratio_axis_set(const struct canvas *canvas, const struct ratio_axis *axis, char name)
{
    double tics[TICS_MOST];
    unsigned count = choose_tics(axis, tics);

    fprintf(canvas->script, "set logscale %c\nset %crange [%.9g:%.9g]\nset %ctics scale 0 (", name,
            name, axis->low, axis->high, name);
    for (unsigned i = 0; i < count; i++)
        fprintf(canvas->script, "%s'%.4g' %.9g", i > 0 ? ", " : "", tics[i], tics[i]);
    fprintf(canvas->script,
            ") textcolor rgb '#%06x'\n"
            "set grid %ctics linetype 1 linewidth 1 linecolor rgb '#%06x'\n",
            INK_SOFT, name, INK_GRID);
}

void ratio_axis_repeat(const struct canvas *canvas, const struct ratio_axis *axis, double left,
                       double right, double y)
{
    static const struct font font = {SIZE_SMALL, false, INK_SOFT, PLACE_CENTRE};
    double tics[TICS_MOST];
    unsigned count = choose_tics(axis, tics);
    char text[NUMBER_CHARS];

    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%.4g", tics[i]);
        canvas_text(canvas, left + ratio_axis_place(axis, tics[i]) * (right - left), y, &font,
                    text);
    }
}
