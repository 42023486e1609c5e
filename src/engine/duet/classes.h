/*
 * The size classes of duet: the one place to change one.
 *
 * Up to 128 bytes a class every 16, then eight for each doubling up to 1 KiB: at most 12.5 % of a
 * cell is lost from there on. Above, a class is a group of some blocks divided by a whole number
 * and rounded down to 16: hardly any tail, and at most 12.5 % lost up to 2 KiB, 14.2 % beyond. What
 * is longer than 64 KiB is an extent (large_memory.h). The secure flavour, which adds 8 bytes to
 * each length, has a class more, or buffers of just 64 KiB would be extents.
 *
 * Two numbers for one thing: a *class* counts from 0, a *kind* is class + 1, which is also the byte
 * in the address table; kind 0 is memory that is not ours.
 */
#ifndef DUET_ENGINE_DUET_CLASSES_H
#define DUET_ENGINE_DUET_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"
#include "spans/table.h"

/* Every cell begins at a multiple of this, and classes differ by multiples of it. */
#define DUET_UNIT_SHIFT 4
#define DUET_UNIT ((size_t)1 << DUET_UNIT_SHIFT)

/* A cell of `blocks` blocks by `count`. */
#define DUET_PART(blocks, count) ((blocks)*BLOCK_BYTES / (count) / DUET_UNIT * DUET_UNIT)

/* Cells up to this many bytes: no less than a block of the table, so that at most one longer block
 * begins in any of those. */
#define DUET_MOST_BYTES                                                                            \
    (DUET_TINY ? BLOCK_BYTES : DUET_SECURE ? DUET_PART(32, 7) : DUET_PART(32, 8))

/* ROW(bytes of a cell, blocks of a group), the largest first. */
#if DUET_TINY /* blocks of 4 KiB; a few classes of each sort, groups of 2 to 4 cells among them */
#define DUET_CLASS_ROWS(ROW)                                                                       \
    ROW(DUET_PART(2, 2), 2)                                                                        \
    ROW(DUET_PART(2, 3), 2)                                                                        \
    ROW(DUET_PART(1, 2), 1)                                                                        \
    ROW(DUET_PART(1, 3), 1)                                                                        \
    ROW(DUET_PART(1, 4), 1)                                                                        \
    DUET_SMALL_ROWS_TO_512(ROW)
