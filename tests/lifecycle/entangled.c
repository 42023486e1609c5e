/*
 * Signal handlers that ask the allocator for more than memory while they interrupt it, so that
 * threads could come to wait for each other in a circle.
 *
 *   entangled stats SECONDS   handlers of several threads visit all slots, each from inside one
 *   entangled fork SECONDS    handlers fork, from inside a slot, while another thread forks
 *   entangled abort SECONDS   SIGABRT comes from outside, as from a watchdog, and its handler
 *                             allocates; abort itself is not meant
 *
 * Hanging is the failure: SIGALRM ends it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "memory.h"
#include "names.h"

#ifdef DUET_NAMES
#include <duet.h>
#endif

enum { THREADS = 3, SECONDS_TO_HANG = 60, HANDLED_AT_LEAST = 10 };

static int stopping;
static unsigned handled;

static time_t now(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return time.tv_sec;
}

/* A machine with much else to do takes longer to get so far. */
static bool goes_on(time_t end)
{
    return now() < end || __atomic_load_n(&handled, __ATOMIC_RELAXED) < HANDLED_AT_LEAST;
}

static void use_heap(size_t round)
{
    unsigned char *small = malloc(16 + round * 7 % 1000);
    unsigned char *large = round % 16 == 0 ? malloc(50000 + round % 7 * 10000) : NULL;
    CHECK(small != NULL);
    small[0] = 1;
    free(large);
    free(small);
}

static void visit_all(int signal)
{
    (void)signal;
#ifdef DUET_NAMES
    struct duet_heap_stats stats;
    duet_stats(&stats);
#else
    struct mallinfo2 info = mallinfo2();
    (void)info;
#endif
    __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void fork_once(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (size_t round = 0; round < 100; round++)
            use_heap(round);
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        CHECK(errno == EINTR);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fork_inside(int signal)
{
    (void)signal;
    int saved_errno = errno;
    fork_once();
    errno = saved_errno;
    __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void allocate(int signal)
{
    (void)signal;
    for (size_t round = 0; round < 32; round++)
        use_heap(round);
    __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void *churn(void *unused)
{
    (void)unused;
    for (size_t round = 0; __atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0; round++)
        use_heap(round);
    return NULL;
}

int main(int count, char **arguments)
{
    require_duet();
    CHECK(count == 3);
    const char *mode = arguments[1];
    int seconds = atoi(arguments[2]);
    alarm((unsigned)seconds + SECONDS_TO_HANG);

    bool forks = strcmp(mode, "fork") == 0, aborts = strcmp(mode, "abort") == 0;
    int signal_number = aborts ? SIGABRT : SIGUSR1;
    struct sigaction action = {.sa_handler = forks    ? fork_inside
                                             : aborts ? allocate
                                                      : visit_all,
                               .sa_flags = SA_RESTART};
    CHECK(sigaction(signal_number, &action, NULL) == 0);

    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    struct timespec pause = {.tv_nsec = forks ? 2000000 : 50000};
    for (time_t end = now() + seconds; goes_on(end);) {
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_kill(threads[i], signal_number) == 0);
        if (forks)
            fork_once();
        nanosleep(&pause, NULL);
    }
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
