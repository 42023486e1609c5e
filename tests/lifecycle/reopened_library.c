/*
 * A library that reopened.c opens and closes a thousand times. It allocates in its constructor, and
 * in what it does at the end of each thread that used it. Its destructor frees what is left of
 * both, but for one block, which the program has to have after it is gone.
 */
#include <pthread.h>

#include "check.h"
#include "names.h"

void use_library(void);

enum { BLOCKS = 24 };

static pthread_key_t key;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the second of these: */
static unsigned char *from_constructor[BLOCKS];
static unsigned char *from_threads[BLOCKS]; /* of the last that ended */

/* The program's: where it finds the block that outlives this library. */
extern unsigned char *left_by_library;

/* From 1 byte to 20 KiB, and one large block. */
static size_t size_of(size_t i)
{
    return i + 1 < BLOCKS ? 1 + i * i * 40 : 300000;
}

static void take(unsigned char **blocks, unsigned char value)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(opaque_size(size_of(i)));
        CHECK(blocks[i] != NULL);
        blocks[i][0] = value;
        blocks[i][size_of(i) - 1] = value;
    }
}

static void give(unsigned char **blocks, unsigned char value)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i] == NULL)
            continue;
        CHECK(blocks[i][0] == value && blocks[i][size_of(i) - 1] == value);
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void thread_ends(void *blocks)
{
    give(blocks, 't');
    free(blocks);
    CHECK(pthread_mutex_lock(&mutex) == 0);
    give(from_threads, 'e');
    take(from_threads, 'e');
    CHECK(pthread_mutex_unlock(&mutex) == 0);
}

__attribute__((constructor)) static void opened(void)
{
    CHECK(pthread_key_create(&key, thread_ends) == 0);
    take(from_constructor, 'c');
}

__attribute__((destructor)) static void closed(void)
{
    give(from_constructor, 'c');
    give(from_threads, 'e');
    CHECK(pthread_key_delete(key) == 0);
    left_by_library = malloc(opaque_size(1000));
    CHECK(left_by_library != NULL);
    memset(left_by_library, 'l', 1000);
}

void use_library(void)
{
    unsigned char **blocks = calloc(BLOCKS, sizeof *blocks);
    CHECK(blocks != NULL);
    take(blocks, 't');
    CHECK(pthread_setspecific(key, blocks) == 0);
}
