/*
 * Blocks of no bytes: addresses that nobody can touch, each of them nobody else's, from a range
 * that is reserved with the first one. Their order is round and round the range, so an address
 * comes again as late as it can. There are no records but a bit each.
 *
 * Concurrency: whoever changes its bit has taken a block, or given it back. No lock, nothing to do
 * around fork.
 */
#ifndef DUET_HEAP_LARGE_EMPTY_H
#define DUET_HEAP_LARGE_EMPTY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "spans/table.h"

ALWAYS_INLINE bool empty_is(const void *ptr)
{
    return table_class(ptr) == TABLE_EMPTY;
}

/* NULL: none is left, or none with this alignment. */
void *empty_take(size_t align);

/* Both stop the program, in the name of `call`, unless ptr, of which empty_is says that it is one,
 * is in use. */
void empty_give(const void *ptr, const char *call);
void empty_verify(const void *ptr, const char *call);

#endif
