/*
 * duet as a library that a program opens when it already runs, as a plug-in would bring it along:
 * while there are threads, whose room for thread-local variables of libraries to come is small and
 * fixed; on top of another malloc, which stays the program's. What is closed again stays, for there
 * are threads and fork handlers that need it.
 *
 * Usage: opened_late PATH-OF-THE-LIBRARY TIMES. Runs on the C library's malloc.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "in_child.h"

enum { THREADS = 4 };

static void *(*its_malloc)(size_t);
static void (*its_free)(void *);
static pthread_barrier_t opened;

static void use_heap(void)
{
    for (size_t size = 1; size < 300000; size = size * 3 + 5) {
        unsigned char *block = its_malloc(size);
        CHECK(block != NULL);
        block[0] = 'a';
        block[size - 1] = 'z';
        void *other = malloc(size);
        CHECK(other != NULL);
        free(other);
        its_free(block);
    }
}

/* It began before there was a duet. */
static void *wait_and_use(void *unused)
{
    pthread_barrier_wait(&opened);
    use_heap();
    return unused;
}

static void open_and_close(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        check_say(dlerror());
    CHECK(library != NULL);
    its_malloc = (void *(*)(size_t))(uintptr_t)dlsym(library, "duet_malloc");
    its_free = (void (*)(void *))(uintptr_t)dlsym(library, "duet_mfree");
    CHECK(its_malloc != NULL && its_free != NULL);
    use_heap();
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL);
    CHECK(dlclose(library) == 0);
    use_heap();
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    CHECK(dlsym(RTLD_DEFAULT, "duet_engine") == NULL);
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&opened, NULL, THREADS + 1) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, wait_and_use, NULL) == 0);
    for (int i = 0; i < atoi(arguments[2]); i++)
        open_and_close(arguments[1]);
    pthread_barrier_wait(&opened);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    in_child(use_heap);
    return 0;
}
