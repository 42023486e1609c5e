/*
 * The plainest patterns, one thread each, with everything in the nearest cache: what a malloc and
 * a free cost by themselves.
 *
 * pair: a cell is freed as soon as it was made. A few others stand by all along, so that one which
 * is handed out twice would be noticed though there are never two at once.
 *
 * batch: a thousand cells of mixed sizes, then the frees of all of them in the same order.
 *
 * glibc-simple, after bench-malloc-simple of glibc: so many cells of one size, all freed; for
 * several sizes and numbers, as far as together they stay in the cache.
 */
#include "cell.h"
#include "support.h"

/* ---- pair --------------------------------------------------------------------------------- */

enum {
    PAIR_LEAST = 16,
    PAIR_MOST = 512,
    STANDING_CELLS = 16,
};
#define PAIRS 36000000

static void pair_body(struct hand *hand)
{
    struct cell standing[STANDING_CELLS];
    struct cell cell;
    uint64_t pairs = hand_share(hand, PAIRS);

    for (size_t i = 0; i < STANDING_CELLS; i++)
        cell_make(hand, &standing[i], random_between(&hand->random, PAIR_LEAST, PAIR_MOST));
    hand_start(hand);
    for (uint64_t i = 0; i < pairs; i++) {
        cell_make(hand, &cell, random_between(&hand->random, PAIR_LEAST, PAIR_MOST));
        cell_drop(&cell);
    }
    hand_stop(hand);
    for (size_t i = 0; i < STANDING_CELLS; i++)
        cell_drop(&standing[i]);
}

static void pair_run(struct run *run)
{
    team_run(run, pair_body, NULL);
}

const struct workload workload_pair = {
    .name = "pair",
    .run = pair_run,
    .figures = FIGURES_TIME,
    .description = "A malloc of 16 to 512 bytes and its free at once, over and over.",
};

/* ---- batch -------------------------------------------------------------------------------- */

enum { BATCH_CELLS = 1000 };
#define BATCHES 12000

/* The sizes of a batch; batches take turns. Those of pages and more are one cell in so many. */
static size_t batch_size(struct hand *hand, uint64_t batch)
{
    enum { SMALL, MIXED, WITH_PAGES, KINDS };
    enum { PAGES_ONCE_IN = 100 };

    switch (batch % KINDS) {
    case SMALL:
        return random_between(&hand->random, 8, 128);
    case MIXED:
        return random_between(&hand->random, 16, 1024);
    default:
        if (random_once_in(&hand->random, PAGES_ONCE_IN))
            return random_between(&hand->random, 4096, 16384);
        return random_between(&hand->random, 16, 256);
    }
}

static void batch_body(struct hand *hand)
{
    struct cell *cells = hand->shared;
    uint64_t batches = hand_share(hand, BATCHES);

    hand_start(hand);
    for (uint64_t batch = 0; batch < batches; batch++) {
        for (size_t i = 0; i < BATCH_CELLS; i++)
            cell_make(hand, &cells[i], batch_size(hand, batch));
        for (size_t i = 0; i < BATCH_CELLS; i++)
            cell_drop(&cells[i]);
    }
    hand_stop(hand);
}

static void batch_run(struct run *run)
{
    team_run(run, batch_body, table_make(BATCH_CELLS, sizeof(struct cell)));
}

const struct workload workload_batch = {
    .name = "batch",
    .run = batch_run,
    .figures = FIGURES_TIME,
    .description = "1,000 mallocs of mixed sizes, then their 1,000 frees, in the same order.",
};

/* ---- glibc-simple ------------------------------------------------------------------------- */

enum {
    SIMPLE_MOST = 1600,
    SIMPLE_LIVE_MOST = 100 * 1024, /* bytes; below what glibc gives back each time, and fetches */
};
#define SIMPLE_CELLS 1800000 /* of each size and number */

/* So many cells are made, then freed; as often as it takes. */
static void simple_loop(struct hand *hand, struct cell *cells, size_t bytes, size_t count,
                        uint64_t wanted)
{
    for (uint64_t made = 0; made < wanted; made += count) {
        for (size_t i = 0; i < count; i++)
            cell_make(hand, &cells[i], bytes);
        for (size_t i = 0; i < count; i++)
            cell_drop(&cells[i]);
    }
}

static void glibc_simple_body(struct hand *hand)
{
    static const size_t sizes[] = {16, 32, 64, 128, 256, 512, 1024};
    static const size_t counts[] = {25, 100, 400, SIMPLE_MOST};
    struct cell *cells = hand->shared;
    uint64_t wanted = hand_share(hand, SIMPLE_CELLS);

    hand_start(hand);
    for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++)
        for (size_t count = 0; count < sizeof counts / sizeof *counts; count++)
            if (sizes[size] * counts[count] <= SIMPLE_LIVE_MOST)
                simple_loop(hand, cells, sizes[size], counts[count], wanted);
    hand_stop(hand);
}

static void glibc_simple_run(struct run *run)
{
    team_run(run, glibc_simple_body, table_make(SIMPLE_MOST, sizeof(struct cell)));
}

const struct workload workload_glibc_simple = {
    .name = "glibc-simple",
    .run = glibc_simple_run,
    .figures = FIGURES_TIME,
    .description = "glibc's bench-malloc-simple: 25 to 1,600 cells of one size made and freed, for "
                   "seven sizes.",
};
