/*
 * Large blocks: allocations above the classes. For engines that bring none; the heap compiles
 * against the "large.h" on its include path. Their memory is a mapping of their own, or comes from
 * a source of the engine's ("large_memory.h", on the include path too). What stands behind them,
 * where they are sealed or guarded, is in "large_guard.h".
 *
 * No two start in one block, so that the address table, which knows blocks, leads from an address
 * to the record. The record lies among the metas; the large block itself holds nothing but its
 * user's bytes and, where there are seals, one behind them. Lengths are whole pages, the guard's
 * too, mappings whole BLOCK_BYTES. A mapping's pages move, and its bytes are never copied; what has
 * its memory from the source is copied.
 *
 * A block that the kernel refuses to unmap (max_map_count: there are too many mappings to split
 * one) is purged and stays in a list, where allocations look first; a trim tries again.
 *
 * Concurrency: whoever frees or moves a block first claims its record by compare-and-swap, so
 * two threads that free one block are found out. The list of blocks that stay has a lock.
 */
#ifndef DUET_HEAP_LARGE_LARGE_H
#define DUET_HEAP_LARGE_LARGE_H

#include <stdbool.h>
#include <stddef.h>

/* `length` is at least ENGINE_LARGE_LEAST; a block of no bytes is an address alone (empty.h) or,
 * where there is none, what the guard makes of it. NULL: no memory, or no address. *zeroed: whether
 * it reads as zero. */
void *large_alloc(size_t length, size_t align, bool *zeroed);

/* These stop the program, in the name of `call`, if ptr is not the start of a large block. Both
 * return the bytes that may, or might, be used. */
size_t large_free(void *ptr, const char *call);
size_t large_bytes(const void *ptr, const char *call);

/* Whether the block can have been allocated with this length, or resized to it, as far as that is
 * known. Stops the program as the others do. */
bool large_was_allocated(const void *ptr, size_t length, const char *call);

/* Changes the length in place; not of a block of no bytes. False: refused, nothing changed. */
bool large_resize(void *ptr, size_t new_length, const char *call);

/* As large_resize, but may move the block to another multiple of `align`; by a copy only with
 * `may_copy`. NULL: refused. */
void *large_remap(void *ptr, size_t new_length, size_t align, bool may_copy, const char *call);

/* Tries again to unmap what stays, and returns what the source keeps. Says whether there was
 * anything. */
bool large_trim(void);

/* As the process ends: a last look at the seals, where there are any and no other thread is. */
void large_end(void);

struct large_count {
    size_t blocks;
    size_t bytes;
};
struct large_count large_count(void);

void large_fork_prepare(void);
void large_fork_end(bool child);

#endif
