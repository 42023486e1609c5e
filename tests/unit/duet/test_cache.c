/*
 * Caches, in front of the depots, and the shelves between: how magazines grow and give way, what
 * is passed on, and that no cell is lost or doubled on any of these ways. Caches of a test's own,
 * in kinds that nobody else uses (duet_tests.h).
 */
#include "duet_tests.h"

#include <pthread.h>

#include "os/os.h"

#define KINDS 6
#define ELSEWHERE 1     /* a home that is not the cache's */
#define MOST_CELLS 8192 /* more than four of the largest magazines */

static uint64_t seed = 2;
static struct shadow shadow;
static void *cells[MOST_CELLS];
static struct cache cache;
static const struct cache_use use = {.cache = &cache};

/* ---- Cells, as the engine takes and frees them --------------------------------------------- */

static void *alloc(struct cache *from, size_t kind)
{
    bool zeroed;
    void *cell = cache_pop(from, kind);
    if (cell == NULL)
        cell = cache_alloc_slow(&(struct cache_use){.cache = from}, 0, &kind, &zeroed);
    assert_non_null(cell);
    return cell;
}

static void give(struct cache *to, void *cell, size_t kind)
{
    if (!cache_push(to, cell, kind))
        cache_free_slow(&(struct cache_use){.cache = to}, cell, kind);
}

/* Cells that are with us, and came through no cache. */
static void take_from(size_t home, size_t kind, void **into, size_t count)
{
    for (size_t taken = 0; taken < count;) {
        size_t more = take_cells(home, kind, into + taken, count - taken);
        assert_true(more > 0);
        taken += more;
    }
    for (size_t i = 0; i < count; i++)
        duet_check_alloc(into[i], kind);
}

static void take_all(size_t kind, void **into, size_t count)
{
    take_from(0, kind, into, count);
}

/* As if there had been some already: those first ones go home. */
static void begin_with_a_magazine(size_t kind)
{
    cache.events[kind] = CACHE_FREED_FIRST;
}

static struct magazine *magazine_in(const struct cache *of, size_t kind)
{
    return magazine_of_top(of->tops[kind]);
}

static size_t size_of(const struct cache *of, size_t kind)
{
    return magazine_in(of, kind)->size;
}

static size_t count_in(const struct cache *of, size_t kind)
{
    const struct magazine *magazine = magazine_in(of, kind);
    return magazine == NULL ? 0 : (size_t)(of->tops[kind] - magazine->cells);
}

/* What must hold of a cache between operations. */
static void check_cache(const struct cache *of)
{
    size_t bytes = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        const struct magazine *magazine = magazine_in(of, kind);
        if (magazine == NULL) {
            assert_ptr_equal(of->tops[kind], MAGAZINE_NONE_TOP);
            continue;
        }
        assert_true(magazine->size < MAGAZINE_SIZES);
        assert_int_equal(magazine->capacity, magazine_room(magazine->size, kind));
        assert_int_equal(of->sizes[kind], magazine->size + 1);
        assert_null(magazine->bottom[0]);
        assert_null(magazine->bottom[1]);
        assert_true(magazine_is_end(magazine->cells[magazine->capacity]));
        assert_true(count_in(of, kind) <= magazine->capacity);
        bytes += magazine->capacity * duet_kind_bytes(kind);
    }
    assert_int_equal(of->bytes, bytes);
}

/* As magazine.c has them: what may lie on a home's shelves. */
#define SHELVES_LEAST_BYTES ((size_t)(DUET_TINY ? 4 << 10 : 256 << 10))
#define SHELVES_SHARE 50

static size_t shelves_most(void)
{
    return max_size(SHELVES_LEAST_BYTES, os_held_bytes() / SHELVES_SHARE / duet_homes);
}

/* Begins with nothing, and leaves nothing. */
static int set_up(void **state)
{
    (void)state;
    memset(&cache, 0, sizeof cache);
    cache_prepare(&cache, 0);
    raise_relaxed(&duet_homes, (uint32_t)ELSEWHERE + 1);
    engine_trim();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cache_drain(&use);
    engine_trim();
    return transfer_count().cells == 0 ? 0 : -1;
}

/* ---- First frees --------------------------------------------------------------------------- */

/* Cells that others have allocated are not handed out here, until so many came that it must be what
 * this cache is for. */
