/*
 * Memory that is free has to go back to the system: by itself, with time, or when asked. Each case
 * makes the process large, frees, and looks how large it stays:
 *
 *   spike    all small cells are freed, and the program goes on to work, in a small way
 *   idle     likewise, and nobody calls any more: for the option purge_thread
 *   trim     likewise, and another thread asks for all that is free (malloc_trim)
 *   sparse   one cell in 64 stays, so that many a group stays; then as in spike
 *   free     the spike was allocated by threads that have ended, and is freed by one that never
 *            allocated anything; then as in spike
 *
 * smp keeps small memory, by its seed's design, and ng a group with its last cell: there what stays
 * is printed, and is no failure.
 *
 * Usage: comes_back CASE
 */
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "check.h"
#include "engine_facts.h"
#include "memory.h"
#include "names.h"
#include "trim.h"

#define SPIKE_BYTES ((size_t)64 << 20)
#define CELL_BYTES ((size_t)496)
#define CELLS (SPIKE_BYTES / CELL_BYTES)

/* Half of what is unused goes about every second, once it was seen to be so: what is more than this
 * share of the spike is to be gone after these seconds, on a machine that has much else to do. */
enum { STAYS = 4, SPARED = 64, MOST_SECONDS = 40, MAKERS = 2 };

static unsigned char **cells; /* mapped, so that it is nobody's cell */

static void sleep_a_little(void)
{
    const struct timespec ten_milliseconds = {.tv_nsec = 10 * 1000 * 1000};
    nanosleep(&ten_milliseconds, NULL);
}

static time_t now(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return time.tv_sec;
}

static void *make(void *first)
{
    for (size_t i = (size_t)(uintptr_t)first; i < CELLS; i += MAKERS) {
        cells[i] = malloc(opaque_size(CELL_BYTES));
        CHECK(cells[i] != NULL);
        memset(cells[i], 0x77, CELL_BYTES);
    }
    return NULL;
}

static void make_in_threads(void)
{
    pthread_t makers[MAKERS];
    for (uintptr_t i = 0; i < MAKERS; i++)
        CHECK(pthread_create(&makers[i], NULL, make, (void *)i) == 0);
    for (size_t i = 0; i < MAKERS; i++)
        CHECK(pthread_join(makers[i], NULL) == 0);
}

static void *free_all(void *unused)
{
    for (size_t i = 0; i < CELLS; i++)
        free(cells[i]);
    return unused;
}

static void *ask_for_all(void *unused)
{
    trim();
    return unused;
}

static void in_another_thread(void *(*body)(void *))
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* So many that they are more than a thread has at hand. (A program that takes and gives the same
 * few cells for ever is idle to duet, which looks at the clock where it has to do more.) */
static void work_a_little(void)
{
    enum { AT_ONCE = 1000 };
    void *few[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++)
        few[i] = malloc(opaque_size(CELL_BYTES));
    for (size_t i = 0; i < AT_ONCE; i++)
        free(few[i]);
}

static size_t above(size_t base)
{
    size_t resident = resident_bytes();
    return resident > base ? resident - base : 0;
}

/* How much more than `base` is resident in the end. */
static size_t wait_for_it(size_t base, bool calls)
{
    time_t end = now() + MOST_SECONDS;
    while (above(base) > SPIKE_BYTES / STAYS && now() < end) {
        if (calls)
            work_a_little();
        sleep_a_little();
    }
    return above(base);
}

int main(int count, char **arguments)
{
    require_duet();
    CHECK(count == 2);
    const char *name = arguments[1];
    bool is_sparse = strcmp(name, "sparse") == 0;
    cells = mmap(NULL, CELLS * sizeof *cells, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(cells != MAP_FAILED);
    free(opaque(malloc(opaque_size(CELL_BYTES))));
    size_t base = resident_bytes();

    make_in_threads();
    CHECK(above(base) >= SPIKE_BYTES);
    if (strcmp(name, "free") == 0) {
        in_another_thread(free_all);
    } else {
        for (size_t i = 0; i < CELLS; i++)
            if (!is_sparse || i % SPARED != 0)
                free(cells[i]);
    }
    if (strcmp(name, "trim") == 0)
        in_another_thread(ask_for_all);

    bool may_stay =
        is_sparse ? !engine_facts()->purges_groups_in_use : engine_facts()->keeps_small_memory;
    bool waits = strcmp(name, "trim") != 0 && !may_stay;
    size_t stays = waits ? wait_for_it(base, strcmp(name, "idle") != 0) : above(base);
    printf("comes_back: of %zu KiB %zu stay\n", SPIKE_BYTES / 1024, stays / 1024);
    fflush(stdout);
    CHECK(may_stay || stays <= SPIKE_BYTES / STAYS);
    for (size_t i = 0; i < CELLS; i += SPARED)
        CHECK(!is_sparse || is_filled(cells[i], 0x77, CELL_BYTES));
    return 0;
}
