/*
 * larson: a server as Larson and Krishnan simulate it ("Memory allocation for long-running server
 * applications", 1998). Each thread owns a table of cells and replaces them at random. After a
 * while it ends, and a new thread goes on with its table; so cells are freed by threads that did
 * not allocate them, whose makers are gone.
 *
 * A chain of such threads has one hand. A thread that does nothing else starts them one after the
 * other, so that a run has as many at work as it was told.
 */
#include "cell.h"
#include "support.h"

enum {
    CELLS = 5000, /* of each chain, if chains are few: more than fits into the nearest cache */
    CELLS_OF_ALL = 16 * CELLS,
    LEAST = 8,
    MOST = 1000,
    LIFE = 250000, /* replacements in a thread's life */
};
#define REPLACEMENTS 15000000

struct chain {
    struct hand *hand;
    struct cell *cells;
    size_t count;
    uint64_t replacements; /* of each thread of it */
};

static void *live_once(void *argument)
{
    const struct chain *chain = argument;
    struct hand *hand = chain->hand;

    for (uint64_t i = 0; i < chain->replacements; i++) {
        struct cell *cell = &chain->cells[random_below(&hand->random, chain->count)];
        cell_replace(hand, cell, random_between(&hand->random, LEAST, MOST));
    }
    return NULL;
}

static void larson_body(struct hand *hand)
{
    size_t count = thread_part(hand_run(hand), CELLS, CELLS_OF_ALL);
    struct chain chain = {
        .hand = hand, .cells = (struct cell *)hand->shared + hand->number * count, .count = count};
    uint64_t replacements = hand_share(hand, REPLACEMENTS);
    uint64_t lives = (replacements + LIFE - 1) / LIFE;

    chain.replacements = replacements / lives;
    for (size_t i = 0; i < count; i++)
        cell_make(hand, &chain.cells[i], random_between(&hand->random, LEAST, MOST));
    hand_start(hand);
    for (uint64_t i = 0; i < lives; i++) {
        pthread_t thread;
        thread_start(&thread, live_once, &chain);
        thread_join(thread);
    }
    hand_stop(hand);
    for (size_t i = 0; i < count; i++)
        cell_drop(&chain.cells[i]);
}

static void larson_run(struct run *run)
{
    size_t count = run->threads * thread_part(run, CELLS, CELLS_OF_ALL);

    team_run(run, larson_body, table_make(count, sizeof(struct cell)));
}

const struct workload workload_larson = {
    .name = "larson",
    .run = larson_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "A server: threads replace cells of 8 to 1,000 bytes at random, end, and leave "
                   "their cells to new threads.",
};
