/*
 * What stands behind large blocks: here, nothing. An engine or a flavour that seals or guards them
 * brings a header of this name with the same functions; which one large.c is compiled with is the
 * include path's to say.
 *
 * A seal is a few bytes right behind those that were asked for, and these are usable, to the byte.
 * A guard is the last page of the block's length, and inaccessible; the seal lies before it, as far
 * as there is room.
 */
#ifndef DUET_HEAP_LARGE_UNGUARDED_LARGE_GUARD_H
#define DUET_HEAP_LARGE_UNGUARDED_LARGE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct large_memory;

/* Whether there are seals, or guards. */
#define LARGE_GUARD_EXACT 0

/* Of each block; whole pages. 0: there are no guards. */
static inline size_t large_guard_bytes(void)
{
    return 0;
}

/* What a block of which so much is asked takes before the guard: as much, or a few bytes more. Of
 * no bytes: 0 where there is none but an address alone, and no guard. */
static inline size_t large_guard_room(size_t asked)
{
    return asked;
}

/* Makes the last page before `end` inaccessible, if that can be. */
static inline void large_guard_install(char *end)
{
    (void)end;
}

/* Makes memory accessible. False: not all of it is. */
static inline bool large_guard_open(char *start, size_t length)
{
    (void)start, (void)length;
    return true;
}

/* Makes memory inaccessible that is given back, or cut off; it reads as zero at least. Its last
 * page is a guard, or was. */
static inline void large_guard_close(char *start, size_t length)
{
    (void)start, (void)length;
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

/* Memory of the source that was given back, and closed, may wait, so much of it as there are
 * places. Returns what is to go back to the source now, this or another that has waited for long;
 * NULL: none. And what waits in one of the places, which is empty then. */
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