static void cells_that_are_freed_first_go_home(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2 * CACHE_FREED_FIRST);
    struct depots_count before, after;
    take_from(ELSEWHERE, kind, cells, CACHE_FREED_FIRST + 1);
    depots_count(&before);
    for (size_t i = 0; i < CACHE_FREED_FIRST; i++) {
        give(&cache, cells[i], kind);
        assert_null(magazine_in(&cache, kind));
    }
    depots_count(&after);
    assert_int_equal(after.free_cells, before.free_cells + CACHE_FREED_FIRST);
    give(&cache, cells[CACHE_FREED_FIRST], kind);
    assert_int_equal(count_in(&cache, kind), 1);
    check_cache(&cache);
}

/* So those that it allocates have no neighbours of theirs. */
static void a_home_begins_a_group_of_its_own(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    take_from(ELSEWHERE, kind, cells, 1);
    cells[1] = alloc(&cache, kind);
    assert_int_equal(depot_home(kind, cells[0]), ELSEWHERE);
    assert_int_equal(depot_home(kind, cells[1]), 0);
    duet_check_free(cells[0], kind);
    depot_return(kind, cells, 1);
    give(&cache, cells[1], kind);
}

/* What a cache of this home does with cells of home 0; says how many are on a shelf then. */
static size_t pass_on_from(size_t home, size_t kind, size_t count)
{
    cache.home = (uint8_t)home;
    begin_with_a_magazine(kind);
    take_from(0, kind, cells, count);
    for (size_t i = 0; i < count; i++)
        give(&cache, cells[i], kind);
    cache_drain(&use);
    cache.home = 0;
    return transfer_count().cells;
}

/* Own cells go to the groups, and so do few cells; others to their home's shelf. */
static void own_cells_meet_no_shelf(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 16), quarter = MAGAZINE_PLACES(0) / 4 + 1;
    assert_int_equal(pass_on_from(0, kind, quarter), 0);
    assert_int_equal(pass_on_from(ELSEWHERE, kind, quarter - 1), 0);
    assert_int_equal(pass_on_from(ELSEWHERE, kind, quarter), quarter);
    struct magazine *magazine = transfer_take(0, kind);
    for (size_t i = 0; i < quarter; i++)
        assert_ptr_equal(magazine->cells[i], cells[i]);
    depot_return(kind, cells, quarter);
    magazine_give(0, magazine);
    assert_true(is_unused(kind));
}

/* ---- Growing ------------------------------------------------------------------------------- */

/* A kind alone grows as far as it may and the budget lasts; the least magazine it has in any
 * case. */
static size_t largest_size(size_t kind)
{
    size_t size = 0;
    while (magazine_may_grow(size, kind) &&
           magazine_room(size + 1, kind) * duet_kind_bytes(kind) <= CACHE_MOST_BYTES)
        size++;
    return size;
}

static void push_until_it_passes_on(size_t kind)
{
    size_t size = 0, largest = largest_size(kind), room = magazine_room(largest, kind);
    take_from(ELSEWHERE, kind, cells, room + 1);
    begin_with_a_magazine(kind);
    for (size_t i = 0; i < room; i++) {
        give(&cache, cells[i], kind);
        if (i > 0 && i == magazine_room(size, kind))
            size++; /* that one was full */
        assert_int_equal(size_of(&cache, kind), size);
        assert_int_equal(count_in(&cache, kind), i + 1);
    }
    check_cache(&cache);
    assert_int_equal(size, largest);

    size_t half = (room + 1) / 2;
    assert_false(cache_push(&cache, cells[room], kind));
    cache_free_slow(&use, cells[room], kind);
    assert_int_equal(size_of(&cache, kind), largest);
    assert_int_equal(count_in(&cache, kind), room - half + 1);
    assert_int_equal(transfer_count().cells, half);
    assert_int_equal(transfer_count().bytes, half * duet_kind_bytes(kind));
    for (size_t i = room + 1; i-- > half;) /* the newer ones are left, the last on top */
        assert_ptr_equal(cache_pop(&cache, kind), cells[i]);
    assert_null(cache_pop(&cache, kind));
    assert_null(cache_pop(&cache, kind));
    check_cache(&cache);
    struct magazine *older = transfer_take(ELSEWHERE, kind); /* where they came from */
    assert_int_equal(older->count, half);
    for (size_t i = 0; i < half; i++)
        assert_ptr_equal(older->cells[i], cells[i]);
    depot_return(kind, older->cells, half);
    magazine_give(ELSEWHERE, older);
    for (size_t i = half; i <= room; i++)
        give(&cache, cells[i], kind);
}

