#include "engine/duet/depot.h"

#include <string.h>

#include "base/fatal.h"
#include "engine/duet/check.h"
#include "engine/duet/home.h"
#include "spans/spans.h"

/* Groups that one refill looks at once it has something: few, so that a heap of groups with a cell
 * free here and there does not make every refill a long walk. */
#define REFILL_VISITS 8

/* ---- Lists; the home's lock is held -------------------------------------------------------- */

static void list_remove(struct group *group)
{
    struct depot *depot = depot_of(group);
    if (group->previous == 0)
        store_relaxed(&depot->lists[group->list], group->next);
    else
        group_at(group->kind, group->previous)->next = group->next;
    if (group->next != 0)
        group_at(group->kind, group->next)->previous = group->previous;
    group->next = group->previous = 0;
    group->list = GROUP_UNLISTED;
}

static void list_add(struct group *group, size_t list)
{
    struct depot *depot = depot_of(group);
    check(group->list == GROUP_UNLISTED);
    group->next = depot->lists[list];
    if (group->next != 0)
        group_at(group->kind, group->next)->previous = group->head.index;
    store_relaxed(&depot->lists[list], group->head.index); /* may_have_cells looks */
    store_release(&group->list,
                  (uint8_t)list); /* a sweep may look at a record that was another's */
}

static size_t list_for(const struct group *group)
{
    return min_size(group_taken(load_relaxed(&group->state)) * GROUP_LISTS / group->cells,
                    GROUP_LISTS - 1);
}

/* Where it belongs by now. */
static void list_again(struct group *group)
{
    size_t list = list_for(group);
    if (group->list == list)
        return;
    if (group->list != GROUP_UNLISTED)
        list_remove(group);
    list_add(group, list);
}

/* Of a listed group with nothing in avail: unlists it, if nothing has come back either. The flag is
 * set against the state as it was before the look at `freed`, so a cell that comes back meanwhile is
 * either seen, or makes the change fail, or its returner sees the flag. */
static void set_full(struct group *group)
{
    for (;;) {
        uint64_t state = load_acquire(&group->state);
        if (group_has_returned_cells(group)) {
            group_merge(group);
            list_again(group);
            return;
        }
        if (cas_release(&group->state, state, state | GROUP_FULL)) {
            list_remove(group);
            return;
        }
    }
}

/* ---- Blocks; the home's lock is held ------------------------------------------------------- */

/* The table does not lead to the span yet. */
static bool take_span(struct home *home, struct span *span, size_t blocks)
{
    if (blocks > 1 || home->blank_count == 0)
        return span_take(span, blocks, TABLE_FOREIGN, 0);
    *span = home->blanks[--home->blank_count];
    return true;
}

static void give_span(struct home *home, const struct span *span)
{
    if (span->blocks > 1 || home->blank_count == BLANKS_MOST) {
        span_give(span);
        return;
    }
    table_clear(span->start, 1);
    home->blanks[home->blank_count] = *span;
    home->blanks[home->blank_count++].zeroed = false;
}

void home_give_blanks(struct home *home)
{
    while (home->blank_count > 0)
        span_give(&home->blanks[--home->blank_count]);
}

/* ---- Making, settling, releasing; the home's lock is held ---------------------------------- */

/* A new group, listed. False: no memory. */
static bool make_group(struct home *home, size_t kind)
{
    struct meta_pool *pool = group_pool(kind);
    struct span span;
    struct group *group = (struct group *)meta_take(pool);
    if (group == NULL)
        return false;
    if (!take_span(home, &span, duet_tables.kinds[kind].blocks)) {
        meta_give(pool, &group->head);
        return false;
    }
    store_relaxed(&group->kind, (uint8_t)kind);
    store_relaxed(&group->home, (uint8_t)(home - home_array));
    group->cells = duet_tables.kinds[kind].cells;
    group->words = (uint8_t)group_words(kind);
    group->list = GROUP_UNLISTED;
    group->base = span.start;
    group->segment = span.segment;
    group->purged = span.zeroed ? UINT32_MAX : 0;
    for (size_t word = 0; word < group->words; word++) {
        size_t left = group->cells - word * MASK_BITS;
        group_avail(group)[word] = left >= MASK_BITS ? UINT64_MAX : ((uint64_t)1 << left) - 1;
    }
    table_set(span.start, span.blocks, (uint8_t)kind, group->head.index);
    list_add(group, 0);
    return true;
}

