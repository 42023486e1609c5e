/*
 * Where the memory of duet's large blocks comes from: up to EXTENT_MAX_BYTES from extents, beyond
 * from mappings of their own. The contract is that of heap/large/mapped/large_memory.h.
 */
#ifndef DUET_ENGINE_DUET_LARGE_MEMORY_H
#define DUET_ENGINE_DUET_LARGE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "spans/extents.h"

/* An extent, by the name that large.c has for it. */
struct large_memory {
    struct extent extent;
};

static inline bool large_memory_serves(size_t length)
{
    return length <= EXTENT_MAX_BYTES;
}

static inline bool large_memory_is_mapping(const struct large_memory *memory)
{
    return memory == NULL;
}

static inline struct large_memory *large_memory_take(size_t length, size_t align, bool growing,
                                                     char **start, bool *zeroed)
{
    struct extent *extent = extent_take(length, align, growing, zeroed);
    if (extent != NULL)
        *start = extent->start;
    return (struct large_memory *)extent;
}

static inline void large_memory_give(struct large_memory *memory)
{
    extent_give(&memory->extent);
}

static inline bool large_memory_resize(struct large_memory *memory, size_t new_length)
{
    return extent_resize(&memory->extent, new_length);
}

static inline bool large_memory_trim(void)
{
    return extents_trim();
}

static inline void large_memory_fork_prepare(void)
{
    extents_fork_prepare();
}

static inline void large_memory_fork_end(bool child)
{
    extents_fork_end(child);
}

#endif
