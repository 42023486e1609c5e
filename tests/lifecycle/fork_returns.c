/*
 * Signal handlers that interrupt malloc and free, and fork there. The child returns from its
 * handler, so that what was interrupted goes on in it, beside what other threads left half done;
 * then it allocates and frees on, with what it had before, and in threads of its own. POSIX allows
 * it, if not what most heaps do then.
 *
 * Hanging is a failure, too: SIGALRM ends it.
 *
 * Usage: fork_returns FORKS
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum {
    THREADS = 8,
    KEPT = 256,
    AT_ONCE = 64,
    CHILDS_ROUNDS = 12, /* in which a cell that is had twice shows, and a list that leads nowhere */
    THREADS_ROUNDS = 4,
    SECONDS_TO_HANG = 60,
};

static int stopping;
static unsigned forked; /* by handlers */
static bool is_child;

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

struct kept {
    unsigned char *blocks[KEPT];
    size_t sizes[KEPT];
    unsigned random;
};

static void drop(struct kept *kept, size_t at)
{
    unsigned char *block = kept->blocks[at];
    if (block != NULL)
        CHECK(block[0] == (unsigned char)at && block[kept->sizes[at] - 1] == (unsigned char)at);
    kept->blocks[at] = NULL; /* the handler may come while it is freed */
    free(block);
}

static void keep(struct kept *kept, size_t at, size_t size)
{
    drop(kept, at);
    unsigned char *block = malloc(size);
    CHECK(block != NULL);
    block[0] = block[size - 1] = (unsigned char)at;
    kept->sizes[at] = size;
    kept->blocks[at] = block;
}

/* Many of one length, then many go. The lengths are such that a magazine has room for few, so that
 * most is done with groups. */
static void use_heap(struct kept *kept)
{
    size_t size = 16 + next_random(&kept->random) % 16 * 1000;
    for (int i = 0; i < AT_ONCE; i++)
        keep(kept, next_random(&kept->random) % KEPT, size);
    for (int i = 0; i < AT_ONCE; i++)
        drop(kept, next_random(&kept->random) % KEPT);
}

static void drop_all(struct kept *kept)
{
    for (size_t at = 0; at < KEPT; at++)
        drop(kept, at);
}

static void *churn(void *seed)
{
    struct kept kept = {.random = (unsigned)(uintptr_t)seed};
    while (__atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0)
        use_heap(&kept);
    drop_all(&kept);
    return NULL;
}

static void *churn_a_little(void *seed)
{
    struct kept kept = {.random = (unsigned)(uintptr_t)seed};
    for (int i = 0; i < THREADS_ROUNDS; i++)
        use_heap(&kept);
    drop_all(&kept);
    return NULL;
}

static void fork_inside(int number)
{
    (void)number;
    int saved_errno = errno;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        is_child = true;
        alarm(SECONDS_TO_HANG);
    } else {
        int status;
        while (waitpid(child, &status, 0) < 0)
            CHECK(errno == EINTR);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        __atomic_add_fetch(&forked, 1, __ATOMIC_RELAXED);
    }
    errno = saved_errno;
}

/* In the child: the thread that forked is the only one. */
_Noreturn static void live_on(struct kept *kept)
{
    for (int i = 0; i < CHILDS_ROUNDS; i++)
        use_heap(kept);
    pid_t child = fork(); /* and of this one, which is interrupted in nothing */
    CHECK(child >= 0);
    if (child > 0) {
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, churn_a_little, kept) == 0);
    for (int i = 0; i < THREADS_ROUNDS; i++)
        use_heap(kept);
    CHECK(pthread_join(thread, NULL) == 0);
    drop_all(kept);
    _exit(0);
}

static void *churn_until_forked(void *forks)
{
    struct kept kept = {.random = 4711};
    while (__atomic_load_n(&forked, __ATOMIC_RELAXED) < (uintptr_t)forks) {
        use_heap(&kept);
        if (is_child)
            live_on(&kept);
    }
    drop_all(&kept);
    return NULL;
}

int main(int count, char **arguments)
{
    require_duet();
    CHECK(count == 2);
    uintptr_t forks = strtoul(arguments[1], NULL, 10);
    struct sigaction action = {.sa_handler = fork_inside, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);

    pthread_t threads[THREADS], interrupted;
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
    CHECK(pthread_create(&interrupted, NULL, churn_until_forked, (void *)forks) == 0);
    for (unsigned sent = 0; sent < forks; sent++) {
        CHECK(pthread_kill(interrupted, SIGUSR1) == 0);
        while (__atomic_load_n(&forked, __ATOMIC_RELAXED) == sent)
            nanosleep(&(struct timespec){.tv_nsec = 100000 + sent % 97 * 1000}, NULL);
    }
    CHECK(pthread_join(interrupted, NULL) == 0);
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
