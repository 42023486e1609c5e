/*
 * The slots of the engine duet, for its own files.
 */
#ifndef DUET_ENGINE_DUET_CACHES_H
#define DUET_ENGINE_DUET_CACHES_H

#include "engine/duet/cells.h"

struct shared_cache {
    alignas(CACHE_LINE_PAIR) struct slot slot;
    struct cache cache;
};

struct cpu_cache {
    alignas(CACHE_LINE_PAIR) struct cache cache;
};

/* How many of this thread's operations are under way: see duet.c. */
extern __thread uint32_t duet_under_way;

extern struct bound_set duet_bound;
extern struct slot_set duet_shared;

/* The first words of a CPU's slot are the tops. */
static_assert(offsetof(struct cpu_cache, cache.tops) == 0, "a cache begins with its tops");

static inline struct cache *cache_of_bound(struct bound_slot *slot)
{
    return &((struct bound_cache *)slot)->cache;
}

/* As it is: who is not in the slot may look whether it is ready. */
static inline struct cache *cache_in_shared(struct slot *slot)
{
    return &((struct shared_cache *)slot)->cache;
}

/* The first who takes it makes it usable. */
static inline struct cache *cache_of_shared(struct slot *slot)
{
    struct cache *cache = cache_in_shared(slot);
    cache_prepare(cache, load_relaxed(&slot->number) % load_relaxed(&duet_homes));
    return cache;
}

/* Of a slot that is held, in which nobody else is. */
static inline void drain_held(struct cache *cache)
{
    cache_drain(&(struct cache_use){.cache = cache});
}

/* As cpus_visit calls it. */
static inline void drain_cpu(void *slot, void *context)
{
    (void)context;
    drain_held(slot);
}

#endif
