#include "engine/duet/group.h"

#include <string.h>

#include "base/fatal.h"
#include "base/lock.h"
#include "base/thread.h"
#include "engine/duet/check.h"
#include "os/os.h"
#include "spans/spans.h"

/* Groups that one refill looks at once it has something: few, so that a heap of groups with a cell
 * free here and there does not make every refill a long walk. */
#define REFILL_VISITS 8

/* A wholly free group waits no longer than this for cells to be wanted: with its pages it goes to where
 * groups of all classes come from. */
#define SWEEPS_BEFORE_RELEASE 2

/* Groups that a sweep sets its mind on under one hold of the lock. */
#define SWEEP_BATCH 256

/* A home keeps so many single blocks for groups to come: taking one from where they come from costs a
 * lock that blocks signals. */
#define BLANKS_MOST 32

/* Records of 2^(7 + pool) bytes. */
#define RECORD_LEAST_SHIFT 7
#define RECORD_POOLS 3
#define POOL(number)                                                                               \
    META_POOL_INITIAL(1 << (RECORD_LEAST_SHIFT + (number)),                                        \
                      LOCK_RANK_ENGINE_METAS_LAST + 1 - RECORD_POOLS + (number))
static struct meta_pool pools[RECORD_POOLS] = {POOL(0), POOL(1), POOL(2)};

#define MASKS (DUET_CHECKED ? 3 : 2)
static_assert(sizeof(struct group) + MASKS * GROUP_MOST_WORDS * sizeof(uint64_t) <=
                  (size_t)1 << (RECORD_LEAST_SHIFT + RECORD_POOLS - 1),
              "the longest masks fit the largest record");

struct depot {
    uint32_t lists[GROUP_LISTS]; /* groups with free cells, by index; the last are the fullest */
    uint32_t returned;           /* stack of QUEUED groups; pushed by anybody, taken whole */
};

/* The lock is a word that is only ever tried, for a while, and then another home's: a holder may have
 * been interrupted by a signal handler that does not return for long, or that is this very operation.
 * So nobody waits for one holder for ever, and no signals need be blocked, which would cost more than
 * all else here. */
struct home {
    alignas(CACHE_LINE_PAIR) uintptr_t owner; /* thread_self() of the holder, or `rest` */
    uintptr_t
        rest; /* 0; between fork's prepare and its end the forking thread's, HELD_FOR_FORK beside */
    uint32_t empties; /* wholly free groups that are listed */
    uint32_t blank_count;
    struct span blanks[BLANKS_MOST]; /* of one block each */
    struct depot depots[DUET_KINDS];
};

static struct home homes[DUET_HOMES];

/* A holder is done after some hundred instructions, unless it was preempted. */
#define TRIES_BEFORE_ANOTHER 6

/* For who must have this home's lock: some 100 ms, the most of it asleep. */
#define ROUNDS_OF_PATIENCE 2000

/* A thread's number has its low bits clear. The forking thread alone finds its homes at rest. */
#define HELD_FOR_FORK ((uintptr_t)1)

static bool home_try(struct home *home)
{
    uintptr_t rest = load_relaxed(&home->rest);
    if (likely(rest != (thread_self() | HELD_FOR_FORK)))
        rest = 0;
    if (load_relaxed(&home->owner) != rest)
        return false;
    if (thread_is_alone()) {
        store_relaxed(&home->owner, thread_self());
        fence_signal();
        return true;
    }
    return cas_acquire(&home->owner, rest, thread_self());
}

static bool home_is_own(const struct home *home)
{
    return load_relaxed(&home->owner) == thread_self();
}

static void home_release(struct home *home)
{
    check(home_is_own(home));
    store_release(&home->owner, load_relaxed(&home->rest));
}

static bool home_try_for(struct home *home, unsigned rounds)
{
    for (unsigned round = 0; !home_try(home); round++) {
        if (round >= rounds || home_is_own(home))
            return false;
        os_back_off(round);
    }
    return true;
}

/* This one, or another if it is long in coming. All of them may be used, however few are in use. NULL:
 * this thread has interrupted itself in each. */
static struct home *home_take(size_t number)
{
    for (unsigned round = 0;; round++) {
        size_t own = 0;
        for (size_t i = 0; i < DUET_HOMES; i++) {
            struct home *home = &homes[(number + i) % DUET_HOMES];
            if (home_try_for(home, i == 0 ? TRIES_BEFORE_ANOTHER : 0))
                return home;
            own += home_is_own(home);
        }
        if (own == DUET_HOMES)
            return NULL;
        os_back_off(round);
    }
}

