/*
 * Cells that are looked at: each has a stamp of its own in its first and last bytes, and a byte
 * made from the stamp wherever a page's length lies between it and its start; so all its pages are
 * there, as they were in the program. All of this must be there when it is freed or reallocated,
 * and after a realloc as far as both sizes go. So of two cells that overlap at their ends or on
 * such a byte, one is found out when it is used next; and so is memory that loses what is in it
 * there.
 */
#ifndef DUET_PLAYER_CELL_H
#define DUET_PLAYER_CELL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "player.h"

/* Of the kernel's pages the smallest that there are. */
#define PAGE_BYTES 4096

/* What malloc has to align to: small cells need no more than their size asks for. */
#define ALIGN_LEAST sizeof(uint64_t)

/* A place in the table. */
struct cell {
    unsigned char *start;   /* NULL: nobody has the place */
    uint64_t size_and_life; /* the lives are those that had the place before */
};

#define SIZE_BITS (64 - PLAY_SIZE_SHIFT)
#define SIZE_MASK (((uint64_t)1 << SIZE_BITS) - 1)

/* A word at any address, whatever was written there before. */
typedef uint64_t __attribute__((aligned(1), may_alias)) cell_word;

static inline uint64_t cell_size(const struct cell *cell)
{
    return cell->size_and_life & SIZE_MASK;
}

static inline void cell_set_size(struct cell *cell, uint64_t size)
{
    cell->size_and_life = (cell->size_and_life & ~SIZE_MASK) | size;
}

