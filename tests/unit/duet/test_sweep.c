/*
 * The sweep, by the clock: what lies in slots that nobody uses goes on. Each sweep is waited for.
 */
#include "duet_tests.h"

#include "engine/duet/caches.h"
#include "engine/duet/sweep.h"
#include "os/os.h"

/* Several more than a slot stays idle for, and a sweep's interval. */
#define SWEEPS 6
#define INTERVAL_NS ((uint64_t)110 * 1000 * 1000)

static void wait_for_sweep(void)
{
    uint32_t before = load_relaxed(&sweep_number);
    while (load_relaxed(&sweep_number) == before) {
        os_sleep_ns(INTERVAL_NS);
        engine_tick();
    }
}

/* A cell of its own in a shared slot's magazine. */
static void use_shared_slot(size_t kind, bool take)
{
    struct slot *slot = slot_take(&duet_shared);
    assert_non_null(slot);
    struct cache *cache = cache_of_shared(slot);
    const struct cache_use use = {.cache = cache};
    static void *cell;
    bool zeroed;
    if (take)
        cell = cache_alloc_slow(&use, 0, &kind, &zeroed);
    else
        cache_free_slow(&use, cell, kind);
    assert_non_null(cell);
    slot_release(slot);
}

static void add_cells(struct slot *slot, void *context)
{
    size_t *count = context, bytes = 0;
    cache_count(cache_of_shared(slot), count, &bytes);
}

static size_t cells_in_shared_slots(void)
{
    size_t count = 0;
    slots_visit(&duet_shared, add_cells, &count);
    return count;
}

static void a_shared_slot_that_nobody_uses_is_emptied(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    use_shared_slot(kind, true);
    use_shared_slot(kind, false);
    assert_true(cells_in_shared_slots() > 0);
    for (int i = 0; i < SWEEPS; i++)
        wait_for_sweep();
    assert_int_equal(cells_in_shared_slots(), 0);
    assert_true(is_unused(kind));
}

static void one_that_is_used_is_left_alone(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    for (int i = 0; i < SWEEPS; i++) {
        use_shared_slot(kind, i % 2 == 0);
        wait_for_sweep();
        assert_true(cells_in_shared_slots() > 0);
    }
    assert_true(is_unused(kind)); /* by a trim */
}

static void one_that_somebody_is_in_is_not_waited_for(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    use_shared_slot(kind, true);
    use_shared_slot(kind, false);
    struct slot *slot = slot_take(&duet_shared);
    store_relaxed(&slot->owner, (uintptr_t)&kind); /* another thread */
    for (int i = 0; i < SWEEPS; i++)
        wait_for_sweep();
    store_relaxed(&slot->owner, thread_self());
    slot_release(slot);
    assert_true(cells_in_shared_slots() > 0);
    wait_for_sweep();
    assert_int_equal(cells_in_shared_slots(), 0);
    assert_true(is_unused(kind));
}

#if CPUS_POSSIBLE && DUET_STANDARD_NAMES

/* In a function of its own: what it has on its stack is the child's, too. */
static void have_child(size_t kind)
{
    pid_t child = vfork();
    assert_true(child >= 0);
    if (child == 0) {
        size_t class;
        bool zeroed;
        void *cell = engine_alloc_slow(duet_kind_bytes(kind), DUET_UNIT, &class, &zeroed);
        _exit(cell == NULL || engine_free_slow(cell, "free") != kind - 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* It is in no CPU's slot. */
static void what_a_child_of_vfork_left_goes_on(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    size_t class;
    bool zeroed;
    engine_free_slow(engine_alloc_slow(1, 1, &class, &zeroed),
                     "free"); /* which finds out whose slots are */
    if (!cpus_are_mine(&duet_cpus))
        skip();
    have_child(kind);
    assert_true(cells_in_shared_slots() > 0);
    for (int i = 0; i < SWEEPS; i++)
        wait_for_sweep();
    assert_int_equal(cells_in_shared_slots(), 0);
    assert_true(is_unused(kind));
}

#else

static void what_a_child_of_vfork_left_goes_on(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_slot_that_nobody_uses_is_emptied),
        cmocka_unit_test(one_that_is_used_is_left_alone),
        cmocka_unit_test(one_that_somebody_is_in_is_not_waited_for),
        cmocka_unit_test(what_a_child_of_vfork_left_goes_on),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
