/* A library to be preloaded that crashes when the process has allocated for a while. */
#include "faulty.h"

#include <stdatomic.h>

enum { ALLOCATIONS = 100 };

static atomic_uint allocations;

static void *faulty_make(size_t align, size_t bytes)
{
    if (atomic_fetch_add(&allocations, 1) >= ALLOCATIONS)
        *(volatile int *)NULL = 0;
    return __libc_memalign(align, bytes);
}

static void faulty_free(void *cell)
{
    __libc_free(cell);
}
