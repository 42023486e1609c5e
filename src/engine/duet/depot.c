#include "engine/duet/depot.h"

#include <string.h>

#include "base/fatal.h"
#include "engine/duet/check.h"
#include "engine/duet/guard.h"
#include "engine/duet/home.h"
#include "os/os.h"
#include "spans/spans.h"

/* Groups that one refill looks at once it has something: few, so that a heap of groups with a cell
 * free here and there does not make every refill a long walk. */
#define REFILL_VISITS 8

/* Cells that go back under one hold of a lock: so many that taking it does not count, and so few
 * that others get it soon. */
#define RETURNED_AT_ONCE 128

/* A class that has more groups than this in a home will use the pages of one more, and gets them by
 * one call: they cost two thirds of what faults do, one by one. The first groups fault, since most
 * classes of most programs need no more than a page or two. In the secure flavour, which reads
 * cells before they are written to, each page would fault twice; there they get those at once that
 * are needed at once, as do groups whose pages were purged. */
#define GROUPS_THAT_FAULT 2

/* Blocks behind each group that are inaccessible. Where pages are longer than blocks there are
 * none: a page cannot be so in part. */
static uint32_t guard_blocks(void)
{
    return DUET_SECURE && BLOCK_BYTES >= os_page_bytes();
}

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

/* The first is for those of which no cell is taken. */
static size_t list_for(const struct group *group)
{
    uint32_t taken = (uint32_t)group_taken(load_relaxed(&group->state));
    return (taken * (GROUP_LISTS - 1) + group->cells - 1) / group->cells;
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
    if (list == 0)
        home_array[group->home].emptied = group->kind;
}

/* Of a listed group with nothing in avail: unlists it, if nothing has come back either. The flag is
 * set against the state as it was before the look at `freed`, so a cell that comes back meanwhile
 * is either seen, or makes the change fail, or its returner sees the flag. */
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

/* With the guard behind it, if groups have one. The table does not lead to the span yet. */
static bool take_span(struct home *home, struct span *span, size_t blocks)
{
    if (blocks > 1 || home->blank_count == 0)
        return span_take(span, blocks + guard_blocks(), TABLE_FOREIGN, 0);
    *span = home->blanks[--home->blank_count];
    return true;
}

/* False: refused, the last block stays inaccessible, and nobody else can have the span. */
static bool remove_guard(const struct span *span)
{
    return !span->guarded ||
           guard_remove(span->start + (span->blocks - 1) * BLOCK_BYTES, BLOCK_BYTES);
}

static bool is_for_blanks(const struct home *home, const struct span *span)
{
    return span->blocks == 1 + guard_blocks() && home->blank_count < BLANKS_MOST;
}

/* A guard stays with a blank; else it is removed by now. */
static void give_span(struct home *home, const struct span *span)
{
    if (!is_for_blanks(home, span)) {
        span_give(span);
        return;
    }
    table_clear(span->start, 1);
    home->blanks[home->blank_count] = *span;
    home->blanks[home->blank_count++].zeroed = false;
}

void home_give_blanks(struct home *home)
{
    while (home->blank_count > 0 && remove_guard(&home->blanks[home->blank_count - 1]))
        span_give(&home->blanks[--home->blank_count]);
}

/* ---- Making, settling, releasing; the home's lock is held ---------------------------------- */

/* Cells that are wanted, written downwards. */
struct order {
    size_t kind;
    void **end;
    size_t want;
    bool *zeroed; /* whether the first one reads as zero */
    char *blank;  /* of a group that cells came from: what is to have its pages at once */
    size_t blank_bytes;
};

/* All of it is free. */
static void describe(struct group *group, struct home *home, size_t kind, const struct span *span)
{
    store_relaxed(&group->kind, (uint8_t)kind);
    store_relaxed(&group->home, (uint8_t)(home - home_array));
    group->cells = duet_tables.kinds[kind].cells;
    group->words = (uint8_t)group_words(kind);
    group->list = GROUP_UNLISTED;
    group->segment = span->segment;
    group->guarded = span->guarded;
    group->purged = span->zeroed ? UINT32_MAX : 0;
    if (group_has_sparse(kind))
        store_relaxed(group_sparse(group), UINT64_MAX); /* whoever had the span before */
    for (size_t word = 0; word < group->words; word++) {
        size_t left = group->cells - word * MASK_BITS;
        group_avail(group)[word] = left >= MASK_BITS ? UINT64_MAX : ((uint64_t)1 << left) - 1;
    }
    store_release(&group->base, span->start); /* from here on it can be mended: mend.c */
}

static void install_guard(struct span *span)
{
    if (guard_blocks() > 0 && !span->guarded)
        span->guarded = guard_install(span->start + (span->blocks - 1) * BLOCK_BYTES, BLOCK_BYTES);
}