static void a_magazine_grows_as_it_is_filled(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t half = (magazine_room(largest_size(kind), kind) + 1) / 2;
        if (half * duet_kind_bytes(kind) > shelves_most())
            continue; /* in the tiny build: it goes to the groups */
        push_until_it_passes_on(kind);
        cache_drain(&use);
        engine_trim();
    }
}

static void a_magazine_grows_as_it_is_emptied(void **state)
{
    (void)state;
    size_t kinds[KINDS];
    unused_kinds(kinds, KINDS);
    for (size_t i = 0; i < KINDS; i++) {
        size_t kind = kinds[i], had = 0;
        bool zeroed;
        for (size_t size = 0; size <= largest_size(kind) + 2; size++) {
            assert_null(cache_pop(&cache, kind));
            cells[had++] = cache_alloc_slow(&use, 0, &kind, &zeroed);
            assert_non_null(cells[had - 1]);
            size_t now = min_size(size, largest_size(kind)), room = magazine_room(now, kind);
            assert_int_equal(size_of(&cache, kind), now);
            size_t left = count_in(&cache, kind), half = max_size(room / 2, 1);
            assert_true(left + 1 <= half);
            if (cells_of_group(kind) >= half) /* a fresh group has as many */
                assert_true(left + 1 == half || size > 0);
            while (count_in(&cache, kind) > 0 && had < MOST_CELLS)
                cells[had++] = cache_pop(&cache, kind);
        }
        check_cache(&cache);
        while (had > 0)
            give(&cache, cells[--had], kind);
        cache_drain(&use);
        assert_true(is_unused(kind));
    }
}

/* Takes one for this length. Returns the kind that it is of. */
static size_t take_for(size_t length, void **cell)
{
    size_t kind = duet_kind_for(length);
    bool zeroed;
    *cell = cache_alloc_slow(&use, length, &kind, &zeroed);
    assert_non_null(*cell);
    assert_true(duet_kind_bytes(kind) >= length);
    return kind;
}

/* If they fit and share pages, as long as the slot has some, and until it has one of its own. */
static void a_few_of_a_class_are_longer_cells(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t kind = 1; kind + 1 < DUET_KINDS; kind++) {
        size_t longer = kind + 1, length = duet_kind_bytes(kind), had = 0;
        if (!is_unused(kind) || !is_unused(longer))
            continue;
        cache.events[kind] = 0;
        void *own, *first = alloc(&cache, longer);
        size_t borrowed = min_size(count_in(&cache, longer), CACHE_BORROWED_FIRST);
        if (!duet_fits(length, duet_kind_bytes(longer)) || duet_tables.kinds[longer].blocks > 1)
            borrowed = 0;
        while (had < borrowed)
            assert_int_equal(take_for(length, &cells[had++]), longer);
        assert_int_equal(take_for(length, &own), kind);
        tried += borrowed > 0;
        check_cache(&cache);
        give(&cache, own, kind);
        give(&cache, first, longer);
        while (had > 0)
            give(&cache, cells[--had], longer);
        cache_drain(&use);
    }
    assert_true(tried > 0);
}

/* All kinds in turn, so that the budget is soon spent. Beyond it go only magazines of the least
 * size, which each kind has that is used at all. */
static void no_magazine_grows_beyond_the_budget(void **state)
{
    (void)state;
    size_t least = 0, refused = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        least += magazine_room(0, kind) * duet_kind_bytes(kind);
    for (size_t round = 0; round < 20; round++) {
        for (size_t kind = DUET_KINDS - 1; kind > 0; kind--) {
            size_t count = min_size(64, (256 << 10) / duet_kind_bytes(kind));
            take_all(kind, cells, count);
            begin_with_a_magazine(kind);
            for (size_t i = 0; i < count; i++) {
                size_t before = cache.bytes;
                bool had_one = magazine_in(&cache, kind) != NULL;
                give(&cache, cells[i], kind);
                if (had_one && cache.bytes > before)
                    assert_true(cache.bytes <= CACHE_MOST_BYTES);
            }
            refused += cache.patience > 0;
        }
        check_cache(&cache);
        assert_true(cache.bytes <= CACHE_MOST_BYTES + least);
    }
    assert_true(refused > 0);
    cache_drain(&use);
    assert_int_equal(cache.bytes, 0);
}

