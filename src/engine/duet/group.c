#include "engine/duet/group.h"

#include "base/fatal.h"
#include "base/lock.h"
#include "engine/duet/home.h"
#include "os/os.h"

/* Records of 2^(7 + pool) bytes. */
#define RECORD_LEAST_SHIFT 7
#define RECORD_POOLS 3
#define POOL(number, first)                                                                        \
    META_POOL_WITH_FIRST(1 << (RECORD_LEAST_SHIFT + (number)),                                     \
                         LOCK_RANK_ENGINE_METAS_LAST + 1 - RECORD_POOLS + (number), first)
static struct meta_pool pools[RECORD_POOLS] = {POOL(0, 16), POOL(1, 4), POOL(2, 2)};

/* ---- Records ----------------------------------------------------------------------------- */

size_t group_words(size_t kind)
{
    return (duet_tables.kinds[kind].cells + (size_t)MASK_BITS - 1) / MASK_BITS;
}

/* The most cells of a group whose record is of this pool. */
#define MOST_CELLS(number)                                                                         \
    ((((size_t)1 << (RECORD_LEAST_SHIFT + (number))) - sizeof(struct group)) / sizeof(uint64_t) /  \
     GROUP_MASKS * MASK_BITS)

struct meta_pool *group_pool(size_t kind)
{
    size_t cells = duet_tables.kinds[kind].cells;
    static_assert(RECORD_POOLS == 3 && DUET_MOST_CELLS <= MOST_CELLS(2), "the last one fits all");
    return &pools[(cells > MOST_CELLS(0)) + (cells > MOST_CELLS(1))];
}

/* By an index that only we write, so anything but a group of this kind means corruption. */
struct group *group_at(size_t kind, uint32_t index)
{
    struct group *group = (struct group *)meta_at(group_pool(kind), index);
    require(group != NULL && group->kind == kind);
    return group;
}

size_t group_span_bytes(size_t kind)
{
    return duet_tables.kinds[kind].blocks * BLOCK_BYTES;
}

bool group_may_have_index(size_t kind, uint32_t index)
{
    return duet_table_index(kind, index) == index;
}

static uint32_t entry_of(const struct group *group, uint32_t place)
{
    return group->head.index | place << DUET_PLACE_SHIFT;
}

void group_enter_in_table(const struct group *group)
{
    for (uint32_t place = 0; place < duet_tables.kinds[group->kind].blocks; place++)
        table_set(group->base + place * BLOCK_BYTES, 1, group->kind, entry_of(group, place));
}

bool group_is_in_table(const struct group *group, uint32_t place)
{
    const char *block = group->base + place * BLOCK_BYTES;
    return table_class(block) == group->kind && table_meta(block) == entry_of(group, place);
}

