/*
 * A program for recordings: THREADS threads, with OPERATIONS each, that allocate, reallocate and
 * free cells of a common table, so that cells go from thread to thread all the time. What a thread
 * does is decided by its own random numbers; who gets which cell is not, so that two runs differ.
 *
 * A cell's owner is whoever has taken it out of the table. Everything is freed at the end.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CELLS 512
#define SMALL_MOST 400
#define LARGE_MOST 70000

static _Atomic(unsigned char *) table[CELLS];
static unsigned operations;

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static size_t random_size(uint64_t *state)
{
    uint32_t number = next_random(state);
    return number % 64 == 0 ? number / 64 % LARGE_MOST + 1 : number / 64 % SMALL_MOST + 1;
}

static unsigned char *allocate(uint64_t *state)
{
    size_t size = random_size(state);
    void *cell = NULL;

    switch (next_random(state) % 8) {
    case 0:
        return calloc(1, size);
    case 1:
        return posix_memalign(&cell, (size_t)32 << next_random(state) % 4, size) == 0 ? cell : NULL;
    default:
        return malloc(size);
    }
}

static void *work(void *argument)
{
    uint64_t state = (uintptr_t)argument * UINT64_C(0x9e3779b97f4a7c15) + 1;

    for (unsigned i = 0; i < operations; i++) {
        _Atomic(unsigned char *) *place = &table[next_random(&state) % CELLS];
        unsigned char *cell = atomic_exchange(place, NULL);
        if (cell == NULL)
            cell = allocate(&state);
        else if (next_random(&state) % 3 == 0)
            cell = realloc(cell, random_size(&state));
        else {
            free(cell);
            cell = NULL;
        }
        /* Whoever has put one there in between had another idea. */
        free(cell != NULL ? atomic_exchange(place, cell) : NULL);
    }
    return NULL;
}

int main(int count, char **words)
{
    enum { THREADS_MOST = 64 };
    pthread_t threads[THREADS_MOST];
    unsigned thread_count = count > 1 ? (unsigned)atoi(words[1]) : 1;

    operations = count > 2 ? (unsigned)atoi(words[2]) : 1000;
    if (thread_count > THREADS_MOST)
        return 2;
    for (unsigned i = 0; i < thread_count; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)) != 0)
            return 1;
    }
    for (unsigned i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < CELLS; i++)
        free(table[i]);
    return 0;
}
