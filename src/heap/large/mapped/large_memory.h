/*
 * Where the memory of large blocks comes from: here, for all of them, from mappings of their own,
 * which large.c makes. An engine that has a source for shorter ones (`memory` below names what a
 * block has from there) brings a header of this name with the same functions; which one large.c is
 * compiled with is the include path's to say.
 */
#ifndef DUET_HEAP_LARGE_MAPPED_LARGE_MEMORY_H
#define DUET_HEAP_LARGE_MAPPED_LARGE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct large_memory; /* the source's own */

/* Whether blocks of this length come from the source. */
static inline bool large_memory_serves(size_t length)
{
    (void)length;
    return false;
}

/* Whether a block with this `memory` is a mapping of its own. */
static inline bool large_memory_is_mapping(const struct large_memory *memory)
{
    (void)memory;
    return true;
}

/* Memory for a block that the source serves, of whole pages, at a multiple of `align`; no two may
 * start in one block of the address table. `growing`: it had to move, to grow. *zeroed: whether it
 * reads as zero. NULL: not now; it will be a mapping. */
static inline struct large_memory *large_memory_take(size_t length, size_t align, bool growing,
                                                     char **start, bool *zeroed)
{
    (void)length, (void)align, (void)growing, (void)start, (void)zeroed;
    return NULL;
}

static inline void large_memory_give(struct large_memory *memory)
{
    (void)memory;
}

/* Another length in place, of whole pages. False: refused, nothing changed. */
static inline bool large_memory_resize(struct large_memory *memory, size_t new_length)
{
    (void)memory, (void)new_length;
    return false;
}

/* Returns to the OS what the source keeps. Says whether there was anything. */
static inline bool large_memory_trim(void)
{
    return false;
}

static inline void large_memory_fork_prepare(void)
{
}

static inline void large_memory_fork_end(bool child)
{
    (void)child;
}

#endif
