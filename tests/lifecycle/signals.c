/*
 * A timer signal a millisecond, or less, after the last whose handler allocates and frees, with one
 * CPU for everything, so that the handler nearly always interrupts somebody inside the allocator
 * who cannot move on meanwhile. A handler that waits for what its own thread holds hangs here.
 *
 * Usage: signals SECONDS THREADS [MICROSECONDS]
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { MAILBOXES = 64, MOST_THREADS = 16 };

/* Blocks on their way from handlers to threads and back; a taken mailbox is empty. */
static void *mailboxes[MAILBOXES];
static unsigned handled;
static int microseconds = 1000;
static int stopping;

static void *exchange(size_t at, void *block)
{
    return __atomic_exchange_n(&mailboxes[at % MAILBOXES], block, __ATOMIC_ACQ_REL);
}

static void use_heap(unsigned round)
{
    static const size_t sizes[] = {8, 24, 100, 500, 3000, 20000, 100000};
    size_t size = sizes[round % 7];
    unsigned char *block = malloc(size);
    CHECK(block != NULL);
    CHECK(is_aligned(block, 16));
    memset(block, (int)(round & 0xff), size);
    if (round % 5 == 0) {
        block = realloc(block, size * 2);
        CHECK(block != NULL);
    }
    CHECK(is_filled(block, (unsigned char)(round & 0xff), size));
    if (size > 3000)
        free(block);
    else
        free(exchange(round * 31, block));
    void *zeroed = calloc(1, size);
    CHECK(zeroed != NULL && is_filled(zeroed, 0, size));
    free(zeroed);
}

/* For one signal: were it periodic, a handler that takes longer than the period (a sanitizer, a
 * machine with much else to do) would leave the program no time at all. */
static void set_timer(void)
{
    const struct itimerval timer = {.it_value = {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void on_signal(int signal)
{
    (void)signal;
    int saved_errno = errno;
    unsigned round = __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 8; i++)
        use_heap(round * 8 + i);
    if (__atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0)
        set_timer();
    errno = saved_errno;
}

static void *churn(void *seed)
{
    unsigned round = (unsigned)(uintptr_t)seed;
    while (__atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0)
        use_heap(round++);
    return NULL;
}

static void run_on_one_cpu(void)
{
    cpu_set_t allowed, one;
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    CHECK(CPU_COUNT(&allowed) == 1);
}

static time_t now(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return time.tv_sec;
}

int main(int count, char **arguments)
{
    require_duet();
    int seconds = count > 1 ? atoi(arguments[1]) : 3;
    uintptr_t threads = count > 2 ? (uintptr_t)atoi(arguments[2]) : 1;
    microseconds = count > 3 ? atoi(arguments[3]) : microseconds;
    CHECK(seconds > 0 && microseconds > 0 && microseconds < 1000000);
    CHECK(threads >= 1 && threads <= MOST_THREADS);
    run_on_one_cpu();

    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    pthread_t others[MOST_THREADS];
    for (uintptr_t i = 1; i < threads; i++)
        CHECK(pthread_create(&others[i], NULL, churn, (void *)(i * 1000)) == 0);
    set_timer();

    time_t end = now() + seconds;
    for (unsigned round = 0; now() < end; round += 100) {
        for (unsigned i = 0; i < 100; i++)
            use_heap(round + i);
    }
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (uintptr_t i = 1; i < threads; i++)
        CHECK(pthread_join(others[i], NULL) == 0);
    const struct itimerval none = {.it_value = {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
    unsigned least = UNDER_SANITIZER ? 5 : 15; /* some 900 a second, were the machine idle */
    CHECK(handled > (unsigned)seconds * least);
    for (size_t i = 0; i < MAILBOXES; i++)
        free(mailboxes[i]);
    return 0;
}
