/*
 * Depots: the groups of a class in a home, listed by how full they are. Cells come from the
 * fullest, so that sparse groups drain; what is wholly free goes back (purge.c), and so do free
 * pages of the others.
 */
#ifndef DUET_ENGINE_DUET_DEPOT_H
#define DUET_ENGINE_DUET_DEPOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/duet/group.h"
#include "engine/duet/home.h"

/* Of cells from this many bytes on that read as zero only one is taken at a time, so that calloc
 * knows of it, and touches no page: a fault for each costs far more than the way to the depot. Not
 * in the secure flavour, which looks at all cells, and hands them out in no order. */
#define DEPOT_LONG_BYTES (DUET_SECURE ? SIZE_MAX : (size_t)8 << 10)

/* Up to `want` cells of this kind into `cells`, from this home, then from others, and then from a
 * new group; that comes before others where the home has no short cells of the kind yet. The last
 * one of them is to be handed out first; *zeroed: whether that one is known to read as zero. 0: no
 * memory. */
size_t depot_take(size_t home, size_t kind, void **cells, size_t want, bool *zeroed);

/* The home of a cell's group. Stops the program where it is in none of this kind. */
size_t depot_home(size_t kind, const void *cell);

/* Returns cells of this kind to their groups, wherever those are. Waits for no lock. Stops the
 * program where one is not a cell, or is there already. */
void depot_return(size_t kind, void *const *cells, size_t count);

/* Releases what is wholly free, and purges the free pages of groups in which nothing has changed
 * for `quiet` calls; at most `most` groups. Says whether there was any. */
bool depots_purge(uint8_t quiet, size_t most);

/* All of that at once, and the pages of records that are free for it. */
bool depots_trim(void);

struct depots_count {
    size_t cells; /* in all groups */
    size_t cell_bytes;
    size_t free_cells; /* in the masks */
    size_t free_bytes;
};
void depots_count(struct depots_count *count);

/* Each group whose home's lock is to be had, which is held meanwhile. */
void depots_visit(void (*visit)(struct group *group));

/* Every invariant of all groups; stops the program where one is broken. */
void depots_check(void);

void depots_fork_prepare(void);
void depots_fork_end(void);

/* In the child, where this thread is alone, before the end: homes that could not be had, and groups
 * that other threads were changing, are put in order. Not where this thread was interrupted in the
 * middle of such a change itself, and will go on with it. */
void depots_mend(void);

/* ---- For purge.c; the home's lock is held -------------------------------------------------- */

/* Puts the groups on the depot's stack in order. */
void depot_settle(struct depot *depot, size_t kind);

/* Gives back a listed group that is wholly free. False: its guard cannot be removed now, and it
 * stays as it is. */
bool depot_release_group(struct group *group);

void home_give_blanks(struct home *home);

#endif
