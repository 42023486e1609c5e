/*
 * What is free in groups goes back to the OS: groups that are wholly free, and free pages of the
 * others.
 *
 * Pages are purged without the lock. Meanwhile all of the group's avail is claimed, as if its cells
 * were taken, and comes back afterwards like cells that were freed; so nobody gets one, and the
 * group is not released. A map of purged parts spares the next sweep the calls.
 */
#include "base/fatal.h"
#include "engine/duet/depot.h"
#include "engine/duet/home.h"
#include "os/os.h"

/* A wholly free group waits no longer than this for cells to be wanted: with its pages it goes to
 * where groups of all classes come from. */
#define SWEEPS_BEFORE_RELEASE 2

/* Groups that a sweep sets its mind on under one hold of the lock. */
#define SWEEP_BATCH 256

/* All of a group's avail, while its pages are purged without the lock. */
struct claim {
    struct group *group;
    uint64_t cells;
    uint64_t bits[GROUP_MOST_WORDS];
};

static void claim_avail(struct claim *claim, struct group *group)
{
    uint64_t *avail = group_avail(group);
    claim->group = group;
    claim->cells = 0;
    for (size_t word = 0; word < group->words; word++) {
        claim->bits[word] = avail[word];
        claim->cells += (uint64_t)__builtin_popcountll(avail[word]);
        avail[word] = 0;
    }
    add_relaxed(&group->state, claim->cells * GROUP_TAKEN);
}

/* They come back like cells that were freed. */
static void give_back_claim(const struct claim *claim)
{
    uint64_t *freed = group_freed(claim->group);
    for (size_t word = 0; word < claim->group->words; word++)
        if (claim->bits[word] != 0)
            or_release(&freed[word], claim->bits[word]);
    group_count_returned(claim->group, claim->cells);
}

/* Whether all cells that have a byte in this part are claimed. */
static bool part_is_claimed(const struct claim *claim, size_t part, unsigned shift)
{
    const struct group *group = claim->group;
    size_t end = ((part + 1) << shift) - 1;
    size_t number = duet_cell_at(group->kind, part << shift);
    size_t last = min_size(duet_cell_at(group->kind, end), group->cells - (size_t)1);
    for (; number <= last; number++)
        if ((claim->bits[number / MASK_BITS] >> (number % MASK_BITS) & 1) == 0)
            return false;
    return true;
}

/* The parts that are claimed and not purged yet. */
static uint32_t parts_to_purge(const struct claim *claim, unsigned shift)
{
    uint32_t parts = 0;
    size_t count = group_span_bytes(claim->group->kind) >> shift;
    for (size_t part = 0; part < count; part++)
        if ((claim->group->purged >> part & 1) == 0 && part_is_claimed(claim, part, shift))
            parts |= (uint32_t)1 << part;
    return parts;
}

/* Run by run; returns those that the kernel did not refuse. */
static uint32_t purge_parts(char *base, uint32_t parts, unsigned shift)
{
    uint32_t purged = 0;
    while (parts != 0) {
        unsigned first = (unsigned)__builtin_ctz(parts);
        uint32_t beyond = ~(parts >> first);
        unsigned length = beyond == 0 ? GROUP_PARTS : (unsigned)__builtin_ctz(beyond);
        uint32_t run = (length >= GROUP_PARTS ? UINT32_MAX : ((uint32_t)1 << length) - 1) << first;
        if (os_purge(base + ((size_t)first << shift), (size_t)length << shift))
            purged |= run;
        parts &= ~run;
    }
    return purged;
}

/* Cells whose bits are in `freed` and not counted yet count as used; while one is counted for the
 * second time and not for the first, there may seem to be more than there are. */
static size_t used_cells(const struct group *group)
{
    uint64_t state = load_relaxed(&group->state);
    return min_size((uint32_t)(group_taken(state) - group_returned(state)), group->cells);
}

