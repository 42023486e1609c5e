/*
 * Slots of CPUs: what the sequences do, that no item is lost or doubled when threads are preempted,
 * moved, interrupted and stopped in the middle of them, and who is kept out.
 */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "random.h"
#include "slots/cpus.h"

#define WORDS 4
#define PLACES 5

/* A stack between its guards. */
struct stack {
    void *bottom[2];
    void *items[PLACES];
    void *end;
};

struct slot {
    alignas(CACHE_LINE_PAIR) void **tops[WORDS];
    void *place;
    size_t number;
};
#define PLACE (offsetof(struct slot, place) / sizeof(void *))

static void *const none[2] = {NULL, (void *)1};
#define NONE_TOP ((void **)&none[1])

static void **const stopped[WORDS] = {[0 ... WORDS - 1] = NONE_TOP};

static void prepare(void *slot, size_t number)
{
    for (size_t word = 0; word < WORDS; word++)
        ((struct slot *)slot)->tops[word] = NONE_TOP;
    ((struct slot *)slot)->place = NULL;
    ((struct slot *)slot)->number = number;
}

static struct slot first;
static struct cpus_set set = CPUS_SET_INITIAL(&first, stopped, prepare);

static void stack_init(struct stack *stack)
{
    memset(stack, 0, sizeof *stack);
    stack->end = (void *)1;
}

/* Items are even numbers above 0. */
static void *item(size_t number)
{
    return (void *)(2 * number + 2);
}

static size_t number_of(const void *popped)
{
    return (uintptr_t)popped / 2 - 1;
}

static bool may_run(void)
{
    return cpus_start(&set) && cpus_are_mine(&set) && cpus_slot_now(&set) != NULL;
}

/* ---- Alone -------------------------------------------------------------------------------- */

static void where_there_are_none_all_operations_say_so(void **state)
{
    (void)state;
    void *popped, *slot, *swapped = item(0);
    if (cpus_start(&set))
        skip();
    assert_false(cpus_are_mine(&set));
    assert_int_equal(cpus_pop(0, &popped), RSEQ_NONE);
    assert_int_equal(cpus_push(0, item(0)), RSEQ_NONE);
    assert_null(cpus_exchange(&set, 0, NONE_TOP, &slot));
    assert_false(cpus_swap(&set, PLACE, &swapped));
    assert_ptr_equal(swapped, item(0));
    assert_ptr_equal(cpus_slot_here(&set), stopped);
    assert_int_equal(cpus_count(&set), 0);
    cpus_pause(&set);
    cpus_resume(&set);
}

static void use_a_stack(void)
{
    struct stack stack;
    void *slot, *popped;
    stack_init(&stack);
    assert_int_equal(cpus_pop(1, &popped), RSEQ_UNDONE);
    assert_int_equal(cpus_push(1, item(0)), RSEQ_UNDONE);
    assert_ptr_equal(cpus_exchange(&set, 1, stack.items, &slot), NONE_TOP);
    assert_int_equal(cpus_pop(1, &popped), RSEQ_UNDONE);
    for (size_t i = 0; i < PLACES; i++) {
        assert_int_equal(cpus_push(1, item(i)), RSEQ_DONE);
        assert_int_equal(cpus_push(1, item(i)), RSEQ_UNDONE); /* it is on top */
        if (i > 0)
            assert_int_equal(cpus_push(1, item(i - 1)), RSEQ_UNDONE);
    }
    assert_int_equal(cpus_push(1, item(PLACES)), RSEQ_UNDONE);
    for (size_t i = PLACES; i-- > 2;) {
        assert_int_equal(cpus_pop(1, &popped), RSEQ_DONE);
        assert_ptr_equal(popped, item(i));
    }
    assert_ptr_equal(cpus_exchange(&set, 1, NONE_TOP, &slot), &stack.items[2]);
    assert_int_equal(cpus_pop(1, &popped), RSEQ_UNDONE);
    assert_ptr_equal(stack.items[0], item(0));
    assert_ptr_equal(stack.items[1], item(1));
}

static void use_a_place(void)
{
    void *swapped = item(0);
    assert_true(cpus_swap(&set, PLACE, &swapped));
    assert_null(swapped);
    assert_true(cpus_swap(&set, PLACE, &swapped));
    assert_ptr_equal(swapped, item(0));
}

