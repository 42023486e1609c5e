/*
 * Groups: runs of equal cells under metas that lie apart from them, and the depots that hold the
 * groups of a class.
 *
 * A group is a span of one to 32 blocks (classes.h). Its meta has two masks, a bit for each cell:
 * `avail`, cells to be handed out, which belongs to whoever holds the home's lock; and `freed`,
 * cells that came back, which anybody ors bits into without a lock. When `avail` runs out, `freed`
 * is exchanged for zeros and becomes `avail`. (mallocng's masks.) Who returns cells while nobody
 * has the lock takes it and puts them into `avail` at once, which costs less. A cell that is not in
 * `avail` is *taken*: somebody has it, or it lies in a magazine, or it was returned and waits in
 * `freed`.
 *
 * The state of a group is one word: how many cells have been returned to `freed`, how many are
 * taken, and two flags. Who returns cells to `freed` first ors their bits and then, in one change
 * of that word, counts them; if by this a group that nobody looks at has cells again (FULL), or all
 * cells are back, the same change sets QUEUED, and only who has set QUEUED touches the group again,
 * to push it on the depot's stack of returned groups. So a group whose counts say that all is back,
 * and which is not QUEUED, is nobody's but the lock's holder's, who may release it.
 *
 *              takes cells, lock held                 all taken, none came back
 *      LISTED ───────────────────────── LISTED ──────────────────────────────── FULL
 *        │ ▲ ▲                                                                    │
 *        │ │ └──────────────── put back, lock held ─────────────────────────────────┤
 *        │ └── settled, lock held ── QUEUED, on the stack ◄── a cell came back ─────┘
 *        │                                ▲
 *        │                                └── the last cell came back, LISTED before
 *        ▼
 *     released, lock held, wholly free
 *
 * A depot lists its groups by how full they are, and takes from the fullest, so that sparse ones
 * drain; wholly free ones stay with it until the home needs one for another class, or until a sweep
 * finds them idle. A home has a depot for each class, and one lock for all of them; a group stays
 * in its home. Nothing here is hot: between the slots and the depots are magazines.
 */
#ifndef DUET_ENGINE_DUET_GROUP_H
#define DUET_ENGINE_DUET_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "engine/duet/classes.h"
#include "engine/duet/magazine.h"
#include "spans/metas.h"
#include "spans/table.h"

#define MASK_BITS 64
#define GROUP_MOST_WORDS ((DUET_MOST_CELLS + MASK_BITS - 1) / MASK_BITS)

/* The state's fields. Returned cells are counted modulo 2^32: a merge may count a cell off before
 * the one who returned it has counted it. */
#define GROUP_FULL ((uint64_t)1)   /* in no list: no cell was to be had */
#define GROUP_QUEUED ((uint64_t)2) /* on the stack of returned groups, or about to be */
#define GROUP_TAKEN ((uint64_t)4)
#define GROUP_RETURNED ((uint64_t)1 << 32)

/* Parts of a group whose pages are purged, a bit each. */
#define GROUP_PARTS 32

struct group {
    struct meta head;
    char *base;
    uint64_t state;
    uint32_t next; /* in its depot's list, by index; 0: none */
    uint32_t previous;
    uint32_t next_returned; /* on the stack */
    uint32_t segment;       /* of its span */
    uint32_t purged;        /* parts that were, and no cell of which was taken since */
    uint16_t cells;
    uint8_t kind;
    uint8_t home;
    uint8_t words;    /* of each mask */
    uint8_t list;     /* which of the depot's; GROUP_UNLISTED */
    uint8_t first;    /* no word of avail before this one has a bit */
    uint8_t quiet;    /* sweeps in which nothing changed */
    uint16_t seen;    /* cells in use, as the last sweep saw it */
    uint8_t swept;    /* nothing was left to purge then, and no cell was taken since */
    uint8_t guarded;  /* the block behind it is inaccessible: the secure flavour's guard.h */
    uint64_t masks[]; /* avail, freed, in the checked build the second book (check.h); `sparse` */
};
static_assert(sizeof(struct group) == 64, "a meta's head is one cache line");

/* Avail, freed, and the book. */
#define GROUP_MASKS (DUET_CHECKED ? 3 : 2)

