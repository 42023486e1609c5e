#include "engine/duet/cache.h"

#include <string.h>

#include "engine/duet/depot.h"
#include "engine/duet/group.h"

static void set_none(struct cache *cache, size_t kind)
{
    cache->magazines[kind] = NULL;
    store_relaxed(&cache->tops[kind], MAGAZINE_NONE_TOP);
}

void cache_prepare(struct cache *cache, size_t home)
{
    if (cache->ready)
        return;
    for (size_t kind = 0; kind < DUET_KINDS; kind++)
        set_none(cache, kind);
    cache->home = (uint8_t)home;
    cache->ready = true;
}

static size_t count_of(const struct cache *cache, size_t kind)
{
    const struct magazine *magazine = cache->magazines[kind];
    return magazine == NULL ? 0 : (size_t)(load_relaxed(&cache->tops[kind]) - magazine->cells);
}

static size_t bytes_of(const struct magazine *magazine, size_t kind)
{
    return magazine->capacity * duet_kind_bytes(kind);
}

/* Makes this the kind's magazine, in place of one whose cells are elsewhere by now. */
static void install(struct cache *cache, size_t kind, struct magazine *magazine, size_t count)
{
    struct magazine *old = cache->magazines[kind];
    if (old != NULL) {
        cache->bytes -= bytes_of(old, kind);
        magazine_give(old);
    }
    cache->bytes += bytes_of(magazine, kind);
    cache->magazines[kind] = magazine;
    store_relaxed(&cache->tops[kind], magazine->cells + count);
}

/* To the shelves, or to the groups. The magazine is nobody's any more. */
static void pass_on(struct cache *cache, size_t kind, struct magazine *magazine, size_t count)
{
    if (count > 0 && transfer_put(cache->home, kind, magazine, count))
        return;
    depot_return(kind, magazine->cells, count);
    magazine_give(magazine);
}

void cache_drop(struct cache *cache, size_t kind)
{
    struct magazine *magazine = cache->magazines[kind];
    if (magazine == NULL)
        return;
    size_t count = count_of(cache, kind);
    cache->bytes -= bytes_of(magazine, kind);
    set_none(cache, kind);
    pass_on(cache, kind, magazine, count);
}

void cache_drain(struct cache *cache)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        cache_drop(cache, kind);
}

/* The low bits of a top, as many as tell whether it has moved. */
static uint16_t low_bits(const struct cache *cache, size_t kind)
{
    return (uint16_t)((uintptr_t)load_relaxed(&cache->tops[kind]) / sizeof(void *));
}

/* A class whose magazine suffices has no events, but is used, and stays as it is. */
void cache_decay(struct cache *cache)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        if (cache->events[kind] == 0 && low_bits(cache, kind) == cache->seen_tops[kind])
            cache_drop(cache, kind);
        cache->events[kind] /= 2;
        cache->seen_tops[kind] = low_bits(cache, kind);
    }
    cache->patience = 0;
}

/* ---- Sizes ------------------------------------------------------------------------------- */

/* To half the size; what is on top stays, and what does not fit is passed on. */
static void shrink(struct cache *cache, size_t kind)
{
    struct magazine *old = cache->magazines[kind];
    struct magazine *smaller = old->size > 0 ? magazine_take(old->size - (size_t)1, kind) : NULL;
    if (smaller == NULL) {
        cache_drop(cache, kind);
        return;
    }
    size_t count = count_of(cache, kind), kept = min_size(count, smaller->capacity);
    memcpy(smaller->cells, old->cells + count - kept, kept * sizeof smaller->cells[0]);
    cache->bytes += bytes_of(smaller, kind);
    cache->bytes -= bytes_of(old, kind);
    cache->magazines[kind] = smaller;
    store_relaxed(&cache->tops[kind], smaller->cells + kept);
    pass_on(cache, kind, old, count - kept);
}

/* Events between two looks for budget that found none. */
#define EVENTS_OF_PATIENCE 32

/* A class with half as many events as another can spare half of its magazine. */
static bool gives_way(const struct cache *cache, size_t victim, size_t kind)
{
    return victim != kind && cache->magazines[victim] != NULL &&
           cache->events[victim] * 2 <= cache->events[kind];
}

/* Whether the budget lasts for so much more of this kind, once others have given way if need be. */
static bool find_budget(struct cache *cache, size_t kind, size_t bytes)
{
    if (cache->bytes + bytes <= CACHE_MOST_BYTES)
        return true;
    if (cache->patience > 0) {
        cache->patience--;
        return false;
    }
    for (size_t i = 0; i < DUET_KINDS && cache->bytes + bytes > CACHE_MOST_BYTES; i++) {
        size_t victim = cache->next_victim;
        cache->next_victim = (uint32_t)((victim + 1) % DUET_KINDS);
        if (gives_way(cache, victim, kind))
            shrink(cache, victim);
    }
    if (cache->bytes + bytes <= CACHE_MOST_BYTES)
        return true;
    cache->patience = EVENTS_OF_PATIENCE;
    return false;
}

