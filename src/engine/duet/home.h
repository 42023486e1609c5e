/*
 * Homes: the shards of the depots (depot.h), and the lock of each.
 *
 * The lock is a latch (os/latch.h): who does not get it within a while tries another home's, so
 * nobody waits for one holder for ever. Between fork's prepare and its end the homes rest with the
 * forking thread, which alone may take them.
 */
#ifndef DUET_ENGINE_DUET_HOME_H
#define DUET_ENGINE_DUET_HOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "engine/duet/group.h"
#include "os/latch.h"
#include "spans/spans.h"

/* A home keeps so many single blocks for groups to come: taking one from where they come from costs
 * a lock that blocks signals. */
#define BLANKS_MOST 32

struct depot {
    uint32_t lists[GROUP_LISTS]; /* groups with free cells, by index; the last are the fullest */
    uint32_t returned;           /* stack of QUEUED groups; pushed by anybody, taken whole */
    uint32_t groups;             /* all that there are, listed or not */
};

struct home {
    alignas(CACHE_LINE_PAIR) struct latch latch;
    uint32_t emptied; /* the kind of the group that was last found wholly free; 0: none was */
    uint32_t blank_count;
    struct span blanks[BLANKS_MOST]; /* for groups of one block each */
    struct depot depots[DUET_KINDS];
};

extern struct home home_array[DUET_HOMES];

/* Those that ever had a group, a bit each: the pages of others are not to be touched for
 * nothing. */
extern uint32_t homes_with_groups;
static_assert(DUET_HOMES <= 32, "a bit each");

/* For who must have a certain home's lock: some 100 ms, the most of it asleep. */
#define HOME_PATIENCE 2000

static inline struct depot *depot_of(const struct group *group)
{
    return &home_array[group->home].depots[group->kind];
}

/* From now on. */
static inline void home_has_groups(size_t number)
{
    uint32_t bit = (uint32_t)1 << number;
    if ((load_relaxed(&homes_with_groups) & bit) == 0)
        or_relaxed(&homes_with_groups, bit);
}

/* The lock at once, or in so many rounds of back-off. False: it is another thread's, or this thread
 * has interrupted itself in it. */
bool home_try(struct home *home);
bool home_try_for(struct home *home, unsigned rounds);
void home_release(struct home *home);

/* This one, or another if it is long in coming. All of them may be used, however few are in use.
 * NULL: this thread has interrupted itself in each that is not lost. */
struct home *home_take(size_t number);

/* Those that can be had, a bit each. One whose holder does not come out is left. */
unsigned homes_take(void);
void homes_release(unsigned held);

/* Around fork; home_is_held_for_fork says, in between, which could be had. In the child the others
 * are lost, or made anew (depots_mend), but for those in which this thread interrupted itself. */
void homes_fork_prepare(void);
void homes_fork_end(void);
bool home_is_held_for_fork(size_t number);
void homes_lose(void);

#endif