/* Fills the largest magazine of this kind; says how many cells are in it. */
static size_t fill(size_t kind)
{
    size_t room = magazine_room(largest_size(kind), kind);
    take_all(kind, cells, room);
    if (magazine_in(&cache, kind) == NULL)
        begin_with_a_magazine(kind);
    for (size_t i = 0; i < room; i++)
        give(&cache, cells[i], kind);
    return room;
}

/* Once the budget is spent, a kind that is in need has those halved that are not. */
static void kinds_that_need_less_give_way(void **state)
{
    (void)state;
    if (DUET_TINY)
        skip(); /* where one kind may have more than all */
    size_t busy = 1, growing = 1, halved = 0;
    void *tops[DUET_KINDS];
    for (; cache.bytes + MAGAZINE_MOST_BYTES <= CACHE_MOST_BYTES; growing++)
        tops[growing] = cells[fill(growing) - 1];
    for (size_t kind = 1; kind < growing; kind++)
        cache.events[kind] = 0;
    cache.events[busy] = UINT8_MAX;
    size_t sizes[DUET_KINDS];
    for (size_t kind = 1; kind < growing; kind++)
        sizes[kind] = size_of(&cache, kind);
    fill(growing);
    assert_int_equal(size_of(&cache, growing), largest_size(growing));
    assert_true(cache.bytes <= CACHE_MOST_BYTES);
    check_cache(&cache);
    assert_int_equal(size_of(&cache, busy), sizes[busy]);
    for (size_t kind = 1; kind < growing; kind++) {
        assert_true(size_of(&cache, kind) + 1 >= sizes[kind]); /* no more than it takes */
        halved += size_of(&cache, kind) < sizes[kind];
        assert_true(count_in(&cache, kind) > 0);
        assert_ptr_equal(cache_pop(&cache, kind), tops[kind]); /* what is on top stays */
        give(&cache, tops[kind], kind);
    }
    assert_true(halved > 0 && halved < growing - 2);
}

/* With as many events a kind gives way to one that asks for fewer bytes, and not to one that asks
 * for more. */
static void long_cells_give_way_to_short_ones(void **state)
{
    (void)state;
    if (DUET_TINY)
        skip(); /* where one kind may have more than all */
    size_t shortest = 1, kind = DUET_KINDS - 1, sum = 0;
    for (; cache.bytes + MAGAZINE_MOST_BYTES <= CACHE_MOST_BYTES; kind--)
        fill(kind);
    memset(cache.events, 8, sizeof cache.events);
    for (size_t other = kind + 1; other < DUET_KINDS; other++)
        sum += cache.sizes[other];
    fill(shortest);
    assert_int_equal(size_of(&cache, shortest), largest_size(shortest));
    for (size_t other = kind + 1; other < DUET_KINDS; other++)
        sum -= cache.sizes[other];
    assert_true(sum > 0);
    check_cache(&cache);
    cache.patience = 0;
    cache.events[kind] = 8;
    fill(kind);
    assert_int_equal(size_of(&cache, shortest), largest_size(shortest));
    check_cache(&cache);
}

/* Who takes a CPU's magazine out may count it off before who put it in has counted it. */
static void a_count_that_is_late_spends_no_budget(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2);
    cache.bytes -= MAGAZINE_MOST_BYTES;
    size_t most = magazine_room(largest_size(kind), kind);
    assert_int_equal(fill(kind), most);
    assert_int_equal(size_of(&cache, kind), largest_size(kind));
    cache.bytes += MAGAZINE_MOST_BYTES;
    check_cache(&cache);
}

/* What is cut off a halved magazine is elsewhere: nothing is lost. */
static void what_gives_way_loses_nothing(void **state)
{
    (void)state;
    size_t kinds[KINDS];
    unused_kinds(kinds, KINDS);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < KINDS; i++) {
            memset(cache.events, 0, sizeof cache.events);
            cache.patience = 0;
            fill(kinds[i]);
            fill(kinds[i]);
            check_cache(&cache);
        }
    cache_drain(&use);
    for (size_t i = 0; i < KINDS; i++)
        assert_true(is_unused(kinds[i]));
}

