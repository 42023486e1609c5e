/*
 * The slots of the engine duet, for its own files.
 */
#ifndef DUET_ENGINE_DUET_CACHES_H
#define DUET_ENGINE_DUET_CACHES_H

#include "engine/duet/engine.h"

struct shared_cache {
    alignas(CACHE_LINE_PAIR) struct slot slot;
    struct cache cache;
};

extern struct bound_set duet_bound;
extern struct slot_set duet_shared;

static inline struct cache *cache_of_bound(struct bound_slot *slot)
{
    return &((struct bound_cache *)slot)->cache;
}

/* The first who takes it makes it usable. */
static inline struct cache *cache_of_shared(struct slot *slot)
{
    struct cache *cache = &((struct shared_cache *)slot)->cache;
    cache_prepare(cache, load_relaxed(&slot->number) % load_relaxed(&duet_homes));
    return cache;
}

#endif
