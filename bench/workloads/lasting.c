/*
 * What stays of a spike.
 *
 * fragment: a spike of small cells, of which random survivors are kept; then a second phase of
 * cells of other sizes, as many bytes as were freed. An allocator that can use the one's memory
 * for the other has no need for more. What is resident at its
 * end, where both phases are live, it tells too.
 *
 * idle: a spike of 128 MiB, of which one cell in 500 survives; then ten seconds in which the
 * program does next to nothing, with a size of which the spike had none. What the process holds
 * then is what the allocator keeps though nobody asks for it.
 */
#include <time.h>

#include "cell.h"
#include "support.h"

#define MIB ((size_t)1 << 20)

/* ---- fragment ----------------------------------------------------------------------------- */

enum {
    SPIKE_LEAST = 16,
    SPIKE_MOST = 256,
    SURVIVES_ONE_IN = 10,
    SECOND_LEAST = 272,
    SECOND_MOST = 1536,
    CYCLES = 3, /* each begins with an empty table, and ends with both phases live */
};
#define SPIKE_BYTES (48 * MIB)
#define SPIKE_CELLS (SPIKE_BYTES / ((SPIKE_LEAST + SPIKE_MOST) / 2))
#define SECOND_CELLS (SPIKE_BYTES / SECOND_LEAST)

struct fragment {
    struct cell *spike;
    struct cell *second;
    uint32_t *order;
    uint64_t end_rss_kib;
};

/* Returns the bytes that it has freed. */
static size_t drop_most(struct hand *hand, struct fragment *fragment)
{
    size_t freed = 0;

    random_order(&hand->random, fragment->order, SPIKE_CELLS);
    for (size_t i = 0; i < SPIKE_CELLS; i++) {
        struct cell *cell = &fragment->spike[fragment->order[i]];
        if (i % SURVIVES_ONE_IN == 0)
            continue;
        freed += cell->bytes;
        cell_drop_any(cell);
    }
    return freed;
}

/* Returns how many cells it took. */
static size_t second_phase(struct hand *hand, struct fragment *fragment, size_t bytes)
{
    size_t count = 0;

    for (size_t made = 0; made + SECOND_MOST <= bytes; count++) {
        struct cell *cell = &fragment->second[count];
        cell_make(hand, cell, random_between(&hand->random, SECOND_LEAST, SECOND_MOST));
        made += cell->bytes;
    }
    return count;
}

static void fragment_cycle(struct hand *hand, struct fragment *fragment)
{
    for (size_t i = 0; i < SPIKE_CELLS; i++)
        cell_make(hand, &fragment->spike[i],
                  random_between(&hand->random, SPIKE_LEAST, SPIKE_MOST));
    size_t freed = drop_most(hand, fragment);
    size_t count = second_phase(hand, fragment, freed);
    fragment->end_rss_kib = rss_beside_tables_kib();
    for (size_t i = 0; i < count; i++)
        cell_drop(&fragment->second[i]);
    for (size_t i = 0; i < SPIKE_CELLS; i++)
        cell_drop_any(&fragment->spike[i]);
}

static void fragment_body(struct hand *hand)
{
    uint64_t cycles = hand_share(hand, CYCLES);

    hand_start(hand);
    for (uint64_t i = 0; i < cycles; i++)
        fragment_cycle(hand, hand->shared);
    hand_stop(hand);
}

static void fragment_run(struct run *run)
{
    struct fragment fragment = {
        .spike = table_make(SPIKE_CELLS, sizeof(struct cell)),
        .second = table_make(SECOND_CELLS, sizeof(struct cell)),
        .order = table_make(SPIKE_CELLS, sizeof(uint32_t)),
    };

    team_run(run, fragment_body, &fragment);
    run->end_rss_kib = fragment.end_rss_kib;
}

const struct workload workload_fragment = {
    .name = "fragment",
    .run = fragment_run,
    .figures = FIGURES_BOTH,
    .description = "A spike of 48 MiB of small cells, of which one in ten survives at random, then "
                   "larger cells in place of the others.",
};

/* ---- idle --------------------------------------------------------------------------------- */

enum {
    IDLE_LEAST = 16,
    IDLE_MOST = 512,
    IDLE_SURVIVES_ONE_IN = 500,
    IDLE_OTHER_BYTES = 3000,
    IDLE_SECONDS = 10,
    IDLE_CALLS_A_SECOND = 100,
};
#define IDLE_BYTES (128 * MIB)
#define IDLE_CELLS (IDLE_BYTES / ((IDLE_LEAST + IDLE_MOST) / 2))

struct idle {
    struct cell *cells;
    uint32_t *order;
    uint64_t end_rss_kib;
};

/* By the clock's own time, not by so many naps: a late wake-up does not add to the ten seconds. */
static void idle_for_a_while(struct hand *hand)
{
    const long nap_ns = 1000000000L / IDLE_CALLS_A_SECOND;
    struct timespec wake;
    struct cell cell;

    clock_gettime(CLOCK_MONOTONIC, &wake);
    for (int i = 0; i < IDLE_SECONDS * IDLE_CALLS_A_SECOND; i++) {
        cell_make(hand, &cell, IDLE_OTHER_BYTES);
        cell_drop(&cell);
        wake.tv_nsec += nap_ns;
        wake.tv_sec += wake.tv_nsec / 1000000000L;
        wake.tv_nsec %= 1000000000L;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL) != 0)
            continue;
    }
}

static void idle_body(struct hand *hand)
{
    struct idle *idle = hand->shared;

    hand_start(hand);
    for (size_t i = 0; i < IDLE_CELLS; i++)
        cell_make(hand, &idle->cells[i], random_between(&hand->random, IDLE_LEAST, IDLE_MOST));
    random_order(&hand->random, idle->order, IDLE_CELLS);
    for (size_t i = 0; i < IDLE_CELLS; i++)
        if (i % IDLE_SURVIVES_ONE_IN != 0)
            cell_drop_any(&idle->cells[idle->order[i]]);
    idle_for_a_while(hand);
    idle->end_rss_kib = rss_beside_tables_kib();
    hand_stop(hand);
    for (size_t i = 0; i < IDLE_CELLS; i++)
        cell_drop_any(&idle->cells[i]);
}

static void idle_run(struct run *run)
{
    struct idle idle = {
        .cells = table_make(IDLE_CELLS, sizeof(struct cell)),
        .order = table_make(IDLE_CELLS, sizeof(uint32_t)),
    };

    team_run(run, idle_body, &idle);
    run->end_rss_kib = idle.end_rss_kib;
}

const struct workload workload_idle = {
    .name = "idle",
    .run = idle_run,
    .figures = FIGURES_MEMORY,
    .description = "A spike of 128 MiB, of which one cell in 500 survives, then ten seconds of "
                   "next to nothing; its time says nothing.",
};