#define GROUP_LISTS 8
#define GROUP_UNLISTED GROUP_LISTS

ALWAYS_INLINE uint64_t *group_avail(struct group *group)
{
    return group->masks;
}

ALWAYS_INLINE uint64_t *group_freed(struct group *group)
{
    return group->masks + group->words;
}

ALWAYS_INLINE uint64_t *group_book(struct group *group)
{
    return group->masks + 2 * (size_t)group->words;
}

/* In the secure flavour, of groups of several blocks, which have fewer cells than a word has bits:
 * cells of which some pages may not be there, since they were never touched, or were purged. */
ALWAYS_INLINE bool group_has_sparse(size_t kind)
{
    return DUET_SECURE && duet_tables.kinds[kind].blocks > 1;
}

ALWAYS_INLINE uint64_t *group_sparse(struct group *group)
{
    return group->masks + GROUP_MASKS * (size_t)group->words;
}

/* The group of a cell, by an address in a block of this kind. Stops the program, in the name of
 * `call`, where the table and the meta do not vouch for each other. */
struct group *group_of(const void *ptr, size_t kind, const char *call);

/* The number of the cell that begins at ptr. DUET_MOST_CELLS or more: none does. */
size_t group_cell_number(const struct group *group, const void *ptr);

/* ---- For depots ---------------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t group_taken(uint64_t state)
{
    return (uint32_t)state / GROUP_TAKEN;
}

ALWAYS_INLINE uint64_t group_returned(uint64_t state)
{
    return state / GROUP_RETURNED;
}

/* Where the records of this kind come from, words of each mask, and bytes of a group's span. */
struct meta_pool *group_pool(size_t kind);
size_t group_words(size_t kind);
size_t group_span_bytes(size_t kind);

/* Whether the address table can hold this index (classes.h); makes the group's entries in it; says
 * whether that of a block of the group's leads to it. */
bool group_may_have_index(size_t kind, uint32_t index);
void group_enter_in_table(const struct group *group);
bool group_is_in_table(const struct group *group, uint32_t place);

/* By an index that only we write, so anything but a group of this kind means corruption. */
struct group *group_at(size_t kind, uint32_t index);

/* With the home's lock held: takes what came back over into avail; takes up to `want` cells out of
 * it, lowest addresses first, writes them downwards from `end`, and returns how many; says whether
 * it, or `freed`, has any. Whether the first cell that will be taken reads as zero, of pages that
 * were never touched, or were purged; false where it is not known, or there is none. */
void group_merge(struct group *group);
size_t group_take_cells(struct group *group, void **end, size_t want);
bool group_has_cells(const struct group *group);
bool group_has_returned_cells(struct group *group);
bool group_is_zeroed_next(struct group *group);

/* Of a cell of a group that has `sparse`, which nobody else has: says whether it is in it, and
 * takes it out; puts it in. Without the lock. */
bool group_take_sparse(struct group *group, const void *cell);
void group_put_sparse(struct group *group, const void *cell);

/* With the lock held: all cells are in avail, and nobody is about to count any. */
bool group_is_free(const struct group *group);

/* Parts have 2^this bytes. */
unsigned group_part_shift(size_t kind);

/* The first cells go back to this group, as far as they are of it, which the very first is; return
 * how many. They stop the program where one is not a cell, or is there already. group_return needs
 * no lock, and may put the group on its depot's stack. group_put_back is for the lock's holder, who
 * then sees to it that the group is in the right list. */
size_t group_return(struct group *group, void *const *cells, size_t count);
size_t group_put_back(struct group *group, void *const *cells, size_t count);

/* Counts cells whose bits are in `freed` already. The change of the state is the last touch of the
 * group, unless it has set QUEUED and pushes the group on its depot's stack. */
void group_count_returned(struct group *group, uint64_t count);
void group_push_returned(struct group *group);

/* All groups there are, in the order of their records. */
void groups_visit(void (*visit)(struct group *group, void *context), void *context);

/* Returns the pages of records that no group has. Says whether there were any. */
bool groups_trim_records(void);

/* The locks of the records. */
void groups_fork_prepare(void);
void groups_fork_end(void);

#endif