/* On one CPU, so that it is one slot. */
static void a_stack_gives_back_in_turn(void **state)
{
    (void)state;
    if (!may_run())
        skip();
    use_a_stack();
    use_a_place();
    assert_ptr_equal(cpus_slot_here(&set), cpus_slot_now(&set));
    assert_true(cpus_count(&set) >= 1);
}

#if CPUS_POSSIBLE
/* With a registration that nobody knows of but us: nothing restarts the sequences then, but what
 * they do is seen also where there are none, such as under qemu. */
static void the_sequences_do_what_they_say(void **state)
{
    (void)state;
    static __thread volatile struct { /* nobody sees that the sequences read it */
        alignas(32) int32_t cpu_id_start;
        int32_t cpu_id;
        uint64_t rseq_cs;
        uint32_t flags, node_id, mm_cid, unused;
    } fake;
    struct slot slot;
    void *popped, *swapped = item(0);
    ptrdiff_t area = cpus_table.area;
    prepare(&slot, 0);
    fake.mm_cid = 3;
    cpus_table.area = (char *)&fake - (char *)__builtin_thread_pointer();
    cpus_table.slots[3] = slot.tops;
    use_a_stack();
    use_a_place();
    assert_ptr_equal(cpus_slot_here(&set), &slot);
    assert_true(fake.rseq_cs != 0);
    assert_ptr_equal(slot.tops[1], NONE_TOP);
    fake.cpu_id = -1;
    assert_int_equal(cpus_pop(1, &popped), RSEQ_NONE);
    assert_int_equal(cpus_push(1, item(0)), RSEQ_NONE);
    assert_false(cpus_swap(&set, PLACE, &swapped));
    assert_ptr_equal(swapped, item(0));
    assert_ptr_equal(cpus_slot_here(&set), stopped);
    cpus_table.slots[3] = NULL;
    cpus_table.area = area;
}
#else
static void the_sequences_do_what_they_say(void **state)
{
    (void)state;
    skip();
}
#endif

static void what_is_paused_is_stopped(void **state)
{
    (void)state;
    struct stack stack;
    void *slot, *popped, *swapped = item(2);
    if (!may_run())
        skip();
    stack_init(&stack);
    assert_non_null(cpus_exchange(&set, 1, stack.items, &slot));
    assert_int_equal(cpus_push(1, item(0)), RSEQ_DONE);
    cpus_pause(&set);
    cpus_pause(&set);
    for (int times = 0; times < 2; times++) {
        assert_null(cpus_slot_now(&set));
        assert_int_equal(cpus_pop(1, &popped), RSEQ_UNDONE);
        assert_int_equal(cpus_push(1, item(1)), RSEQ_UNDONE);
        assert_null(cpus_exchange(&set, 1, NONE_TOP, &slot));
        assert_false(cpus_swap(&set, PLACE, &swapped));
        assert_ptr_equal(swapped, item(2));
        cpus_resume(&set);
    }
    assert_int_equal(cpus_pop(1, &popped), RSEQ_DONE);
    assert_ptr_equal(popped, item(0));
    assert_ptr_equal(cpus_exchange(&set, 1, NONE_TOP, &slot), stack.items);
}

/* ---- Threads ------------------------------------------------------------------------------ */

#define THREADS 6
#define ITEMS 64
#define ROUNDS (DUET_TINY || DUET_CHECKED ? 200000 : 2000000)

static struct stack stacks[THREADS + 64]; /* more than threads and slots that have one */
static uint8_t owned[ITEMS];              /* 1: with a thread */
static size_t lost, doubled;
static unsigned ended;

/* A stack that a thread has alone, by its top. */
static bool private_push(void ***top, void *it)
{
    if (((uintptr_t) * *top & 1) != 0)
        return false;
    *(*top)++ = it;
    return true;
}

static void take(void *it)
{
    if (__atomic_exchange_n(&owned[number_of(it)], 1, __ATOMIC_ACQUIRE) != 0)
        add_relaxed(&doubled, 1);
}

static void let_go(void *it)
{
    if (__atomic_exchange_n(&owned[number_of(it)], 0, __ATOMIC_RELEASE) != 1)
        add_relaxed(&lost, 1);
}

