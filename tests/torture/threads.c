/*
 * More threads than any allocator wants: many at once, and very many in turn. What threads leave
 * behind must be found by those that follow: after all of them the process is at most twice as
 * large as after the first hundred.
 *
 * And two threads of which one only allocates and the other only frees: what the second frees has
 * to find its way back to the first.
 *
 * Usage: threads at-once COUNT | threads in-turn COUNT | threads hand-over SECONDS
 */
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { FIRST = 100, CELLS = 32, STACK_BYTES = 128 * 1024 };

#define GROWTH_LIMIT 2

/* ---- In turn ------------------------------------------------------------------------------ */

/* Each takes a working set, gives back all but one block, and passes that one to the next
 * thread, which frees it: so half of the traffic crosses threads. */
static unsigned char *passed_on;

/* From 1 byte to 30 KiB: the largest classes too, of which a slab holds few cells. */
static size_t cell_size(size_t i)
{
    return 1 + i * i * 32;
}

static void *work(void *unused)
{
    unsigned char *cells[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        size_t size = cell_size(i);
        cells[i] = malloc(opaque_size(size));
        CHECK(cells[i] != NULL);
        memset(cells[i], (int)i, size);
    }
    for (size_t i = 0; i < CELLS; i++)
        CHECK(is_filled(cells[i], (unsigned char)i, cell_size(i)));
    free(passed_on);
    passed_on = cells[CELLS - 1];
    for (size_t i = 0; i < CELLS - 1; i++)
        free(cells[i]);
    return unused;
}

static pthread_t start(void *(*body)(void *))
{
    static pthread_attr_t small_stack;
    static int ready;
    if (!ready) {
        CHECK(pthread_attr_init(&small_stack) == 0);
        CHECK(pthread_attr_setstacksize(&small_stack, STACK_BYTES) == 0);
        ready = 1;
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, &small_stack, body, NULL) == 0);
    return thread;
}

static void run_in_turn(size_t count)
{
    size_t resident_after_first = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(start(work), NULL) == 0);
        if (i + 1 == FIRST)
            resident_after_first = resident_bytes();
    }
    free(passed_on);
    size_t resident = resident_bytes();
    printf("threads: resident after %d: %zu KiB, after %zu: %zu KiB\n", FIRST,
           resident_after_first / 1024, count, resident / 1024);
    fflush(stdout);
    CHECK(count > FIRST && resident_after_first > 0);
    CHECK(UNDER_SANITIZER || resident <= GROWTH_LIMIT * resident_after_first);
}

/* ---- At once ------------------------------------------------------------------------------ */

static pthread_barrier_t all_hold_cells;
static pthread_barrier_t all_checked_cells;

/* All threads hold their cells at the same time; addresses serve as content, so that a cell
 * held by two threads is seen by one of them. */
static void *hold(void *unused)
{
    enum { HELD = 16 };
    uintptr_t *cells[HELD];
    for (size_t i = 0; i < HELD; i++) {
        cells[i] = malloc(opaque_size(sizeof(uintptr_t) << (i % 8)));
        CHECK(cells[i] != NULL);
        *cells[i] = (uintptr_t)&cells ^ i;
    }
    pthread_barrier_wait(&all_hold_cells);
    for (size_t i = 0; i < HELD; i++)
        CHECK(*cells[i] == ((uintptr_t)&cells ^ i));
    pthread_barrier_wait(&all_checked_cells);
    for (size_t i = 0; i < HELD; i++)
        free(cells[i]);
    return unused;
}

static void run_at_once(size_t count)
{
    enum { ROUNDS = 4 };
    size_t resident_after_first = 0;
    pthread_t *threads = calloc(count, sizeof *threads);
    CHECK(threads != NULL);
    CHECK(pthread_barrier_init(&all_hold_cells, NULL, (unsigned)count) == 0);
    CHECK(pthread_barrier_init(&all_checked_cells, NULL, (unsigned)count) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++)
            threads[i] = start(hold);
        for (size_t i = 0; i < count; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        if (round == 0)
            resident_after_first = resident_bytes();
    }
    free(threads);
    size_t resident = resident_bytes();
    printf("threads: resident after %zu at once: %zu KiB, after %d times: %zu KiB\n", count,
           resident_after_first / 1024, ROUNDS, resident / 1024);
    fflush(stdout);
    CHECK(UNDER_SANITIZER || resident <= GROWTH_LIMIT * resident_after_first);
}

