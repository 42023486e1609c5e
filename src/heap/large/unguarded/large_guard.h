/*
 * What stands behind large blocks: here, nothing. A flavour that guards them brings a header of
 * this name with the same functions; which one large.c is compiled with is the include path's to
 * say.
 *
 * Where there are guards, what was asked for is usable, to the byte; right behind that lies a seal
 * of a few bytes, as far as there is room before the guard, which is the last page of the block's
 * length.
 */
#ifndef DUET_HEAP_LARGE_UNGUARDED_LARGE_GUARD_H
#define DUET_HEAP_LARGE_UNGUARDED_LARGE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct large_memory;

/* Of each block; whole pages. 0: there are no guards. */
static inline size_t large_guard_bytes(void)
{
    return 0;
}

/* What is mapped for a block at least, before the guard. */
static inline size_t large_guard_least(void)
{
    return 0;
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