/* ---- Records ----------------------------------------------------------------------------- */

static size_t words_of(size_t kind)
{
    return (duet_tables.kinds[kind].cells + (size_t)MASK_BITS - 1) / MASK_BITS;
}

static struct meta_pool *pool_of(size_t kind)
{
    size_t bytes = sizeof(struct group) + MASKS * words_of(kind) * sizeof(uint64_t);
    return &pools[max_size(bit_width(bytes - 1), RECORD_LEAST_SHIFT) - RECORD_LEAST_SHIFT];
}

/* By an index that only we write, so anything but a group of this kind means corruption. */
static struct group *group_at(size_t kind, uint32_t index)
{
    struct group *group = (struct group *)meta_at(pool_of(kind), index);
    require(group != NULL && group->kind == kind);
    return group;
}

static struct depot *depot_of(const struct group *group)
{
    return &homes[group->home].depots[group->kind];
}

static size_t span_bytes(size_t kind)
{
    return duet_tables.kinds[kind].blocks * BLOCK_BYTES;
}

struct group *group_of(const void *ptr, size_t kind, const char *call)
{
    struct group *group = (struct group *)meta_at(pool_of(kind), table_meta(ptr));
    if (unlikely(group == NULL) || unlikely(group->kind != kind) ||
        unlikely((uintptr_t)ptr - (uintptr_t)group->base >= span_bytes(kind)))
        fatal_pointer(call, ptr, "is not from this heap, or was freed already");
    return group;
}

size_t group_cell_number(const struct group *group, const void *ptr)
{
    size_t offset = (size_t)((const char *)ptr - group->base);
    size_t number = duet_cell_at(group->kind, offset);
    bool begins = number * duet_kind_bytes(group->kind) == offset;
    return begins && number < group->cells ? number : DUET_MOST_CELLS;
}

static uint64_t taken_of(uint64_t state)
{
    return (uint32_t)state / GROUP_TAKEN;
}

static uint64_t returned_of(uint64_t state)
{
    return state / GROUP_RETURNED;
}

/* The lock is held, and `freed` was merged: all cells are in avail, and nobody is about to count any. */
static bool is_free(const struct group *group)
{
    uint64_t state = load_acquire(&group->state);
    return taken_of(state) == 0 && returned_of(state) == 0 && (state & GROUP_QUEUED) == 0;
}