/* ---- Handed over -------------------------------------------------------------------------- */

enum { HANDED_BYTES = 100, MAILBOXES = 1024 };

/* Were they lost, they would be more than may be resident; under a sanitizer nothing is
 * measured. */
#define HANDED_AT_LEAST ((size_t)(UNDER_SANITIZER ? 50000 : 1000000))

#define HANDED_RESIDENT_MOST ((size_t)64 << 20) /* live are 1,024 cells of 100 bytes at most */

static void *mailboxes[MAILBOXES];
static int stopping;

/* How many cells were handed over so far. */
static size_t handed_over;

/* Waits until the mailbox is as wanted, full or empty. */
static void *await_mailbox(size_t i, bool full)
{
    for (;;) {
        void *content = __atomic_load_n(&mailboxes[i % MAILBOXES], __ATOMIC_ACQUIRE);
        if ((content != NULL) == full)
            return content;
        sched_yield();
    }
}

static void fill_mailbox(size_t i, void *content)
{
    await_mailbox(i, false);
    __atomic_store_n(&mailboxes[i % MAILBOXES], content, __ATOMIC_RELEASE);
}

static void *only_allocate(void *unused)
{
    size_t i = 0;
    for (; __atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0; i++) {
        void *cell = malloc(opaque_size(HANDED_BYTES));
        CHECK(cell != NULL);
        memset(cell, (int)(i % 256), HANDED_BYTES);
        fill_mailbox(i, cell);
        __atomic_store_n(&handed_over, i + 1, __ATOMIC_RELAXED);
    }
    fill_mailbox(i, mailboxes); /* no cell: the end */
    return unused;
}

static void *only_free(void *unused)
{
    for (size_t i = 0;; i++) {
        void *cell = await_mailbox(i, true);
        if (cell == mailboxes)
            return unused;
        CHECK(is_filled(cell, (unsigned char)(i % 256), HANDED_BYTES));
        __atomic_store_n(&mailboxes[i % MAILBOXES], NULL, __ATOMIC_RELEASE);
        free(cell);
    }
}

static void run_hand_over(size_t seconds)
{
    pthread_t allocating, freeing;
    CHECK(pthread_create(&allocating, NULL, only_allocate, NULL) == 0);
    CHECK(pthread_create(&freeing, NULL, only_free, NULL) == 0);
    for (unsigned left = (unsigned)seconds; left > 0;)
        left = sleep(left);
    /* A machine with much else to do takes longer to get so far. */
    while (__atomic_load_n(&handed_over, __ATOMIC_RELAXED) < HANDED_AT_LEAST)
        usleep(1000);
    size_t resident = resident_bytes();
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    CHECK(pthread_join(allocating, NULL) == 0);
    CHECK(pthread_join(freeing, NULL) == 0);
    printf("threads: resident after %zu cells handed over: %zu KiB\n", handed_over,
           resident / 1024);
    fflush(stdout);
    CHECK(UNDER_SANITIZER || resident <= HANDED_RESIDENT_MOST);
}

int main(int count, char **arguments)
{
    require_duet();
    size_t number = count == 3 ? (size_t)atol(arguments[2]) : 0;
    if (number > 0 && strcmp(arguments[1], "in-turn") == 0) {
        run_in_turn(number);
    } else if (number > 0 && strcmp(arguments[1], "at-once") == 0) {
        run_at_once(number);
    } else if (number > 0 && strcmp(arguments[1], "hand-over") == 0) {
        run_hand_over(number);
    } else {
        check_say("usage: threads at-once COUNT | in-turn COUNT | hand-over SECONDS\n");
        return 2;
    }
    return 0;
}
