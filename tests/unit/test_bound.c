/*
 * Bound slots, with a payload of our own behind each. The tests build on each other: the main
 * thread has the first slot from the second on, and threads retire theirs from the fourth on.
 */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include "base/thread.h"
#include "os/os.h"
#include "slots/bound.h"

#define THREADS 4
#define ROUNDS 1000000
#define VISIT_PAUSES 20         /* long enough for an owner to come, if it may */
#define LIMIT (1 + THREADS + 2) /* the main thread's, the threads', and two more; two chunks */

/* The payload is numbers that only who is inside touches: the two are equal whenever nobody is. */
struct place {
    alignas(CACHE_LINE_PAIR) struct bound_slot slot;
    size_t entries;
    size_t copy_of_entries;
    size_t prepared; /* how often, and so on */
    size_t retired;
    size_t abandoned;
};

static struct place first;

static struct place *place_of(struct bound_slot *slot)
{
    return (struct place *)slot;
}

static void prepare(struct bound_slot *slot)
{
    place_of(slot)->prepared++;
}

static void retire(struct bound_slot *slot)
{
    assert_false(bound_try(slot)); /* it is entered already */
    place_of(slot)->retired++;
}

static void abandon(struct bound_slot *slot)
{
    place_of(slot)->abandoned++;
}

static struct bound_set set = BOUND_SET_INITIAL(&first, prepare, retire);

/* Where the kernel refuses, nobody's slot but one's own can be looked into. */
static bool can_revoke(void)
{
    return BOUND_BY_CAS || os_barrier();
}

static void wait_for(unsigned *word, unsigned value)
{
    while (load_acquire(word) != value)
        sched_yield();
}

static void *run_thread(void *(*code)(void *), void *argument)
{
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, code, argument), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    return result;
}

/* ---- One thread ---------------------------------------------------------------------------- */

static void nobody_enters_without_a_slot(void **state)
{
    (void)state;
    assert_null(bound_thread);
    assert_null(bound_enter());
    assert_false(bound_is_inside());
    assert_int_equal(bound_count(&set), 0);
}

static void nobody_enters_twice(void **state)
{
    (void)state;
    bound_bind(&set);
    bound_bind(&set); /* it has one */
    assert_int_equal(bound_count(&set), 1);
    assert_ptr_equal(bound_thread, &first.slot);
    assert_int_equal(first.prepared, 1);
    for (int round = 0; round < 3; round++) {
        assert_false(bound_is_inside());
        struct bound_slot *slot = bound_enter();
        assert_ptr_equal(slot, &first.slot);
        assert_true(bound_is_inside());
        assert_null(bound_enter());
        assert_null(bound_enter()); /* that it was refused has changed nothing */
        assert_true(bound_is_inside());
        bound_leave(slot);
    }
}

static void *bind_and_enter(void *unused)
{
    (void)unused;
    bound_bind(&set);
    struct bound_slot *slot = bound_enter();
    if (slot != NULL)
        bound_leave(slot);
    assert_ptr_equal(slot, bound_thread);
    return slot;
}

static void one_is_all_until_somebody_says_more(void **state)
{
    (void)state;
    assert_null(run_thread(bind_and_enter, NULL));
    bound_limit(&set, LIMIT);
    bound_limit(&set, 1000); /* the first word counts */
    assert_int_equal(set.limit, LIMIT);
}

/* ---- Threads that end ---------------------------------------------------------------------- */

static pthread_key_t late_key;
static unsigned late_calls;

/* The last rounds of destructors come after the slot has retired, whatever the order of keys. */
static void enter_late(void *round)
{
    if ((uintptr_t)round == 1) {
        pthread_setspecific(late_key, (void *)2);
        return;
    }
    assert_null(bound_enter());
    bound_bind(&set); /* never again */
    assert_null(bound_enter());
    assert_false(bound_is_inside());
    late_calls++;
}

