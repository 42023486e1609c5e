/*
 * Uses the heap in every way that could make a library start something: small, large, aligned,
 * from threads, freed across. For whoever watches which files are opened and threads are made.
 *
 * Usage: quiet_start [THREADS]
 */
#include <pthread.h>

#include "check.h"
#include "names.h"

static void *use_heap(void *unused)
{
    for (size_t size = 1; size < (size_t)4 << 20; size = size * 2 + 1) {
        void *block = realloc(malloc(opaque_size(size)), opaque_size(size * 2));
        void *aligned = aligned_alloc(4096, opaque_size(size));
        void *zeroed = calloc(2, opaque_size(size));
        CHECK(block != NULL && aligned != NULL && zeroed != NULL);
        free(block);
        free(aligned);
        free(zeroed);
    }
    return unused;
}

int main(int count, char **arguments)
{
    require_duet();
    int threads = count > 1 ? atoi(arguments[1]) : 0;
    use_heap(NULL);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, use_heap, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
