/*
 * Two mixes in which cells often end in another thread than they began in.
 *
 * mstress, after the stress test of mimalloc: cells come in bursts, as an object with its parts
 * does, and go together. Some bursts end up in an array that all threads share, by an atomic swap,
 * and whoever draws one frees it. Most cells are small; few are large.
 *
 * rptest, after the benchmark of rpmalloc: each thread loops through a table of cells of random
 * sizes, in strides, frees some, allocates others, and once a loop sends a parcel away with one
 * cell in so many, to be freed by whoever gets it.
 */
#include "cell.h"
#include "exchange.h"
#include "support.h"

/* ---- mstress ------------------------------------------------------------------------------ */

enum {
    BURST_CELLS = 31,
    BURSTS = 512, /* of each thread, if they are few */
    BURSTS_OF_ALL = 16 * BURSTS,
    BURSTS_EXCHANGED = 64, /* in the array, whatever the number of threads */
    EXCHANGE_EVERY = 3,
};
#define BURSTS_IN_ALL 600000

struct burst {
    uint64_t count;
    struct cell cells[BURST_CELLS];
};

struct mstress {
    struct exchange exchange;
    struct burst **bursts; /* threads swap them, so each has pointers */
};

/* Of a thousand: 12 of up to 32 KiB, 1 of up to 512 KiB, the others of up to 1 KiB. */
static size_t mstress_size(struct hand *hand)
{
    size_t scale = random_below(&hand->random, 1000);

    if (scale == 0)
        return random_log(&hand->random, 16, 19);
    if (scale <= 12)
        return random_log(&hand->random, 10, 15);
    return random_power(&hand->random, 4, 10);
}

static void burst_make(struct hand *hand, struct burst *burst)
{
    burst->count = random_between(&hand->random, 1, BURST_CELLS);
    for (size_t i = 0; i < burst->count; i++)
        cell_make(hand, &burst->cells[i], mstress_size(hand));
}

/* The parts before the object that refers to them. */
static void burst_drop(struct burst *burst)
{
    for (size_t i = burst->count; i > 0; i--)
        cell_drop(&burst->cells[i - 1]);
    burst->count = 0;
}

static void mstress_body(struct hand *hand)
{
    struct mstress *mstress = hand->shared;
    size_t count = thread_part(hand_run(hand), BURSTS, BURSTS_OF_ALL);
    struct burst **bursts = mstress->bursts + hand->number * count;
    uint64_t steps = hand_share(hand, BURSTS_IN_ALL);

    hand_start(hand);
    for (uint64_t i = 0; i < steps; i++) {
        struct burst **burst = &bursts[random_below(&hand->random, count)];
        if (i % EXCHANGE_EVERY == 0)
            *burst = exchange_swap_any(&mstress->exchange, hand, *burst);
        burst_drop(*burst);
        burst_make(hand, *burst);
    }
    hand_stop(hand);
    for (size_t i = 0; i < count; i++)
        burst_drop(bursts[i]);
}

static void mstress_run(struct run *run)
{
    size_t count = run->threads * thread_part(run, BURSTS, BURSTS_OF_ALL);
    struct burst *records = table_make(count, sizeof *records);
    struct mstress mstress = {.bursts = table_make(count, sizeof(struct burst *))};

    exchange_make(&mstress.exchange, BURSTS_EXCHANGED, sizeof(struct burst));
    for (size_t i = 0; i < count; i++)
        mstress.bursts[i] = &records[i];
    team_run(run, mstress_body, &mstress);
    for (size_t i = 0; i < BURSTS_EXCHANGED; i++)
        burst_drop(exchange_record(&mstress.exchange, i));
}

const struct workload workload_mstress = {
    .name = "mstress",
    .run = mstress_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "Bursts of cells of all sizes that live and die together, often in another "
                   "thread: they are swapped through an array.",
};

/* ---- rptest ------------------------------------------------------------------------------- */

enum {
    TABLE_CELLS = 4096, /* of each thread, if they are few */
    TABLE_CELLS_OF_ALL = 16 * TABLE_CELLS,
    LOOP_CELLS = 512, /* replaced in a loop, one in so many of the table's */
    STRIDE = 11,
    PARCEL_CELLS = LOOP_CELLS / 8,
    PARCELS_EXCHANGED = 64,
    RPTEST_LEAST_LOG = 4, /* 16 bytes to below 8 KiB */
    RPTEST_LIMIT_LOG = 13,
};
#define LOOPS_IN_ALL 14000

struct parcel {
    struct cell cells[PARCEL_CELLS];
};

struct rptest {
    struct exchange exchange;
    struct cell *cells;
    struct parcel *parcels; /* one to a thread to begin with */
};

static size_t rptest_size(struct hand *hand)
{
    return random_log(&hand->random, RPTEST_LEAST_LOG, RPTEST_LIMIT_LOG);
}

/* Those of the table that the parcel has room for go into it, the others are freed at once. */
static void rptest_loop(struct hand *hand, struct cell *cells, size_t count, struct parcel *parcel)
{
    size_t at = random_below(&hand->random, count);

    for (size_t i = 0; i < LOOP_CELLS; i++) {
        struct cell *cell = &cells[at];
        at = (at + STRIDE) % count;
        if (i % (LOOP_CELLS / PARCEL_CELLS) == 0)
            parcel->cells[i / (LOOP_CELLS / PARCEL_CELLS)] = *cell;
        else
            cell_drop_any(cell);
        cell_make(hand, cell, rptest_size(hand));
    }
}

static void parcel_drop(struct parcel *parcel)
{
    for (size_t i = 0; i < PARCEL_CELLS; i++)
        cell_drop_any(&parcel->cells[i]);
}

static void rptest_body(struct hand *hand)
{
    struct rptest *rptest = hand->shared;
    size_t count = thread_part(hand_run(hand), TABLE_CELLS, TABLE_CELLS_OF_ALL);
    struct cell *cells = rptest->cells + hand->number * count;
    struct parcel *parcel = &rptest->parcels[hand->number];
    uint64_t loops = hand_share(hand, LOOPS_IN_ALL);

    hand_start(hand);
    for (uint64_t i = 0; i < loops; i++) {
        rptest_loop(hand, cells, count, parcel);
        parcel = exchange_swap_any(&rptest->exchange, hand, parcel);
        parcel_drop(parcel);
    }
    hand_stop(hand);
    for (size_t i = 0; i < count; i++)
        cell_drop_any(&cells[i]);
}

static void rptest_run(struct run *run)
{
    size_t count = run->threads * thread_part(run, TABLE_CELLS, TABLE_CELLS_OF_ALL);
    struct rptest rptest = {
        .cells = table_make(count, sizeof(struct cell)),
        .parcels = table_make(run->threads, sizeof(struct parcel)),
    };

    exchange_make(&rptest.exchange, PARCELS_EXCHANGED, sizeof(struct parcel));
    team_run(run, rptest_body, &rptest);
    for (size_t i = 0; i < PARCELS_EXCHANGED; i++)
        parcel_drop(exchange_record(&rptest.exchange, i));
}

const struct workload workload_rptest = {
    .name = "rptest",
    .run = rptest_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "Loops of frees and allocations of 16 bytes to 8 KiB; one cell in eight is "
                   "freed by another thread.",
};