static void *leave_a_mark(void *mark)
{
    bound_bind(&set);
    struct bound_slot *slot = bound_enter();
    assert_non_null(slot);
    place_of(slot)->entries += (uintptr_t)mark;
    place_of(slot)->copy_of_entries += (uintptr_t)mark;
    bound_leave(slot);
    pthread_setspecific(late_key, (void *)1);
    return slot;
}

static void a_slot_goes_from_a_thread_that_ends_to_the_next_as_it_is(void **state)
{
    (void)state;
    bound_start(&set);
    assert_int_equal(pthread_key_create(&late_key, enter_late), 0);
    struct place *place = run_thread(leave_a_mark, (void *)7);
    assert_int_equal(place->slot.number, 1);
    assert_int_equal(set.retired_count, 1);
    assert_ptr_equal(run_thread(leave_a_mark, (void *)5), place);
    assert_int_equal(bound_count(&set), 2);
    assert_int_equal(set.retired_count, 1);
    assert_int_equal(place->prepared, 1);
    assert_int_equal(place->retired, 2);
    assert_int_equal(place->entries, 12);
    assert_int_equal(late_calls, 2);
}

static unsigned bound_threads, may_end;

static void *bind_and_wait(void *unused)
{
    struct bound_slot *slot = bind_and_enter(unused);
    add_relaxed(&bound_threads, 1);
    wait_for(&may_end, 1);
    return slot;
}

static void as_many_as_may_be_are_all_different(void **state)
{
    (void)state;
    pthread_t threads[LIMIT + 2];
    struct bound_slot *slots[LIMIT + 2];
    size_t without = 0;
    for (size_t i = 0; i < LIMIT + 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, bind_and_wait, NULL), 0);
    wait_for(&bound_threads, LIMIT + 2);
    store_release(&may_end, 1);
    for (size_t i = 0; i < LIMIT + 2; i++) {
        assert_int_equal(pthread_join(threads[i], (void **)&slots[i]), 0);
        without += slots[i] == NULL;
        for (size_t j = 0; slots[i] != NULL && j < i; j++)
            assert_ptr_not_equal(slots[i], slots[j]);
    }
    assert_int_equal(without, 3); /* the main thread has one of them */
    assert_int_equal(bound_count(&set), LIMIT);
    assert_int_equal(set.retired_count, LIMIT - 1);
}

/* ---- Visits -------------------------------------------------------------------------------- */

struct visits {
    size_t count;
    uint32_t wanted; /* by number */
};

/* Also its own thread is refused meanwhile: that may be the visitor. */
static void count_visit(struct bound_slot *slot, void *context)
{
    struct visits *visits = context;
    visits->count++;
    assert_false(bound_try(slot));
    if (slot == bound_thread)
        assert_null(bound_enter());
}

static bool is_wanted(struct bound_slot *slot, void *context)
{
    return slot->number == ((struct visits *)context)->wanted;
}

static void a_visit_comes_to_every_slot_but_that_it_was_interrupted_in(void **state)
{
    (void)state;
    struct visits visits = {0, LIMIT - 1};
    bound_visit(&set, NULL, count_visit, &visits);
    assert_int_equal(visits.count, LIMIT);
    bound_visit(&set, is_wanted, count_visit, &visits);
    assert_int_equal(visits.count, LIMIT + 1);
    struct bound_slot *slot = bound_enter();
    assert_non_null(slot);
    bound_visit(&set, NULL, count_visit, &visits);
    assert_int_equal(visits.count, LIMIT + 1 + LIMIT - 1);
    assert_true(bound_is_inside());
    bound_leave(slot);
}

/* A thread that tries to enter when it is told, and tells how it went. */
struct asked {
    unsigned question, answer; /* numbers, which rise */
    bool entered;
    struct bound_slot *slot;
};

static void *enter_when_asked(void *argument)
{
    struct asked *asked = argument;
    bound_bind(&set);
    asked->slot = bound_thread;
    for (unsigned number = 1; number <= 3; number++) {
        wait_for(&asked->question, number);
        struct bound_slot *slot = bound_enter();
        asked->entered = slot != NULL;
        if (slot != NULL)
            bound_leave(slot);
        store_release(&asked->answer, number);
    }
    return NULL;
}

