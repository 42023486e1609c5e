/*
 * All memory is locked (mlockall). Locked pages refuse to be purged, so nothing may count on
 * their being zero afterwards.
 *
 * Ends with SKIPPED where this process may not lock all that it wants: allocations would then
 * fail for reasons that are not the allocator's.
 */
#include <sys/mman.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { SKIPPED = 77 };

#define WANTED_BYTES ((size_t)32 << 20)

static bool lock_all_memory(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return false;
    void *trial =
        mmap(NULL, WANTED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return trial != MAP_FAILED && munmap(trial, WANTED_BYTES) == 0;
}

int main(void)
{
    require_duet();
    if (!lock_all_memory()) {
        puts("locked_memory: skipped: memory cannot be locked here");
        return SKIPPED;
    }
    for (int round = 0; round < 3; round++) {
        for (size_t size = 100; size < (size_t)4 << 20; size *= 3) {
            unsigned char *zeroed = calloc(1, opaque_size(size));
            CHECK(zeroed != NULL);
            CHECK(is_filled(zeroed, 0, size));
            memset(zeroed, 0xbb, size);
            zeroed = realloc(zeroed, size * 2);
            CHECK(zeroed != NULL);
            CHECK(is_filled(zeroed, 0xbb, size));
            memset(zeroed, 0xbb, size * 2);
            free(zeroed);
        }
    }
    return 0;
}
