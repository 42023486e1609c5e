/*
 * What stands behind large blocks: here, nothing. An engine or a flavour that seals or guards them
 * brings a header of this name with the same functions; which one large.c is compiled with is the
 * include path's to say. The half of it that is about guards is in heap/large/no_guard.h, for those
 * that have none.
 *
 * A seal is a few bytes right behind those that were asked for. A guard is the last page of the
 * block's length, and inaccessible; the seal lies before it, as far as there is room.
 */
#ifndef DUET_HEAP_LARGE_UNGUARDED_LARGE_GUARD_H
#define DUET_HEAP_LARGE_UNGUARDED_LARGE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "heap/large/no_guard.h"

/* Whether there are seals: then what was asked for is usable, to the byte. */
#define LARGE_GUARD_EXACT 0

/* What a block of which so much is asked, at a multiple of `align`, takes before the guard: as
 * much, or a few bytes more. Of no bytes: 0 where there is none but an address alone, and no
 * guard. */
static inline size_t large_guard_room(size_t asked, size_t align)
{
    (void)align;
    return asked;
}

/* Seals what lies right behind the bytes that were asked for, before the guard, `room` bytes from
 * the block's start; clears that, before it is the user's; says whether it is whole. */
static inline void large_guard_seal(char *start, size_t asked, size_t room)
{
    (void)start, (void)asked, (void)room;
}

static inline void large_guard_unseal(char *start, size_t asked, size_t room)
{
    (void)start, (void)asked, (void)room;
}

static inline bool large_guard_is_sealed(const char *start, size_t asked, size_t room)
{
    (void)start, (void)asked, (void)room;
    return true;
}

#endif