static bool ask(struct asked *asked, unsigned number)
{
    store_release(&asked->question, number);
    wait_for(&asked->answer, number);
    return asked->entered;
}

static void ask_its_owner(struct bound_slot *slot, void *context)
{
    struct asked *asked = context;
    if (slot == asked->slot)
        assert_false(ask(asked, 2));
}

static void an_owner_is_refused_while_another_is_there(void **state)
{
    (void)state;
    if (!can_revoke())
        skip();
    struct asked asked = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, enter_when_asked, &asked), 0);
    assert_true(ask(&asked, 1));
    bound_visit(&set, NULL, ask_its_owner, &asked);
    assert_int_equal(asked.answer, 2);
    assert_true(ask(&asked, 3));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A thread that stays inside until it is told to leave. */
static unsigned is_staying, may_leave;

static void *stay_inside(void *unused)
{
    (void)unused;
    bound_bind(&set);
    struct bound_slot *slot = bound_enter();
    assert_non_null(slot);
    store_release(&is_staying, 1);
    wait_for(&may_leave, 1);
    bound_leave(slot);
    slot = bound_enter();
    assert_non_null(slot); /* who gave up has let it go */
    bound_leave(slot);
    return NULL;
}

static pthread_t start_staying(void)
{
    pthread_t thread;
    is_staying = may_leave = 0;
    assert_int_equal(pthread_create(&thread, NULL, stay_inside, NULL), 0);
    wait_for(&is_staying, 1);
    return thread;
}

static void end_staying(pthread_t thread)
{
    store_release(&may_leave, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_slot_that_is_not_left_is_left_out(void **state)
{
    (void)state;
    if (!can_revoke())
        skip();
    pthread_t thread = start_staying();
    struct visits visits = {0, 0};
    bound_visit(&set, NULL, count_visit, &visits);
    assert_int_equal(visits.count, LIMIT - 1);
    end_staying(thread);
    bound_visit(&set, NULL, count_visit, &visits);
    assert_int_equal(visits.count, LIMIT - 1 + LIMIT);
}

/* ---- All at once --------------------------------------------------------------------------- */

static size_t refused, running;
static uint32_t last_bound; /* the number of the slot of the thread that came last */

static void *count_entries(void *unused)
{
    (void)unused;
    bound_bind(&set);
    assert_non_null(bound_thread);
    store_relaxed(&last_bound, bound_thread->number);
    for (int i = 0; i < ROUNDS; i++) {
        struct bound_slot *slot = bound_enter();
        if (slot == NULL) {
            add_relaxed(&refused, 1);
            continue;
        }
        place_of(slot)->entries++;
        if (i % 4096 == 0)
            sched_yield(); /* in the middle of things, so that others come upon them */
        place_of(slot)->copy_of_entries++;
        bound_leave(slot);
    }
    sub_release(&running, 1);
    return NULL;
}

/* What is taken out is missing in none and doubled in none. */
static void take_out(struct bound_slot *slot, void *context)
{
    size_t *sum = context;
    struct place *place = place_of(slot);
    size_t entries = load_relaxed(&place->entries);
    assert_int_equal(place->copy_of_entries, entries);
    for (int i = 0; i < VISIT_PAUSES; i++)
        thread_pause();
    assert_int_equal(load_relaxed(&place->entries), entries);
    *sum += entries;
    place->entries = place->copy_of_entries = 0;
}

static void visitors_and_owners_exclude_each_other(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t before = 0, sum = 0, visits = 0;
    bound_visit(&set, NULL, take_out, &before);
    running = THREADS;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_entries, NULL), 0);
    for (; load_acquire(&running) > 0; visits++)
        bound_visit(&set, NULL, take_out, &sum);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    bound_visit(&set, NULL, take_out, &sum);
    assert_true(visits > 0);
    assert_int_equal(sum + refused, (size_t)THREADS * ROUNDS);
    assert_true(sum > 0);
    assert_int_equal(bound_count(&set), LIMIT);
    assert_int_equal(set.retired_count, LIMIT - 1);
}