/* Each byte of it depends on the place and the life. */
static inline uint64_t cell_stamp(const struct cell *cell, uint32_t place)
{
    uint64_t life = cell->size_and_life >> SIZE_BITS;
    uint64_t product = ((life << 32 | place) + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return product << 32 | product >> 32;
}

_Noreturn static inline void cell_is_wrong(const struct cell *cell, uint64_t offset)
{
    fail(PLAYER_CORRUPT, "the cell of %llu bytes at %p has changed at byte %llu",
         (unsigned long long)cell_size(cell), (void *)cell->start, (unsigned long long)offset);
}

/* ---- The stamp ------------------------------------------------------------------------------ */

static inline void write_first(unsigned char *start, uint64_t size, uint64_t stamp)
{
    if (size >= sizeof stamp) {
        *(cell_word *)start = stamp;
        return;
    }
    for (uint64_t i = 0; i < size; i++)
        start[i] = (unsigned char)(stamp >> (8 * i));
}

/* The last word is the first one negated; where there is no room for two, its last byte. */
static inline void write_last(unsigned char *start, uint64_t size, uint64_t stamp)
{
    if (size >= 2 * sizeof stamp)
        *(cell_word *)(start + size - sizeof stamp) = ~stamp;
    else if (size > sizeof stamp)
        start[size - 1] = (unsigned char)~stamp;
}

/* `size` is how many bytes must be there at least: after a realloc that made it smaller, fewer than
 * were stamped. */
static inline void check_first(const struct cell *cell, uint64_t size, uint64_t stamp)
{
    if (size >= sizeof stamp) {
        if (*(const cell_word *)cell->start != stamp)
            cell_is_wrong(cell, 0);
        return;
    }
    for (uint64_t i = 0; i < size; i++) {
        if (cell->start[i] != (unsigned char)(stamp >> (8 * i)))
            cell_is_wrong(cell, i);
    }
}

static inline void check_last(const struct cell *cell, uint64_t size, uint64_t stamp)
{
    if (size >= 2 * sizeof stamp) {
        if (*(const cell_word *)(cell->start + size - sizeof stamp) != ~stamp)
            cell_is_wrong(cell, size - sizeof stamp);
    } else if (size > sizeof stamp && cell->start[size - 1] != (unsigned char)~stamp) {
        cell_is_wrong(cell, size - 1);
    }
}

/* ---- The bytes in between ------------------------------------------------------------------- */

/* They lie at multiples of PAGE_BYTES, from the first on, below this. Counted from the cell's
 * start, so that a realloc takes them along. What is left behind the last of them has the stamp. */
static inline uint64_t page_bytes_end(uint64_t size)
{
    return size > sizeof(uint64_t) ? size - sizeof(uint64_t) : 0;
}

/* Depends on the page's number too: pages that have changed places are found out. */
static inline unsigned char page_byte(uint64_t stamp, uint64_t offset)
{
    return (unsigned char)(stamp + offset / PAGE_BYTES);
}

/* Those that a cell of `size` has, and one of `old_size` had not. */
static inline void write_pages(unsigned char *start, uint64_t old_size, uint64_t size,
                               uint64_t stamp)
{
    uint64_t there = (page_bytes_end(old_size) + PAGE_BYTES - 1) / PAGE_BYTES;
    uint64_t offset = (there != 0 ? there : 1) * PAGE_BYTES;

    for (; offset < page_bytes_end(size); offset += PAGE_BYTES)
        start[offset] = page_byte(stamp, offset);
}

static inline void check_pages(const struct cell *cell, uint64_t end, uint64_t stamp)
{
    for (uint64_t offset = PAGE_BYTES; offset < end; offset += PAGE_BYTES) {
        if (cell->start[offset] != page_byte(stamp, offset))
            cell_is_wrong(cell, offset);
    }
}

/* ---- A cell's life -------------------------------------------------------------------------- */

/* The compiler must not know what becomes of a cell, or it might do without. */
static inline void *escaped(void *start)
{
    __asm__ volatile("" : "+r"(start) : : "memory");
    return start;
}

_Noreturn static inline void no_memory(uint64_t size)
{
    fail(PLAYER_NO_MEMORY, "there is no memory for a cell of %llu bytes", (unsigned long long)size);
}

static inline void require_align(const void *start, uint64_t size, uint64_t align)
{
    if ((uintptr_t)start % align != 0)
        fail(PLAYER_CORRUPT, "the cell of %llu bytes at %p is not aligned to %llu",
             (unsigned long long)size, (void *)(uintptr_t)start, (unsigned long long)align);
}

static inline uint64_t natural_align(uint64_t size)
{
    return size >= _Alignof(max_align_t) ? _Alignof(max_align_t) : ALIGN_LEAST;
}

/* The cell at the place is the one that an allocation has just returned. */
static inline void cell_adopt(struct cell *cell, uint32_t place, void *start, uint64_t size,
                              uint64_t align)
{
    start = escaped(start);
    if (start == NULL && size != 0)
        no_memory(size);
    require_align(start, size, align);
    cell->start = start;
    cell->size_and_life = ((cell->size_and_life >> SIZE_BITS) + 1) << SIZE_BITS | size;
    uint64_t stamp = cell_stamp(cell, place);
    write_pages(cell->start, 0, size, stamp);
    write_first(cell->start, size, stamp);
    write_last(cell->start, size, stamp);
}

static inline void cell_malloc(struct cell *cell, uint32_t place, uint64_t size)
{
    cell_adopt(cell, place, malloc(size), size, natural_align(size));
}

static inline void require_zero(const unsigned char *start, uint64_t size, uint64_t offset)
{
    if (start[offset] != 0)
        fail(PLAYER_CORRUPT, "the cell of %llu bytes at %p from calloc is not zero at byte %llu",
             (unsigned long long)size, (void *)(uintptr_t)start, (unsigned long long)offset);
}

/* Looks where the stamp will be, and in each page. */
static inline void cell_calloc(struct cell *cell, uint32_t place, uint64_t size)
{
    unsigned char *start = escaped(calloc(1, size));

    for (uint64_t i = 0; start != NULL && i < size && i < sizeof(uint64_t); i++) {
        require_zero(start, size, i);
        require_zero(start, size, size - 1 - i);
    }
    for (uint64_t offset = 0; start != NULL && offset < size; offset += PAGE_BYTES)
        require_zero(start, size, offset);
    cell_adopt(cell, place, start, size, natural_align(size));
}

static inline void cell_aligned(struct cell *cell, uint32_t place, uint64_t size,
                                unsigned align_log2)
{
    size_t align = (size_t)1 << align_log2;
    void *start = NULL;

    if (align < sizeof(void *))
        align = sizeof(void *);
    int error = posix_memalign(&start, align, size);
    if (error == ENOMEM)
        no_memory(size);
    if (error != 0)
        fail(PLAYER_FAILED, "posix_memalign refuses an alignment of %zu", align);
    cell_adopt(cell, place, start, size, align);
}

static inline void cell_check(const struct cell *cell, uint32_t place)
{
    uint64_t stamp = cell_stamp(cell, place);

    check_first(cell, cell_size(cell), stamp);
    check_pages(cell, page_bytes_end(cell_size(cell)), stamp);
    check_last(cell, cell_size(cell), stamp);
}

/* `size` is not 0. */
static inline void cell_realloc(struct cell *cell, uint32_t place, uint64_t size)
{
    uint64_t stamp = cell_stamp(cell, place);
    uint64_t old_size = cell_size(cell);
    uint64_t least = size < old_size ? size : old_size;
    uint64_t pages_end = page_bytes_end(old_size);

    cell_check(cell, place);
    unsigned char *start = escaped(realloc(cell->start, size));
    if (start == NULL)
        no_memory(size);
    require_align(start, size, natural_align(size));
    cell->start = start;
    check_first(cell, least, stamp);
    check_pages(cell, least < pages_end ? least : pages_end, stamp);
    if (size >= old_size)
        check_last(cell, old_size, stamp);
    cell_set_size(cell, size);
    write_pages(start, old_size, size, stamp);
    write_first(start, size, stamp);
    write_last(start, size, stamp);
}

static inline void cell_free(struct cell *cell, uint32_t place)
{
    cell_check(cell, place);
    free(escaped(cell->start));
    cell->start = NULL;
}

#endif