struct worker {
    pthread_t thread;
    size_t number;
    void *held[ITEMS];
    size_t count;
    void **own; /* the top of a stack that lies in no slot */
};

/* An item, or none, for what lies in the place. */
static void swap(struct worker *worker)
{
    void *mine = worker->count > 0 ? worker->held[worker->count - 1] : NULL, *it = mine;
    if (mine != NULL)
        let_go(mine);
    if (cpus_swap(&set, PLACE, &it) && mine != NULL)
        worker->count--;
    else if (mine != NULL)
        take(mine);
    if (it != NULL && it != mine) {
        take(it);
        worker->held[worker->count++] = it;
    }
}

static void work_once(struct worker *worker, uint64_t *seed)
{
    void *it, *slot;
    size_t word = random_below(seed, WORDS);
    if (random_below(seed, 8) == 0) {
        swap(worker);
    } else if (random_below(seed, 16) == 0) {
        void **old = cpus_exchange(&set, word, worker->own, &slot);
        if (old != NULL)
            worker->own = old;
    } else if (random_below(seed, 2) == 0) {
        if (worker->count < ITEMS && cpus_pop(word, &it) == RSEQ_DONE) {
            take(it);
            worker->held[worker->count++] = it;
        }
    } else if (worker->count > 0) {
        it = worker->held[worker->count - 1];
        let_go(it);
        if (cpus_push(word, it) == RSEQ_DONE || private_push(&worker->own, it))
            worker->count--;
        else
            take(it);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t seed = worker->number + 1;
    for (size_t round = 0; round < ROUNDS; round++) {
        if (worker->number % 2 == 0 && cpus_are_mine(&set))
            (void)cpus_slot_now(&set);
        work_once(worker, &seed);
    }
    add_relaxed(&ended, 1);
    return NULL;
}

static size_t seen[ITEMS];

static void see_stack(void **top)
{
    while (*--top != NULL)
        seen[number_of(*top)]++;
}

static void see_slot(void *slot, void *context)
{
    size_t *visited = context;
    ++*visited;
    if (((struct slot *)slot)->place != NULL)
        seen[number_of(((struct slot *)slot)->place)]++;
    for (size_t word = 0; word < WORDS; word++)
        see_stack(((struct slot *)slot)->tops[word]);
}

#define TURNS 500

/* A visit may change what it likes: each word has another's stack then. Who was still in the middle
 * of a sequence would put the old one back beside it. */
static void turn_slot(void *slot, void *context)
{
    (void)context;
    void ***tops = ((struct slot *)slot)->tops, **first_top = tops[0];
    for (size_t word = 1; word < WORDS; word++)
        tops[word - 1] = tops[word];
    tops[WORDS - 1] = first_top;
}

/* Nothing is with two at any moment that a visit can see: in no slot twice. */
static void visit_meanwhile(void)
{
    size_t visited = 0;
    memset(seen, 0, sizeof seen);
    cpus_visit(&set, NULL, see_slot, &visited);
    for (size_t i = 0; i < ITEMS; i++)
        assert_true(seen[i] <= 1);
    for (int i = 0; i < TURNS; i++)
        cpus_visit(&set, NULL, turn_slot, NULL);
}

static void do_nothing(int signal)
{
    (void)signal;
}

static void start_alarms(suseconds_t every)
{
    struct itimerval timer = {{0, every}, {0, every}};
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void items_are_neither_lost_nor_doubled(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    if (!may_run())
        skip();
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++)
        stack_init(&stacks[i]);
    for (size_t i = 0; i < ITEMS; i++)
        owned[i] = 1;
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i, .own = stacks[i].items};
        for (size_t k = i; k < ITEMS; k += THREADS)
            workers[i].held[workers[i].count++] = item(k);
    }
    signal(SIGALRM, do_nothing);
    start_alarms(300);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    while (load_relaxed(&ended) < THREADS) {
        visit_meanwhile();
        cpus_pause(&set);
        cpus_resume(&set);
        usleep(50);
    }
    start_alarms(0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    assert_int_equal(lost, 0);
    assert_int_equal(doubled, 0);
    size_t visited = 0;
    memset(seen, 0, sizeof seen);
    cpus_visit(&set, NULL, see_slot, &visited);
    assert_int_equal(visited, cpus_count(&set));
    for (size_t i = 0; i < THREADS; i++) {
        see_stack(workers[i].own);
        for (size_t k = 0; k < workers[i].count; k++)
            seen[number_of(workers[i].held[k])]++;
    }
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(seen[i], 1);
}

