/*
 * Replacement at random: at any time a table of live cells, of which one after the other is freed
 * and another one allocated in its place.
 *
 * alloc-test, after that of node-dev: sizes by a power law, and every byte of a cell is written and
 * read again. The table is shared out among the threads.
 *
 * random: a million live cells of similar sizes. The heap is far larger than any cache, so each
 * look at a cell, or at what lies around it, is a miss.
 *
 * glibc-thread, after bench-malloc-thread of glibc: each thread has a small working set, in which
 * half of the places are empty; sizes are by an inverse square, up to 32 KiB.
 */
#include "cell.h"
#include "support.h"

/* ---- alloc-test --------------------------------------------------------------------------- */

enum {
    TEST_CELLS = 150000, /* of all threads together: some 17 MiB */
    TEST_LEAST_LOG = 4,  /* 16 bytes to below 8 KiB */
    TEST_LIMIT_LOG = 13,
};
#define TEST_REPLACEMENTS 3000000

static void touched_make(struct hand *hand, struct cell *cell)
{
    cell_make(hand, cell, random_power(&hand->random, TEST_LEAST_LOG, TEST_LIMIT_LOG));
    cell_write_content(cell, sizeof(cell_word));
}

static void touched_drop(const struct cell *cell)
{
    cell_check_content(cell, sizeof(cell_word));
    cell_drop(cell);
}

static void alloc_test_body(struct hand *hand)
{
    size_t count = TEST_CELLS / hand_run(hand)->threads;
    struct cell *cells = (struct cell *)hand->shared + hand->number * count;
    uint64_t replacements = hand_share(hand, TEST_REPLACEMENTS);

    for (size_t i = 0; i < count; i++)
        touched_make(hand, &cells[i]);
    hand_start(hand);
    for (uint64_t i = 0; i < replacements; i++) {
        struct cell *cell = &cells[random_below(&hand->random, count)];
        touched_drop(cell);
        touched_make(hand, cell);
    }
    hand_stop(hand);
    for (size_t i = 0; i < count; i++)
        touched_drop(&cells[i]);
}

static void alloc_test_run(struct run *run)
{
    team_run(run, alloc_test_body, table_make(TEST_CELLS, sizeof(struct cell)));
}

const struct workload workload_alloc_test = {
    .name = "alloc-test",
    .run = alloc_test_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "Random replacement among 150,000 cells of sizes by a power law, every byte "
                   "written and read.",
};

/* ---- random ------------------------------------------------------------------------------- */

enum {
    RANDOM_CELLS = 1 << 20,
    RANDOM_LEAST = 16,
    RANDOM_MOST = 143,
};
#define RANDOM_REPLACEMENTS 2500000

static size_t random_size(struct hand *hand)
{
    return random_between(&hand->random, RANDOM_LEAST, RANDOM_MOST);
}

static void random_body(struct hand *hand)
{
    struct cell *cells = hand->shared;
    uint64_t replacements = hand_share(hand, RANDOM_REPLACEMENTS);

    for (size_t i = 0; i < RANDOM_CELLS; i++)
        cell_make(hand, &cells[i], random_size(hand));
    hand_start(hand);
    for (uint64_t i = 0; i < replacements; i++)
        cell_replace(hand, &cells[random_below(&hand->random, RANDOM_CELLS)], random_size(hand));
    hand_stop(hand);
    for (size_t i = 0; i < RANDOM_CELLS; i++)
        cell_drop(&cells[i]);
}

static void random_run(struct run *run)
{
    team_run(run, random_body, table_make(RANDOM_CELLS, sizeof(struct cell)));
}

const struct workload workload_random = {
    .name = "random",
    .run = random_run,
    .figures = FIGURES_BOTH,
    .description = "Random replacement among 2^20 cells of 16 to 143 bytes: a heap larger than the "
                   "caches.",
};

/* ---- glibc-thread ------------------------------------------------------------------------- */

enum {
    SET_CELLS = 1024, /* of each thread */
    SIZES = 65536,    /* drawn beforehand, for all threads */
    SET_LEAST = 8,
    SET_MOST = 32768,
};
#define SET_STEPS 28000000

struct glibc_thread {
    struct cell *cells;
    uint16_t *sizes;
};

/* The number of cells of a size falls with its square. */
static uint16_t inverse_square(uint64_t *random)
{
    const double from = 1.0 / SET_LEAST;
    const double to = 1.0 / SET_MOST;
    double at = (double)random_next(random) / ((double)UINT32_MAX + 1);

    return (uint16_t)(1.0 / (from - at * (from - to)));
}

static void glibc_thread_body(struct hand *hand)
{
    const struct glibc_thread *shared = hand->shared;
    struct cell *cells = shared->cells + (size_t)hand->number * SET_CELLS;
    size_t next = random_below(&hand->random, SIZES);
    uint64_t steps = hand_share(hand, SET_STEPS);

    hand_start(hand);
    for (uint64_t i = 0; i < steps; i++) {
        struct cell *cell = &cells[random_below(&hand->random, SET_CELLS)];
        if (cell->start != NULL)
            cell_drop_any(cell);
        else
            cell_make(hand, cell, shared->sizes[next++ % SIZES]);
    }
    hand_stop(hand);
    for (size_t i = 0; i < SET_CELLS; i++)
        cell_drop_any(&cells[i]);
}

static void glibc_thread_run(struct run *run)
{
    struct glibc_thread shared = {
        .cells = table_make((size_t)run->threads * SET_CELLS, sizeof(struct cell)),
        .sizes = table_make(SIZES, sizeof(uint16_t)),
    };
    uint64_t random = random_seed(SIZES);

    for (size_t i = 0; i < SIZES; i++)
        shared.sizes[i] = inverse_square(&random);
    team_run(run, glibc_thread_body, &shared);
}

const struct workload workload_glibc_thread = {
    .name = "glibc-thread",
    .run = glibc_thread_run,
    .threads = true,
    .figures = FIGURES_TIME,
    .description = "glibc's bench-malloc-thread: a small working set in each thread, sizes by an "
                   "inverse square up to 32 KiB.",
};
