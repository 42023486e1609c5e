/*
 * Magazines in use (engine/duet/cache.c): two threads, each with a cache of its own. What the first
 * has allocated the second frees, so that its magazine is full and passes on its older half; the
 * first takes more than its magazine has. Where they have two homes the cells go by the shelf of
 * the first one's, where they have one by the groups.
 *
 * The cells are the longest, of which a magazine has room for two. In the end each is in a hand, in
 * a magazine of the two caches, on a shelf or in a group; and once it is put back, in a group.
 *
 * And a cache in a bound slot (slots/bound.c): its owner takes cells and puts them back, by plain
 * stores, while another thread revokes the slot and drains it.
 */
#include "scenarios.h"

#include "engine/duet/caches.h"
#include "engine/duet/depot.h"

#define THREADS 2
#define CELLS 2 /* for each thread to take, or to give */

/* Not so few that a class is taken to be used for the first time. */
#define EVENTS 100

static size_t kind;
static struct cache caches[THREADS];
static void *given[CELLS], *taken[CELLS];

static void *allocate(unsigned number)
{
    const struct cache_use use = {.cache = &caches[number]};
    size_t got = kind;
    bool zeroed = false;
    void *cell = cache_pop(use.cache, kind);
    if (cell == NULL)
        cell = cache_alloc_slow(&use, duet_kind_bytes(kind), &got, &zeroed);
    MUST(cell != NULL && got == kind);
    cell_hold(cell, number);
    return cell;
}

static void give(void *cell, unsigned number)
{
    const struct cache_use use = {.cache = &caches[number]};
    cell_let_go(cell, number);
    if (!cache_push(use.cache, cell, kind))
        cache_free_slow(&use, cell, kind);
}

/* The second one's magazine is full of the first one's cells, and it has two more of these. */
static void prepare(uint32_t homes)
{
    kind = DUET_KINDS - 1;
    MUST(magazine_room(0, kind) == CELLS && !magazine_may_grow(0, kind));
    duet_homes = homes;
    for (unsigned number = 0; number < THREADS; number++) {
        cache_prepare(&caches[number], number % homes);
        caches[number].events[kind] = EVENTS;
    }
    void *cells[2 * CELLS];
    for (size_t i = 0; i < 2 * CELLS; i++)
        cells[i] = allocate(0);
    for (size_t i = 0; i < 2 * CELLS; i++) {
        cell_let_go(cells[i], 0);
        cell_hold(cells[i], 1);
        if (i < CELLS)
            give(cells[i], 1);
        else
            given[i - CELLS] = cells[i];
    }
}

static void one_home(void)
{
    prepare(1);
}

static void two_homes(void)
{
    prepare(2);
}

static void take_or_give(unsigned number)
{
    for (size_t i = 0; i < CELLS; i++)
        if (number == 0)
            taken[i] = allocate(0);
        else
            give(given[i], 1);
}

/* As they lie there, from the home's shelf to their groups. */
static void clear_shelf(size_t home)
{
    for (struct magazine *magazine; (magazine = transfer_take(home, kind)) != NULL;) {
        depot_return(kind, magazine->cells, magazine->count);
        magazine_give(home, magazine);
    }
}

static void verify_cells(void)
{
    struct depots_count count;
    size_t cells = CELLS + transfer_count().cells, bytes = 0;
    depots_check();
    depots_count(&count);
    for (size_t i = 0; i < THREADS; i++)
        cache_count(&caches[i], &cells, &bytes);
    MUST(count.cells - count.free_cells == cells);
    for (size_t i = 0; i < CELLS; i++)
        give(taken[i], 0);
    for (size_t i = 0; i < THREADS; i++)
        cache_drain(&(struct cache_use){.cache = &caches[i]});
    for (size_t home = 0; home < duet_homes; home++)
        clear_shelf(home);
    MUST(transfer_count().cells == 0 && transfer_count().bytes == 0);
    verify_groups(count.cells, count.cells);
}

const struct scenario scenario_caches = {
    .name = "caches",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {5, 3},
    .set_up = two_homes,
    .thread = take_or_give,
    .verify = verify_cells,
};

const struct scenario scenario_caches_at_home = {
    .name = "caches-at-home",
    .threads = 2,
    .bounds = {3, 1},
    .wider = {4, 2},
    .set_up = one_home,
    .thread = take_or_give,
    .verify = verify_cells,
};

/* ---- In a bound slot --------------------------------------------------------------------- */

static struct bound_cache one;

static void is_prepared(struct bound_slot *slot)
{
    (void)slot;
}

static void drain_bound(struct bound_slot *slot, void *context)
{
    (void)context;
    drain_held(cache_of_bound(slot));
}

static void retire_bound(struct bound_slot *slot)
{
    drain_bound(slot, NULL);
}

static struct bound_set bound = BOUND_SET_INITIAL(&one, is_prepared, retire_bound);

/* NULL: the slot is revoked. */
static void *allocate_bound(void)
{
    struct bound_slot *slot = bound_enter();
    if (slot == NULL)
        return NULL;
    const struct cache_use use = {.cache = cache_of_bound(slot)};
    size_t got = kind;
    bool zeroed = false;
    void *cell = cache_pop(use.cache, kind);
    if (cell == NULL)
        cell = cache_alloc_slow(&use, duet_kind_bytes(kind), &got, &zeroed);
    bound_leave(slot);
    MUST(cell != NULL && got == kind);
    return cell;
}

/* To the groups, if the slot is revoked. */
static void give_bound(void *cell)
{
    struct bound_slot *slot = bound_enter();
    if (slot == NULL) {
        depot_return(kind, &cell, 1);
        return;
    }
    const struct cache_use use = {.cache = cache_of_bound(slot)};
    if (!cache_push(use.cache, cell, kind))
        cache_free_slow(&use, cell, kind);
    bound_leave(slot);
}

static void short_cells(void)
{
    kind = kind_of_few_cells(0);
    cache_prepare(&one.cache, 0);
    one.cache.events[kind] = EVENTS;
}

static void use_or_drain(unsigned number)
{
    if (number == 1) {
        bound_visit(&bound, NULL, drain_bound, NULL);
        return;
    }
    bound_bind(&bound);
    for (size_t i = 0; i < CELLS; i++) {
        taken[i] = allocate_bound();
        if (taken[i] != NULL)
            cell_hold(taken[i], number);
    }
    if (taken[0] != NULL) {
        cell_let_go(taken[0], number);
        give_bound(taken[0]);
        taken[0] = NULL;
    }
}

static void verify_bound_cells(void)
{
    struct depots_count count;
    size_t cells = taken[1] != NULL, bytes = 0;
    MUST(one.slot.state == BOUND_IDLE && one.slot.revoked == 0 && taken[0] == NULL);
    depots_check();
    depots_count(&count);
    cache_count(&one.cache, &cells, &bytes);
    MUST(count.cells - count.free_cells == cells);
    drain_bound(&one.slot, NULL);
    if (taken[1] != NULL)
        depot_return(kind, &taken[1], 1);
    verify_groups(count.cells, count.cells);
}

const struct scenario scenario_bound_cache = {
    .name = "bound-cache",
    .threads = 2,
    .bounds = {2, 1},
    .wider = {2, 2},
    .set_up = short_cells,
    .thread = use_or_drain,
    .verify = verify_bound_cells,
};
