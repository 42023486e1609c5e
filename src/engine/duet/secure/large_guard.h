/*
 * What stands behind the secure flavour's large blocks: a seal, and a page that is inaccessible.
 * The contract is that of heap/large/unguarded/large_guard.h.
 *
 * What is given back is inaccessible at once where the kernel has marks for that (guard.h); else it
 * is cleared, and there are no guards but the seals. Its addresses wait until a few others were
 * given back, too; by then there is no memory behind them.
 */
#ifndef DUET_ENGINE_DUET_SECURE_LARGE_GUARD_H
#define DUET_ENGINE_DUET_SECURE_LARGE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "engine/duet/guard.h"
#include "engine/duet/secure/seal.h"
#include "os/os.h"

struct large_memory;

#define LARGE_GUARD_PLACES 8

#define LARGE_GUARD_EXACT 1

static inline size_t large_guard_bytes(void)
{
    return os_page_bytes();
}

/* A block of no bytes for which there is no address alone is all guard; where there are no guards
 * it has room for a seal. */
static inline size_t large_guard_room(size_t asked, size_t align)
{
    (void)align;
    return asked > 0 || os_has_guards() ? asked : 1;
}

static inline void large_guard_install(char *end)
{
    guard_close(end - os_page_bytes(), os_page_bytes());
}

static inline bool large_guard_open(char *start, size_t length)
{
    return guard_open(start, length);
}

static inline void large_guard_close(char *start, size_t length)
{
    if (guard_close(start, length))
        return;
    if (guard_open(start, length) && !os_purge(start, length)) /* part of it may be closed */
        memset(start, 0, length - os_page_bytes());
}

/* As many bytes as are a cell's pattern, and made in the same way (seal.h). */
static inline size_t large_seal_bytes(size_t asked, size_t room)
{
    return min_size(room - asked, SEAL_PATTERN_BYTES);
}

static inline uint64_t large_seal(const char *start)
{
    return seal_pattern(seal_key(start, 0));
}

static inline void large_guard_seal(char *start, size_t asked, size_t room)
{
    seal_begin();
    uint64_t pattern = large_seal(start);
    memcpy(start + asked, &pattern, large_seal_bytes(asked, room));
}

static inline void large_guard_unseal(char *start, size_t asked, size_t room)
{
    memset(start + asked, 0, large_seal_bytes(asked, room));
}

static inline bool large_guard_is_sealed(const char *start, size_t asked, size_t room)
{
    uint64_t pattern = large_seal(start);
    return memcmp(start + asked, &pattern, large_seal_bytes(asked, room)) == 0;
}

struct large_memory *large_guard_wait(struct large_memory *memory, size_t length);
struct large_memory *large_guard_end_wait(size_t place);

#endif
