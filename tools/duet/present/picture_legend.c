/* Entries side by side, as many as there is room for, and then a row below. */
#include "present/canvas.h"
#include "present/picture_parts.h"
#include "present/show.h"

/* Pixels. */
#define ROW 22
#define GAP 24        /* between entries */
#define FROM_LEFT 6   /* to the middle of the first point */
#define FROM_POINT 10 /* its middle, to the name */

#define NAME_COLUMNS_MOST 20

/* Where the next entry is put. */
struct pen {
    double x;
    double y;
};

static void draw_entry(const struct canvas *canvas, const struct results *results, unsigned index,
                       double left, double right, struct pen *pen)
{
    bool ours = results->allocators.all[index].kind == ALLOCATOR_DUET;
    struct font font = {SIZE_TEXT, ours, INK, PLACE_LEFT};
    struct look look = look_of(results, index);
    char name[SHOW_CHARS];

    show_name(name, &results->allocators.all[index], NAME_COLUMNS_MOST, glyphs_for_files());
    double width = FROM_POINT + text_width(name, &font);
    if (pen->x > left + FROM_LEFT && pen->x + width > right)
        *pen = (struct pen){left + FROM_LEFT, pen->y + ROW};
    if (canvas != NULL) {
        canvas_point(canvas, pen->x, pen->y, &look);
        canvas_text(canvas, pen->x + FROM_POINT, pen->y, &font, name);
    }
    pen->x += width + GAP;
}

double picture_legend(const struct canvas *canvas, const struct results *results, int but,
                      double left, double right, double top)
{
    struct pen pen = {left + FROM_LEFT, top};

    for (unsigned k = 0; k < results->allocators.count; k++) {
        if ((int)k != but)
            draw_entry(canvas, results, k, left, right, &pen);
    }
    return pen.y;
}