/* ---- Lists of a depot; its home's lock is held -------------------------------------------- */

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
    return min_size(taken_of(load_relaxed(&group->state)) * GROUP_LISTS / group->cells,
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

/* ---- Masks ------------------------------------------------------------------------------- */

COLD _Noreturn static void was_freed_twice(const struct group *group, size_t word, uint64_t bits)
{
    size_t number = word * MASK_BITS + (size_t)__builtin_ctzll(bits);
    fatal_pointer("free", group->base + number * duet_kind_bytes(group->kind), "was freed twice");
}

/* Takes what came back over into avail. The lock is held. */
static void merge(struct group *group)
{
    uint64_t *avail = group_avail(group), *freed = group_freed(group);
    uint64_t merged = 0;
    for (size_t word = 0; word < group->words; word++) {
        if (load_relaxed(&freed[word]) == 0)
            continue;
        uint64_t bits = exchange_acquire(&freed[word], (uint64_t)0);
        if (unlikely((avail[word] & bits) != 0))
            was_freed_twice(group, word, avail[word] & bits);
        avail[word] |= bits;
        merged += (uint64_t)__builtin_popcountll(bits);
        group->first = (uint8_t)min_size(group->first, word);
    }
    if (merged > 0)
        sub_relaxed(&group->state, merged * (GROUP_TAKEN + GROUP_RETURNED));
}

static unsigned part_shift(size_t kind)
{
    size_t least = max_size(span_bytes(kind) / GROUP_PARTS, os_page_bytes());
    return (unsigned)highest_bit(least);
}

static void forget_purge(struct group *group, const char *cell)
{
    unsigned shift = part_shift(group->kind);
    size_t first = (size_t)(cell - group->base);
    size_t last = first + duet_kind_bytes(group->kind) - 1;
    for (size_t part = first >> shift; part <= last >> shift; part++)
        group->purged &= ~((uint32_t)1 << part);
}

/* Up to `want` cells of avail, lowest addresses first. The lock is held. */
static size_t take_cells(struct group *group, void **cells, size_t want)
{
    uint64_t *avail = group_avail(group);
    size_t bytes = duet_kind_bytes(group->kind);
    size_t taken = 0, word = group->first;
    for (; word < group->words && taken < want; word++) {
        uint64_t bits = avail[word];
        char *base = group->base + word * MASK_BITS * bytes;
        for (; bits != 0 && taken < want; bits &= bits - 1)
            cells[taken++] = base + (size_t)__builtin_ctzll(bits) * bytes;
        avail[word] = bits;
        if (bits != 0)
            break;
    }
    group->first = (uint8_t)word;
    if (group->purged != 0)
        for (size_t i = 0; i < taken; i++)
            forget_purge(group, cells[i]);
    group->swept = false;
    if (group->empty) {
        group->empty = false;
        homes[group->home].empties--;
    }
    add_relaxed(&group->state, taken * GROUP_TAKEN);
    return taken;
}

static bool has_cells(const struct group *group)
{
    const uint64_t *avail = group->masks;
    for (size_t word = group->first; word < group->words; word++)
        if (avail[word] != 0)
            return true;
    return false;
}

static bool has_returned_cells(struct group *group)
{
    const uint64_t *freed = group_freed(group);
    for (size_t word = 0; word < group->words; word++)
        if (load_acquire(&freed[word]) != 0)
            return true;
    return false;
}

/* Of a listed group with nothing in avail: unlists it, if nothing has come back either. The flag is
 * set against the state as it was before the look at `freed`, so a cell that comes back meanwhile is
 * either seen, or makes the change fail, or its returner sees the flag. */
static void set_full(struct group *group)
{
    for (;;) {
        uint64_t state = load_acquire(&group->state);
        if (has_returned_cells(group)) {
            merge(group);
            list_again(group);
            return;
        }
        if (cas_release(&group->state, state, state | GROUP_FULL)) {
            list_remove(group);
            return;
        }
    }
}

/* ---- Blocks; the home's lock is held ------------------------------------------- */

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

static void give_blanks(struct home *home)
{
    while (home->blank_count > 0)
        span_give(&home->blanks[--home->blank_count]);
}

/* ---- Making, settling, releasing; the home's lock is held ---------------------------------- */

/* A new group, listed. False: no memory. */
static bool make_group(struct home *home, size_t kind)
{
    struct meta_pool *pool = pool_of(kind);
    struct span span;
    struct group *group = (struct group *)meta_take(pool);
    if (group == NULL)
        return false;
    if (!take_span(home, &span, duet_tables.kinds[kind].blocks)) {
        meta_give(pool, &group->head);
        return false;
    }
    store_relaxed(&group->kind, (uint8_t)kind);
    store_relaxed(&group->home, (uint8_t)(home - homes));
    group->cells = duet_tables.kinds[kind].cells;
    group->words = (uint8_t)words_of(kind);
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

static void release(struct group *group)
{
    struct home *home = &homes[group->home];
    struct span span = {.start = group->base,
                        .blocks = duet_tables.kinds[group->kind].blocks,
                        .segment = group->segment};
    if (group->empty)
        home->empties--;
    list_remove(group);
    duet_check_released(group);
    give_span(home, &span);
    meta_give(pool_of(group->kind), &group->head);
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
                release(group);
        }
    }
}

/* Puts the groups on the depot's stack in order. */
static void settle(struct depot *depot, size_t kind)
{
    if (load_relaxed(&depot->returned) == 0)
        return;
    uint32_t index = exchange_acquire(&depot->returned, 0u);
    while (index != 0) {
        struct group *group = group_at(kind, index);
        index = load_relaxed(&group->next_returned);
        /* Once it is not QUEUED any more it may be pushed again, and its link be another. */
        and_acquire_release(&group->state, ~(GROUP_FULL | GROUP_QUEUED));
        merge(group);
        list_again(group);
        if (is_free(group) && !group->empty) {
            group->empty = true;
            homes[group->home].empties++;
        }
    }
}

/* ---- Taking ------------------------------------------------------------------------------ */

