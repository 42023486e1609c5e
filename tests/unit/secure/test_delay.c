/*
 * What is freed waits, and comes back in another order: over cells of several lengths, each malloc
 * is looked up among the frees before it.
 */
#include "unit.h"

#include "duet.h"
#include "engine.h"
#include "heap/heap.h"
#include "os/os.h"

#define FREES 20000
#define HELD 1000

static void *freed[FREES];

/* How many frees ago it was freed; 0: not yet. */
static size_t frees_since(const void *cell, size_t count)
{
    for (size_t ago = 1; ago <= count; ago++)
        if (freed[count - ago] == cell)
            return ago;
    return 0;
}

/* The least number of frees from that of a cell until it is handed out again, and how many cells
 * come as far behind the one before them as that one did: in order, or in the reverse one. */
struct seen {
    size_t least;
    size_t again;
    size_t in_order;
};

/* Notes a cell that was just handed out, after so many frees. */
struct last {
    size_t ago, step;
};

static void note(struct seen *seen, struct last *last, const void *cell, size_t count)
{
    size_t ago = frees_since(cell, count);
    if (ago == 0)
        return;
    seen->least = min_size(seen->least, ago);
    seen->again++;
    seen->in_order += ago - last->ago == last->step;
    *last = (struct last){ago, ago - last->ago};
}

static struct seen replace_over_and_over(size_t length, size_t frees)
{
    struct seen seen = {.least = FREES};
    struct last last = {0, 0};
    for (size_t count = 0; count < frees; count++) {
        void *cell = duet_malloc(length);
        assert_non_null(cell);
        note(&seen, &last, cell, count);
        freed[count] = cell;
        duet_mfree(cell);
    }
    return seen;
}

/* So many are freed, one after the other, and then as many allocated: more than a magazine has room
 * for at first. */
#define BURST 40

static struct seen replace_in_bursts(size_t length, size_t bursts)
{
    struct seen seen = {.least = FREES};
    struct last last = {0, 0};
    void *cells[BURST];
    for (size_t i = 0; i < BURST; i++)
        cells[i] = duet_malloc(length);
    for (size_t count = 0; count < bursts * BURST;) {
        for (size_t i = 0; i < BURST; i++) {
            freed[count++] = cells[i];
            duet_mfree(cells[i]);
        }
        for (size_t i = 0; i < BURST; i++) {
            cells[i] = duet_malloc(length);
            assert_non_null(cells[i]);
            note(&seen, &last, cells[i], count);
        }
    }
    for (size_t i = 0; i < BURST; i++)
        duet_mfree(cells[i]);
    return seen;
}

static void what_is_freed_waits_and_comes_in_another_order(void **state)
{
    (void)state;
    static const struct {
        size_t length, places, frees;
    } cases[] = {
        {24, WAITING_MOST, FREES},
        {100, WAITING_MOST, FREES},
        {1000, WAITING_MOST, FREES},
        {2000, WAITING_MOST / 2, FREES},
        {DUET_TINY ? 3000 : 5000, WAITING_MOST / 4, FREES / 4},
        {DUET_MOST_BYTES - SEAL_BYTES, WAITING_MOST / 4, FREES / 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = replace_over_and_over(cases[i].length, cases[i].frees);
        size_t places = waiting_places(secure_kind_for(cases[i].length, DUET_UNIT));
        assert_int_equal(places, cases[i].places);
        assert_true(seen.least > places / 2 + 1);
        assert_true(seen.again > cases[i].frees / 2);
        assert_true(seen.in_order < seen.again / 2);
    }
}

static void what_is_freed_in_bursts_waits_too(void **state)
{
    (void)state;
    for (size_t length = 24; length < 300; length *= 2) {
        struct seen seen = replace_in_bursts(length, FREES / BURST);
        assert_true(seen.least > WAITING_MOST / 2 + 1);
        assert_true(seen.again > FREES / 4);
        assert_true(seen.in_order < seen.again / 4);
    }
}

/* Where each cell of one round of allocations comes in the next one. */
static void round_of_allocations(void *cells[HELD], void *const before[HELD], size_t came[HELD])
{
    for (size_t i = 0; i < HELD; i++) {
        cells[i] = duet_malloc(200);
        came[i] = HELD;
        for (size_t j = 0; j < HELD && before != NULL; j++)
            if (before[j] == cells[i])
                came[i] = j;
    }
    for (size_t i = 0; i < HELD; i++)
        duet_mfree(cells[i]);
}

/* By a rule, each time they would come in the same order, seen from the time before. */
static void the_order_is_by_chance(void **state)
{
    (void)state;
    static void *first[HELD], *second[HELD], *third[HELD];
    static size_t came[HELD], comes[HELD];
    round_of_allocations(first, NULL, came);
    round_of_allocations(second, first, came);
    round_of_allocations(third, second, comes);
    size_t same = 0, again = 0;
    for (size_t i = 0; i < HELD; i++) {
        again += came[i] < HELD && comes[i] < HELD;
        same += came[i] < HELD && came[i] == comes[i];
    }
    assert_true(again > HELD / 4);
    assert_true(same < again / 4);
}

/* It counts as free, and a trim lets it out. */
static void what_waits_is_free(void **state)
{
    (void)state;
    static const size_t lengths[] = {24, 3000, DUET_MOST_BYTES - SEAL_BYTES};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct engine_count before, after;
        void *cells[HELD];
        heap_trim();
        engine_count(&before);
        for (size_t k = 0; k < HELD; k++)
            cells[k] = duet_malloc(lengths[i]);
        engine_count(&after);
        assert_int_equal(after.cells, before.cells + HELD);
        for (size_t k = 0; k < HELD; k++)
            duet_mfree(cells[k]);
        engine_count(&after);
        assert_int_equal(after.cells, before.cells);
        assert_true(after.free_bytes >= before.free_bytes + lengths[i] * WAITING_MOST / 4);
        heap_trim();
        engine_count(&after);
        assert_int_equal(after.free_bytes, before.free_bytes);
    }
}

