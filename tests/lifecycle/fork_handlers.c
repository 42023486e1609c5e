/*
 * Very many forks of a process whose pthread_atfork handlers allocate and free. While a fork goes
 * on, its thread works elsewhere than before and after; what it leaves there must be found again,
 * or the process grows with each fork. After all of them it is at most twice as large as after
 * the first fifty.
 *
 * Handlers stand on either side of the allocator's own: those that are registered before it run
 * while it holds its locks. Under the duet_ names the program itself registers that early; under
 * the standard ones tests/lifecycle/early_atfork.c does, preloaded beside the library.
 *
 * Usage: fork_handlers FORKS THREADS. So many threads sleep meanwhile.
 */
#include <pthread.h>

#include "check.h"
#include "in_child.h"
#include "memory.h"
#include "names.h"

enum { FIRST = 50, KEPT = 64, REPLACED = 8, MOST_THREADS = 64 };

#define GROWTH_LIMIT 2

/* Each block lives through a few changes of who allocates: it is taken in one handler, say, and
 * given back in main. */
static unsigned char *kept[KEPT];
static size_t next;
static int handled;

static size_t size_of(size_t at)
{
    return at % 16 == 0 ? 100000 : 16 + at * 61;
}

static void use_heap(void)
{
    for (int i = 0; i < REPLACED; i++) {
        size_t at = next++ % KEPT;
        free(kept[at]);
        kept[at] = malloc(opaque_size(size_of(at)));
        CHECK(kept[at] != NULL);
        memset(kept[at], (int)at, size_of(at));
    }
}

static void handle(void)
{
    use_heap();
    handled++;
}

static void register_handlers(void)
{
    CHECK(pthread_atfork(handle, handle, handle) == 0);
}

__attribute__((constructor(101))) static void register_early(void)
{
    register_handlers();
}

static void *sleep_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(int count, char **arguments)
{
    require_duet();
    int forks = count == 3 ? atoi(arguments[1]) : 0;
    int threads = count == 3 ? atoi(arguments[2]) : 0;
    if (forks <= FIRST || threads < 0 || threads > MOST_THREADS) {
        check_say("usage: fork_handlers FORKS THREADS\n");
        return 2;
    }
    register_handlers();
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0);
    }
    size_t resident_after_first = 0;
    for (int i = 0; i < forks; i++) {
        in_child(use_heap);
        use_heap();
        if (i + 1 == FIRST)
            resident_after_first = resident_bytes();
    }
    size_t resident = resident_bytes();
    printf("fork_handlers: resident after %d: %zu KiB, after %d: %zu KiB\n", FIRST,
           resident_after_first / 1024, forks, resident / 1024);
    fflush(stdout);
    CHECK(handled == 4 * forks); /* two sets of handlers, two calls of each in the parent */
    CHECK(resident_after_first > 0);
    CHECK(UNDER_SANITIZER || resident <= GROWTH_LIMIT * resident_after_first);
    _exit(0); /* the sleepers sleep on */
}