/* A new group, listed, for an order that the home cannot fill. */
static void make_group(struct home *home, const struct order *order)
{
    size_t kind = order->kind;
    struct meta_pool *pool = group_pool(kind);
    struct span span;
    struct group *group = (struct group *)meta_take(pool);
    if (group == NULL)
        return;
    if (!group_may_have_index(kind, group->head.index) ||
        !take_span(home, &span, duet_tables.kinds[kind].blocks)) {
        meta_give(pool, &group->head);
        return;
    }
    install_guard(&span);
    describe(group, home, kind, &span);
    group_enter_in_table(group);
    list_add(group, 0);
    home->depots[kind].groups++;
    home_has_groups(group->home);
}

bool depot_release_group(struct group *group)
{
    struct home *home = &home_array[group->home];
    struct span span = {.start = group->base,
                        .blocks = duet_tables.kinds[group->kind].blocks + guard_blocks(),
                        .segment = group->segment,
                        .guarded = group->guarded};
    if (!is_for_blanks(home, &span) && !remove_guard(&span))
        return false;
    list_remove(group);
    home->depots[group->kind].groups--;
    duet_check_released(group);
    give_span(home, &span);
    meta_give(group_pool(group->kind), &group->head);
    return true;
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
    }
}

/* ---- Wholly free groups; the home's lock is held ------------------------------------------- */

static struct group *find_empty(struct depot *depot, size_t kind)
{
    depot_settle(depot, kind);
    for (uint32_t index = depot->lists[0]; index != 0; index = group_at(kind, index)->next)
        if (group_is_free(group_at(kind, index)))
            return group_at(kind, index);
    return NULL;
}

static void release_all(struct home *home)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        for (struct group *group; (group = find_empty(&home->depots[kind], kind)) != NULL;)
            if (!depot_release_group(group))
                break;
}

/* Before memory is mapped for one more group: gives back a wholly free one of as many blocks, of
 * any class, or else all that are wholly free. One, since the others may soon be wanted by their
 * own; that which became so last, as far as is known, since it is in the CPU's caches. */
static void release_for(struct home *home, size_t blocks)
{
    bool others = false;
    for (size_t i = 0; i < DUET_CLASSES; i++) {
        size_t kind = 1 + (home->emptied + DUET_CLASSES - 1 + i) % DUET_CLASSES;
        struct group *group = find_empty(&home->depots[kind], kind);
        if (group != NULL && duet_tables.kinds[kind].blocks == blocks) {
            depot_release_group(group);
            return;
        }
        others |= group != NULL;
    }
    if (others)
        release_all(home);
}

/* ---- Taking -------------------------------------------------------------------------------- */

/* Of a group that had these purged parts before cells of it were taken. */
static void populate_later(struct order *order, const struct group *group, uint32_t purged)
{
    uint32_t taken = purged & ~group->purged; /* the lowest, and all between it and the highest */
    if (taken == 0 || duet_tables.kinds[group->kind].blocks > 1 || BLOCK_BYTES <= os_page_bytes())
        return;
    if (purged == UINT32_MAX && depot_of(group)->groups > GROUPS_THAT_FAULT) {
        order->blank = group->base;
        order->blank_bytes = BLOCK_BYTES;
    } else if (DUET_SECURE) {
        unsigned shift = group_part_shift(group->kind), first = (unsigned)__builtin_ctz(taken);
        order->blank = group->base + ((size_t)first << shift);
        order->blank_bytes = (highest_bit(taken) + 1 - first) << shift;
    }
}

/* From the depot's listed groups. The lock is held. */
static size_t take_listed(struct depot *depot, struct order *order)
{
    size_t kind = order->kind, want = order->want, taken = 0;
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
            if (taken == 0 && (*order->zeroed = group_is_zeroed_next(group)) &&
                duet_kind_bytes(kind) >= DEPOT_LONG_BYTES)
                want = 1;
            uint32_t purged = group->purged;
            taken += group_take_cells(group, order->end - taken, want - taken);
            populate_later(order, group, purged);
            if (group_has_cells(group))
                list_again(group);
            else
                set_full(group);
        }
    }
    return taken;
}