void depot_release_group(struct group *group)
{
    struct home *home = &home_array[group->home];
    struct span span = {.start = group->base,
                        .blocks = duet_tables.kinds[group->kind].blocks,
                        .segment = group->segment};
    if (group->empty)
        home->empties--;
    list_remove(group);
    duet_check_released(group);
    give_span(home, &span);
    meta_give(group_pool(group->kind), &group->head);
}

/* Wholly free groups of all classes go back before memory is mapped for one more. */
static void release_empties(struct home *home)
{
    for (size_t kind = 1; kind < DUET_KINDS && home->empties > 0; kind++) {
        uint32_t index = home->depots[kind].lists[0];
        while (index != 0) {
            struct group *group = group_at(kind, index);
            index = group->next;
            if (group->empty)
                depot_release_group(group);
        }
    }
}

/* Puts the groups on the depot's stack in order. */
void depot_settle(struct depot *depot, size_t kind)
{
    if (load_relaxed(&depot->returned) == 0)
        return;
    uint32_t index = exchange_acquire(&depot->returned, 0u);
    while (index != 0) {
        struct group *group = group_at(kind, index);
        index = load_relaxed(&group->next_returned);
        /* Once it is not QUEUED any more it may be pushed again, and its link be another. */
        and_acquire_release(&group->state, ~(GROUP_FULL | GROUP_QUEUED));
        group_merge(group);
        list_again(group);
        if (group_is_free(group) && !group->empty) {
            group->empty = true;
            home_array[group->home].empties++;
        }
    }
}

/* ---- Taking -------------------------------------------------------------------------------- */

/* From the depot's listed groups. The lock is held. */
static size_t take_listed(struct depot *depot, size_t kind, void **cells, size_t want)
{
    size_t taken = 0;
    unsigned visits = 0;
    depot_settle(depot, kind);
    for (size_t list = GROUP_LISTS; list-- > 0;) {
        while (depot->lists[list] != 0 && taken < want) {
            struct group *group = group_at(kind, depot->lists[list]);
            if (taken > 0 && ++visits >= REFILL_VISITS)
                return taken;
            if (group_returned(load_relaxed(&group->state)) != 0)
                group_merge(group);
            if (list_for(group) < list) { /* it has become sparser: fuller ones first */
                list_again(group);
                continue;
            }
            taken += group_take_cells(group, cells + taken, want - taken);
            if (group_has_cells(group))
                list_again(group);
            else
                set_full(group);
        }
    }
    return taken;
}

static size_t take_from_home(struct home *home, size_t kind, void **cells, size_t want)
{
    size_t taken = take_listed(&home->depots[kind], kind, cells, want);
    home_release(home);
    return taken;
}

/* Without a lock: whether a look into the depot can find anything. */
static bool may_have_cells(const struct depot *depot)
{
    if (load_relaxed(&depot->returned) != 0)
        return true;
    for (size_t list = 0; list < GROUP_LISTS; list++)
        if (load_relaxed(&depot->lists[list]) != 0)
            return true;
    return false;
}

/* From other homes, if they have any and nobody is there. */
static size_t take_from_others(const struct home *own, size_t kind, void **cells, size_t want)
{
    for (size_t number = 0; number < DUET_HOMES; number++) {
        struct home *home = &home_array[number];
        if (home == own || !may_have_cells(&home->depots[kind]) || !home_try(home))
            continue;
        size_t taken = take_from_home(home, kind, cells, want);
        if (taken > 0)
            return taken;
    }
    return 0;
}

static void settle_home(struct home *home)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        depot_settle(&home->depots[kind], kind);
}

static size_t take_from_new(struct home *home, size_t kind, void **cells, size_t want)
{
    settle_home(home);
    release_empties(home);
    make_group(home, kind);
    return take_from_home(home, kind, cells, want);
}

