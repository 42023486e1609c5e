/*
 * duet bench --curves.
 */
#ifndef DUET_TOOL_BENCH_CURVES_H
#define DUET_TOOL_BENCH_CURVES_H

#include <stdbool.h>

#include "measure/starter.h"

struct curves_request {
    bool list;
    const char *with; /* the allocators, as allocators_choose has it */
    unsigned runs;
    unsigned percent;
    double limit_s; /* 0: by what the first run takes */
    const char *json_name;
    const char *pictures_name; /* of a folder */
    char **names;              /* of curves, or the shell's patterns of them; none: all */
    int name_count;
};

/* Measures the curves and tells what came out. Returns the exit status. */
int curves_measure(struct starter *starter, const struct curves_request *request);

#endif
