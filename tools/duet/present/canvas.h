/*
 * What the pictures are put together from. Places are in pixels from the upper left, as in the SVG
 * that comes of it: gnuplot draws axes and figures, and what stands around them is put where there
 * is room for it, which gnuplot cannot know.
 */
#ifndef DUET_TOOL_CANVAS_H
#define DUET_TOOL_CANVAS_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"

/* Colours, as 0xRRGGBB. */
#define INK 0x1f2933
#define INK_SOFT 0x616e7c
#define INK_FAINT 0xcbd2d9
#define INK_GRID 0xe4e7eb
#define INK_BAND 0xf5f7fa
#define INK_FAILURE 0xb42318

/* Heights of letters. */
#define SIZE_TITLE 17
#define SIZE_HEADING 14
#define SIZE_TEXT 13
#define SIZE_SMALL 12

struct canvas {
    FILE *script;
    double width;
    double height;
};

enum place { PLACE_LEFT, PLACE_CENTRE, PLACE_RIGHT }; /* which part of the text is at x */

struct font {
    int size;
    bool bold;
    unsigned colour;
    enum place place;
};

/* How an allocator's figures look. */
struct look {
    unsigned colour;
    int point; /* gnuplot's number for the shape */
};

/* Ours are shades of one blue; the C library's is grey; the others have other colours and shapes,
 * so that they can be told apart without colours, too. */
struct look look_of(const struct results *results, unsigned index);

/* A new script; false, after a message, if there is no file for it. */
bool canvas_begin(struct canvas *canvas, double width, double height);

/* Draws it, and gives up the script. As gnuplot_draw. */
bool canvas_end(struct canvas *canvas, FILE *stream, const char *prefix, const char *title);

/* Clean text; its middle is at y. Drawn by the next plot, as the points, lines and boxes below. */
void canvas_text(const struct canvas *canvas, double x, double y, const struct font *font,
                 const char *text);

void canvas_point(const struct canvas *canvas, double x, double y, const struct look *look);
void canvas_line(const struct canvas *canvas, double x1, double y1, double x2, double y2,
                 unsigned colour);
void canvas_box(const struct canvas *canvas, double left, double top, double right, double bottom,
                unsigned colour);

/* Where the next plot's axes are. */
void canvas_panel(const struct canvas *canvas, double left, double top, double right,
                  double bottom);

/* About how wide a text comes out: fonts differ, so rather too much. */
double text_width(const char *text, const struct font *font);

/* An axis of ratios: logarithmic, with 1 on it. */
struct ratio_axis {
    double low;
    double high;
};

/* Widens an axis, which may be all 0, to show a figure; what is not above 0 is left out. */
void ratio_axis_show(struct ratio_axis *axis, double ratio);

/* Leaves some room beyond what is shown. */
void ratio_axis_finish(struct ratio_axis *axis);

/* Sets gnuplot's axis 'x' or 'y' to it, with a few round figures and a grid. */
void ratio_axis_set(const struct canvas *canvas, const struct ratio_axis *axis, char name);

/* Writes its figures once more, above a panel from `left` to `right`. */
void ratio_axis_repeat(const struct canvas *canvas, const struct ratio_axis *axis, double left,
                       double right, double y);

/* How far along the axis a ratio is, from 0 to 1. */
double ratio_axis_place(const struct ratio_axis *axis, double ratio);

#endif
