/*
 * A library that comes and goes: opened and closed a thousand times, while its constructor, its
 * destructor and the end of threads that used it allocate and free (reopened_library.c). Each time
 * its code lies where other things lay, and whoever remembered it, a thread-local variable of it or
 * one of the threads crashes; and who keeps something for each thread or library grows.
 *
 * Usage: reopened PATH-OF-reopened_library.so TIMES
 */
#include <dlfcn.h>
#include <pthread.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { THREADS = 3, FIRST = 100 };

/* After all times as much as after the first hundred, and what malloc may have idle then. */
#define GROWTH_LIMIT 2

extern unsigned char *left_by_library; /* set by the library */
__attribute__((visibility("default"))) unsigned char *left_by_library;

static void *use(void *use_library)
{
    void (*use_it)(void) = (void (*)(void))(uintptr_t)use_library;
    use_it();
    return NULL;
}

static void open_and_close(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL)
        check_say(dlerror());
    CHECK(library != NULL);
    void *use_library = dlsym(library, "use_library");
    CHECK(use_library != NULL);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, use, use_library) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    left_by_library = NULL;
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL); /* it is really gone */
    CHECK(left_by_library != NULL && is_filled(left_by_library, 'l', 1000));
    free(left_by_library);
}

int main(int count, char **arguments)
{
    require_duet();
    CHECK(count == 3);
    int times = atoi(arguments[2]);
    CHECK(times >= FIRST);
    size_t after_first = 0;
    for (int i = 0; i < times; i++) {
        open_and_close(arguments[1]);
        if (i + 1 == FIRST)
            after_first = resident_bytes();
    }
    size_t resident = resident_bytes();
    printf("reopened: resident after %d times: %zu KiB, after %d: %zu KiB\n", FIRST,
           after_first / 1024, times, resident / 1024);
    CHECK(after_first > 0);
    CHECK(UNDER_SANITIZER || resident <= GROWTH_LIMIT * after_first);
    return 0;
}