/* A larger magazine than the kind has, still empty. NULL: it is to have none. */
static struct magazine *grow(struct cache *cache, size_t kind)
{
    const struct magazine *old = cache->magazines[kind];
    if (old == NULL)
        return magazine_take(0, kind);
    if (!magazine_may_grow(old->size, kind))
        return NULL;
    size_t more =
        magazine_room(old->size + (size_t)1, kind) * duet_kind_bytes(kind) - bytes_of(old, kind);
    return find_budget(cache, kind, more) ? magazine_take(old->size + (size_t)1, kind) : NULL;
}

static void note_event(struct cache *cache, size_t kind)
{
    if (cache->events[kind] < UINT8_MAX)
        cache->events[kind]++;
}

/* ---- Allocating -------------------------------------------------------------------------- */

/* A magazine from the shelves takes the empty one's place, unless that is larger. */
static void refill_from(struct cache *cache, size_t kind, struct magazine *transfer)
{
    struct magazine *own = cache->magazines[kind];
    size_t count = transfer->count;
    if (own == NULL || own->size <= transfer->size) {
        install(cache, kind, transfer, count);
        return;
    }
    memcpy(own->cells, transfer->cells, count * sizeof own->cells[0]);
    magazine_give(transfer);
    store_relaxed(&cache->tops[kind], own->cells + count);
}

static void refill(struct cache *cache, size_t kind)
{
    struct magazine *transfer = transfer_take(cache->home, kind);
    if (transfer != NULL) {
        refill_from(cache, kind, transfer);
        return;
    }
    struct magazine *larger = grow(cache, kind);
    if (larger != NULL)
        install(cache, kind, larger, 0);
    struct magazine *magazine = cache->magazines[kind];
    if (magazine == NULL)
        return;
    size_t want = max_size(magazine->capacity / 2, 1);
    size_t taken = depot_take(cache->home, kind, magazine->cells, want);
    store_relaxed(&cache->tops[kind], magazine->cells + taken);
}

void *cache_alloc_slow(struct cache *cache, size_t kind)
{
    void *cell = cache_pop(cache, kind);
    if (cell != NULL)
        return cell;
    note_event(cache, kind);
    refill(cache, kind);
    return cache_pop(cache, kind);
}

/* ---- Freeing ----------------------------------------------------------------------------- */

/* Passes on the older half, which lies below. */
static void flush_half(struct cache *cache, size_t kind)
{
    struct magazine *magazine = cache->magazines[kind];
    size_t count = count_of(cache, kind), half = (count + 1) / 2;
    struct magazine *other = magazine_take(magazine->size, kind);
    if (other != NULL) {
        memcpy(other->cells, magazine->cells, half * sizeof other->cells[0]);
        pass_on(cache, kind, other, half);
    } else {
        depot_return(kind, magazine->cells, half);
    }
    memmove(magazine->cells, magazine->cells + half, (count - half) * sizeof magazine->cells[0]);
    store_relaxed(&cache->tops[kind], magazine->cells + count - half);
}

static void make_room(struct cache *cache, size_t kind)
{
    struct magazine *larger = grow(cache, kind);
    if (larger == NULL && cache->magazines[kind] != NULL) {
        flush_half(cache, kind);
    } else if (larger != NULL) {
        size_t count = count_of(cache, kind);
        if (count > 0)
            memcpy(larger->cells, cache->magazines[kind]->cells, count * sizeof larger->cells[0]);
        install(cache, kind, larger, count);
    }
}

void cache_free_slow(struct cache *cache, void *cell, size_t kind)
{
    if (cache_push(cache, cell, kind))
        return;
    note_event(cache, kind);
    make_room(cache, kind);
    if (cache_push(cache, cell, kind))
        return;
    duet_check_free(cell, kind); /* no memory for a magazine */
    depot_return(kind, &cell, 1);
}

/* ---- The whole --------------------------------------------------------------------------- */

bool cache_is_empty(const struct cache *cache)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        if (load_relaxed(&cache->tops[kind]) != MAGAZINE_NONE_TOP)
            return false;
    return true;
}

uintptr_t cache_sum(const struct cache *cache)
{
    uintptr_t sum = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        sum = sum * 3 + (uintptr_t)load_relaxed(&cache->tops[kind]);
    return sum;
}

void cache_count(const struct cache *cache, size_t *cells, size_t *bytes)
{
    for (size_t kind = 1; kind < DUET_KINDS && cache->ready; kind++) {
        *cells += count_of(cache, kind);
        *bytes += count_of(cache, kind) * duet_kind_bytes(kind);
    }
}

void cache_abandon(struct cache *cache)
{
    for (size_t kind = 0; kind < DUET_KINDS; kind++)
        set_none(cache, kind);
    cache->bytes = 0;
}
