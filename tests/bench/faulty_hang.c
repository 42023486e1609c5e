/* A library to be preloaded whose malloc never returns, once the process has allocated for a
 * while. */
#include "faulty.h"

#include <stdatomic.h>
#include <unistd.h>

enum { ALLOCATIONS = 100 };

static atomic_uint allocations;

static void *faulty_make(size_t align, size_t bytes)
{
    while (atomic_fetch_add(&allocations, 1) >= ALLOCATIONS)
        pause();
    return __libc_memalign(align, bytes);
}

static void faulty_free(void *cell)
{
    __libc_free(cell);
}
