#include "engine/duet/sweep.h"

#include "base/atomics.h"
#include "engine/duet/caches.h"
#include "engine/duet/depot.h"
#include "engine/duet/group.h"
#include "engine/duet/magazine.h"
#include "os/latch.h"
#include "os/os.h"
#include "spans/extents.h"
#include "spans/spans.h"

#define SWEEP_NS ((uint64_t)100 * 1000 * 1000)

/* The clock costs as much as a few operations, and a slow one serves tens or hundreds of them. */
#define OPERATIONS_PER_LOOK 8

/* Pages of a group in which something changed a second ago may be wanted again. */
#define SWEEPS_BEFORE_PURGE 10

/* Each takes some system calls. At this rate a heap of 1 GiB of sparse groups is purged in 4 s. */
#define PURGES_PER_SWEEP 512

/* A slot that nobody used since the sweep before the last one is drained. */
#define SWEEPS_BEFORE_DRAIN 2

/* Rounds of back-off until a trim leaves it to another thread's sweep: some 100 ms. */
#define ROUNDS_OF_PATIENCE 2000

uint32_t sweep_number;
static uint64_t last_sweep;
static struct latch sweeper; /* that of who does one: one at a time */

/* Threads that share a CPU's slot may lose one of the counts. */
static bool count_operation(struct cache *cache)
{
    uint8_t operations = (uint8_t)(load_relaxed(&cache->operations) + 1);
    store_relaxed(&cache->operations, operations);
    return operations % OPERATIONS_PER_LOOK == 0;
}

bool sweep_cache(const struct cache_use *use)
{
    uint32_t number = load_relaxed(&sweep_number);
    if (unlikely(load_relaxed(&use->cache->sweep) != number)) {
        store_relaxed(&use->cache->sweep, number);
        cache_decay(use);
    }
    return count_operation(use->cache);
}

/* A guess: others may be in it. */
static bool is_idle(struct cache *cache)
{
    uintptr_t sum = cache_sum(cache);
    bool changed = sum != cache->seen_sum;
    cache->seen_sum = sum;
    cache->idle = changed ? 0 : (uint8_t)min_size(cache->idle + (size_t)1, SWEEPS_BEFORE_DRAIN);
    return cache->idle == SWEEPS_BEFORE_DRAIN && !cache_is_empty(cache);
}

static bool is_cpu_idle(void *slot, void *context)
{
    (void)context;
    return is_idle(slot);
}

static bool is_bound_idle(struct bound_slot *slot, void *context)
{
    (void)context;
    return is_idle(cache_of_bound(slot));
}

/* One that nobody ever took is not made usable for a look into it. */
static bool is_shared_in_use(struct slot *slot, void *context)
{
    (void)context;
    return load_acquire(&cache_in_shared(slot)->ready);
}

static bool is_shared_idle(struct slot *slot, void *context)
{
    return is_shared_in_use(slot, context) && is_idle(cache_in_shared(slot));
}

static void drain_bound(struct bound_slot *slot, void *context)
{
    (void)context;
    drain_held(cache_of_bound(slot));
}

static void drain_shared(struct slot *slot, void *context)
{
    (void)context;
    drain_held(cache_of_shared(slot));
}

static void empty_shelf(size_t home, size_t kind)
{
    struct magazine *magazine;
    while ((magazine = transfer_take(home, kind)) != NULL) {
        depot_return(kind, magazine->cells, magazine->count);
        magazine_give(home, magazine);
    }
}

static void empty_shelves(bool idle_only)
{
    for (size_t home = 0; home < load_relaxed(&duet_homes); home++)
        for (size_t kind = 1; kind < DUET_KINDS; kind++)
            if (!idle_only || transfer_is_idle(home, kind))
                empty_shelf(home, kind);
}

static void sweep(uint64_t now)
{
    add_relaxed(&sweep_number, 1);
    cpus_visit(&duet_cpus, is_cpu_idle, drain_cpu, NULL);
    bound_visit(&duet_bound, is_bound_idle, drain_bound, NULL);
    slots_visit_free(&duet_shared, is_shared_idle, drain_shared, NULL);
    empty_shelves(true);
    depots_purge(SWEEPS_BEFORE_PURGE, PURGES_PER_SWEEP);
    spans_tick(now);
    extents_tick(now);
}

/* Another thread's clock may be ahead. */
static bool is_due(uint64_t now)
{
    uint64_t last = load_relaxed(&last_sweep);
    return now >= last && now - last >= SWEEP_NS;
}

void sweep_if_due(void)
{
    uint64_t now = os_clock_ns();
    if (!is_due(now) || !latch_try(&sweeper))
        return;
    if (is_due(now)) { /* nobody was faster */
        bool first = load_relaxed(&last_sweep) == 0;
        store_relaxed(&last_sweep, now);
        if (!first)
            sweep(now);
    }
    latch_release(&sweeper);
}

void sweep_fork_child(void)
{
    if (!latch_is_own(&sweeper))
        latch_renew(&sweeper);
}

/* For shared slots somebody may wait long, who is in one of them and is kept there. */
static void drain_everything(bool waits)
{
    cpus_visit(&duet_cpus, NULL, drain_cpu, NULL);
    bound_visit(&duet_bound, NULL, drain_bound, NULL);
    if (waits)
        slots_visit(&duet_shared, drain_shared, NULL);
    else
        slots_visit_free(&duet_shared, is_shared_in_use, drain_shared, NULL);
    empty_shelves(false);
}

/* One at a time; who comes while another thread is at it has what that one returns. */
bool sweep_everything(void)
{
    if (!latch_try_for(&sweeper, ROUNDS_OF_PATIENCE))
        return !latch_is_own(&sweeper);
    drain_everything(true);
    bool trimmed = depots_trim();
    latch_release(&sweeper);
    return trimmed;
}

void sweep_to_groups(void)
{
    if (!latch_try_for(&sweeper, ROUNDS_OF_PATIENCE))
        return;
    drain_everything(false);
    latch_release(&sweeper);
}