#else
#if DUET_SECURE
#define DUET_LONGEST_ROW(ROW) ROW(DUET_PART(32, 7), 32)
#else
#define DUET_LONGEST_ROW(ROW)
#endif
#define DUET_CLASS_ROWS(ROW)                                                                       \
    DUET_LONGEST_ROW(ROW)                                                                          \
    ROW(DUET_PART(32, 8), 32)                                                                      \
    ROW(DUET_PART(32, 9), 32)                                                                      \
    ROW(DUET_PART(32, 10), 32)                                                                     \
    ROW(DUET_PART(32, 11), 32)                                                                     \
    ROW(DUET_PART(32, 12), 32)                                                                     \
    ROW(DUET_PART(32, 13), 32)                                                                     \
    ROW(DUET_PART(32, 14), 32)                                                                     \
    ROW(DUET_PART(16, 8), 16)                                                                      \
    ROW(DUET_PART(32, 17), 32)                                                                     \
    ROW(DUET_PART(32, 19), 32)                                                                     \
    ROW(DUET_PART(32, 21), 32)                                                                     \
    ROW(DUET_PART(16, 12), 16)                                                                     \
    ROW(DUET_PART(16, 13), 16)                                                                     \
    ROW(DUET_PART(16, 14), 16)                                                                     \
    ROW(DUET_PART(8, 8), 8)                                                                        \
    ROW(DUET_PART(16, 17), 16)                                                                     \
    ROW(DUET_PART(16, 19), 16)                                                                     \
    ROW(DUET_PART(16, 21), 16)                                                                     \
    ROW(DUET_PART(8, 12), 8)                                                                       \
    ROW(DUET_PART(8, 13), 8)                                                                       \
    ROW(DUET_PART(4, 7), 4)                                                                        \
    ROW(DUET_PART(4, 8), 4)                                                                        \
    ROW(DUET_PART(8, 17), 8)                                                                       \
    ROW(DUET_PART(8, 19), 8)                                                                       \
    ROW(DUET_PART(8, 21), 8)                                                                       \
    ROW(DUET_PART(1, 3), 1)                                                                        \
    ROW(DUET_PART(4, 13), 4)                                                                       \
    ROW(DUET_PART(4, 14), 4)                                                                       \
    ROW(DUET_PART(1, 4), 1)                                                                        \
    ROW(DUET_PART(4, 18), 4)                                                                       \
    ROW(DUET_PART(4, 21), 4)                                                                       \
    ROW(DUET_PART(1, 6), 1)                                                                        \
    ROW(DUET_PART(1, 7), 1)                                                                        \
    ROW(DUET_PART(1, 8), 1)                                                                        \
    ROW(DUET_PART(1, 9), 1)                                                                        \
    ROW(DUET_PART(1, 10), 1)                                                                       \
    ROW(DUET_PART(1, 11), 1)                                                                       \
    ROW(DUET_PART(1, 12), 1)                                                                       \
    ROW(DUET_PART(1, 13), 1)                                                                       \
    ROW(DUET_PART(1, 14), 1)                                                                       \
    ROW(1024, 1)                                                                                   \
    ROW(960, 1)                                                                                    \
    ROW(896, 1)                                                                                    \
    ROW(832, 1)                                                                                    \
    ROW(768, 1)                                                                                    \
    ROW(704, 1)                                                                                    \
    ROW(640, 1)                                                                                    \
    ROW(576, 1)                                                                                    \
    DUET_SMALL_ROWS_TO_512(ROW)
#endif
#define DUET_SMALL_ROWS_TO_512(ROW)                                                                \
    ROW(512, 1)                                                                                    \
    ROW(480, 1)                                                                                    \
    ROW(448, 1)                                                                                    \
    ROW(416, 1)                                                                                    \
    ROW(384, 1)                                                                                    \
    ROW(352, 1)                                                                                    \
    ROW(320, 1)                                                                                    \
    ROW(288, 1)                                                                                    \
    ROW(256, 1)                                                                                    \
    ROW(240, 1)                                                                                    \
    ROW(224, 1)                                                                                    \
    ROW(208, 1)                                                                                    \
    ROW(192, 1)                                                                                    \
    ROW(176, 1)                                                                                    \
    ROW(160, 1)                                                                                    \
    ROW(144, 1)                                                                                    \
    ROW(128, 1)                                                                                    \
    ROW(112, 1)                                                                                    \
    ROW(96, 1)                                                                                     \
    ROW(80, 1)                                                                                     \
    ROW(64, 1)                                                                                     \
    ROW(48, 1)                                                                                     \
    ROW(32, 1)                                                                                     \
    ROW(16, 1)

#define DUET_CLASS_OF_ROW(bytes, blocks) +1
enum { DUET_CLASSES = 0 DUET_CLASS_ROWS(DUET_CLASS_OF_ROW), DUET_KINDS };

/* The most cells that a group can have. */
#define DUET_MOST_CELLS (BLOCK_BYTES / DUET_UNIT)

static_assert(TABLE_ENGINE_FIRST == 1, "a kind is a byte of the table");
static_assert((int)DUET_CLASSES <= (int)TABLE_ENGINE_LAST, "kinds fit the table's bytes");

struct duet_kind {
    uint32_t bytes;
    uint32_t inverse; /* ceil(2^DUET_INVERSE_SHIFT / units of a cell) */
    uint16_t cells;   /* of a group */
    uint8_t blocks;   /* of a group */
};

#define DUET_INVERSE_SHIFT 31

