/*
 * Where freed cells wait, in the secure flavour, before they come onto their magazine. A slot has
 * some places for each class. A freed cell is put into one of them, and the cell that lay there,
 * if any did, goes on. The places are gone through half by half, each half in an order that a
 * secret tells. So, of 16 places, a cell is followed by 9 to 23 others of its class before it can
 * be handed out.
 *
 * Concurrency: as with magazines (cache.h). A place of a CPU's slot is exchanged in a restartable
 * sequence, those of a cache that is held by plain stores. Between the count of a turn and the
 * exchange a thread may be preempted or moved: then turns are counted again, and a place used out
 * of turn, so that what has just come there may go on at once.
 */
#ifndef DUET_ENGINE_DUET_WAITING_H
#define DUET_ENGINE_DUET_WAITING_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "engine/duet/classes.h"

/* Places of a class, by how long its cells are: so many, or half of them, or a quarter. */
#define WAITING_MOST ((size_t)16)
#define WAITING_SIZES 3
#define WAITING_MOST_BYTES ((size_t)16 << 10) /* in all places, but for the fewest */

/* Turns in which a half of the most places is gone through, and each a place in some bits of a
 * word; two halves of fewer, or four. */
#define WAITING_TURNS (WAITING_MOST / 2)
#define WAITING_PLACE_BITS 4

#define WAITING_ORDERS_SHIFT 5
#define WAITING_ORDERS (1 << WAITING_ORDERS_SHIFT)

struct waiting {
    uint64_t secret; /* odd */
    uint32_t orders[WAITING_SIZES][WAITING_ORDERS];
    uint32_t turns[DUET_KINDS];
    void *cells[DUET_KINDS][WAITING_MOST]; /* NULL: nothing waits there */
};

ALWAYS_INLINE size_t waiting_size(size_t kind)
{
    size_t bytes = duet_kind_bytes(kind), most = WAITING_MOST_BYTES / WAITING_MOST;
    return (size_t)(bytes > most) + (size_t)(bytes > 2 * most);
}

ALWAYS_INLINE size_t waiting_places(size_t kind)
{
    return WAITING_MOST >> waiting_size(kind);
}

/* The place for the next cell of this kind. Which of the orders a half is gone through in is a
 * keyed number of the turn. */
ALWAYS_INLINE size_t waiting_next(struct waiting *waiting, size_t kind)
{
    size_t size = waiting_size(kind);
    uint32_t turn = load_relaxed(&waiting->turns[kind]);
    store_relaxed(&waiting->turns[kind], turn + 1);
    uint64_t mixed = turn / WAITING_TURNS * waiting->secret;
    mixed = (mixed ^ mixed >> 32) * waiting->secret;
    uint32_t order = waiting->orders[size][mixed >> (64 - WAITING_ORDERS_SHIFT)];
    size_t place = order >> turn % WAITING_TURNS * WAITING_PLACE_BITS & (WAITING_TURNS - 1);
    return (turn & WAITING_TURNS >> size) | place;
}

#endif