static size_t take_from_home(struct home *home, struct order *order)
{
    size_t taken = take_listed(&home->depots[order->kind], order);
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

/* From other homes, if they have any and nobody is there; each begins with the next one, so that
 * not all come to the first. */
static size_t take_from_others(size_t own, struct order *order)
{
    for (size_t i = 1; i < DUET_HOMES; i++) {
        size_t number = (own + i) % DUET_HOMES;
        struct home *home = &home_array[number];
        if ((load_relaxed(&homes_with_groups) >> number & 1) == 0 ||
            !may_have_cells(&home->depots[order->kind]) || !home_try(home))
            continue;
        size_t taken = take_from_home(home, order);
        if (taken > 0)
            return taken;
    }
    return 0;
}

static size_t take_from_new(struct home *home, struct order *order)
{
    size_t blocks = duet_tables.kinds[order->kind].blocks;
    if (blocks > 1 || home->blank_count == 0)
        release_for(home, blocks);
    make_group(home, order);
    return take_from_home(home, order);
}

/* Before others are asked a slot's own home has a group of its own: two CPUs that share one, and
 * use few cells of it, would have them on the same cache lines. (Longer cells share few lines, and
 * their groups are large.) */
static bool begins_a_group(const struct home *home, size_t own, size_t kind)
{
    return home == &home_array[own] && home->depots[kind].groups == 0 &&
           duet_tables.kinds[kind].blocks == 1;
}

static size_t take(size_t number, struct order *order)
{
    struct home *home = home_take(number);
    size_t taken = 0;
    if (home != NULL)
        taken = begins_a_group(home, number, order->kind) ? take_from_new(home, order)
                                                          : take_from_home(home, order);
    if (taken == 0)
        taken = take_from_others(number, order);
    if (taken == 0 && (home = home_take(number)) != NULL)
        taken = take_from_new(home, order);
    return taken;
}

size_t depot_take(size_t number, size_t kind, void **cells, size_t want, bool *zeroed)
{
    struct order order = {.kind = kind, .end = cells + want, .want = want, .zeroed = zeroed};
    size_t taken = take(number, &order);
    if (order.blank_bytes > 0) /* without a lock; while a cell is ours its group stays */
        os_populate(order.blank, order.blank_bytes);
    if (taken < want)
        memmove(cells, cells + want - taken, taken * sizeof cells[0]);
    return taken;
}

size_t depot_home(size_t kind, const void *cell)
{
    return group_of(cell, kind, "free")->home;
}

/* ---- Returning ----------------------------------------------------------------------------- */

/* The first cells, as far as they are of this group, with the lock held. If it was in no list it is
 * in one now; if it is wholly free, in that where it will be looked for. Else it stays where it
 * is. */
static size_t put_back(struct group *group, void *const *cells, size_t count)
{
    size_t run = group_put_back(group, cells, count);
    if (group->list == GROUP_UNLISTED || group_taken(load_relaxed(&group->state)) == 0)
        list_again(group);
    return run;
}

/* The home that cells go back to, and whether its lock could be had at once. */
struct visit {
    struct home *home;
    bool held;
};

static void go_to(struct visit *visit, struct home *home)
{
    if (visit->home == home)
        return;
    if (visit->held)
        home_release(visit->home);
    visit->home = home;
    visit->held = home != NULL && home_try(home);
}

static void return_some(size_t kind, void *const *cells, size_t count)
{
    struct visit visit = {NULL, false};
    for (size_t run; count > 0; cells += run, count -= run) {
        struct group *group = group_of(cells[0], kind, "free");
        go_to(&visit, &home_array[group->home]);
        run = visit.held ? put_back(group, cells, count) : group_return(group, cells, count);
    }
    go_to(&visit, NULL);
}

void depot_return(size_t kind, void *const *cells, size_t count)
{
    for (size_t some; count > 0; cells += some, count -= some) {
        some = min_size(count, RETURNED_AT_ONCE);
        return_some(kind, cells, some);
    }
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

struct visit_held {
    unsigned held; /* homes, a bit each */
    void (*visit)(struct group *group);
};

static void visit_if_held(struct group *group, void *context)
{
    const struct visit_held *held = context;
    if ((held->held >> group->home & 1) != 0)
        held->visit(group);
}

void depots_visit(void (*visit)(struct group *group))
{
    struct visit_held held = {.held = homes_take(), .visit = visit};
    groups_visit(visit_if_held, &held);
    homes_release(held.held);
}

static void check_group(struct group *group)
{
    size_t free_cells = 0;
    for (size_t word = 0; word < group->words; word++) {
        uint64_t avail = group_avail(group)[word];
        require((avail & load_relaxed(&group_freed(group)[word])) == 0);
        require(avail == 0 || word >= group->first);
        free_cells += (size_t)__builtin_popcountll(avail);
    }
    uint64_t state = load_relaxed(&group->state);
    require(group_taken(state) + free_cells == group->cells);
    require(!group_is_free(group) || group->list == 0);
    require(is_aligned((uintptr_t)group->base, BLOCK_BYTES));
    for (uint32_t place = 0; place < duet_tables.kinds[group->kind].blocks; place++)
        require(group_is_in_table(group, place));
    require((group->list == GROUP_UNLISTED) == ((state & GROUP_FULL) != 0));
    if (group->list != GROUP_UNLISTED && group->next != 0)
        require(group_at(group->kind, group->next)->previous == group->head.index);
}

void depots_check(void)
{
    depots_visit(check_group);
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
