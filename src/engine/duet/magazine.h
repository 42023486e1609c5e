/*
 * Magazines: stacks of free cells of one class, and the two kinds of shelves on which they lie
 * while no slot has them.
 *
 * A magazine is an array of addresses between guards: below the cells a NULL, which a pop finds
 * when there are no more, and behind the last place an odd word, which a push finds when there is
 * no room. So a slot needs one word per class, the address of the place above the top cell, and one
 * look at what it is about to take or overwrite. All else is found from there: the odd word tells
 * the magazine's length. There are two NULLs, since a push also looks whether the cell is one of
 * the two on top: freed twice, with one other free in between at most.
 *
 *   bottom         cells[0]            top                    cells[capacity]
 *   NULL | NULL |  a  |  b  |  c  |  (stale)  |  (stale)  |  2 * capacity + 1
 *
 * They are records of pools (spans/metas.h), of 256 bytes to 16 KiB, apart from the cells, and
 * never unmapped. A freed cell itself is not written to.
 *
 * Shelves are stacks that need no lock. The head is one word: the handle of the top magazine, and a
 * tag that every change counts up, so that a magazine which has gone and come back is not taken for
 * the same (a magazine below may be read by who has lost the race, since the records stay). So they
 * may be used from signal handlers, and look the same to a forked child at any moment. Each home
 * has its own:
 *
 *   spares     empty magazines, by size
 *   transfers  magazines with cells, by class: cells that one CPU has freed, on their way back to
 *              those that allocated them and will again. They meet no mask. Bounded in bytes.
 *
 * (Bonwick's magazines and depot, with adaptive sizes.)
 */
#ifndef DUET_ENGINE_DUET_MAGAZINE_H
#define DUET_ENGINE_DUET_MAGAZINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"
#include "engine/duet/classes.h"
#include "spans/metas.h"

/* Depots are divided into homes so that many CPUs do not meet on one lock (home.h). */
#define DUET_HOMES 16

/* Homes in use, from 1 to DUET_HOMES. */
extern uint32_t duet_homes;

/* Sizes of magazines: 26 to 2,042 cells. The least is what a class costs that is used once. */
#define MAGAZINE_LEAST_SHIFT 8
#define MAGAZINE_SIZES (DUET_TINY ? 2 : 7)

/* A magazine holds at most this much: what lies in it is nobody else's meanwhile. */
#define MAGAZINE_MOST_BYTES ((size_t)128 << 10)

/* But at least so many cells, or it would be no use. */
#define MAGAZINE_LEAST_CELLS 2

#define MAGAZINE_COUNT_BITS 12

struct magazine {
    struct meta head;
    uint32_t next;                           /* the handle of the one below, on a shelf */
    uint32_t capacity : MAGAZINE_COUNT_BITS; /* cells[capacity] is the guard */
    uint32_t count : MAGAZINE_COUNT_BITS;    /* cells in it, while it lies on a shelf */
    uint32_t size : 8;                       /* records of 2^(MAGAZINE_LEAST_SHIFT + size) bytes */
    void *bottom[2];                         /* NULL */
    void *cells[];
};

/* Cells that a record of this size has places for, beside the guard behind them. */
#define MAGAZINE_PLACES(size)                                                                      \
    ((((size_t)1 << (MAGAZINE_LEAST_SHIFT + (size))) - sizeof(struct magazine)) / sizeof(void *) - \
     1)
static_assert(MAGAZINE_PLACES(MAGAZINE_SIZES - 1) < (size_t)1 << MAGAZINE_COUNT_BITS, "it fits");

/* A magazine that is both empty and full: what a slot has of a class before it needs one. */
extern void *const magazine_none[2];
#define MAGAZINE_NONE_TOP ((void **)&magazine_none[1])

ALWAYS_INLINE bool magazine_is_end(const void *cell)
{
    return ((uintptr_t)cell & 1) != 0;
}

/* The magazine that has this top; NULL: magazine_none. Where it is neither empty nor full its
 * places are looked through. Nobody else may have it. */
struct magazine *magazine_of_top(void **top);

/* Cells that a magazine of this size has room for, if it is for cells of this kind. */
size_t magazine_room(size_t size, size_t kind);

/* Whether a larger size than this has more room for cells of this kind. */
bool magazine_may_grow(size_t size, size_t kind);

/* An empty magazine, one of this home's spares if it has any. NULL: no memory. */
struct magazine *magazine_take(size_t home, size_t size, size_t kind);
void magazine_give(size_t home, struct magazine *magazine);

/* Puts a magazine with `count` > 0 cells on this home's shelf of their kind. False: there is as
 * much on its shelves as may be, or the home is not in use; nothing was done. */
bool transfer_put(size_t home, size_t kind, struct magazine *magazine, size_t count);

/* A magazine with cells; `count` of it is set. NULL: there is none. */
struct magazine *transfer_take(size_t home, size_t kind);

/* What lies on the shelves. Exact while nobody puts or takes. */
struct transfer_count {
    size_t cells;
    size_t bytes;
};
struct transfer_count transfer_count(void);

/* Whether the shelf has been left alone, with something on it, since the last time this was asked.
 * One thread at a time. */
bool transfer_is_idle(size_t home, size_t kind);

void magazines_fork_prepare(void);
void magazines_fork_end(void);

/* In the child, where this thread is alone and was not interrupted in the middle of a change:
 * counts anew what lies on the shelves. Others may have been between a shelf and its count. */
void magazines_mend(void);

#endif