/* ---- Giving back --------------------------------------------------------------------------- */

static void decay_drops_what_was_not_used(void **state)
{
    (void)state;
    size_t kinds[3];
    unused_kinds(kinds, 3);
    for (size_t i = 0; i < 3; i++)
        give(&cache, alloc(&cache, kinds[i]), kinds[i]);
    cache.patience = 1;
    cache_decay(&use); /* each ran empty: so all stay, once more */
    assert_int_equal(cache.patience, 0);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(magazine_in(&cache, kinds[i]));

    size_t had = 0; /* the first runs empty and is as before; of the second a cell is had */
    do
        cells[had++] = alloc(&cache, kinds[0]);
    while (cache.events[kinds[0]] == 0);
    while (had > 0)
        give(&cache, cells[--had], kinds[0]);
    void *held = alloc(&cache, kinds[1]);
    assert_int_equal(cache.events[kinds[1]], 0);
    cache_decay(&use);
    assert_non_null(magazine_in(&cache, kinds[0]));
    assert_non_null(magazine_in(&cache, kinds[1]));
    assert_null(magazine_in(&cache, kinds[2]));
    check_cache(&cache);
    assert_false(cache_is_empty(&cache));
    cache_decay(&use);
    assert_null(magazine_in(&cache, kinds[1]));
    cache_decay(&use);
    assert_true(cache_is_empty(&cache));
    give(&cache, held, kinds[1]);
    cache_drain(&use);
    for (size_t i = 0; i < 3; i++)
        assert_true(is_unused(kinds[i]));
}

static void a_drain_leaves_nothing(void **state)
{
    (void)state;
    size_t counted = 0, bytes = 0, had = 0, had_bytes = 0;
    assert_true(cache_is_empty(&cache));
    uintptr_t empty_sum = cache_sum(&cache);
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        uintptr_t sum = cache_sum(&cache);
        give(&cache, alloc(&cache, kind), kind);
        assert_true(cache_sum(&cache) != sum);
        had += count_in(&cache, kind);
        had_bytes += count_in(&cache, kind) * duet_kind_bytes(kind);
    }
    cache_count(&cache, &counted, &bytes);
    assert_int_equal(counted, had);
    assert_int_equal(bytes, had_bytes);
    struct depots_count before, after;
    depots_count(&before);
    cache_drain(&use);
    depots_count(&after);
    assert_int_equal(after.free_cells + transfer_count().cells, before.free_cells + had);
    assert_int_equal(after.free_bytes + transfer_count().bytes, before.free_bytes + had_bytes);
    assert_true(cache_is_empty(&cache));
    assert_int_equal(cache_sum(&cache), empty_sum);
    assert_int_equal(cache.bytes, 0);
    check_cache(&cache);
}

static void push_twice(void *argument)
{
    size_t kind = *(const size_t *)argument;
    give(&cache, cells[0], kind);
    give(&cache, cells[0], kind);
}

static void push_again_after_another(void *argument)
{
    size_t kind = *(const size_t *)argument;
    give(&cache, cells[0], kind);
    give(&cache, cells[1], kind);
    give(&cache, cells[0], kind);
}

/* Also where there are no others in the magazine, and the guards lie right below. */
static void the_two_on_top_are_not_pushed_again(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2);
    cells[0] = alloc(&cache, kind);
    cells[1] = alloc(&cache, kind);
    assert_accuses(push_twice, &kind, cells[0], "was freed twice");
    assert_accuses(push_again_after_another, &kind, cells[0], "was freed twice");
    size_t others = count_in(&cache, kind);
    for (size_t i = 0; i < others; i++)
        cells[2 + i] = alloc(&cache, kind);
    assert_int_equal(count_in(&cache, kind), 0);
    assert_accuses(push_twice, &kind, cells[0], "was freed twice");
    assert_accuses(push_again_after_another, &kind, cells[0], "was freed twice");
    for (size_t i = 0; i < 2 + others; i++)
        give(&cache, cells[i], kind);
}

/* ---- Nothing is lost or doubled ------------------------------------------------------------ */

#define HELD 2048 /* of each kind */
#define CACHES 2

static struct cache caches[CACHES];

