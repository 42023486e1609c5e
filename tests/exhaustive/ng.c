/*
 * The engine ng: cells that are freed without their context's lock, while others of the group are
 * freed too, the group's last ones, or cells are taken from the context. Whoever has a cell writes
 * into it. In the end as many are in use as were not freed, and all can be had again, each once.
 */
#include "engine.h"
#include "scenarios.h"

#define CELLS 6
#define ALL ((1u << CELLS) - 1)
#define CELL_BYTES 100

static void *cells[CELLS];
#define TAKEN 2
static void *taken[TAKEN]; /* by a thread, and not freed */

static void *take(unsigned number)
{
    size_t class;
    bool zeroed;
    void *cell = engine_alloc(CELL_BYTES, NG_UNIT, &class, &zeroed);
    if (cell == NULL)
        cell = engine_alloc_slow(CELL_BYTES, NG_UNIT, &class, &zeroed);
    MUST(cell != NULL);
    *(uintptr_t *)cell = number + 1;
    return cell;
}

static void give(void *cell, unsigned number)
{
    size_t class;
    MUST(*(uintptr_t *)cell == number + 1);
    *(uintptr_t *)cell = 0;
    if (!engine_free(cell, &class))
        MUST(engine_free_slow(cell, "free") < ENGINE_CLASSES);
}

static size_t in_use(void)
{
    struct engine_count count;
    engine_count(&count);
    return count.cells;
}

static size_t others; /* in use, and stay so */

/* Whether the group of the last cell has any that is ready. */
static bool is_ready(void)
{
    struct cell found;
    MUST(cell_find(cells[CELLS - 1], &found));
    return load_relaxed(&found.group->avail) != 0;
}

/* All of them, and whatever else their last group has ready. Those whose bit is set in `free` are
 * freed again. */
static void begin_with(unsigned free)
{
    for (size_t i = 0; i < CELLS; i++)
        cells[i] = take(0);
    for (; is_ready(); others++)
        take(0);
    for (size_t i = 0; i < CELLS; i++)
        if ((free >> i & 1) != 0)
            give(cells[i], 0);
}

static void begin_with_one_free(void)
{
    begin_with(1);
}

static void begin_with_two_in_use(void)
{
    begin_with(ALL & ~3u);
}

static void begin_with_none_free(void)
{
    begin_with(0);
}

/* Of the cells those are free now whose bit is set; the others are whose they were. */
static void verify(unsigned freed)
{
    size_t held = 0, still_free = (size_t)__builtin_popcount(freed);
    for (size_t i = 0; i < TAKEN; i++)
        held += taken[i] != NULL;
    engine_trim(); /* which does what frees have left to the next holder */
    MUST(in_use() == others + CELLS - still_free + held);
    void *again[2 * CELLS];
    for (size_t i = 0; i < 2 * CELLS; i++) {
        again[i] = take(THREADS_MOST);
        for (size_t j = 0; j < i; j++)
            MUST(again[j] != again[i]);
        for (size_t j = 0; j < TAKEN; j++)
            MUST(taken[j] != again[i]);
    }
    for (size_t i = 0; i < CELLS; i++)
        MUST((freed >> i & 1) != 0 || *(uintptr_t *)cells[i] == 1);
    MUST(in_use() == others + 3 * CELLS - still_free + held);
}

/* ---- Scenarios ---------------------------------------------------------------------------- */

static void free_one(unsigned number)
{
    give(cells[1 + number], 0);
}

static void verify_first_three_freed(void)
{
    verify(7);
}

static void verify_first_four_freed(void)
{
    verify(0xf);
}

static void verify_first_two_freed(void)
{
    verify(3);
}

static void verify_second_and_third_freed(void)
{
    verify(6);
}

const struct scenario scenario_ng_free = {
    .name = "ng-free",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {4, 3},
    .set_up = begin_with_one_free,
    .thread = free_one,
    .verify = verify_first_three_freed,
};

const struct scenario scenario_ng_free_3 = {
    .name = "ng-free-3",
    .threads = 3,
    .bounds = {2, 1},
    .wider = {2, 2},
    .set_up = begin_with_one_free,
    .thread = free_one,
    .verify = verify_first_four_freed,
};

/* The first frees of a full group, which need the context. */
const struct scenario scenario_ng_first = {
    .name = "ng-first",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {4, 3},
    .set_up = begin_with_none_free,
    .thread = free_one,
    .verify = verify_second_and_third_freed,
};

static void free_one_of_the_last(unsigned number)
{
    give(cells[number], 0);
}

static void verify_all_freed(void)
{
    verify(ALL);
}

/* The last two of all. */
const struct scenario scenario_ng_last = {
    .name = "ng-last",
    .threads = 2,
    .bounds = {2, 1},
    .wider = {3, 2},
    .set_up = begin_with_two_in_use,
    .thread = free_one_of_the_last,
    .verify = verify_all_freed,
};

/* What is freed may be among what is taken, or not yet. */
static void free_or_take(unsigned number)
{
    if (number == 0) {
        give(cells[1], 0);
        return;
    }
    bool again = false;
    for (size_t i = 0; i < TAKEN; i++) {
        taken[i] = take(number);
        again |= taken[i] == cells[1];
    }
    exh_outcome(again);
}

const struct scenario scenario_ng_take = {
    .name = "ng-take",
    .threads = 2,
    .bounds = {2, 1},
    .wider = {3, 2},
    .set_up = begin_with_one_free,
    .thread = free_or_take,
    .verify = verify_first_two_freed,
    .outcomes = 3,
};
