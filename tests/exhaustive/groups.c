/*
 * Groups (engine/duet/group.c, depot.c, purge.c): cells that come back without the lock while
 * others take cells with it, find the group full, release it, or purge it. All groups are of one
 * home, and nearly all have three cells.
 *
 * Whoever has a cell writes into it. In the end each is had by the thread that holds it, or free;
 * the groups' states say what their masks do, and no group is forgotten; what is wholly free gives
 * way to another class; and the library's own checks hold.
 */
#include "scenarios.h"

#include "engine/duet/depot.h"

#define CELLS 3
#define GROUPS 2

static size_t kind, other_kind;
static void *cells[GROUPS * CELLS];
static void *taken[THREADS_MOST]; /* by a thread, and not put back */

/* ---- What the threads do ----------------------------------------------------------------- */

static void begin_with(size_t count)
{
    kind = kind_of_few_cells(0);
    other_kind = kind_of_few_cells(kind);
    MUST(duet_tables.kinds[kind].cells == CELLS);
    take_cells(0, kind, cells, count);
    for (size_t i = 0; i < count; i++)
        cell_hold(cells[i], 0);
}

/* All of it taken, so in no list. */
static void one_full_group(void)
{
    begin_with(CELLS);
}

static void two_full_groups(void)
{
    begin_with(GROUPS * CELLS);
}

/* One cell of it is free, the last one. */
static void one_listed_group(void)
{
    begin_with(CELLS);
    cell_let_go(cells[2], 0);
    depot_return(kind, &cells[2], 1);
}

/* Without the lock, as when somebody else has it. */
static void put_back(size_t cell)
{
    struct group *group = group_of(cells[cell], kind, "free");
    cell_let_go(cells[cell], 0);
    MUST(group_return(group, &cells[cell], 1) == 1);
}

/* With the lock, if it is to be had at once. */
static void give(size_t cell)
{
    cell_let_go(cells[cell], 0);
    depot_return(kind, &cells[cell], 1);
}

static void take_one(unsigned number)
{
    bool zeroed;
    MUST(depot_take(0, kind, &taken[number], 1, &zeroed) == 1);
    cell_hold(taken[number], number);
}

/* A cell of a kind that has no group yet: before it has a new one, what is wholly free is given
 * back. */
static void take_of_another_kind(unsigned number)
{
    void *cell;
    bool zeroed;
    MUST(depot_take(0, other_kind, &cell, 1, &zeroed) == 1);
    cell_hold(cell, number);
    cell_let_go(cell, number);
    depot_return(other_kind, &cell, 1);
}

/* ---- What must hold when they have ended ------------------------------------------------- */

static bool is_on_stack(const struct group *group)
{
    uint32_t index = load_relaxed(&depot_of(group)->returned);
    while (index != 0 && index != group->head.index)
        index = load_relaxed(&group_at(group->kind, index)->next_returned);
    return index != 0;
}

static void verify_state(struct group *group, void *context)
{
    (void)context;
    uint64_t state = load_relaxed(&group->state), freed = 0;
    for (size_t word = 0; word < group->words; word++)
        freed += (uint64_t)__builtin_popcountll(load_relaxed(&group_freed(group)[word]));
    MUST(group_returned(state) == freed);
    MUST(((state & GROUP_QUEUED) != 0) == is_on_stack(group));
    MUST((state & GROUP_FULL) == 0 || freed == 0 || (state & GROUP_QUEUED) != 0);
    MUST(group_taken(state) != 0 || (state & GROUP_QUEUED) != 0 || group->list == 0);
    MUST(group_taken(state) != freed || freed == 0 || (state & GROUP_QUEUED) != 0);
}

/* These and no others are not free. */
static void verify_count(size_t in_use)
{
    struct depots_count count;
    groups_visit(verify_state, NULL);
    depots_check();
    depots_count(&count);
    MUST(count.cells - count.free_cells == in_use);
}

/* Nobody has a cell of the kind any more. So none of its groups outlives a trim, or else a cell
 * that is wanted of another kind. (A trim may leave a group that it has purged while the last cell
 * was on its way: until then.) */
static void verify_release(void)
{
    void *cell;
    struct depots_count count;
    depots_trim();
    take_cells(0, other_kind, &cell, 1);
    depots_count(&count);
    MUST(count.cells == duet_tables.kinds[other_kind].cells);
}

