/*
 * cache-thrash and cache-scratch, after Hoard's tests of false sharing: each thread writes into its
 * own cells over and over, which is slow where an allocator has put cells of two threads on one
 * cache line.
 *
 * cache-thrash is the active kind: the cells are those that threads got by asking at the same time.
 * cache-scratch is the passive kind: at first each thread is handed cells of a row that one thread
 * has made, next to those of its neighbours, and frees them; an allocator that gives it the same
 * ones again leaves it on lines with its neighbours.
 *
 * A thread has several cells at once and writes into them in turn, so that it does not depend on
 * luck with one address whether lines are shared. Most of the time goes into the writes, on
 * purpose: they are what is fast or slow here. With one thread there is nothing to share.
 */
#include "cell.h"
#include "support.h"

enum {
    BYTES = CELL_LEAST,
    CELLS = 8,    /* that a thread has at a time */
    WRITES = 200, /* into each of them */
};
#define ROUNDS_IN_ALL 500000

struct sharing {
    struct cell *row; /* CELLS for each thread, in turn; NULL in cache-thrash */
};

/* Counts in the cells, and takes the counts off again, so that they are what they were. */
static void write_often(const struct cell *cells)
{
    for (int i = 0; i < WRITES; i++)
        for (size_t k = 0; k < CELLS; k++)
            *(volatile cell_word *)cells[k].start += 1;
    for (size_t k = 0; k < CELLS; k++)
        *(volatile cell_word *)cells[k].start -= WRITES;
}

static void sharing_round(struct hand *hand)
{
    struct cell cells[CELLS];

    for (size_t i = 0; i < CELLS; i++)
        cell_make(hand, &cells[i], BYTES);
    write_often(cells);
    for (size_t i = 0; i < CELLS; i++)
        cell_drop(&cells[i]);
}

static void row_make(struct hand *hand, struct cell *row)
{
    for (size_t i = 0; i < (size_t)CELLS * hand_run(hand)->threads; i++)
        cell_make(hand, &row[i], BYTES);
}

/* The thread's own: they lie as far apart as there are threads. */
static void row_drop(const struct hand *hand, const struct cell *row)
{
    for (size_t i = 0; i < CELLS; i++)
        cell_drop(&row[i * hand_run(hand)->threads + hand->number]);
}

static void sharing_body(struct hand *hand)
{
    const struct sharing *sharing = hand->shared;
    uint64_t rounds = hand_share(hand, ROUNDS_IN_ALL);

    if (sharing->row != NULL && hand->number == 0)
        row_make(hand, sharing->row);
    hand_start(hand);
    if (sharing->row != NULL)
        row_drop(hand, sharing->row);
    for (uint64_t i = 0; i < rounds; i++)
        sharing_round(hand);
    hand_stop(hand);
}

static void cache_thrash_run(struct run *run)
{
    struct sharing sharing = {.row = NULL};

    team_run(run, sharing_body, &sharing);
}

static void cache_scratch_run(struct run *run)
{
    struct sharing sharing = {.row = table_make((size_t)CELLS * run->threads, sizeof(struct cell))};

    team_run(run, sharing_body, &sharing);
}

const struct workload workload_cache_thrash = {
    .name = "cache-thrash",
    .run = cache_thrash_run,
    .threads = true,
    .figures = FIGURES_TIME,
    .description = "Active false sharing: threads allocate small cells at the same time, and write "
                   "into them over and over.",
};

const struct workload workload_cache_scratch = {
    .name = "cache-scratch",
    .run = cache_scratch_run,
    .threads = true,
    .figures = FIGURES_TIME,
    .description = "Passive false sharing: threads free cells that lay side by side, then write "
                   "into those they get.",
};
