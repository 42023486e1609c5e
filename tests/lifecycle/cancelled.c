/*
 * Threads that do not come to their end: cancelled, or left by pthread_exit, in the middle of loops
 * that allocate. A cancellation is deferred to the next cancellation point, and the allocator must
 * not be one, whatever it calls: a thread that vanished from inside it would leave its locks held
 * and its lists half done. So each thread notes when it is inside, and its cleanup, which frees all
 * that it has, checks that it is not. The same holds for the message before the end of a program
 * that misuses the heap: it ends, though the thread was cancelled.
 *
 * Asynchronous cancellation is not tried: POSIX has no malloc in it.
 *
 * Usage: cancelled THREADS
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { AT_ONCE = 8, KEPT = 32, FIRST = 200 };

/* After all threads as much as after the first two hundred, and what malloc may have idle then. */
#define GROWTH_LIMIT 2

struct work {
    bool inside;
    bool leaves; /* by itself, after so many rounds: */
    unsigned rounds;
    unsigned random;
    unsigned char *blocks[KEPT];
    size_t sizes[KEPT];
};

static int working;
static size_t cleaned, cancelled, left;

static unsigned next_random(struct work *work)
{
    work->random = work->random * 1664525u + 1013904223u;
    return work->random >> 8;
}

static void replace_one(struct work *work)
{
    size_t at = next_random(work) % KEPT;
    size_t size = 1 + next_random(work) % (next_random(work) % 64 == 0 ? 300000 : 3000);
    unsigned char *block = work->blocks[at];
    CHECK(block == NULL || (block[0] == 'b' && block[work->sizes[at] - 1] == 'b'));
    work->inside = true;
    if (next_random(work) % 4 == 0) {
        block = realloc(block, size);
    } else {
        free(block);
        block = malloc(size);
    }
    work->inside = false;
    CHECK(block != NULL);
    block[0] = 'b';
    block[size - 1] = 'b';
    work->blocks[at] = block;
    work->sizes[at] = size;
}

static void clean_up(void *argument)
{
    struct work *work = argument;
    CHECK(!work->inside);
    for (int i = 0; i < KEPT; i++)
        replace_one(work); /* a cleanup may allocate, too */
    for (size_t at = 0; at < KEPT; at++)
        free(work->blocks[at]);
    free(work);
    __atomic_add_fetch(&cleaned, 1, __ATOMIC_RELAXED);
}

static _Noreturn void leave(struct work *work)
{
    replace_one(work);
    pthread_exit(work);
}

static void *allocate_on(void *argument)
{
    struct work *work = argument;
    pthread_cleanup_push(clean_up, work);
    __atomic_add_fetch(&working, 1, __ATOMIC_RELAXED);
    for (unsigned round = 0; !work->leaves || round < work->rounds; round++) {
        for (int i = 0; i < 20; i++)
            replace_one(work);
        pthread_testcancel();
    }
    leave(work);
    pthread_cleanup_pop(1);
    return NULL;
}

static struct work *make_work(unsigned seed)
{
    struct work *work = calloc(1, sizeof *work);
    CHECK(work != NULL);
    work->random = seed;
    work->leaves = seed % 2 == 0;
    work->rounds = seed % 16;
    return work;
}

/* Some have hardly begun when they are cancelled, others are in full swing. */
static void start_and_end(unsigned seed)
{
    pthread_t threads[AT_ONCE];
    bool leaves[AT_ONCE];
    __atomic_store_n(&working, 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct work *work = make_work(seed + i);
        leaves[i] = work->leaves;
        CHECK(pthread_create(&threads[i], NULL, allocate_on, work) == 0);
    }
    while (__atomic_load_n(&working, __ATOMIC_RELAXED) < AT_ONCE)
        sched_yield();
    for (unsigned i = 0; i < AT_ONCE; i++) {
        void *result = NULL;
        if (!leaves[i])
            CHECK(pthread_cancel(threads[i]) == 0);
        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK((result == PTHREAD_CANCELED) == !leaves[i]);
        cancelled += result == PTHREAD_CANCELED;
        left += result != PTHREAD_CANCELED;
    }
}

static bool is_inside;

static void check_outside(void *unused)
{
    (void)unused;
    CHECK(!is_inside);
}

/* What an allocator does once, for the first large block and the first so many cells, it does while
 * a cancellation is pending. */
static void *use_it_first(void *unused)
{
    void *cells[3000];
    pthread_cleanup_push(check_outside, NULL);
    CHECK(pthread_cancel(pthread_self()) == 0);
    is_inside = true;
    free(opaque(malloc(opaque_size((size_t)1 << 20))));
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        cells[i] = malloc(opaque_size(40));
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        free(opaque(cells[i]));
    is_inside = false;
    pthread_testcancel();
    pthread_cleanup_pop(1);
    return unused;
}

static void the_first_to_use_it_is_cancelled(void)
{
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, use_it_first, NULL) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
}

static void a_cancelled_thread_dies_of_misuse(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        unsigned char local[64] __attribute__((aligned(16)));
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO); /* the message is looked at elsewhere (misuse.c) */
        CHECK(pthread_cancel(pthread_self()) == 0);
        free(opaque(local));
        _exit(1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(int count, char **arguments)
{
    require_duet();
    unsigned threads = count > 1 ? (unsigned)atoi(arguments[1]) : 1000;
    CHECK(threads > FIRST);
    the_first_to_use_it_is_cancelled();
    a_cancelled_thread_dies_of_misuse();

    size_t after_first = 0;
    for (unsigned done = 0; done < threads; done += AT_ONCE) {
        start_and_end(done * 7);
        if (done < FIRST && done + AT_ONCE >= FIRST)
            after_first = resident_bytes();
    }
    size_t resident = resident_bytes();
    printf("cancelled: %zu threads, %zu left by themselves; resident %zu KiB, after %d: %zu KiB\n",
           cancelled, left, resident / 1024, FIRST, after_first / 1024);
    CHECK(cleaned == cancelled + left && cancelled > 0 && left > 0);
    CHECK(UNDER_SANITIZER || resident <= GROWTH_LIMIT * after_first);
    return 0;
}
