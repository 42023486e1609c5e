/*
 * Slots, with a payload of our own behind each.
 */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include "slots/slots.h"

#define THREADS 8
#define ROUNDS 20000
#define NESTING 12

/* The payload is numbers that only the slot's owner touches. */
struct place {
    alignas(CACHE_LINE_PAIR) struct slot head;
    size_t inside;
    size_t entries;
    size_t copy_of_entries;
};

static struct place storage[SLOTS_STATIC];
static struct slot_set set = SLOT_SET_INITIAL(storage);

static void at_least_two_and_as_many_as_cpus(void **state)
{
    (void)state;
    static struct place places[SLOTS_STATIC];
    static struct slot_set counted = SLOT_SET_INITIAL(places);
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    uint32_t expected = (uint32_t)max_size((size_t)CPU_COUNT(&cpus), SLOTS_LEAST);
    assert_int_equal(slots_count(&counted), DUET_TINY ? SLOTS_LEAST : expected);
    assert_int_equal(slots_count(&counted), slots_count(&counted));
}

/* The set of the other tests has the least number of slots, whatever the machine. */
static int count_on_few_cpus(void **state)
{
    (void)state;
    cpu_set_t all, few;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return -1;
    CPU_ZERO(&few);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&few) < SLOTS_LEAST; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &few);
    if (sched_setaffinity(0, sizeof few, &few) != 0 || slots_count(&set) != SLOTS_LEAST)
        return -1;
    return sched_setaffinity(0, sizeof all, &all);
}

/* Each operation nested in the one before, as by signal handlers in signal handlers: none waits,
 * each has a slot of its own. */
static void nested_operations_never_wait(void **state)
{
    (void)state;
    struct slot *held[NESTING];
    for (int i = 0; i < NESTING; i++) {
        held[i] = slot_take(&set);
        assert_non_null(held[i]);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(held[i], held[j]);
    }
    assert_true(set.reserve_count > 0);
    uint32_t reserves = set.reserve_count;
    for (int i = NESTING - 1; i >= 0; i--)
        slot_release(held[i]);
    for (int i = 0; i < NESTING; i++)
        held[i] = slot_take(&set);
    assert_int_equal(set.reserve_count, reserves); /* used again, not added to */
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
    slots_visit(&set, count_visit, &visits);
    assert_int_equal(visits, slots_in_all(&set));
    struct slot *held = slot_take(&set);
    visits = 0;
    slots_visit(&set, count_visit, &visits);
    assert_int_equal(visits, slots_in_all(&set) - 1);
    slot_release(held);
}

static bool is_even(struct slot *slot, void *context)
{
    (void)context;
    return ((struct place *)slot)->entries % 2 == 0;
}

static void free_slots_are_visited_where_they_are_wanted(void **state)
{
    (void)state;
    uint32_t visits = 0, all = slots_in_all(&set);
    slots_visit_free(&set, is_even, count_visit, &visits);
    assert_int_equal(visits, all);
    struct place *place = (struct place *)slot_take(&set);
    place->entries++; /* odd */
    slot_release(&place->head);
    visits = 0;
    slots_visit_free(&set, is_even, count_visit, &visits);
    assert_int_equal(visits, all - 1);
    place->entries--;
    store_relaxed(&place->head.owner, (uintptr_t)&visits); /* another thread is in it for ever */
    visits = 0;
    slots_visit_free(&set, is_even, count_visit, &visits);
    assert_int_equal(visits, all - 1);
    store_release(&place->head.owner, 0);
}

/* In the middle of things, so that others come upon them. */
static void sched_yield_sometimes(int i)
{
    if (i % 100 == 0)
        sched_yield();
}

static void *enter_and_leave(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        struct place *place = (struct place *)slot_take(&set);
        assert_int_equal(place->inside++, 0);
        place->entries++;
        sched_yield_sometimes(i);
        place->copy_of_entries = place->entries;
        place->inside--;
        slot_release(&place->head);
    }
    return NULL;
}

struct entries {
    size_t all;
    size_t places; /* that had any */
};

static void count_entries(struct slot *slot, void *context)
{
    struct entries *entries = context;
    entries->all += ((struct place *)slot)->entries;
    entries->places += ((struct place *)slot)->entries != 0;
}

static void one_thread_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct entries entries = {0, 0};
    slots_visit(&set, count_entries, &entries);
    assert_int_equal(entries.all, THREADS * ROUNDS);
    assert_true(entries.places >= 2); /* threads start apart */
}