static void random_operations(const size_t *kinds)
{
    static void *held[KINDS][HELD];
    size_t counts[KINDS] = {0};
    for (int round = 0; round < 4000; round++) {
        size_t number = random_below(&seed, KINDS), kind = kinds[number];
        struct cache *one = &caches[random_below(&seed, CACHES)];
        bool grow = random_below(&seed, HELD) >= counts[number];
        for (size_t i = 0, most = random_below(&seed, 100); i < most; i++) {
            if (grow && counts[number] < HELD) {
                void *cell = alloc(one, kind);
                shadow_add(&shadow, cell);
                cell_fill(cell, kind, (uintptr_t)cell);
                held[number][counts[number]++] = cell;
            } else if (!grow && counts[number] > 0) {
                size_t at = random_below(&seed, counts[number]);
                void *cell = held[number][at];
                held[number][at] = held[number][--counts[number]];
                assert_true(cell_is_filled(cell, kind, (uintptr_t)cell));
                shadow_remove(&shadow, cell);
                give(one, cell, kind);
            }
        }
        check_cache(one);
        if (round % 100 == 0)
            cache_decay(&(struct cache_use){.cache = one});
        if (round % 1000 == 0)
            cache_drain(&(struct cache_use){.cache = one});
    }
    for (size_t number = 0; number < KINDS; number++)
        while (counts[number] > 0) {
            void *cell = held[number][--counts[number]];
            shadow_remove(&shadow, cell);
            give(&caches[0], cell, kinds[number]);
        }
}

static void cells_are_neither_lost_nor_doubled(void **state)
{
    (void)state;
    size_t kinds[KINDS];
    unused_kinds(kinds, KINDS);
    kinds[KINDS - 1] = unused_kind(kinds[KINDS - 1] + 1, 2); /* a long one, which makes few */
    for (size_t i = 0; i < CACHES; i++)
        cache_prepare(&caches[i], 0);
    random_operations(kinds);
    assert_int_equal(shadow.count, 0);
    for (size_t i = 0; i < CACHES; i++)
        cache_drain(&(struct cache_use){.cache = &caches[i]});
    depots_check();
    for (size_t i = 0; i < KINDS; i++)
        assert_true(is_unused(kinds[i]));
}

/* ---- Magazines and shelves ----------------------------------------------------------------- */

static struct magazine *magazine_with(size_t size, size_t kind, size_t count)
{
    struct magazine *magazine = magazine_take(0, size, kind);
    assert_non_null(magazine);
    assert_true(count <= magazine->capacity);
    for (size_t taken = 0; taken < count;)
        taken += take_cells(0, kind, magazine->cells + taken, count - taken);
    return magazine;
}

static void empty(struct magazine *magazine, size_t kind, size_t count)
{
    depot_return(kind, magazine->cells, count);
    magazine_give(0, magazine);
}

/* One that was for few long cells is for many short ones next: its old guard is gone. */
static void a_magazine_has_its_guards_and_no_others(void **state)
{
    (void)state;
    for (size_t size = 0; size < MAGAZINE_SIZES; size++) {
        for (size_t i = 0; i < DUET_KINDS - 1; i++) {
            size_t kind = i % 2 == 0 ? DUET_KINDS - 1 - i / 2 : 1 + i / 2;
            struct magazine *magazine = magazine_take(0, size, kind);
            assert_int_equal(magazine->size, size);
            assert_int_equal(magazine->capacity, magazine_room(size, kind));
            assert_true(magazine->capacity >= MAGAZINE_LEAST_CELLS);
            assert_true(magazine->capacity == MAGAZINE_LEAST_CELLS ||
                        magazine->capacity * duet_kind_bytes(kind) <= MAGAZINE_MOST_BYTES);
            assert_true((char *)(magazine->cells + magazine->capacity + 1) <=
                        (char *)magazine + ((size_t)1 << (MAGAZINE_LEAST_SHIFT + size)));
            assert_null(magazine->cells[-1]);
            for (size_t cell = 0; cell < magazine->capacity; cell++)
                assert_false(magazine_is_end(magazine->cells[cell]));
            assert_true(magazine_is_end(magazine->cells[magazine->capacity]));
            magazine_give(0, magazine);
            assert_ptr_equal(magazine_take(0, size, kind),
                             magazine); /* a spare, before a new one */
            magazine_give(0, magazine);
        }
    }
}

