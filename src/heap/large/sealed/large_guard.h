/*
 * What stands behind the large blocks of an engine that has no guards: a seal, which is looked at
 * when the block is freed or resized, and as the process ends. The contract is that of
 * ../unguarded/large_guard.h.
 *
 * It takes no system call; a page more where the block fills its last one. None of its bytes is
 * zero or a letter, so that neither text nor its terminator goes unseen; any other byte is what
 * stands there one time in 128.
 */
#ifndef DUET_HEAP_LARGE_SEALED_LARGE_GUARD_H
#define DUET_HEAP_LARGE_SEALED_LARGE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct large_memory;

/* As far as copies overrun that are made by vectors. */
#define LARGE_SEAL_BYTES ((size_t)32)

#define LARGE_GUARD_EXACT 1

static inline size_t large_guard_bytes(void)
{
    return 0;
}

static inline size_t large_guard_room(size_t asked)
{
    return asked > 0 ? asked + LARGE_SEAL_BYTES : 0;
}

static inline void large_guard_install(char *end)
{
    (void)end;
}

static inline bool large_guard_open(char *start, size_t length)
{
    (void)start, (void)length;
    return true;
}

static inline void large_guard_close(char *start, size_t length)
{
    (void)start, (void)length;
}

void large_guard_seal(char *start, size_t asked, size_t room);
void large_guard_unseal(char *start, size_t asked, size_t room);
bool large_guard_is_sealed(const char *start, size_t asked, size_t room);

#define LARGE_GUARD_PLACES 0

static inline struct large_memory *large_guard_wait(struct large_memory *memory, size_t length)
{
    (void)length;
    return memory;
}

static inline struct large_memory *large_guard_end_wait(size_t place)
{
    (void)place;
    return NULL;
}

#endif