/* ---- Fork ---------------------------------------------------------------------------------- */

/* In the child: the main thread keeps its slot; all others have retired, and go to threads to
 * come. */
static void check_child(void)
{
    size_t abandoned = 0, sum = 0;
    bound_fork_end_child(&set, abandon);
    assert_int_equal(set.retired_count, LIMIT - 1);
    for (struct bound_slot *slot = set.retired; slot != NULL; slot = slot->next_retired) {
        assert_true(slot->retired);
        abandoned += place_of(slot)->abandoned;
    }
    assert_int_equal(abandoned, 1); /* that of the thread which was inside */
    struct bound_slot *own = bound_enter();
    assert_ptr_equal(own, &first.slot);
    bound_leave(own);
    /* As a thread that has none yet, again and again: a sanitizer's children start no threads. */
    for (int i = 0; i < LIMIT; i++) {
        bound_thread = NULL;
        assert_int_equal(bind_and_enter(NULL) != NULL, i < LIMIT - 1);
    }
    assert_int_equal(bound_count(&set), LIMIT);
    assert_int_equal(set.retired_count, 0);
    bound_visit(&set, NULL, take_out, &sum);
    assert_false(lock_is_held(&set.lock));
}

static void a_child_has_the_slots_of_threads_that_it_has_not(void **state)
{
    (void)state;
    struct asked asked = {0};
    pthread_t idle, inside = start_staying();
    assert_int_equal(pthread_create(&idle, NULL, enter_when_asked, &asked), 0);
    assert_true(ask(&asked, 1));
    bound_fork_prepare(&set);
    assert_true(!can_revoke() || !ask(&asked, 2)); /* revoked for the time of the fork */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        check_child();
        _exit(0);
    }
    bound_fork_end(&set);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    if (!can_revoke())
        ask(&asked, 2);
    assert_true(ask(&asked, 3));
    assert_int_equal(pthread_join(idle, NULL), 0);
    end_staying(inside);
    assert_int_equal(set.retired_count, LIMIT - 1);
}

/* ---- One slot ------------------------------------------------------------------------------ */

#define TIMES (BOUND_BY_CAS ? 1 : 20) /* without, it is seldom that stores are late */

/* Of one slot alone: revoked, and looked into at once. */
static bool is_last_bound(struct bound_slot *slot, void *unused)
{
    (void)unused;
    return slot->number == load_relaxed(&last_bound);
}

static void a_visitor_of_one_slot_finds_what_was_done(void **state)
{
    (void)state;
    for (size_t times = 0; times < TIMES; times++) {
        pthread_t thread;
        size_t before = 0, sum = 0;
        bound_visit(&set, NULL, take_out, &before);
        running = 1;
        refused = 0;
        assert_int_equal(pthread_create(&thread, NULL, count_entries, NULL), 0);
        while (load_acquire(&running) > 0)
            bound_visit(&set, is_last_bound, take_out, &sum);
        assert_int_equal(pthread_join(thread, NULL), 0);
        bound_visit(&set, NULL, take_out, &sum);
        assert_int_equal(sum + refused, ROUNDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_enters_without_a_slot),
        cmocka_unit_test(nobody_enters_twice),
        cmocka_unit_test(one_is_all_until_somebody_says_more),
        cmocka_unit_test(a_slot_goes_from_a_thread_that_ends_to_the_next_as_it_is),
        cmocka_unit_test(as_many_as_may_be_are_all_different),
        cmocka_unit_test(a_visit_comes_to_every_slot_but_that_it_was_interrupted_in),
        cmocka_unit_test(an_owner_is_refused_while_another_is_there),
        cmocka_unit_test(a_slot_that_is_not_left_is_left_out),
        cmocka_unit_test(visitors_and_owners_exclude_each_other),
        cmocka_unit_test(a_child_has_the_slots_of_threads_that_it_has_not),
        cmocka_unit_test(a_visitor_of_one_slot_finds_what_was_done),
    };
    return cmocka_run_group_tests_name("bound", tests, NULL, NULL);
}