/* An offset n below a group's bytes is that of a cell just if n * inverse, modulo 2^32, is below
 * the limit. The inverse is ceil(2^32 / bytes) = (2^32 + e) / bytes, so that of cell number k
 * leaves k * e, and every other offset more than inverse - bytes, which is more than cells * e: the
 * limit, or 1 where e is 0, and there is no tail then. (After D. Lemire, 'Faster remainder by
 * direct computation'.) */
struct duet_divisor {
    uint32_t inverse;
    uint32_t limit;
};

/* The same modulo 2^64, for offsets in a group of several blocks. */
struct duet_long_divisor {
    uint64_t inverse;
    uint64_t limit;
};

/* All that the fast paths look up, in one place, so that one address leads to it. */
struct duet_tables {
    /* The kind that serves a length, by its units, rounded up. */
    uint8_t kind_of[DUET_MOST_BYTES / DUET_UNIT + 1];

    /* By the address table's byte; zeros where a group is more than one block, and for all that is
     * no cell. See duet_is_cell. */
    struct duet_divisor divisors[256];

    struct duet_kind kinds[DUET_KINDS];

    /* Zeros where a group is one block. See duet_is_long_cell. */
    struct duet_long_divisor long_divisors[DUET_KINDS];
};
extern HIDDEN const struct duet_tables duet_tables;

/* Of a length from 0 to DUET_MOST_BYTES. Of no bytes there are no cells: kind 0, of which no
 * magazine has any. */
ALWAYS_INLINE size_t duet_kind_for(size_t length)
{
    return duet_tables.kind_of[(length + DUET_UNIT - 1) >> DUET_UNIT_SHIFT];
}

/* The least kind whose cells hold `length` bytes at multiples of `align`; 0 if there is none,
 * or no byte to hold. */
size_t duet_kind_for_aligned(size_t length, size_t align);

ALWAYS_INLINE size_t duet_kind_bytes(size_t kind)
{
    return duet_tables.kinds[kind].bytes;
}

/* Whether a cell may serve a length though it is not the shortest that can, as it does where the
 * length was longer before, or the slot has none of the shortest. 3 of 4 bytes are used. */
ALWAYS_INLINE bool duet_fits(size_t length, size_t bytes)
{
    return length <= bytes && length >= bytes / 4 * 3;
}

/* The number of the cell that holds the byte at this offset of a group. */
ALWAYS_INLINE size_t duet_cell_at(size_t kind, size_t offset)
{
    return (offset >> DUET_UNIT_SHIFT) * duet_tables.kinds[kind].inverse >> DUET_INVERSE_SHIFT;
}

/* Whether an address in a block of this kind is that of a cell, as far as the block alone can tell:
 * false for all groups of several blocks. */
ALWAYS_INLINE bool duet_is_cell(const void *ptr, size_t kind)
{
    const struct duet_divisor *divisor = &duet_tables.divisors[kind];
    return (uint32_t)((uintptr_t)ptr % BLOCK_BYTES) * divisor->inverse < divisor->limit;
}

/* What the address table has of a group's block: the index of its meta and, where there are several
 * blocks, above it which of them this one is. So a group of several has one of the first 2^27 metas
 * of its size, and those are not used up below 2 TiB of groups. */
#define DUET_PLACE_SHIFT 27
#define DUET_MOST_BLOCKS ((size_t)1 << (32 - DUET_PLACE_SHIFT))

ALWAYS_INLINE uint32_t duet_table_index(size_t kind, uint32_t entry)
{
    bool several = duet_tables.kinds[kind].blocks > 1;
    return several ? entry & (((uint32_t)1 << DUET_PLACE_SHIFT) - 1) : entry;
}

/* As duet_is_cell, for a kind whose groups have several blocks; false for all others. The entry is
 * that of the address. */
ALWAYS_INLINE bool duet_is_long_cell(const void *ptr, size_t kind, uint32_t entry)
{
    const struct duet_long_divisor *divisor = &duet_tables.long_divisors[kind];
    uint64_t offset = (uintptr_t)ptr % BLOCK_BYTES + (entry >> DUET_PLACE_SHIFT) * BLOCK_BYTES;
    return offset * divisor->inverse < divisor->limit;
}

#endif
