/*
 * fork from a process with many threads in the middle of malloc. Children allocate, fork again
 * and exit; handlers registered with pthread_atfork allocate in all three places. A lock that
 * the fork left held, or a list that it caught half done, shows as a hang or a crash.
 *
 * Usage: fork_storm FORKS [short]. tests/lifecycle/early_atfork.c is preloaded beside it to
 * register handlers before the allocator's own, whose locks are then held while they run. "short":
 * so that ten thousand forks take no longer than some hundred else, children do less, blocks are
 * small, and threads have what CPU time is left over; a fork finds each of them where it was cut
 * off.
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { THREADS = 8, KEPT = 64 };

static bool is_short;
static int operations = 50;
static unsigned one_is_large_in = 64;

static int stopping;
static int prepared, in_parent, in_child;

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static size_t random_size(unsigned *state)
{
    size_t limit = next_random(state) % one_is_large_in == 0 ? 300000 : 2000;
    return 1 + next_random(state) % limit;
}

struct kept {
    unsigned char *blocks[KEPT];
    size_t sizes[KEPT];
};

static void replace_one(struct kept *kept, unsigned *random)
{
    size_t at = next_random(random) % KEPT;
    size_t size = random_size(random);
    if (kept->blocks[at] != NULL) {
        CHECK(kept->blocks[at][0] == (unsigned char)at);
        CHECK(kept->blocks[at][kept->sizes[at] - 1] == (unsigned char)at);
    }
    if (next_random(random) % 4 == 0) {
        kept->blocks[at] = realloc(kept->blocks[at], size);
    } else {
        free(kept->blocks[at]);
        kept->blocks[at] = malloc(size);
    }
    CHECK(kept->blocks[at] != NULL);
    kept->blocks[at][0] = (unsigned char)at;
    kept->blocks[at][size - 1] = (unsigned char)at;
    kept->sizes[at] = size;
}

static void free_kept(struct kept *kept)
{
    for (size_t at = 0; at < KEPT; at++)
        free(kept->blocks[at]);
}

static void *churn(void *seed)
{
    enum { LAST = 19 };
    if (is_short) /* a thread's own priority, on Linux */
        CHECK(setpriority(PRIO_PROCESS, (id_t)gettid(), LAST) == 0);
    unsigned random = (unsigned)(uintptr_t)seed;
    struct kept kept = {.blocks = {NULL}};
    while (__atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0)
        replace_one(&kept, &random);
    free_kept(&kept);
    return NULL;
}

static void use_heap(unsigned seed)
{
    struct kept kept = {.blocks = {NULL}};
    for (int i = 0; i < operations; i++)
        replace_one(&kept, &seed);
    free_kept(&kept);
}

static void on_prepare(void)
{
    use_heap(1);
    prepared++;
}

static void on_parent(void)
{
    use_heap(2);
    in_parent++;
}

static void on_child(void)
{
    use_heap(3);
    in_child++;
}

static void wait_for(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *use_heap_in_thread(void *unused)
{
    (void)unused;
    use_heap(77);
    return NULL;
}

static void live_as_child(struct kept *inherited, unsigned random, int generations)
{
    for (int i = 0; i < 4 * operations; i++)
        replace_one(inherited, &random);
    if (generations > 0) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            live_as_child(inherited, random + 1, generations - 1);
            _exit(0);
        }
        wait_for(child);
    }
    bool starts_thread = !is_short || random % 16 == 0;
    /* A sanitizer's own locks may be held for ever in a child like this. */
    if (starts_thread && !UNDER_SANITIZER) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, use_heap_in_thread, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    free_kept(inherited);
}

int main(int count, char **arguments)
{
    require_duet();
    int forks = count > 1 ? atoi(arguments[1]) : 100;
    if (count > 2 && strcmp(arguments[2], "short") == 0) {
        is_short = true;
        operations = 10;
        one_is_large_in = 1024;
    }
    CHECK(pthread_atfork(on_prepare, on_parent, on_child) == 0);

    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);

    unsigned random = 12345;
    struct kept kept = {.blocks = {NULL}};
    for (int i = 0; i < forks; i++) {
        for (int k = 0; k < operations; k++)
            replace_one(&kept, &random);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(in_child == 1);
            live_as_child(&kept, random, is_short ? i % 8 == 0 : i % 3);
            _exit(0);
        }
        wait_for(child);
    }
    CHECK(prepared == forks && in_parent == forks && in_child == 0);

    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    free_kept(&kept);
    return 0;
}
