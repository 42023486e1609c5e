/*
 * Large blocks of ng: groups of a single cell, with a mapping and no class.
 *
 * Their pages are marked in the address table only where a look-up has to read: at the group's head
 * and at the pointer's header. Lengths are known to the byte.
 *
 * Concurrency: whoever frees or moves a block first claims it by compare-and-swap.
 */
#ifndef DUET_ENGINE_NG_LARGE_H
#define DUET_ENGINE_NG_LARGE_H

#include <stdbool.h>
#include <stddef.h>

/* `length` > 0. *zeroed: whether it reads as zero. NULL: no memory. */
void *large_alloc(size_t length, size_t align, bool *zeroed);

/* These stop the program, in the name of `call`, if ptr is not the start of a large block. Both
 * return the bytes that were asked for. */
size_t large_free(void *ptr, const char *call);
size_t large_bytes(const void *ptr, const char *call);

/* Changes the length in place. False: refused, nothing changed. */
bool large_resize(void *ptr, size_t new_length, const char *call);

/* Of a large block any large length will do: it is not looked at. */
static inline bool large_was_allocated(const void *ptr, size_t length, const char *call)
{
    (void)ptr, (void)length, (void)call;
    return true;
}

/* As large_resize, but may move the block to another multiple of `align`, if that is no more than a
 * page. Pages move, `may_copy` or not: nothing is ever copied. NULL: refused. */
void *large_remap(void *ptr, size_t new_length, size_t align, bool may_copy, const char *call);

/* What stays in spite of being unmapped stays with the contexts, and is tried again there. */
static inline bool large_trim(void)
{
    return false;
}

/* As the process ends: nothing. */
static inline void large_end(void)
{
}

struct large_count {
    size_t blocks;
    size_t bytes;
};
struct large_count large_count(void);

/* Large blocks have no lock of their own. */
static inline void large_fork_prepare(void)
{
}

static inline void large_fork_end(bool child)
{
    (void)child;
}

#endif
