/*
 * In a forked child: what threads that are not there any more left half done.
 *
 * Two things can be in the middle of a change. A home that fork could not have: its lists are made
 * anew, of its groups. And a group to which somebody was returning cells, which needs no lock: its
 * masks are right at every moment, since each cell has its bit in one of them or belongs to
 * somebody, and so the counts are made of them. Nothing is written that is right already: the page
 * would be copied.
 */
#include <string.h>

#include "engine/duet/depot.h"
#include "engine/duet/group.h"
#include "engine/duet/home.h"

/* Whether it had been made, and was not being released. Else nobody has a cell of it. */
static bool is_whole(const struct group *group)
{
    size_t blocks = duet_tables.kinds[group->kind].blocks, leading = 0;
    for (uint32_t place = 0; place < blocks; place++)
        leading += group_is_in_table(group, place);
    return leading > 0 && leading == blocks;
}

/* Its span may be another's already, and is left: if it was nobody's yet, it is lost. */
static void forget(struct group *group)
{
    for (uint32_t place = 0; place < duet_tables.kinds[group->kind].blocks; place++)
        if (group_is_in_table(group, place))
            table_clear(group->base + place * BLOCK_BYTES, 1);
    meta_give(group_pool(group->kind), &group->head);
}

/* In no list, as a group that is FULL, and on the stack, from which it comes to the right one. */
static void list_anew(struct group *group)
{
    home_has_groups(group->home);
    group->list = GROUP_UNLISTED;
    group->next = group->previous = 0;
    group->first = 0;
    depot_of(group)->groups++;
    or_relaxed(&group->state, GROUP_FULL | GROUP_QUEUED);
}

/* Whoever was about to count cells will not do so any more, and might have queued the group. */
static void count_anew(struct group *group)
{
    uint64_t state = load_relaxed(&group->state), taken = group->cells, returned = 0;
    for (size_t word = 0; word < group->words; word++) {
        taken -= (uint64_t)__builtin_popcountll(group_avail(group)[word]);
        returned += (uint64_t)__builtin_popcountll(load_relaxed(&group_freed(group)[word]));
    }
    uint64_t counts = taken * GROUP_TAKEN + returned * GROUP_RETURNED;
    if (counts != (state & ~(GROUP_FULL | GROUP_QUEUED)))
        store_relaxed(&group->state, counts | (state & GROUP_FULL) | GROUP_QUEUED);
}

static void mend(struct group *group, void *context)
{
    (void)context;
    if (!home_is_held_for_fork(group->home)) {
        if (!is_whole(group)) {
            forget(group);
            return;
        }
        list_anew(group);
    }
    count_anew(group);
    if ((load_relaxed(&group->state) & GROUP_QUEUED) != 0)
        group_push_returned(group);
}

/* Its blanks are lost: one of them may have been on its way to a group, or from it. */
static void abandon(struct home *home)
{
    check(!latch_is_own(&home->latch));
    memset(home->depots, 0, sizeof home->depots);
    home->blank_count = 0;
    latch_renew(&home->latch);
}

/* A group that is QUEUED may be on its depot's stack, or have been about to come there: all are put
 * there again. */
void depots_mend(void)
{
    for (size_t number = 0; number < DUET_HOMES; number++) {
        if (!home_is_held_for_fork(number))
            abandon(&home_array[number]);
        for (size_t kind = 1; kind < DUET_KINDS; kind++)
            if (load_relaxed(&home_array[number].depots[kind].returned) != 0)
                store_relaxed(&home_array[number].depots[kind].returned, 0u);
    }
    groups_visit(mend, NULL);
}
