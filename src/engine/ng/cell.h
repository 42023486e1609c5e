/*
 * Cells: where they are, their headers and their ends.
 *
 *        header              what was asked for                  reserved
 *   ────┬─────────────────┬─────────────────────────────────┬─┬──────────────┬────────
 *       │far│index│offset │ ptr                             │0│    0 │ count │0│ ...
 *   ────┴─────────────────┴─────────────────────────────────┴─┴──────────────┴────────
 *         1    1     2                                       a                b
 *
 * The header is the 4 bytes before the pointer: the cell's index in its group, 5 bits; a code for
 * the reserved bytes behind what was asked for, 3 bits; and the distance from the group's first
 * cell in units. A distance too long for 16 bits stands in the 4 bytes before, and `far` says so.
 * Up to 4 reserved bytes are told by the code; of more, the last 4 bytes hold the count. So the
 * length that was asked for is known to the byte.
 *
 * Bytes that must be zero: the one behind what was asked for (a), the one before the count, and the
 * one behind the cell (b), which is the `far` of the header at the next cell's start. Who writes
 * beyond the end is found out by one of them.
 *
 * Where a cell is larger than what was asked for, the pointer need not be its start: it moves on
 * by a unit with each use, so that an address comes back late. The cell's start then has a header
 * of its own, with the code UNUSED and the distance from start to pointer.
 */
#ifndef DUET_ENGINE_NG_CELL_H
#define DUET_ENGINE_NG_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/fatal.h"
#include "engine/ng/group.h"
#include "spans/table.h"

/* Codes of the header. */
enum {
    RESERVED_COUNTED = 5, /* this many or more: the count is at the cell's end. Below: the count */
    RESERVED_NESTED = 6,  /* the cell holds a group, and is not for its user to free */
    RESERVED_UNUSED = 7,  /* no pointer: the start of a cell that was handed out farther on, or
                             what was freed */
};

#define HEADER_INDEX_BITS 5
#define HEADER_INDEX_MASK 31

/* A freed cell's header: no index, no offset. */
#define HEADER_FREED 255

/* First use of a cell: pointers are spread over so many units. */
#define OFFSET_CYCLE 255

/* ---- The header's fields, by the address of the pointer ----------------------------------- */

ALWAYS_INLINE uint8_t *header_far(const char *ptr)
{
    return (uint8_t *)ptr - 4;
}

ALWAYS_INLINE uint8_t *header_code(const char *ptr)
{
    return (uint8_t *)ptr - 3;
}

ALWAYS_INLINE uint16_t *header_offset(const char *ptr)
{
    return (uint16_t *)(ptr - 2);
}

ALWAYS_INLINE uint32_t *header_far_offset(const char *ptr)
{
    return (uint32_t *)(ptr - 8);
}

/* The 16 bytes that hold the header, of whatever may be passed for a pointer. */
ALWAYS_INLINE const void *header_place(const void *ptr)
{
    return (const void *)((uintptr_t)ptr - NG_UNIT);
}

/* At the cell's end, if RESERVED_COUNTED. */
ALWAYS_INLINE uint32_t *reserved_count(const char *end)
{
    return (uint32_t *)(end - 4);
}

/* ---- From a pointer to its cell ----------------------------------------------------------- */

struct cell {
    struct group *group;
    unsigned index;
    char *ptr;
    char *start;
    char *end; /* the byte that must be zero; its header's next cell begins here */
};

/* Finds the cell that a pointer was handed out for. Nothing is followed that is not ours: not the
 * pointer, nor its header to the group, nor the group's head to the meta. False: ptr is no such
 * pointer, or not any more, or its header was overwritten; cell_accuse says which. */
ALWAYS_INLINE bool cell_find(const void *pointer, struct cell *cell)
{
    char *ptr = (char *)pointer;
    if (unlikely(!is_aligned((uintptr_t)ptr, NG_UNIT)) ||
        unlikely(!table_is_marked(header_place(ptr))))
        return false;
    size_t offset = *header_offset(ptr);
    if (unlikely(*header_far(ptr) != 0)) {
        bool is_far = offset == 0 && *header_far_offset(ptr) > UINT16_MAX;
        if (!is_far)
            return false;
        offset = *header_far_offset(ptr);
    }
    struct group_head *base = (struct group_head *)(ptr - (offset + 1) * NG_UNIT);
    unsigned index = *header_code(ptr) & HEADER_INDEX_MASK;
    struct group *group = group_of_base(base, index);
    if (unlikely(group == NULL))
        return false;
    uint32_t free = load_relaxed(&group->avail) | load_relaxed(&group->freed);
    if (unlikely(index > group_last(group)) || unlikely(free >> index & 1))
        return false;
    size_t stride = group_stride(group);
    if (unlikely(offset * NG_UNIT - stride * index >= stride))
        return false;
    *cell = (struct cell){group, index, ptr, group_cell(group, index), NULL};
    cell->end = cell->start + stride - NG_HEADER_BYTES;
    return true;
}