static void a_shelf_counts_what_lies_on_it(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2), bytes = duet_kind_bytes(kind), count = 0;
    struct magazine *put[8];
    for (size_t i = 0; i < 8; i++) {
        put[i] = magazine_with(0, kind, 1 + i);
        assert_true(transfer_put(0, kind, put[i], 1 + i));
        count += 1 + i;
        assert_int_equal(transfer_count().cells, count);
        assert_int_equal(transfer_count().bytes, count * bytes);
    }
    assert_null(transfer_take(1, kind));
    assert_null(transfer_take(0, kind - 1 > 0 ? kind - 1 : kind + 1));
    for (size_t i = 8; i-- > 0;) {
        struct magazine *magazine = transfer_take(0, kind);
        assert_ptr_equal(magazine, put[i]);
        assert_int_equal(magazine->count, 1 + i);
        count -= 1 + i;
        assert_int_equal(transfer_count().cells, count);
        assert_int_equal(transfer_count().bytes, count * bytes);
        empty(magazine, kind, 1 + i);
    }
    assert_null(transfer_take(0, kind));
    assert_true(is_unused(kind));
}

/* But empty ones of others are taken before there are more. */
static void each_home_has_its_own_shelves(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2);
    uint32_t homes = duet_homes;
    duet_homes = DUET_HOMES;
    struct magazine *far = magazine_with(0, kind, 1), *near = magazine_with(0, kind, 2);
    assert_true(transfer_put(DUET_HOMES - 1, kind, far, 1));
    assert_true(transfer_put(2, kind, near, 2));
    assert_ptr_equal(transfer_take(2, kind), near);
    assert_null(transfer_take(2, kind));
    assert_ptr_equal(transfer_take(DUET_HOMES - 1, kind), far);
    depot_return(kind, near->cells, 2);
    depot_return(kind, far->cells, 1);
    magazine_give(2, near);
    magazine_give(DUET_HOMES - 1, far);
    assert_ptr_equal(magazine_take(2, 0, kind), near);
    assert_ptr_equal(magazine_take(2, 0, kind), far);
    magazine_give(0, near);
    magazine_give(0, far);
    duet_homes = homes;
}

/* As a forked child does. */
static void shelves_are_counted_anew(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    struct magazine *put[2] = {magazine_with(0, kind, 2), magazine_with(0, kind, 3)};
    assert_true(transfer_put(0, kind, put[0], 2));
    assert_true(transfer_put(ELSEWHERE, kind, put[1], 3));
    put[0]->count = 1; /* so the count is wrong */
    magazines_mend();
    assert_int_equal(transfer_count().cells, 4);
    assert_int_equal(transfer_count().bytes, 4 * duet_kind_bytes(kind));
    assert_ptr_equal(transfer_take(0, kind), put[0]);
    assert_ptr_equal(transfer_take(ELSEWHERE, kind), put[1]);
    empty(put[0], kind, 2);
    empty(put[1], kind, 3);
    assert_true(is_unused(kind));
}

static void a_shelf_is_idle_while_nothing_comes_or_goes(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2);
    struct magazine *magazine = magazine_with(0, kind, 1);
    for (int round = 0; round < 2; round++) {
        assert_false(transfer_is_idle(0, kind));
        assert_false(transfer_is_idle(0, kind)); /* nothing lies there */
        assert_true(transfer_put(0, kind, magazine, 1));
        assert_false(transfer_is_idle(0, kind));
        assert_true(transfer_is_idle(0, kind));
        assert_ptr_equal(transfer_take(0, kind), magazine);
        assert_true(transfer_put(0, kind, magazine, 1));
        assert_false(transfer_is_idle(0, kind)); /* the same, but it was gone */
        assert_true(transfer_is_idle(0, kind));
        assert_ptr_equal(transfer_take(0, kind), magazine);
    }
    empty(magazine, kind, 1);
}

