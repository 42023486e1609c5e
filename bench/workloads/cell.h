/*
 * Cells that know whether they are still what they were.
 *
 * A cell gets a stamp in its first and its last word as it is made, and shows it before it is
 * freed. The stamp is made from the cell's number and size, which no other live cell shares, and
 * which the workload keeps outside of the heap. So of two cells that overlap at either end, or are
 * one and the same, the first to be freed that was not the last to be stamped gives the allocator
 * away; so does anybody who writes into what is not his.
 *
 * That is two stores and two loads a cell, on lines that a program would have used too.
 */
#ifndef DUET_WORKLOADS_CELL_H
#define DUET_WORKLOADS_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "random.h"
#include "team.h"

/* No cell is smaller: a stamp has to go into it. */
#define CELL_LEAST (sizeof(uint64_t))

struct cell {
    unsigned char *start; /* NULL: there is none */
    uint32_t bytes;
    uint32_t serial;
};

/* Words at any address, whatever was written there before. */
typedef uint64_t __attribute__((aligned(1), may_alias)) cell_word;

/* The compiler must not know what becomes of a cell, or it might do without. */
static inline void *escaped(void *start)
{
    __asm__ volatile("" : "+r"(start) : : "memory");
    return start;
}

/* The ways in which a cell can be wrong; each ends the program with one line that tells which. */
_Noreturn void cell_has_changed(const struct cell *cell, size_t offset) __attribute__((cold));
_Noreturn void cell_is_refused(size_t bytes) __attribute__((cold));
_Noreturn void cell_is_misaligned(const struct cell *cell, size_t align) __attribute__((cold));
_Noreturn void cell_is_not_zero(const struct cell *cell, size_t offset) __attribute__((cold));
_Noreturn void cell_has_lost(const struct cell *cell, size_t offset) __attribute__((cold));

/* By an odd factor, so that different cells have different stamps; the halves change places, so
 * that the lowest byte, which is all that some cells have room for, depends on the number too. */
static inline uint64_t cell_stamp(const struct cell *cell)
{
    uint64_t product = ((uint64_t)cell->serial << 32 | cell->bytes) * UINT64_C(0x9e3779b97f4a7c15);

    return product << 32 | product >> 32;
}

static inline void cell_write_stamp(const struct cell *cell)
{
    uint64_t stamp = cell_stamp(cell);

    *(cell_word *)cell->start = stamp;
    if (cell->bytes >= 2 * sizeof stamp)
        *(cell_word *)(cell->start + cell->bytes - sizeof stamp) = ~stamp;
    else if (cell->bytes > sizeof stamp)
        cell->start[cell->bytes - 1] = (unsigned char)stamp;
}

/* The cell is what it was when it was stamped, or the program ends. */
static inline void cell_check(const struct cell *cell)
{
    uint64_t stamp = cell_stamp(cell);

    if (*(const cell_word *)cell->start != stamp)
        cell_has_changed(cell, 0);
    if (cell->bytes >= 2 * sizeof stamp) {
        if (*(const cell_word *)(cell->start + cell->bytes - sizeof stamp) != ~stamp)
            cell_has_changed(cell, cell->bytes - sizeof stamp);
    } else if (cell->bytes > sizeof stamp && cell->start[cell->bytes - 1] != (unsigned char)stamp) {
        cell_has_changed(cell, cell->bytes - 1);
    }
}

/* What malloc has to align a cell to, going by its size. */
static inline size_t cell_natural_align(size_t bytes)
{
    return bytes >= _Alignof(max_align_t) ? _Alignof(max_align_t) : CELL_LEAST;
}

/* The cell is the one that an allocation has just returned. It gets a number, and no stamp yet. */
static inline void cell_adopt(struct hand *hand, struct cell *cell, void *start, size_t bytes,
                              size_t align)
{
    start = escaped(start);
    if (start == NULL)
        cell_is_refused(bytes);
    *cell = (struct cell){.start = start, .bytes = (uint32_t)bytes, .serial = ++hand->serial};
    if ((uintptr_t)start % align != 0)
        cell_is_misaligned(cell, align);
}

static inline void cell_make(struct hand *hand, struct cell *cell, size_t bytes)
{
    cell_adopt(hand, cell, malloc(bytes), bytes, cell_natural_align(bytes));
    cell_write_stamp(cell);
}

static inline void cell_drop(const struct cell *cell)
{
    cell_check(cell);
    free(escaped(cell->start));
}

/* The same, where there may be none. */
static inline void cell_drop_any(struct cell *cell)
{
    if (cell->start != NULL)
        cell_drop(cell);
    cell->start = NULL;
}

static inline void cell_replace(struct hand *hand, struct cell *cell, size_t bytes)
{
    cell_drop(cell);
    cell_make(hand, cell, bytes);
}

/* ---- Content: words all over the cell, so many bytes from one to the next, beside the stamp. */

/* Starts from the stamp: the word at the cell's start is the stamp itself. */
static inline uint64_t cell_content(uint64_t stamp, size_t offset)
{
    return stamp + offset;
}

/* The words at `step`, 2 * `step` and so on, as far as they end before the last word. */
static inline void cell_write_content(const struct cell *cell, size_t step)
{
    uint64_t stamp = cell_stamp(cell);

    for (size_t offset = step; offset + 2 * sizeof stamp <= cell->bytes; offset += step)
        *(cell_word *)(cell->start + offset) = cell_content(stamp, offset);
}

static inline void cell_check_content(const struct cell *cell, size_t step)
{
    uint64_t stamp = cell_stamp(cell);

    for (size_t offset = step; offset + 2 * sizeof stamp <= cell->bytes; offset += step)
        if (*(const cell_word *)(cell->start + offset) != cell_content(stamp, offset))
            cell_has_changed(cell, offset);
}

#endif
