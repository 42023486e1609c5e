/*
 * A library to preload beside the allocator. Its constructor runs before those of other libraries,
 * so its prepare handler runs after theirs: when an allocator may already hold its locks, unless it
 * was earlier still; and its parent and child handlers before. They allocate all the same.
 */
#include <pthread.h>

#include "check.h"
#include "names.h"

static void *kept;

static void use_heap(void)
{
    void *small = malloc(opaque_size(40));
    void *large = malloc(opaque_size(200000));
    CHECK(small != NULL && large != NULL);
    free(kept);
    kept = small;
    large = realloc(large, opaque_size(400000));
    CHECK(large != NULL);
    free(large);
}

__attribute__((constructor(101))) static void register_early(void)
{
    CHECK(pthread_atfork(use_heap, use_heap, use_heap) == 0);
}
