/*
 * What a run cost, by one figure for each metric.
 */
#ifndef DUET_TOOL_COST_H
#define DUET_TOOL_COST_H

#include <stdbool.h>

enum metric {
    METRIC_WALL,     /* seconds */
    METRIC_USER,     /* seconds, as all below of the program and what it waited for */
    METRIC_SYSTEM,   /* seconds */
    METRIC_PEAK_RSS, /* KiB, of the largest process; less a workload's own tables */
    METRIC_FAULTS,   /* page faults, minor and major */
    METRIC_SWITCHES, /* context switches, voluntary and not */
    METRIC_END_RSS,  /* KiB resident when a workload had nothing more to do; 0: it did not say */
    METRIC_COUNT
};

struct cost {
    double of[METRIC_COUNT];
};

struct metric_facts {
    const char *key;     /* in JSON: "wall_s" */
    const char *heading; /* in tables: "wall" */
    const char *less;    /* what a smaller figure is called: "faster" */
    const char *more;    /* and a greater one: "slower" */
    const char *same;    /* and an equal one: "as fast" */
    const char *twice;   /* and one that is so many times as great: "as slow" */
};

extern const struct metric_facts metrics[METRIC_COUNT];

/* A unit for figures that stand below each other. */
struct unit {
    const char *name; /* "ms", "MiB"; "": a count */
    double size;      /* in what the metric is kept in */
    int decimals;
};

/* The one in which figures up to `largest` are read with ease. */
struct unit unit_for(enum metric metric, double largest);

/* Room for a figure with its unit. */
#define COST_CHARS 32

/* The figure without its unit's name: "1.234", "57.1", "12,345". */
char *format_in_unit(char buffer[COST_CHARS], const struct unit *unit, double value);

/* With it. */
char *format_with_unit(char buffer[COST_CHARS], const struct unit *unit, double value);

/* The figure as people read it: "1.234 s", "57.1 MiB", "12,345". */
char *format_cost(char buffer[COST_CHARS], enum metric metric, double value);

#endif
