/*
 * Of the contract of large_guard.h (unguarded/), what is about guards, where there are none.
 */
#ifndef DUET_HEAP_LARGE_NO_GUARD_H
#define DUET_HEAP_LARGE_NO_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct large_memory;

/* Of each block; whole pages. 0: there are no guards. */
static inline size_t large_guard_bytes(void)
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
