/*
 * A library to be preloaded that hands out a cell which somebody still has, now and then: one
 * small cell in a thousand, and one large one in ten.
 *
 * It remembers some live cells, each in the place that its address leads to, as long as nobody
 * else is there. A remembered cell that would do for a request is a candidate for the fault. So
 * that the C library does not find out first, it is freed only by the last who does.
 */
#include "faulty.h"

#include <pthread.h>

enum {
    PLACES = 1024,
    SMALL_ONCE_IN = 1000,
    LARGE_ONCE_IN = 10,
    LARGE_BYTES = 64 * 1024,
};

struct place {
    void *cell; /* NULL: nobody is here */
    size_t bytes;
    unsigned holders;
};

static struct place places[PLACES];
static unsigned long small_ones;
static unsigned long large_ones;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct place *place_of(const void *cell)
{
    return &places[((uintptr_t)cell >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

static void remember(void *cell, size_t bytes)
{
    struct place *place = place_of(cell);

    if (place->cell == NULL)
        *place = (struct place){.cell = cell, .bytes = bytes, .holders = 1};
}

static int turn_has_come(size_t bytes)
{
    if (bytes >= LARGE_BYTES)
        return ++large_ones % LARGE_ONCE_IN == 0;
    return ++small_ones % SMALL_ONCE_IN == 0;
}

/* A live cell that is large enough, aligned, and no larger than an allocator would choose. */
static void *find_live(size_t align, size_t bytes)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &places[i];
        if (place->cell == NULL || place->bytes < bytes || place->bytes / 2 > bytes ||
            (uintptr_t)place->cell % align != 0)
            continue;
        place->holders++;
        return place->cell;
    }
    return NULL;
}

static void *faulty_make(size_t align, size_t bytes)
{
    void *cell = NULL;

    pthread_mutex_lock(&lock);
    if (turn_has_come(bytes))
        cell = find_live(align, bytes);
    if (cell == NULL) {
        cell = __libc_memalign(align, bytes);
        if (cell != NULL)
            remember(cell, bytes);
    }
    pthread_mutex_unlock(&lock);
    return cell;
}

static void faulty_free(void *cell)
{
    struct place *place = place_of(cell);

    pthread_mutex_lock(&lock);
    if (place->cell != cell || --place->holders == 0) {
        if (place->cell == cell)
            place->cell = NULL;
        __libc_free(cell);
    }
    pthread_mutex_unlock(&lock);
}