/* An owner that was put to sleep in its slot would outlast any number of tries without a yield. */
static void *read_in_turn(void *unused)
{
    (void)unused;
    for (int readings = 0, i = 0; readings < ROUNDS; i++) {
        struct place *place = &storage[i % SLOTS_LEAST];
        if (!slot_try_reading(&place->head)) {
            sched_yield();
            continue;
        }
        size_t entries = place->entries;
        sched_yield_sometimes(i);
        assert_int_equal(place->inside, 0);
        assert_int_equal(place->copy_of_entries, entries);
        slot_end_reading(&place->head);
        readings++;
    }
    return NULL;
}

/* What readers see was left by an owner, and stays as it is until they have left. */
static void readers_and_owners_exclude_each_other(void **state)
{
    (void)state;
    if (!DUET_RWLOCK)
        skip();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 == 0 ? enter_and_leave : read_in_turn, NULL),
            0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SLOTS_LEAST; i++)
        assert_int_equal(storage[i].head.readers, 0);
}

static void what_is_borrowed_is_owned_until_it_is_returned(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLOTS_LEAST; i++) {
        struct slot *slot = &storage[i].head;
        assert_false(slot_is_own(slot));
        assert_true(slot_borrow(slot));
        assert_true(slot_is_own(slot));
        assert_false(slot_borrow(slot)); /* one operation inside another */
        slot_return_other(slot);
        assert_false(slot_is_own(slot));
    }
    slots_fork_prepare(&set);
    assert_true(slot_borrow(&storage[0].head)); /* it is held for the fork, and stays so */
    slot_return_other(&storage[0].head);
    assert_true(slot_is_own(&storage[0].head));
    slots_fork_end(&set);
    assert_false(slot_is_own(&storage[0].head));
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
    uint32_t reserves = set.reserve_count;
    for (int i = 0; i < 100; i++) {
        slots_fork_prepare(&set);
        struct slot *slot = slot_take(&set);
        assert_non_null(slot);
        for (uint32_t j = 0; j < slots_in_all(&set); j++) {
            struct slot *other = slot_take_other(&set, slot, 1, any_slot, 0, SLOTS_LONG_WAIT);
            if (other != NULL)
                slot_return_other(other); /* it holds them all, and goes on holding them */
        }
        slot_release(slot);
        for (uint32_t j = 0; j < SLOTS_LEAST; j++) {
            struct slot *held = (struct slot *)(set.first + j * set.stride);
            assert_true(held->owner == (thread_self() | SLOT_OWNER_FORK));
        }
        slots_fork_end(&set);
    }
    assert_int_equal(set.reserve_count, reserves);
    struct slot *slot = slot_take(&set);
    assert_ptr_equal(slot, slot_thread.current);
    slot_release(slot);
}

static void a_search_comes_to_every_other_slot(void **state)
{
    (void)state;
    struct slot *home = slot_take(&set);
    uint32_t all = slots_in_all(&set), found = 0;
    for (uint32_t i = 0; i < all; i++) {
        struct slot *other = slot_take_other(&set, home, 1, any_slot, 0, SLOTS_LONG_WAIT);
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
    return slot == (struct slot *)(set.first + number * set.stride);
}

static void a_search_finds_the_one_that_is_wanted(void **state)
{
    (void)state;
    struct slot *home = slot_take(&set);
    uint32_t all = slots_in_all(&set);
    for (size_t wanted = 0; wanted < SLOTS_LEAST; wanted++) {
        struct slot *other = slot_take_other(&set, home, all, is_number, wanted, SLOTS_LONG_WAIT);
        assert_int_equal(other == NULL, is_number(home, wanted));
        if (other == NULL)
            continue;
        assert_true(is_number(other, wanted));
        /* Taken already: not to be had a second time. */
        assert_null(slot_take_other(&set, home, all, is_number, wanted, SLOTS_LONG_WAIT));
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
        cmocka_unit_test(free_slots_are_visited_where_they_are_wanted),
        cmocka_unit_test(one_thread_at_a_time),
        cmocka_unit_test(readers_and_owners_exclude_each_other),
        cmocka_unit_test(what_is_borrowed_is_owned_until_it_is_returned),
        cmocka_unit_test(forks_do_not_use_up_reserves),
        cmocka_unit_test(a_search_comes_to_every_other_slot),
        cmocka_unit_test(a_search_finds_the_one_that_is_wanted),
    };
    return cmocka_run_group_tests(tests, count_on_few_cpus, NULL);
}
