/*
 * At each point a round is repeated: so many mallocs of one size, then the frees of all of them in
 * the same order. How often is found out by doubling until it takes a millisecond, which warms the
 * allocator up, too; then five samples of that length are taken, and their median counts.
 *
 * Unlike in a workload the time is fixed, not the work: a point may be a thousand times as dear as
 * another. And nothing is written into cells, so that what is measured is the allocator alone; but
 * for one curve, which writes a byte to each, and has what the kernel takes for a first touch. So
 * whether memory is as promised is not seen here; the patterns look at that.
 */
#include "curves.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* The length of a sample: far above what the clock and its calls take; and how many there are. */
#define SAMPLE_S 1e-3
#define SAMPLES 5

/* So many sizes to a doubling, evenly apart: as fine as classes are where they are fine, so that
 * no border lies between two points with several classes skipped. */
#define STEPS_TO_A_DOUBLING 4

#define CELL_BYTES 64
#define CELLS_MOST 100000
#define SMALL_BATCH 32

#define SIZE_LEAST 8
#define SIZE_MOST ((size_t)64 << 20)
#define SMALL_SIZE_MOST ((size_t)1 << 20) /* of small batches, for which much is live at once */

struct curve {
    const char *name;
    const char *description; /* one sentence */
    bool over_cells;         /* over the cells in a batch; otherwise over bytes of a cell */
    size_t reference;        /* 0: none */
    size_t cells;            /* in a batch, where it goes over bytes */
    size_t most;             /* the last point */
    bool touched;            /* whether each cell's first byte is written */
};

static const struct curve curves[] = {
    {
        .name = "batches",
        .description = "Cells of 64 bytes: so many mallocs, then their frees in the same order.",
        .over_cells = true,
        .reference = 100,
        .most = CELLS_MOST,
    },
    {
        .name = "sizes",
        .description = "A malloc and its free at once, of 8 bytes to 64 MiB, untouched.",
        .cells = 1,
        .most = SIZE_MOST,
    },
    {
        .name = "sizes-32",
        .description = "32 mallocs, then their frees in the same order, of 8 bytes to 1 MiB, "
                       "untouched.",
        .cells = SMALL_BATCH,
        .most = SMALL_SIZE_MOST,
    },
    {
        .name = "sizes-touched",
        .description = "A malloc, a write into the first byte, and its free, of 8 bytes to 64 MiB.",
        .cells = 1,
        .most = SIZE_MOST,
        .touched = true,
    },
};
#define CURVES (sizeof curves / sizeof *curves)

void curves_list(void)
{
    for (size_t i = 0; i < CURVES; i++)
        print("%s\t%s\t%zu\t%s\n", curves[i].name, curves[i].over_cells ? "cells" : "bytes",
              curves[i].reference, curves[i].description);
}

/* ---- Points ------------------------------------------------------------------------------- */

/* 1, 2, 3, 5, 10 and so on. */
static size_t next_cells(size_t cells)
{
    static const size_t steps[] = {1, 2, 3, 5, 10};
    size_t ten = 1;
    size_t i = 0;

    while (ten * 10 <= cells)
        ten *= 10;
    while (steps[i] * ten <= cells)
        i++;
    return steps[i] * ten;
}

static size_t next_bytes(size_t bytes)
{
    size_t doubling = SIZE_LEAST;

    while (doubling * 2 <= bytes)
        doubling *= 2;
    return bytes + doubling / STEPS_TO_A_DOUBLING;
}

/* ---- Time --------------------------------------------------------------------------------- */

struct round {
    void **cells;
    size_t count;
    size_t bytes;
};

static inline void play(const struct round *round, bool touch)
{
    for (size_t i = 0; i < round->count; i++) {
        char *cell = malloc(round->bytes);
        if (cell == NULL)
            fail(WORKLOAD_NO_MEMORY, "no cell of %zu bytes", round->bytes);
        if (touch)
            *(volatile char *)cell = 1;
        round->cells[i] = cell;
    }
    for (size_t i = 0; i < round->count; i++)
        free(round->cells[i]);
}

/* How long so many rounds take. Two loops, so that in neither of them anything is asked. */
static double seconds_for(const struct round *round, bool touch, uint64_t times)
{
    double start = now_seconds();

    if (touch) {
        for (uint64_t i = 0; i < times; i++)
            play(round, true);
    } else {
        for (uint64_t i = 0; i < times; i++)
            play(round, false);
    }
    return now_seconds() - start;
}

/* Of two tries: what the first use of memory takes, or an interruption, is no length of a
 * sample. */
static double least_seconds_for(const struct round *round, bool touch, uint64_t times)
{
    double first = seconds_for(round, touch, times);
    double second = seconds_for(round, touch, times);

    return first < second ? first : second;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

/* Few, so that sorting needs no memory of the allocator's. */
static double median(double samples[SAMPLES])
{
    qsort(samples, SAMPLES, sizeof *samples, compare_doubles);
    return samples[SAMPLES / 2];
}

/* Nanoseconds for a malloc and its free. */
static double cost_of(const struct round *round, bool touch, double sample_s)
{
    double samples[SAMPLES];
    uint64_t times = 1;

    while (least_seconds_for(round, touch, times) < sample_s)
        times *= 2;
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = seconds_for(round, touch, times);
    return median(samples) * 1e9 / ((double)times * (double)round->count);
}

/* ---- A curve ------------------------------------------------------------------------------ */

static const struct curve *curve_named(const char *name)
{
    for (size_t i = 0; i < CURVES; i++) {
        if (strcmp(curves[i].name, name) == 0)
            return &curves[i];
    }
    fail(WORKLOAD_USAGE, "no curve '%s'; duet-workloads --curves tells which there are", name);
}

void curve_run(const char *name, unsigned percent)
{
    const struct curve *curve = curve_named(name);
    double sample_s = SAMPLE_S * percent / 100;
    size_t first = curve->over_cells ? 1 : SIZE_LEAST;
    struct round round = {
        .cells = table_make(CELLS_MOST, sizeof(void *)),
        .count = curve->cells,
        .bytes = CELL_BYTES,
    };

    fail_as(name);
    for (size_t x = first; x <= curve->most;
         x = curve->over_cells ? next_cells(x) : next_bytes(x)) {
        if (curve->over_cells)
            round.count = x;
        else
            round.bytes = x;
        print("point %zu %.3f\n", x, cost_of(&round, curve->touched, sample_s));
    }
}
