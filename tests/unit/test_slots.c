/*
 * Slots, as the engine uses them: the process's own set.
 */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include "engine.h"
#include "slots/slots.h"

#define THREADS 8
#define ROUNDS 20000
#define NESTING 12

static void at_least_two_and_as_many_as_cpus(void **state)
{
    (void)state;
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    uint32_t expected = (uint32_t)max_size((size_t)CPU_COUNT(&cpus), SLOTS_LEAST);
    assert_int_equal(slots_count(&smp_slots), DUET_TINY ? SLOTS_LEAST : expected);
    assert_int_equal(slots_count(&smp_slots), slots_count(&smp_slots));
}

/* Each operation nested in the one before, as by signal handlers in signal handlers: none waits,
 * each has a slot of its own. */
static void nested_operations_never_wait(void **state)
{
    (void)state;
    struct slot *held[NESTING];
    for (int i = 0; i < NESTING; i++) {
        held[i] = slot_take(&smp_slots);
        assert_non_null(held[i]);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(held[i], held[j]);
    }
    assert_true(smp_slots.reserve_count > 0);
    uint32_t reserves = smp_slots.reserve_count;
    for (int i = NESTING - 1; i >= 0; i--)
        slot_release(held[i]);
    for (int i = 0; i < NESTING; i++)
        held[i] = slot_take(&smp_slots);
    assert_int_equal(smp_slots.reserve_count, reserves); /* used again, not added to */
    for (int i = 0; i < NESTING; i++)
        slot_release(held[i]);
}

static void count_visit(struct slot *slot, void *context)
{
    assert_true(slot->owner == thread_self());
    ++*(uint32_t *)context;
}

static void a_visit_comes_to_every_slot_but_those_it_was_interrupted_in(void **state)
{
    (void)state;
    uint32_t visits = 0;
    slots_visit(&smp_slots, count_visit, &visits);
    assert_int_equal(visits, slots_in_all(&smp_slots));
    struct slot *held = slot_take(&smp_slots);
    visits = 0;
    slots_visit(&smp_slots, count_visit, &visits);
    assert_int_equal(visits, slots_in_all(&smp_slots) - 1);
    slot_release(held);
}

/* In every slot a number that only its owner touches; the set's payload is the engine's, so the
 * numbers stand apart, by the slot's address. */
static struct {
    struct slot *slot;
    size_t inside;
    size_t entries;
} places[64];

static size_t place_of(struct slot *slot)
{
    for (size_t i = 0;; i++) {
        assert_true(i < sizeof places / sizeof *places);
        if (cas_relaxed(&places[i].slot, (struct slot *)NULL, slot) ||
            load_relaxed(&places[i].slot) == slot)
            return i;
    }
}

static void *enter_and_leave(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        struct slot *slot = slot_take(&smp_slots);
        size_t place = place_of(slot);
        assert_int_equal(places[place].inside++, 0);
        places[place].entries++;
        places[place].inside--;
        slot_release(slot);
    }
    return NULL;
}

static void one_thread_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t entries = 0, used = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        entries += places[i].entries;
        used += places[i].entries != 0;
    }
    assert_int_equal(entries, THREADS * ROUNDS);
    assert_true(used >= 2); /* threads start apart */
}

static bool any_slot(const struct slot *slot, size_t unused)
{
    (void)slot;
    (void)unused;
    return true;
}

/* Between prepare and end the forking thread works in one slot kept for it, fork after fork. */
static void forks_do_not_use_up_reserves(void **state)
{
    (void)state;
    uint32_t reserves = smp_slots.reserve_count;
    for (int i = 0; i < 100; i++) {
        slots_fork_prepare(&smp_slots);
        struct slot *slot = slot_take(&smp_slots);
        assert_non_null(slot);
        for (uint32_t j = 0; j < slots_in_all(&smp_slots); j++) {
            struct slot *other = slot_take_other(&smp_slots, slot, 1, any_slot, 0);
            if (other != NULL)
                slot_return_other(other); /* it holds them all, and goes on holding them */
        }
        slot_release(slot);
        for (uint32_t j = 0; j < SLOTS_LEAST; j++) {
            struct slot *held = (struct slot *)(smp_slots.first + j * smp_slots.stride);
            assert_true(held->owner == (thread_self() | SLOT_OWNER_FORK));
        }
        slots_fork_end(&smp_slots);
    }
    assert_int_equal(smp_slots.reserve_count, reserves);
    struct slot *slot = slot_take(&smp_slots);
    assert_ptr_equal(slot, slot_thread.current);
    slot_release(slot);
}

static void a_search_comes_to_every_other_slot(void **state)
{
    (void)state;
    struct slot *home = slot_take(&smp_slots);
    uint32_t all = slots_in_all(&smp_slots), found = 0;
    for (uint32_t i = 0; i < all; i++) {
        struct slot *other = slot_take_other(&smp_slots, home, 1, any_slot, 0);
        if (other == NULL)
            continue;
        assert_ptr_not_equal(other, home);
        slot_return_other(other);
        found++;
    }
    assert_int_equal(found, all - 1);
    slot_release(home);
}

static bool is_number(const struct slot *slot, size_t number)
{
    return slot == (struct slot *)(smp_slots.first + number * smp_slots.stride);
}

static void a_search_finds_the_one_that_is_wanted(void **state)
{
    (void)state;
    struct slot *home = slot_take(&smp_slots);
    uint32_t all = slots_in_all(&smp_slots);
    for (size_t wanted = 0; wanted < SLOTS_LEAST; wanted++) {
        struct slot *other = slot_take_other(&smp_slots, home, all, is_number, wanted);
        assert_int_equal(other == NULL, is_number(home, wanted));
        if (other == NULL)
            continue;
        assert_true(is_number(other, wanted));
        /* Taken already: not to be had a second time. */
        assert_null(slot_take_other(&smp_slots, home, all, is_number, wanted));
        slot_return_other(other);
    }
    slot_release(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_least_two_and_as_many_as_cpus),
        cmocka_unit_test(nested_operations_never_wait),
        cmocka_unit_test(a_visit_comes_to_every_slot_but_those_it_was_interrupted_in),
        cmocka_unit_test(one_thread_at_a_time),
        cmocka_unit_test(forks_do_not_use_up_reserves),
        cmocka_unit_test(a_search_comes_to_every_other_slot),
        cmocka_unit_test(a_search_finds_the_one_that_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