struct group *group_of(const void *ptr, size_t kind, const char *call)
{
    uint32_t index = duet_table_index(kind, table_meta(ptr));
    struct group *group = (struct group *)meta_at(group_pool(kind), index);
    if (unlikely(group == NULL) || unlikely(group->kind != kind) ||
        unlikely((uintptr_t)ptr - (uintptr_t)group->base >= group_span_bytes(kind)))
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

bool group_is_free(const struct group *group)
{
    uint64_t state = load_acquire(&group->state);
    return group_taken(state) == 0 && group_returned(state) == 0 && (state & GROUP_QUEUED) == 0;
}

/* ---- Masks; the home's lock is held ------------------------------------------------------- */

COLD _Noreturn static void was_freed_twice(const struct group *group, size_t word, uint64_t bits)
{
    size_t number = word * MASK_BITS + (size_t)__builtin_ctzll(bits);
    fatal_pointer("free", group->base + number * duet_kind_bytes(group->kind), "was freed twice");
}

/* Takes what came back over into avail. The lock is held. */
void group_merge(struct group *group)
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

unsigned group_part_shift(size_t kind)
{
    size_t least = max_size(group_span_bytes(kind) / GROUP_PARTS, os_page_bytes());
    return (unsigned)highest_bit(least);
}

/* The parts that the cells are in, from the first to the last of them. */
static uint32_t parts_of(const struct group *group, const char *first, const char *last)
{
    unsigned shift = group_part_shift(group->kind);
    size_t from = (size_t)(first - group->base) >> shift;
    size_t to = ((size_t)(last - group->base) + duet_kind_bytes(group->kind) - 1) >> shift;
    return (uint32_t)(((uint64_t)2 << to) - ((uint64_t)1 << from));
}

bool group_is_zeroed_next(struct group *group)
{
    size_t word = group->first;
    if (group->purged == 0)
        return false;
    while (word < group->words && group_avail(group)[word] == 0)
        word++;
    if (word == group->words)
        return false;
    size_t number = word * MASK_BITS + (size_t)__builtin_ctzll(group_avail(group)[word]);
    const char *cell = group->base + number * duet_kind_bytes(group->kind);
    return (parts_of(group, cell, cell) & ~group->purged) == 0;
}

/* Up to `want` cells of avail, the lowest address right below `end`. The lock is held. */
size_t group_take_cells(struct group *group, void **end, size_t want)
{
    uint64_t *avail = group_avail(group);
    size_t bytes = duet_kind_bytes(group->kind), word = group->first;
    void **at = end, **last = end - want;
    for (; word < group->words && at > last; word++) {
        uint64_t bits = avail[word];
        char *base = group->base + word * MASK_BITS * bytes;
        for (; bits != 0 && at > last; bits &= bits - 1)
            *--at = base + (size_t)__builtin_ctzll(bits) * bytes;
        avail[word] = bits;
        if (bits != 0)
            break;
    }
    size_t taken = (size_t)(end - at);
    group->first = (uint8_t)word;
    if (group->purged != 0 && taken > 0) /* what lies between is on its way back, or can be again */
        group->purged &= ~parts_of(group, end[-1], *at);
    group->swept = false;
    add_relaxed(&group->state, taken * GROUP_TAKEN);
    return taken;
}

bool group_has_cells(const struct group *group)
{
    const uint64_t *avail = group->masks;
    for (size_t word = group->first; word < group->words; word++)
        if (avail[word] != 0)
            return true;
    return false;
}

bool group_has_returned_cells(struct group *group)
{
    const uint64_t *freed = group_freed(group);
    for (size_t word = 0; word < group->words; word++)
        if (load_acquire(&freed[word]) != 0)
            return true;
    return false;
}

/* ---- Cells of which pages may not be there --------------------------------------------------- */

static uint64_t bit_of(const struct group *group, const void *cell)
{
    return (uint64_t)1 << group_cell_number(group, cell) % MASK_BITS;
}

bool group_take_sparse(struct group *group, const void *cell)
{
    uint64_t bit = bit_of(group, cell);
    return (load_relaxed(group_sparse(group)) & bit) != 0 &&
           (and_relaxed(group_sparse(group), ~bit) & bit) != 0;
}

void group_put_sparse(struct group *group, const void *cell)
{
    or_relaxed(group_sparse(group), bit_of(group, cell));
}

/* ---- Counting what came back, without a lock ------------------------------------------------- */

void group_push_returned(struct group *group)
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
void group_count_returned(struct group *group, uint64_t count)
{
    uint64_t state, changed;
    bool queued;
    do {
        state = load_relaxed(&group->state);
        changed = state + count * GROUP_RETURNED;
        bool all_back = (uint32_t)group_returned(changed) == group_taken(changed);
        queued = (all_back || (state & GROUP_FULL) != 0) && (state & GROUP_QUEUED) == 0;
        if (queued)
            changed |= GROUP_QUEUED;
    } while (!cas_acquire_release(&group->state, state, changed));
    if (queued)
        group_push_returned(group);
}

/* ---- Returning, either way ----------------------------------------------------------------- */

/* Cells come back to `freed` by whoever has no lock, to avail by whoever has the home's. Either way
 * those of one group are counted at once, and those of one word are one change of the mask. */

/* Bits of one word on their way to a mask. */
struct gathered {
    size_t word;
    uint64_t bits;
};

/* Into `freed`; or into avail, if the lock is held. */
static void return_bits(struct group *group, const struct gathered *gathered, bool held)
{
    size_t word = gathered->word;
    uint64_t bits = gathered->bits, *avail = group_avail(group), *freed = group_freed(group);
    uint64_t before =
        held ? avail[word] | load_relaxed(&freed[word]) : or_release(&freed[word], bits);
    if (unlikely((before & bits) != 0))
        was_freed_twice(group, word, before & bits);
    if (held) {
        avail[word] |= bits;
        group->first = (uint8_t)min_size(group->first, word);
    }
}

/* The first cells that are of this group; returns how many. */
ALWAYS_INLINE size_t return_run(struct group *group, void *const *cells, size_t count, bool held)
{
    const struct duet_kind *kind = &duet_tables.kinds[group->kind];
    uintptr_t base = (uintptr_t)group->base;
    size_t bytes = kind->bytes, inverse = kind->inverse, end = bytes * kind->cells, run = 0;
    struct gathered gathered = {0, 0};
    for (; run < count; run++) {
        size_t offset = (uintptr_t)cells[run] - base;
        if (offset >= end)
            break;
        size_t number = (offset >> DUET_UNIT_SHIFT) * inverse >> DUET_INVERSE_SHIFT;
        if (unlikely(number * bytes != offset))
            fatal_pointer("free", cells[run], "is not the start of a cell");
        uint64_t bit = (uint64_t)1 << (number % MASK_BITS);
        if (gathered.word != number / MASK_BITS) {
            if (gathered.bits != 0)
                return_bits(group, &gathered, held);
            gathered = (struct gathered){number / MASK_BITS, 0};
        }
        if (unlikely((gathered.bits & bit) != 0))
            fatal_pointer("free", cells[run], "was freed twice");
        gathered.bits |= bit;
    }
    if (unlikely(run == 0)) /* it is in the tail */
        fatal_pointer("free", cells[0], "is not the start of a cell");
    return_bits(group, &gathered, held);
    return run;
}

size_t group_return(struct group *group, void *const *cells, size_t count)
{
    size_t run = return_run(group, cells, count, false);
    group_count_returned(group, run);
    return run;
}

/* Only the lock's holder changes FULL: a group in no list has it, and has it no more. It may be
 * QUEUED all the same, and come up from the stack listed. What came back without the lock is
 * merged, or nobody would notice that all is back; so where a count is seen here, its bits must
 * be. */
size_t group_put_back(struct group *group, void *const *cells, size_t count)
{
    size_t run = return_run(group, cells, count, true);
    uint64_t full = group->list == GROUP_UNLISTED ? GROUP_FULL : 0;
    uint64_t before = sub_acquire(&group->state, run * GROUP_TAKEN + full);
    if (group_returned(before) != 0)
        group_merge(group);
    return run;
}

/* ---- All records --------------------------------------------------------------------------- */

void groups_visit(void (*visit)(struct group *group, void *context), void *context)
{
    for (size_t number = 0; number < RECORD_POOLS; number++) {
        for (uint32_t index = 1; index <= meta_last(&pools[number]); index++) {
            struct group *group = (struct group *)meta_at(&pools[number], index);
            if (group != NULL && group->base != NULL)
                visit(group, context);
        }
    }
}

bool groups_trim_records(void)
{
    bool trimmed = false;
    for (size_t number = 0; number < RECORD_POOLS; number++)
        trimmed |= metas_trim(&pools[number]);
    return trimmed;
}

void groups_fork_prepare(void)
{
    for (size_t number = 0; number < RECORD_POOLS; number++)
        lock_take(&pools[number].lock);
}

void groups_fork_end(void)
{
    for (size_t number = RECORD_POOLS; number-- > 0;)
        lock_release(&pools[number].lock);
}
