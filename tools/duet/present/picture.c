/* Which picture is drawn where. */
#include "present/picture.h"

#include "common/say.h"
#include "present/canvas.h"
#include "present/gnuplot.h"
#include "present/picture_parts.h"

bool picture_possible(void)
{
    if (gnuplot_is_there())
        return true;
    say("pictures are drawn by gnuplot, which is not there or does not run; Debian has it as "
        "gnuplot-nox");
    return false;
}

bool picture_of_nothing(FILE *stream, const char *prefix)
{
    static const struct font font = {SIZE_TEXT, false, INK_SOFT, PLACE_CENTRE};
    static const char text[] = "Nothing was measured.";
    struct canvas canvas;

    if (!canvas_begin(&canvas, 400, 120))
        return false;
    canvas_text(&canvas, canvas.width / 2, canvas.height / 2, &font, text);
    fputs("set xrange [0:1]\nset yrange [0:1]\nplot NaN notitle\n", canvas.script);
    return canvas_end(&canvas, stream, prefix, text);
}

bool picture_write(FILE *stream, enum picture picture, const struct results *results)
{
    switch (picture) {
    case PICTURE_COMPARE:
        return picture_of_compare(stream, results);
    case PICTURE_OVERVIEW:
        return picture_of_means(stream, results);
    case PICTURE_TIME:
        return picture_of_ratios(stream, results, METRIC_WALL);
    default:
        return picture_of_ratios(stream, results, METRIC_PEAK_RSS);
    }
}
