/*
 * The address table: what an address belongs to, in two loads.
 *
 * For each block of the address space one class byte and one meta index, in leaves that are
 * mapped when the first segment or large block in their range is. The root lies in the BSS and
 * holds, for each leaf, its distance from a leaf that is empty for ever: so a root of zeros
 * leads every address there, and a look-up needs no test for a missing leaf.
 *
 * An engine that takes single pages from the OS uses an entry otherwise: the meta index's bits are
 * marks then, one for each 4 KiB of the block, and there is no class byte.
 *
 * Concurrency: look-ups take no lock. An entry is written before any pointer into its block is
 * handed out and cleared before the block can be reused, so whoever holds a valid pointer sees
 * the right entry; for other pointers every answer is harmless. Leaves are never unmapped.
 */
#ifndef DUET_SPANS_TABLE_H
#define DUET_SPANS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"

#define TABLE_ROOT_ENTRIES ((size_t)1 << TABLE_ROOT_BITS)
#define TABLE_LEAF_ENTRIES ((size_t)1 << TABLE_LEAF_BITS)

/* Class bytes. Those from TABLE_ENGINE_FIRST to TABLE_ENGINE_LAST are the engine's to define. */
enum {
    TABLE_FOREIGN = 0, /* not ours, or not in use, or no large one starts in it */
    TABLE_ENGINE_FIRST = 1,
    TABLE_ENGINE_LAST = 250,
    TABLE_EMPTY = 254, /* blocks of no bytes */
    TABLE_LARGE = 255, /* a large block starts in it; the meta is its record */
};

struct table_leaf {
    uint8_t class[TABLE_LEAF_ENTRIES];
    uint32_t meta[TABLE_LEAF_ENTRIES];
};

/* In one, so that one address leads to both. */
struct table {
    uintptr_t root[TABLE_ROOT_ENTRIES];
    uint8_t empty_leaf[TABLE_LEAF_ENTRIES]; /* class bytes alone; never written */
};
extern struct table table;

/* What a mark stands for: 4 KiB, whatever the page size, and no more than a block. */
#define TABLE_MARK_SHIFT 12
#define TABLE_MARK_BYTES ((size_t)1 << TABLE_MARK_SHIFT)
#define TABLE_MARKS (BLOCK_BYTES / TABLE_MARK_BYTES)

/* The class byte of the block that holds ptr; TABLE_FOREIGN for any address that is not ours. */
ALWAYS_INLINE uint8_t table_class(const void *ptr)
{
    uintptr_t block = (uintptr_t)ptr >> BLOCK_SHIFT;
    uintptr_t leaf_number = block >> TABLE_LEAF_BITS;
    if (unlikely(leaf_number >= TABLE_ROOT_ENTRIES))
        return TABLE_FOREIGN;
    /* A sum of numbers, since a pointer may not be led out of its array. */
    uintptr_t leaf_at = (uintptr_t)table.empty_leaf + load_relaxed(&table.root[leaf_number]);
    const uint8_t *leaf = (const uint8_t *)leaf_at;
    return load_relaxed(&leaf[block & (TABLE_LEAF_ENTRIES - 1)]);
}

/* Whether the 4 KiB that hold ptr are marked; false for any address that is not ours. */
ALWAYS_INLINE bool table_is_marked(const void *ptr)
{
    uintptr_t block = (uintptr_t)ptr >> BLOCK_SHIFT;
    uintptr_t leaf_number = block >> TABLE_LEAF_BITS;
    if (unlikely(leaf_number >= TABLE_ROOT_ENTRIES))
        return false;
    uintptr_t distance = load_relaxed(&table.root[leaf_number]);
    if (unlikely(distance == 0))
        return false;
    const struct table_leaf *leaf =
        (const struct table_leaf *)((uintptr_t)table.empty_leaf + distance);
    uint32_t marks = load_relaxed(&leaf->meta[block & (TABLE_LEAF_ENTRIES - 1)]);
    return (marks >> ((uintptr_t)ptr >> TABLE_MARK_SHIFT) % TABLE_MARKS) & 1;
}

/* The meta index of the block that holds ptr, whose class byte must not be TABLE_FOREIGN. */
uint32_t table_meta(const void *ptr);

/* Makes sure that table_set can be called for these addresses. False: no memory. */
bool table_cover(const void *start, size_t length);

/* Writes the entries of `blocks` blocks from `start`, which table_cover has covered. */
void table_set(const void *start, size_t blocks, uint8_t class, uint32_t meta);
void table_clear(const void *start, size_t blocks);

/* Marks each 4 KiB that have a byte of `length` > 0 bytes from `start`, or takes the marks away.
 * table_cover has covered them. */
void table_mark(const void *start, size_t length);
void table_unmark(const void *start, size_t length);

#endif
