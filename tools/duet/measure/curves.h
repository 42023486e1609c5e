/*
 * Curves: what a malloc and its free cost over the size of a cell, or over the number of cells, of
 * each allocator in each round. How its runs ended stands in the trial of the same index, as it
 * does for workloads.
 */
#ifndef DUET_TOOL_CURVES_H
#define DUET_TOOL_CURVES_H

#include <stdbool.h>
#include <stdint.h>

#include "measure/results.h"

#define CURVES_MOST 16
#define CURVE_POINTS_MOST 256

enum curve_unit { CURVE_CELLS, CURVE_BYTES };

struct curve {
    char name[32];
    char description[160];
    enum curve_unit unit;               /* of what it goes over */
    uint64_t reference;                 /* the point whose cost others are held against; 0: none */
    unsigned count;                     /* of points; 0: no run has told them yet */
    uint64_t points[CURVE_POINTS_MOST]; /* from the least to the greatest */
    double *ns; /* for each allocator, of each of its rounds, CURVE_POINTS_MOST costs */
};

struct curves {
    struct results results; /* its trials are the curves' */
    unsigned count;
    struct curve all[CURVES_MOST];
};

/* A new curve, with an empty trial; the results have their allocators and their runs. False, after
 * a message, if there is no room for it. */
bool curves_add(struct curves *curves, const char *name, enum curve_unit unit, uint64_t reference,
                const char *description);

/* Forgets the curve at the end of the list. */
void curves_drop_last(struct curves *curves);

/* Takes in what a run has written: a line "point X NS" for each point. False, after a message, if
 * there are none, or others than in earlier runs. */
bool curve_take(struct curves *curves, unsigned curve, unsigned allocator, unsigned round,
                const char *report);

void curves_free(struct curves *curves);

/* The costs of a round, one for each point, in nanoseconds. */
const double *curve_costs(const struct curves *curves, unsigned curve, unsigned allocator,
                          unsigned round);

/* The cost at a point; count 0: the allocator has no curve. */
struct estimate curve_cost(const struct curves *curves, unsigned curve, unsigned allocator,
                           unsigned point);

/* The cost at one point over that at another, taken within each run. */
struct estimate curve_ratio(const struct curves *curves, unsigned curve, unsigned allocator,
                            unsigned of, unsigned over);

/* From here on a difference between two points is called a cliff. */
#define CLIFF_FROM 2.0

struct curve_change {
    unsigned of; /* points */
    unsigned over;
    struct estimate ratio; /* count 0: there is none */
};

/* The step between neighbours that is greatest, up or down; the ratio is the larger cost's over the
 * smaller one's. */
struct curve_change curve_greatest_step(const struct curves *curves, unsigned curve,
                                        unsigned allocator);

/* How many steps between neighbours are cliffs. */
unsigned curve_cliffs(const struct curves *curves, unsigned curve, unsigned allocator);

/* The point that costs most beyond the reference, over that. */
struct curve_change curve_most_over_reference(const struct curves *curves, unsigned curve,
                                              unsigned allocator);

#endif