/* From the depot's listed groups. The lock is held. */
static size_t take_listed(struct depot *depot, size_t kind, void **cells, size_t want)
{
    size_t taken = 0;
    unsigned visits = 0;
    settle(depot, kind);
    for (size_t list = GROUP_LISTS; list-- > 0;) {
        while (depot->lists[list] != 0 && taken < want) {
            struct group *group = group_at(kind, depot->lists[list]);
            if (taken > 0 && ++visits >= REFILL_VISITS)
                return taken;
            if (returned_of(load_relaxed(&group->state)) != 0)
                merge(group);
            if (list_for(group) < list) { /* it has become sparser: fuller ones first */
                list_again(group);
                continue;
            }
            taken += take_cells(group, cells + taken, want - taken);
            if (has_cells(group))
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
        struct home *home = &homes[number];
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
        settle(&home->depots[kind], kind);
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

/* ---- Returning --------------------------------------------------------------------------- */

static void push_returned(struct group *group)
{
    struct depot *depot = depot_of(group);
    uint32_t first;
    do {
        first = load_relaxed(&depot->returned);
        store_relaxed(&group->next_returned, first);
    } while (!cas_release(&depot->returned, first, group->head.index));
}

/* Counts cells whose bits are in `freed` already. The change of the state is the last touch of the
 * group, unless it has set QUEUED. */
static void count_returned(struct group *group, uint64_t count)
{
    uint64_t state, changed;
    bool queued;
    do {
        state = load_relaxed(&group->state);
        changed = state + count * GROUP_RETURNED;
        bool all_back = (uint32_t)returned_of(changed) == taken_of(changed);
        queued = (all_back || (state & GROUP_FULL) != 0) && (state & GROUP_QUEUED) == 0;
        if (queued)
            changed |= GROUP_QUEUED;
    } while (!cas_acquire_release(&group->state, state, changed));
    if (queued)
        push_returned(group);
}

/* Bits of one word on their way to `freed`. */
struct gathered {
    size_t word;
    uint64_t bits;
};

static void return_bits(struct group *group, const struct gathered *gathered)
{
    if (gathered->bits == 0)
        return;
    uint64_t before = or_release(&group_freed(group)[gathered->word], gathered->bits);
    if (unlikely((before & gathered->bits) != 0))
        was_freed_twice(group, gathered->word, before & gathered->bits);
}

/* The first cells that are of one group; returns how many. */
static size_t return_run(size_t kind, void *const *cells, size_t count)
{
    struct group *group = group_of(cells[0], kind, "free");
    struct gathered gathered = {0, 0};
    size_t run = 0;
    for (; run < count; run++) {
        if ((uintptr_t)cells[run] - (uintptr_t)group->base >= span_bytes(kind))
            break;
        size_t number = group_cell_number(group, cells[run]);
        if (unlikely(number >= DUET_MOST_CELLS))
            fatal_pointer("free", cells[run], "is not the start of a cell");
        uint64_t bit = (uint64_t)1 << (number % MASK_BITS);
        if (gathered.word != number / MASK_BITS) {
            return_bits(group, &gathered);
            gathered = (struct gathered){number / MASK_BITS, 0};
        }
        if (unlikely((gathered.bits & bit) != 0))
            fatal_pointer("free", cells[run], "was freed twice");
        gathered.bits |= bit;
    }
    return_bits(group, &gathered);
    count_returned(group, run);
    return run;
}

void depot_return(size_t kind, void *const *cells, size_t count)
{
    while (count > 0) {
        size_t run = return_run(kind, cells, count);
        cells += run;
        count -= run;
    }
}

/* ---- Purging ----------------------------------------------------------------------------- */

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
    count_returned(claim->group, claim->cells);
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
    size_t count = span_bytes(claim->group->kind) >> shift;
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

/* Cells whose bits are in `freed` and not counted yet count as used; while one is counted for the second
 * time and not for the first, there may seem to be more than there are. */
static size_t used_cells(const struct group *group)
{
    uint64_t state = load_relaxed(&group->state);
    return min_size((uint32_t)(taken_of(state) - returned_of(state)), group->cells);
}

/* With the lock held, which it lets go meanwhile. False in *held: it could not be had again. */
static bool purge_listed(struct home *home, struct group *group, bool *held)
{
    struct claim claim;
    unsigned shift = part_shift(group->kind);
    claim_avail(&claim, group);
    uint32_t parts = parts_to_purge(&claim, shift);
    group->seen = (uint16_t)(used_cells(group) - min_size(claim.cells, used_cells(group)));
    group->swept = true;
    if (parts != 0) {
        home_release(home);
        parts = purge_parts(group->base, parts, shift);
        *held = home_try_for(home, ROUNDS_OF_PATIENCE);
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
    if (group->quiet < (group->empty ? min_size(quiet, SWEEPS_BEFORE_RELEASE) : quiet)) {
        group->quiet++;
        return false;
    }
    return group->empty || (group->cells - used) * duet_kind_bytes(group->kind) >= os_page_bytes();
}

/* Ripe groups of a depot, by index. The lock is held. */
static size_t find_ripe(struct depot *depot, size_t kind, uint8_t quiet, uint32_t *ripe)
{
    size_t found = 0;
    settle(depot, kind);
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
    struct group *group = (struct group *)meta_at(pool_of(kind), index);
    if (group == NULL || load_acquire(&group->list) >= GROUP_UNLISTED ||
        load_relaxed(&group->kind) != kind || &homes[load_relaxed(&group->home)] != home)
        return false;
    merge(group);
    if (!is_free(group))
        return purge_listed(home, group, held);
    release(group); /* takes no call into the kernel: not counted */
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
        struct home *home = &homes[number];
        bool held = home_try_for(home, ROUNDS_OF_PATIENCE);
        for (size_t kind = 1; kind < DUET_KINDS && purged < most && held; kind++)
            purged += purge_depot(home, kind, quiet, most - purged, &held);
        if (held) {
            give_blanks(home);
            home_release(home);
        }
    }
    return purged > 0;
}

bool depots_trim(void)
{
    bool trimmed = depots_purge(0, SIZE_MAX);
    for (size_t number = 0; number < RECORD_POOLS; number++)
        trimmed |= metas_trim(&pools[number]);
    return trimmed;
}

/* ---- The whole --------------------------------------------------------------------------- */

static void visit_groups(void (*visit)(struct group *group, void *context), void *context)
{
    for (size_t number = 0; number < RECORD_POOLS; number++) {
        for (uint32_t index = 1; index <= meta_last(&pools[number]); index++) {
            struct group *group = (struct group *)meta_at(&pools[number], index);
            if (group != NULL && group->base != NULL)
                visit(group, context);
        }
    }
}

/* Those that can be had; says which, a bit each. */
static unsigned take_homes(void)
{
    unsigned held = 0;
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if (home_try_for(&homes[number], ROUNDS_OF_PATIENCE))
            held |= 1u << number;
    return held;
}

static void release_homes(unsigned held)
{
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if ((held >> number & 1) != 0)
            home_release(&homes[number]);
}

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
    unsigned held = take_homes();
    visit_groups(count_group, count);
    release_homes(held);
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
    require(taken_of(state) + free_cells == group->cells);
    require(!group->empty || taken_of(state) == 0);
    require(is_aligned((uintptr_t)group->base, BLOCK_BYTES));
    require(table_class(group->base) == group->kind);
    require(table_meta(group->base) == group->head.index);
    require((group->list == GROUP_UNLISTED) == ((state & GROUP_FULL) != 0));
    if (group->list != GROUP_UNLISTED && group->next != 0)
        require(group_at(group->kind, group->next)->previous == group->head.index);
}

void depots_check(void)
{
    struct checked checked = {.held = take_homes()};
    visit_groups(check_group, &checked);
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if ((checked.held >> number & 1) != 0)
            require(checked.empties[number] == homes[number].empties);
    release_homes(checked.held);
}

/* One whose holder does not come out, since it is in a signal handler or stopped, is left; and so is
 * one in which this thread was interrupted itself, and will go on. */
static unsigned held_for_fork;

/* Lets go of them to the forking thread alone, or to all. */
static void set_rest(uintptr_t rest)
{
    for (unsigned number = 0; number < DUET_HOMES; number++) {
        if ((held_for_fork >> number & 1) != 0) {
            store_relaxed(&homes[number].rest, rest);
            store_release(&homes[number].owner, rest);
        }
    }
}

void depots_fork_prepare(void)
{
    held_for_fork = take_homes();
    set_rest(thread_self() | HELD_FOR_FORK);
    for (size_t number = 0; number < RECORD_POOLS; number++)
        lock_take(&pools[number].lock);
}

void depots_fork_end(void)
{
    for (size_t number = RECORD_POOLS; number-- > 0;)
        lock_release(&pools[number].lock);
    set_rest(0);
}

static void push_if_queued(struct group *group, void *context)
{
    (void)context;
    if ((load_relaxed(&group->state) & GROUP_QUEUED) != 0)
        push_returned(group);
}

/* Whoever was in such a home was in the middle of something: its lists are made anew, of all its groups. */
static void list_anew(struct group *group, void *context)
{
    (void)context;
    if ((held_for_fork >> group->home & 1) != 0)
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
        if ((held_for_fork >> number & 1) == 0)
            abandon(&homes[number]);
        for (size_t kind = 1; kind < DUET_KINDS; kind++)
            store_relaxed(&homes[number].depots[kind].returned, 0u);
    }
    visit_groups(list_anew, NULL);
    visit_groups(push_if_queued, NULL);
}