/* How many bytes were asked for. False: there is no telling, since bytes around the cell's end, or
 * the header, were overwritten. */
ALWAYS_INLINE bool cell_nominal(const struct cell *cell, size_t *bytes)
{
    size_t reserved = *header_code(cell->ptr) >> HEADER_INDEX_BITS;
    size_t room = (size_t)(cell->end - cell->ptr);
    if (unlikely(reserved >= RESERVED_COUNTED)) {
        if (reserved != RESERVED_COUNTED || cell->end[-5] != 0)
            return false;
        reserved = *reserved_count(cell->end);
        if (reserved < RESERVED_COUNTED || reserved > room)
            return false;
    }
    *bytes = room - reserved;
    return likely(cell->end[-(ptrdiff_t)reserved] == 0) && likely(*cell->end == 0);
}

/* Stops the program, in the name of `call`, with what is wrong with a pointer that cell_find or
 * cell_nominal would not take. */
COLD _Noreturn void cell_accuse(const void *ptr, const char *call);

/* Both, or the end. Returns the bytes asked for. */
size_t cell_require(const void *ptr, const char *call, struct cell *cell);

/* ---- From a cell to its pointer ----------------------------------------------------------- */

/* Notes that `bytes` were asked for, of what lies from ptr to end. */
ALWAYS_INLINE void cell_set_nominal(char *ptr, char *end, unsigned index, size_t bytes)
{
    size_t reserved = (size_t)(end - ptr) - bytes;
    if (reserved > 0)
        end[-(ptrdiff_t)reserved] = 0;
    if (reserved >= RESERVED_COUNTED) {
        *reserved_count(end) = (uint32_t)reserved;
        end[-5] = 0;
        reserved = RESERVED_COUNTED;
    }
    *header_code(ptr) = (uint8_t)(index | reserved << HEADER_INDEX_BITS);
}

/* How many units behind its start the pointer is, of `slack` that there are: at a first use by the
 * counter, at each later one a unit more. */
ALWAYS_INLINE size_t cell_next_offset(const char *start, size_t slack, uint32_t counter)
{
    bool is_first = *header_code(start) == 0;
    size_t offset = (is_first ? counter : *header_offset(start) + 1u) & OFFSET_CYCLE;
    if (likely(offset <= slack))
        return offset;
    offset &= mask_to((unsigned)highest_bit(slack | 1)); /* a division would be dearer */
    return offset > slack ? offset - (slack + 1) : offset;
}

COLD _Noreturn void cell_accuse_free(const char *start);

/* Makes a pointer for `bytes` of a taken cell. `counter` as it was under the lock. */
ALWAYS_INLINE char *cell_frame(const struct group *group, unsigned index, size_t bytes,
                               uint32_t counter)
{
    size_t stride = group_stride(group);
    char *start = (char *)group->base + NG_UNIT + stride * index;
    char *end = start + stride - NG_HEADER_BYTES;
    if (unlikely(*header_far(start) != 0))
        cell_accuse_free(start);
    char *ptr = start;
    size_t slack = (stride - NG_HEADER_BYTES - bytes) / NG_UNIT;
    size_t offset = slack == 0 ? 0 : cell_next_offset(start, slack, counter);
    if (offset != 0) {
        *header_offset(start) = (uint16_t)offset;
        *header_code(start) = RESERVED_UNUSED << HEADER_INDEX_BITS;
        ptr += offset * NG_UNIT;
        *header_far(ptr) = 0;
    }
    *header_offset(ptr) = (uint16_t)((size_t)(ptr - (char *)group->base) / NG_UNIT - 1);
    cell_set_nominal(ptr, end, index, bytes);
    return ptr;
}

/* Moves the pointer of a cell that was just framed, with room for it, up to a multiple of `align`,
 * a power of two above NG_UNIT. */
char *cell_align(char *ptr, size_t align, size_t bytes);

/* The pointer is one no more. */
ALWAYS_INLINE void cell_invalidate(char *ptr)
{
    *header_code(ptr) = HEADER_FREED;
    *header_offset(ptr) = 0;
}

#endif
