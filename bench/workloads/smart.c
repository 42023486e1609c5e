/*
 * sh6 and sh8, after SmartHeap's sh6bench and sh8bench: lots of small cells of one size each, that
 * live for a while and are then freed in the order of their making, in the reverse, or every other
 * one first. In sh8 a lot is often freed by another thread than made it: lots are swapped
 * through an array.
 */
#include "cell.h"
#include "exchange.h"
#include "support.h"

enum {
    LOT_CELLS = 200,
    LOTS = 100, /* of each thread, if they are few: some 15,000 cells */
    LOTS_OF_ALL = 16 * LOTS,
    LOTS_EXCHANGED = 64,
    SIZE_MOST = 1000,
};
#define CELLS_IN_ALL 14000000

enum order { FIRST_TO_LAST, LAST_TO_FIRST, EVERY_OTHER, ORDERS };

struct lot {
    uint32_t count;
    enum order order;
    struct cell cells[LOT_CELLS];
};

struct smart {
    struct exchange exchange; /* without slots in sh6 */
    struct lot **lots;
};

/* The cube of a fraction: half of the lots have cells of up to an eighth of the most. */
static size_t lot_size(struct hand *hand)
{
    enum { FRACTION = 100 };
    size_t fraction = random_below(&hand->random, FRACTION);
    size_t cubed = fraction * fraction * fraction * (SIZE_MOST - CELL_LEAST);

    return CELL_LEAST + cubed / (FRACTION * FRACTION * FRACTION);
}

static void lot_make(struct hand *hand, struct lot *lot, enum order order)
{
    size_t bytes = lot_size(hand);

    lot->count = (uint32_t)random_between(&hand->random, LOT_CELLS / 2, LOT_CELLS);
    lot->order = order;
    for (uint32_t i = 0; i < lot->count; i++)
        cell_make(hand, &lot->cells[i], bytes);
}

static void lot_drop(struct lot *lot)
{
    switch (lot->order) {
    case LAST_TO_FIRST:
        for (uint32_t i = lot->count; i > 0; i--)
            cell_drop(&lot->cells[i - 1]);
        break;
    case EVERY_OTHER:
        for (uint32_t i = 0; i < lot->count; i += 2)
            cell_drop(&lot->cells[i]);
        for (uint32_t i = 1; i < lot->count; i += 2)
            cell_drop(&lot->cells[i]);
        break;
    default:
        for (uint32_t i = 0; i < lot->count; i++)
            cell_drop(&lot->cells[i]);
    }
    lot->count = 0;
}

static void smart_body(struct hand *hand)
{
    struct smart *smart = hand->shared;
    size_t count = thread_part(hand_run(hand), LOTS, LOTS_OF_ALL);
    struct lot **lots = smart->lots + hand->number * count;
    uint64_t steps = hand_share(hand, CELLS_IN_ALL / LOT_CELLS);

    hand_start(hand);
    for (uint64_t i = 0; i < steps; i++) {
        struct lot **lot = &lots[random_below(&hand->random, count)];
        if (smart->exchange.count > 0)
            *lot = exchange_swap_any(&smart->exchange, hand, *lot);
        lot_drop(*lot);
        lot_make(hand, *lot, (enum order)(i % ORDERS));
    }
    hand_stop(hand);
    for (size_t i = 0; i < count; i++)
        lot_drop(lots[i]);
}

static void smart_run(struct run *run, size_t exchanged)
{
    size_t count = run->threads * thread_part(run, LOTS, LOTS_OF_ALL);
    struct lot *records = table_make(count, sizeof *records);
    struct smart smart = {.lots = table_make(count, sizeof(struct lot *))};

    if (exchanged > 0)
        exchange_make(&smart.exchange, exchanged, sizeof(struct lot));
    for (size_t i = 0; i < count; i++)
        smart.lots[i] = &records[i];
    team_run(run, smart_body, &smart);
    for (size_t i = 0; i < exchanged; i++)
        lot_drop(exchange_record(&smart.exchange, i));
}

static void sh6_run(struct run *run)
{
    smart_run(run, 0);
}

static void sh8_run(struct run *run)
{
    smart_run(run, LOTS_EXCHANGED);
}

const struct workload workload_sh6 = {
    .name = "sh6",
    .run = sh6_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "Lots of equal small cells, freed first to last, last to first, or every other "
                   "one first.",
};

const struct workload workload_sh8 = {
    .name = "sh8",
    .run = sh8_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "As sh6, but a lot is mostly freed by another thread than made it.",
};