/* Nobody has put back these cells, a bit each. */
static void verify_all(unsigned held)
{
    size_t in_use = (size_t)__builtin_popcount(held);
    for (unsigned i = 0; i < THREADS_MOST; i++)
        in_use += taken[i] != NULL;
    verify_count(in_use);
    for (unsigned i = 0; i < THREADS_MOST; i++)
        if (taken[i] != NULL) {
            cell_let_go(taken[i], i);
            depot_return(kind, &taken[i], 1);
        }
    for (size_t i = 0; i < GROUPS * CELLS; i++)
        if ((held >> i & 1) != 0)
            give(i);
    verify_count(0);
    verify_release();
}

static void verify_none_held(void)
{
    verify_all(0);
}

static void verify_third_held(void)
{
    verify_all(1u << 2);
}

/* ---- Cells come back while others are taken ---------------------------------------------- */

static void return_and_take(unsigned number)
{
    if (number == 0) {
        put_back(0);
        put_back(1);
    } else {
        take_one(1);
    }
}

const struct scenario scenario_group = {
    .name = "group",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {5, 3},
    .set_up = one_full_group,
    .thread = return_and_take,
    .verify = verify_third_held,
};

/* ---- Two return, a third takes ----------------------------------------------------------- */

static void return_by_two(unsigned number)
{
    if (number < 2)
        put_back(number);
    else
        take_one(number);
}

const struct scenario scenario_group_3 = {
    .name = "group-3",
    .threads = 3,
    .bounds = {2, 1},
    .wider = {3, 2},
    .set_up = one_full_group,
    .thread = return_by_two,
    .verify = verify_third_held,
};

/* ---- Two groups come back, one on top of the other --------------------------------------- */

static void return_of_two_groups(unsigned number)
{
    if (number == 0) {
        put_back(0);
        put_back(CELLS);
    } else {
        take_one(1);
    }
}

/* But for the first cell of each. */
static void verify_two_groups(void)
{
    verify_all(((1u << GROUPS * CELLS) - 1) & ~1u & ~(1u << CELLS));
}

const struct scenario scenario_queue = {
    .name = "queue",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {5, 3},
    .set_up = two_full_groups,
    .thread = return_of_two_groups,
    .verify = verify_two_groups,
};

/* ---- Both come by the depot, with the lock or without ------------------------------------ */

static void give_and_take(unsigned number)
{
    if (number == 0)
        give(0);
    take_one(number);
    if (number == 1)
        give(1);
}

const struct scenario scenario_depot = {
    .name = "depot",
    .threads = 2,
    .bounds = {2, 1},
    .wider = {3, 2},
    .set_up = one_full_group,
    .thread = give_and_take,
    .verify = verify_third_held,
};

/* ---- The last ones come back, and another class wants the memory ------------------------- */

static void return_and_release(unsigned number)
{
    if (number == 0)
        for (size_t i = 0; i < CELLS; i++)
            put_back(i);
    else
        take_of_another_kind(1);
}

const struct scenario scenario_release = {
    .name = "release",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {5, 3},
    .set_up = one_full_group,
    .thread = return_and_release,
    .verify = verify_none_held,
};

/* The group is listed, and is released by who brings a cell with the lock. */
static void return_and_give(unsigned number)
{
    if (number == 0) {
        put_back(0);
    } else {
        give(1);
        take_of_another_kind(1);
    }
}

const struct scenario scenario_release_listed = {
    .name = "release-listed",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {5, 3},
    .set_up = one_listed_group,
    .thread = return_and_give,
    .verify = verify_none_held,
};

/* ---- The last ones come back, and a trim goes through all groups ------------------------- */

/* It purges what is free of a group, for which it claims all of avail and lets go of the lock. */
static void return_and_trim(unsigned number)
{
    if (number == 0)
        for (size_t i = 0; i < CELLS; i++)
            put_back(i);
    else
        depots_trim();
}

const struct scenario scenario_trim = {
    .name = "trim",
    .threads = 2,
    .bounds = {3, 1},
    .wider = {4, 2},
    .set_up = one_full_group,
    .thread = return_and_trim,
    .verify = verify_none_held,
};
