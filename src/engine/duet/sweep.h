/*
 * The sweep: what lies idle goes back by time, whoever calls, in any class.
 *
 * Some slow operations look at the clock; one that finds the last sweep a tenth of a second ago
 * does the next. A sweep passes on the magazines of slots that nobody used in the meantime and of
 * classes that needed no refill, empties shelves that were left alone, releases groups that are
 * wholly free, purges free pages of groups in which nothing changed for a second, and lets the
 * pages of free spans and extents decay. So memory flows from front to back, and out, within a few
 * seconds; how much of it lies where is bounded all the time.
 */
#ifndef DUET_ENGINE_DUET_SWEEP_H
#define DUET_ENGINE_DUET_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/duet/cache.h"

/* Counts sweeps, so that a cache knows whether it was part of the last one. */
extern uint32_t sweep_number;

/* What a slow operation owes to a cache that it is in: its own decay, once a sweep. Says, once in
 * some operations, that the clock is to be looked at. */
bool sweep_cache(const struct cache_use *use);

/* With no slot and no lock: the next sweep if it is time. */
void sweep_if_due(void);

/* In a forked child: whoever was at it may not be there any more, unless it is this thread. */
void sweep_fork_child(void);

/* All that is idle or not, at once: front to back. Says whether anything went back to the OS. */
bool sweep_everything(void);

/* What lies in magazines and on shelves goes back to the groups, and stays there, unless somebody
 * is in the way. */
void sweep_to_groups(void);

#endif