static size_t count_waiting(const struct cache *cache, size_t kind)
{
    size_t count = 0;
    for (size_t place = 0; place < WAITING_MOST; place++)
        count += cache->waiting.cells[kind][place] != NULL;
    return count;
}

static void wait_in(struct cache *cache, size_t kind)
{
    size_t got = kind;
    bool zeroed;
    void *cell = cells_take(0, DUET_UNIT, &got, &zeroed); /* 0: no longer one will do */
    assert_int_equal(got, kind);
    cache_wait(cache, &cell, kind);
    assert_null(cell);
}

/* What was freed moves no top, but is used. */
static void what_was_freed_since_the_last_sweep_stays(void **state)
{
    (void)state;
    static struct cache cache;
    const struct cache_use use = {.cache = &cache};
    size_t kind = secure_kind_for(700, DUET_UNIT);
    cache_prepare(&cache, 0);
    for (size_t i = 1; i < 5; i++) {
        uintptr_t sum = cache_sum(&cache);
        wait_in(&cache, kind);
        assert_int_not_equal(cache_sum(&cache), sum);
        cache_decay(&use);
        assert_int_equal(count_waiting(&cache, kind), i);
    }
    cache_decay(&use);
    assert_int_equal(count_waiting(&cache, kind), 0);
    assert_true(cache_is_empty(&cache));
}

/* As in a forked child, of a slot that another thread was in. */
static void what_waits_is_forgotten_with_its_cache(void **state)
{
    (void)state;
    static struct cache cache;
    size_t kind = secure_kind_for(500, DUET_UNIT);
    cache_prepare(&cache, 0);
    wait_in(&cache, kind);
    cache_abandon(&cache);
    assert_true(cache_is_empty(&cache));
}

/* What a slot frees before it allocates any is others', with neighbours that are theirs. */
static void what_others_allocated_goes_home(void **state)
{
    (void)state;
    static struct cache cache;
    const struct cache_use use = {.cache = &cache};
    size_t kind = secure_kind_for(600, DUET_UNIT), got = kind;
    bool zeroed;
    cache_prepare(&cache, 0);
    for (size_t i = 0; i < WAITING_MOST; i++)
        wait_in(&cache, kind);
    void *first = cache_alloc_slow(&use, 0, &got, &zeroed);
    assert_non_null(first);
    assert_int_equal(count_waiting(&cache, kind), 0);
    cells_give(first, kind);
    cache_drain(&use);
}

/* Cells of a length that nobody has used. */
static void new_cells_come_in_no_order(void **state)
{
    (void)state;
    char *last = duet_malloc(400);
    size_t side_by_side = 0;
    for (size_t i = 0; i < HELD; i++) {
        char *cell = duet_malloc(400);
        size_t apart = (size_t)(cell < last ? last - cell : cell - last);
        side_by_side += apart <= 2 * 400;
        last = cell;
    }
    assert_true(side_by_side < HELD / 2);
}

/* Eight others are freed before the addresses of a large block come again; a trim lets them go. */
static void large_blocks_wait(void **state)
{
    (void)state;
    const size_t length = 300000, frees = 100;
    size_t least = replace_over_and_over(length, frees).least;
    assert_in_range(least, 8, frees - 1);
    size_t held = os_held_bytes();
    heap_trim();
    assert_true(os_held_bytes() + 8 * length <= held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_waits_and_comes_in_another_order),
        cmocka_unit_test(what_is_freed_in_bursts_waits_too),
        cmocka_unit_test(the_order_is_by_chance),
        cmocka_unit_test(what_waits_is_free),
        cmocka_unit_test(what_was_freed_since_the_last_sweep_stays),
        cmocka_unit_test(what_waits_is_forgotten_with_its_cache),
        cmocka_unit_test(what_others_allocated_goes_home),
        cmocka_unit_test(new_cells_come_in_no_order),
        cmocka_unit_test(large_blocks_wait),
    };
    return cmocka_run_group_tests_name("delay", tests, NULL, NULL);
}