/* With the lock held, which it lets go meanwhile. False in *held: it could not be had again. */
static bool purge_listed(struct home *home, struct group *group, bool *held)
{
    struct claim claim;
    unsigned shift = group_part_shift(group->kind);
    claim_avail(&claim, group);
    uint32_t parts = parts_to_purge(&claim, shift);
    group->seen = (uint16_t)(used_cells(group) - min_size(claim.cells, used_cells(group)));
    group->swept = true;
    if (parts != 0) {
        home_release(home);
        parts = purge_parts(group->base, parts, shift);
        if (group_has_sparse(group->kind))
            or_relaxed(group_sparse(group), claim.bits[0]);
        *held = home_try_for(home, HOME_PATIENCE);
        if (*held)
            group->purged |= parts;
    }
    give_back_claim(&claim);
    return parts != 0;
}

/* Whether something of the group can be given back, as far as a sweep can tell at a glance. */
static bool is_ripe(struct group *group, uint8_t quiet)
{
    size_t used = used_cells(group);
    if (group->swept && group->seen == used)
        return false;
    if (group->seen != used) {
        group->seen = (uint16_t)used;
        group->swept = false;
        group->quiet = 0;
    }
    bool empty = group_is_free(group);
    if (group->quiet < (empty ? min_size(quiet, SWEEPS_BEFORE_RELEASE) : quiet)) {
        group->quiet++;
        return false;
    }
    return empty || (group->cells - used) * duet_kind_bytes(group->kind) >= os_page_bytes();
}

/* Ripe groups of a depot, by index. The lock is held. */
static size_t find_ripe(struct depot *depot, size_t kind, uint8_t quiet, uint32_t *ripe)
{
    size_t found = 0;
    depot_settle(depot, kind);
    for (size_t list = 0; list < GROUP_LISTS; list++) {
        uint32_t index = depot->lists[list];
        for (; index != 0 && found < SWEEP_BATCH; index = group_at(kind, index)->next)
            if (is_ripe(group_at(kind, index), quiet))
                ripe[found++] = index;
    }
    return found;
}

/* A group that was ripe a moment ago; the lock was let go in between. */
static bool purge_if_there(struct home *home, size_t kind, uint32_t index, bool *held)
{
    struct group *group = (struct group *)meta_at(group_pool(kind), index);
    if (group == NULL || load_acquire(&group->list) >= GROUP_UNLISTED ||
        load_relaxed(&group->kind) != kind || &home_array[load_relaxed(&group->home)] != home)
        return false;
    group_merge(group);
    if (!group_is_free(group))
        return purge_listed(home, group, held);
    /* Mostly without a call into the kernel, so it does not count. What cannot be released is tried
     * again when its memory is wanted. */
    if (!depot_release_group(group))
        group->swept = true;
    return false;
}

static size_t purge_depot(struct home *home, size_t kind, uint8_t quiet, size_t most, bool *held)
{
    uint32_t ripe[SWEEP_BATCH];
    size_t purged = 0, found;
    do {
        found = find_ripe(&home->depots[kind], kind, quiet, ripe);
        for (size_t i = 0; i < found && *held; i++)
            purged += purge_if_there(home, kind, ripe[i], held);
    } while (*held && found == SWEEP_BATCH && purged < most);
    return purged;
}

bool depots_purge(uint8_t quiet, size_t most)
{
    size_t purged = 0;
    for (size_t number = 0; number < DUET_HOMES; number++) {
        struct home *home = &home_array[number];
        if ((load_relaxed(&homes_with_groups) >> number & 1) == 0)
            continue;
        bool held = home_try_for(home, HOME_PATIENCE);
        for (size_t kind = 1; kind < DUET_KINDS && purged < most && held; kind++)
            purged += purge_depot(home, kind, quiet, most - purged, &held);
        if (held) {
            home_give_blanks(home);
            home_release(home);
        }
    }
    return purged > 0;
}

bool depots_trim(void)
{
    bool purged = depots_purge(0, SIZE_MAX);
    return groups_trim_records() || purged;
}
