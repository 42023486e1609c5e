/*
 * What stands behind the large blocks of an engine that has no guards: a seal, which is looked at
 * when the block is freed or resized, and as the process ends. The contract is that of
 * ../unguarded/large_guard.h. None of its bytes is zero or a letter, so that neither text nor its
 * terminator goes unseen; any other byte is what stands there one time in 128.
 *
 * It takes no system call; a page more where the block fills its last one. A block that is aligned
 * to more than a page has none where it does: with a page more, one of 2 MiB at a multiple of 2 MiB
 * would take twice its addresses, and where there are huge pages two of them.
 *
 * A program may return whole pages of its block by itself (MADV_DONTNEED), among them the one in
 * which the block ends: then the seal may read as zero, with all that follows in that page.
 */
#ifndef DUET_HEAP_LARGE_SEALED_LARGE_GUARD_H
#define DUET_HEAP_LARGE_SEALED_LARGE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "heap/large/no_guard.h"
#include "os/os.h"

/* As far as copies overrun that are made by vectors. */
#define LARGE_SEAL_BYTES ((size_t)32)

#define LARGE_GUARD_EXACT 1

static inline size_t large_guard_room(size_t asked, size_t align)
{
    return asked > 0 && align <= os_page_bytes() ? asked + LARGE_SEAL_BYTES : asked;
}

void large_guard_seal(char *start, size_t asked, size_t room);
void large_guard_unseal(char *start, size_t asked, size_t room);
bool large_guard_is_sealed(const char *start, size_t asked, size_t room);

#endif