static void a_full_shelf_refuses(void **state)
{
    (void)state;
    size_t kind = unused_kind(DUET_KINDS / 2, 2), count = MAGAZINE_LEAST_CELLS;
    size_t bytes = count * duet_kind_bytes(kind);
    struct magazine *magazine;
    for (;;) {
        magazine = magazine_with(0, kind, count);
        if (!transfer_put(0, kind, magazine, count))
            break;
        assert_true(transfer_count().bytes <= shelves_most());
    }
    size_t full = transfer_count().bytes;
    assert_true(full + bytes > shelves_most());
    assert_true(transfer_put(1, kind, magazine, count)); /* a limit for each home */
    assert_ptr_equal(transfer_take(1, kind), magazine);
    assert_int_equal(transfer_count().bytes, full);
    struct magazine *taken = transfer_take(0, kind);
    assert_non_null(taken);
    assert_ptr_not_equal(taken, magazine);
    empty(taken, kind, count);
    assert_true(transfer_put(0, kind, magazine, count));
    assert_int_equal(transfer_count().bytes, full);
    while ((taken = transfer_take(0, kind)) != NULL)
        empty(taken, kind, count);
    assert_true(is_unused(kind));
}

/* What does not fit goes to the groups at once. */
static void what_no_shelf_takes_goes_to_the_groups(void **state)
{
    (void)state;
    size_t kind = unused_kind(DUET_KINDS / 2, 2);
    size_t most = 2 * shelves_most() / duet_kind_bytes(kind) + 200, had = 0;
    struct depots_count before, after;
    assert_true(most <= MOST_CELLS);
    while (had < most)
        cells[had++] = alloc(&cache, kind);
    depots_count(&before);
    for (size_t i = 0; i < had; i++)
        give(&cache, cells[i], kind);
    depots_count(&after);
    assert_true(transfer_count().bytes <= shelves_most());
    assert_true(after.free_cells > before.free_cells);
    cache_drain(&use);
    engine_trim();
    assert_true(is_unused(kind));
}

/* ---- Threads at a shelf -------------------------------------------------------------------- */

#define THREADS 4
#define MAGAZINES 3 /* fewer than threads: so they come back while another looks at them */
#define THREAD_ROUNDS 50000

static size_t shelf_kind;

/* Who has a magazine writes to it, plainly. */
static void *put_and_take(void *number)
{
    for (int round = 0; round < THREAD_ROUNDS; round++) {
        struct magazine *magazine = transfer_take(0, shelf_kind);
        if (magazine == NULL)
            continue;
        assert_int_equal(magazine->count, 2);
        void *cell = magazine->cells[0];
        magazine->cells[0] = number;
        magazine->cells[0] = cell;
        assert_true(transfer_put(0, shelf_kind, magazine, 2));
    }
    return NULL;
}

static void threads_share_a_shelf(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t found = 0;
    shelf_kind = unused_kind(1, 2 * MAGAZINES);
    for (size_t i = 0; i < MAGAZINES; i++)
        assert_true(transfer_put(0, shelf_kind, magazine_with(0, shelf_kind, 2), 2));
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_take, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (struct magazine *magazine; (magazine = transfer_take(0, shelf_kind)) != NULL; found++)
        empty(magazine, shelf_kind, 2);
    assert_int_equal(found, MAGAZINES);
    assert_true(is_unused(shelf_kind));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cells_that_are_freed_first_go_home),
        TEST(a_home_begins_a_group_of_its_own),
        TEST(own_cells_meet_no_shelf),
        TEST(a_magazine_grows_as_it_is_filled),
        TEST(a_magazine_grows_as_it_is_emptied),
        TEST(a_few_of_a_class_are_longer_cells),
        TEST(no_magazine_grows_beyond_the_budget),
        TEST(kinds_that_need_less_give_way),
        TEST(long_cells_give_way_to_short_ones),
        TEST(a_count_that_is_late_spends_no_budget),
        TEST(what_gives_way_loses_nothing),
        TEST(decay_drops_what_was_not_used),
        TEST(a_drain_leaves_nothing),
        TEST(the_two_on_top_are_not_pushed_again),
        TEST(cells_are_neither_lost_nor_doubled),
        TEST(a_magazine_has_its_guards_and_no_others),
        TEST(a_shelf_counts_what_lies_on_it),
        TEST(each_home_has_its_own_shelves),
        TEST(a_shelf_is_idle_while_nothing_comes_or_goes),
        TEST(shelves_are_counted_anew),
        TEST(a_full_shelf_refuses),
        TEST(what_no_shelf_takes_goes_to_the_groups),
        TEST(threads_share_a_shelf),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