static bool is_number_0(void *slot, void *context)
{
    (void)context;
    return ((struct slot *)slot)->number == 0;
}

static void only_what_is_wanted_is_visited(void **state)
{
    (void)state;
    size_t visited = 0;
    if (!may_run())
        skip();
    cpus_visit(&set, is_number_0, see_slot, &visited);
    assert_int_equal(visited, 1);
    assert_non_null(cpus_slot_now(&set));
}

/* ---- Who is kept out ---------------------------------------------------------------------- */

#if CPUS_POSSIBLE
#include <sys/rseq.h>

#define REGISTERED_BYTES 32

static long call_rseq(int flags)
{
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    return syscall(SYS_rseq, area, REGISTERED_BYTES, flags, RSEQ_SIG);
}

/* A thread whose registration the kernel refuses looks like one that has given it up. */
static void *without_registration(void *unused)
{
    (void)unused;
    void *popped;
    if (call_rseq(RSEQ_FLAG_UNREGISTER) != 0)
        return NULL; /* registered with another length, by a C library of another age */
    assert_false(cpus_are_mine(&set));
    assert_int_equal(cpus_pop(0, &popped), RSEQ_NONE);
    assert_int_equal(cpus_push(0, item(0)), RSEQ_NONE);
    return NULL;
}

static void a_thread_that_is_not_registered_has_none(void **state)
{
    (void)state;
    pthread_t thread;
    if (!may_run())
        skip();
    assert_int_equal(pthread_create(&thread, NULL, without_registration, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}
#else
static void a_thread_that_is_not_registered_has_none(void **state)
{
    (void)state;
    skip();
}
#endif

static pthread_barrier_t barrier;

static void *pause_for_a_while(void *unused)
{
    (void)unused;
    cpus_pause(&set);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    cpus_resume(&set);
    return NULL;
}

/* In a child where another thread was in vfork, nobody will ever resume. */
static void a_forked_child_goes_on(void **state)
{
    (void)state;
    pthread_t thread;
    if (!may_run())
        skip();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, pause_for_a_while, NULL), 0);
    pthread_barrier_wait(&barrier);
    assert_null(cpus_slot_now(&set));
    cpus_fork_prepare(&set);
    pid_t child = fork();
    if (child == 0) {
        size_t visited = 0;
        cpus_fork_end_child(&set);
        bool fine = cpus_slot_now(&set) != NULL;
        cpus_visit(&set, NULL, see_slot, &visited);
        _exit(fine && visited == cpus_count(&set) ? 0 : 1);
    }
    cpus_fork_end(&set);
    assert_null(cpus_slot_now(&set));
    pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(cpus_slot_now(&set));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The last: there are none any more. */
static void what_has_ended_says_so(void **state)
{
    (void)state;
    void *slot, *popped;
    size_t visited = 0;
    uint32_t made = cpus_count(&set);
    cpus_end(&set);
    assert_false(cpus_start(&set));
    assert_false(cpus_are_mine(&set));
    assert_int_equal(cpus_pop(0, &popped), RSEQ_NONE);
    assert_int_equal(cpus_push(0, item(0)), RSEQ_NONE);
    assert_null(cpus_exchange(&set, 0, NONE_TOP, &slot));
    assert_int_equal(cpus_count(&set), 0);
    cpus_visit(&set, NULL, see_slot, &visited);
    assert_int_equal(visited, made); /* what lies in them can be had */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequences_do_what_they_say),
        cmocka_unit_test(where_there_are_none_all_operations_say_so),
        cmocka_unit_test(a_stack_gives_back_in_turn),
        cmocka_unit_test(what_is_paused_is_stopped),
        cmocka_unit_test(items_are_neither_lost_nor_doubled),
        cmocka_unit_test(only_what_is_wanted_is_visited),
        cmocka_unit_test(a_thread_that_is_not_registered_has_none),
        cmocka_unit_test(a_forked_child_goes_on),
        cmocka_unit_test(what_has_ended_says_so),
    };
    return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