static void reverse(void **cells, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        void *cell = cells[i];
        cells[i] = cells[count - 1 - i];
        cells[count - 1 - i] = cell;
    }
}

size_t depot_take(size_t number, size_t kind, void **cells, size_t want)
{
    struct home *home = home_take(number);
    size_t taken = home != NULL ? take_from_home(home, kind, cells, want) : 0;
    if (taken == 0)
        taken = take_from_others(home, kind, cells, want);
    if (taken == 0 && (home = home_take(number)) != NULL)
        taken = take_from_new(home, kind, cells, want);
    reverse(cells, taken);
    return taken;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void count_group(struct group *group, void *context)
{
    struct depots_count *count = context;
    size_t bytes = duet_kind_bytes(group->kind);
    size_t free_cells = 0;
    for (size_t word = 0; word < 2 * (size_t)group->words; word++)
        free_cells += (size_t)__builtin_popcountll(load_relaxed(&group->masks[word]));
    count->cells += group->cells;
    count->cell_bytes += group->cells * bytes;
    count->free_cells += free_cells;
    count->free_bytes += free_cells * bytes;
}

void depots_count(struct depots_count *count)
{
    *count = (struct depots_count){0};
    unsigned held = homes_take();
    groups_visit(count_group, count);
    homes_release(held);
}

/* Homes that are held, a bit each, and the wholly free groups that were found in each. */
struct checked {
    unsigned held;
    uint32_t empties[DUET_HOMES];
};

static void check_group(struct group *group, void *context)
{
    struct checked *checked = context;
    if ((checked->held >> group->home & 1) == 0)
        return;
    checked->empties[group->home] += group->empty;
    size_t free_cells = 0;
    for (size_t word = 0; word < group->words; word++) {
        uint64_t avail = group_avail(group)[word];
        require((avail & load_relaxed(&group_freed(group)[word])) == 0);
        require(avail == 0 || word >= group->first);
        free_cells += (size_t)__builtin_popcountll(avail);
    }
    uint64_t state = load_relaxed(&group->state);
    require(group_taken(state) + free_cells == group->cells);
    require(!group->empty || group_taken(state) == 0);
    require(is_aligned((uintptr_t)group->base, BLOCK_BYTES));
    require(table_class(group->base) == group->kind);
    require(table_meta(group->base) == group->head.index);
    require((group->list == GROUP_UNLISTED) == ((state & GROUP_FULL) != 0));
    if (group->list != GROUP_UNLISTED && group->next != 0)
        require(group_at(group->kind, group->next)->previous == group->head.index);
}

void depots_check(void)
{
    struct checked checked = {.held = homes_take()};
    groups_visit(check_group, &checked);
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if ((checked.held >> number & 1) != 0)
            require(checked.empties[number] == home_array[number].empties);
    homes_release(checked.held);
}

void depots_fork_prepare(void)
{
    homes_fork_prepare();
    groups_fork_prepare();
}

void depots_fork_end(void)
{
    groups_fork_end();
    homes_fork_end();
}

static void push_if_queued(struct group *group, void *context)
{
    (void)context;
    if ((load_relaxed(&group->state) & GROUP_QUEUED) != 0)
        group_push_returned(group);
}

/* Whoever was in such a home was in the middle of something: its lists are made anew, of all its groups. */
static void list_anew(struct group *group, void *context)
{
    (void)context;
    if ((homes_held_for_fork() >> group->home & 1) != 0)
        return;
    group->list = GROUP_UNLISTED;
    group->next = group->previous = 0;
    group->empty = false;
    or_relaxed(&group->state, GROUP_QUEUED);
}

static void abandon(struct home *home)
{
    memset(home->depots, 0, sizeof home->depots);
    home->empties = home->blank_count = 0;
    store_release(&home->owner, 0);
}

void depots_mend(void)
{
    for (size_t number = 0; number < DUET_HOMES; number++) {
        if ((homes_held_for_fork() >> number & 1) == 0)
            abandon(&home_array[number]);
        for (size_t kind = 1; kind < DUET_KINDS; kind++)
            store_relaxed(&home_array[number].depots[kind].returned, 0u);
    }
    groups_visit(list_anew, NULL);
    groups_visit(push_if_queued, NULL);
}
