/*
 * A cache: what a slot holds, a magazine of each class; in the secure flavour places, too, in which
 * freed cells of a class wait (waiting.h).
 *
 * A class begins with no magazine of its own, then has one of 26 cells at most, which doubles each
 * time it runs empty or full, as far as a class may hold and the slot's budget lasts; where the
 * budget does not, classes that run empty or full less often, for a byte, give way and are halved.
 * At its largest a magazine that is full passes on its older half, and one that is empty takes
 * half: so neither comes again at once. What is passed on goes to the shelf (magazine.h) of the
 * home that it came from or, where that is this one's own, or is full, back to the groups; what is
 * taken comes from there.
 *
 * Concurrency: a cache is *held* by who has its slot, or has stopped it; or it is that of a CPU,
 * and others use it at any moment. So every change of a magazine, but for popping and pushing,
 * takes it out, leaving none in its place, changes it in private, and puts it back: into the cache
 * of whatever CPU the thread is on by then. Two that so meet are one too many, and one is passed
 * on. The numbers by which sizes are chosen may lose a count to such a meeting; `bytes` is late at
 * most.
 */
#ifndef DUET_ENGINE_DUET_CACHE_H
#define DUET_ENGINE_DUET_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/fatal.h"
#include "engine/duet/check.h"
#include "engine/duet/classes.h"
#include "engine/duet/magazine.h"
#include "engine/duet/waiting.h"
#include "slots/cpus.h"

/* What all magazines of a slot may hold together. Beyond it none grows; a class that has none gets
 * one of the least size, or what the shelves have, all the same. */
#define CACHE_MOST_BYTES ((size_t)(DUET_TINY ? 16 : 1536) << 10)

/* So many cells that are freed before one was allocated go to their groups at once: as many as the
 * smallest magazine has room for. */
#define CACHE_FREED_FIRST MAGAZINE_PLACES(0)

/* So many of a kind that the slot has no magazine of are longer cells, if it has any: most programs
 * use many classes a few times each, and what is lost in a few cells is less than a page for
 * each. */
#define CACHE_BORROWED_FIRST 4

struct cache {
    void **tops[DUET_KINDS];    /* the place above each magazine's top cell */
    size_t bytes;               /* that fit into the magazines */
    uint8_t sizes[DUET_KINDS];  /* of the magazines, plus 1; 0: none. Late at most, as bytes */
    uint8_t events[DUET_KINDS]; /* times it ran empty or full lately */
    uint16_t seen[DUET_KINDS];  /* of trace_of, at the last sweep */
    uint8_t home;
    uint8_t ready;        /* the tops point somewhere */
    uint8_t idle;         /* sweeps that found its sum unchanged */
    uint8_t patience;     /* events to wait until the budget is looked into again */
    uint8_t operations;   /* slow ones, since somebody looked at the clock */
    uint32_t sweep;       /* the last one that this cache was part of */
    uint32_t next_victim; /* the kind that gives way next */
    uintptr_t seen_sum;   /* of cache_sum, at the last sweep */
#if DUET_SECURE
    struct waiting waiting;
#endif
};

/* How a thread uses a cache. */
struct cache_use {
    struct cache *cache;
    const struct cpus_set *cpus; /* it is that of a CPU, and not held; NULL: held */
};

/* The top cell, or NULL if the magazine is empty. Of a cache that is held. */
ALWAYS_INLINE void *cache_pop(struct cache *cache, size_t kind)
{
    void **top = cache->tops[kind];
    void *cell = top[-1];
    if (unlikely(cell == NULL))
        return NULL;
    store_relaxed(&cache->tops[kind], top - 1);
    duet_check_alloc(cell, kind);
    return cell;
}

/* False: the magazine is full, or the cell is one of the two on top of it already; nothing was
 * done. The cell is stored before the top that counts it, for who interrupts us and for who revokes
 * the slot. Of a cache that is held. */
ALWAYS_INLINE bool cache_push(struct cache *cache, void *cell, size_t kind)
{
    void **top = cache->tops[kind];
    if (unlikely(magazine_is_end(*top)) || unlikely(top[-1] == cell) || unlikely(top[-2] == cell))
        return false;
    duet_check_free(cell, kind);
    *top = cell;
    store_release(&cache->tops[kind], top + 1);
    return true;
}

#if DUET_SECURE

/* The word of a CPU's slot that is this place. */
ALWAYS_INLINE size_t cache_waiting_word(size_t kind, size_t place)
{
    return offsetof(struct cache, waiting.cells) / sizeof(void *) + kind * WAITING_MOST + place;
}

/* *cell, which may be NULL, and what lies there. Of a cache that is held; others may look. */
ALWAYS_INLINE void cache_change_places(struct cache *cache, size_t kind, size_t place, void **cell)
{
    void *before = cache->waiting.cells[kind][place];
    store_relaxed(&cache->waiting.cells[kind][place], *cell);
    *cell = before;
}

/* A freed cell begins to wait; *cell is one that has waited long enough, or NULL. Of a cache that
 * is held. */
ALWAYS_INLINE void cache_wait(struct cache *cache, void **cell, size_t kind)
{
    cache_change_places(cache, kind, waiting_next(&cache->waiting, kind), cell);
}

/* The same of any. Where there is no slot to be had *cell stays. */
void cache_wait_slow(const struct cache_use *use, void **cell, size_t kind);

#endif

void cache_prepare(struct cache *cache, size_t home);

/* A cell, of a magazine that may be empty; of a kind that `length` fits (duet_fits), which *kind
 * becomes, where that spares a magazine. *zeroed is set where it is known to read as zero. NULL: no
 * memory. */
void *cache_alloc_slow(const struct cache_use *use, size_t length, size_t *kind, bool *zeroed);

/* As cache_push, of a magazine that may be full. Stops the program where the cell is one
 * of the two on top. */
void cache_free_slow(const struct cache_use *use, void *cell, size_t kind);

/* Passes on what it has, and what waits, and gives the magazines back. */
void cache_drain(const struct cache_use *use);

/* Passes on what it has of those kinds that were not used since the last time. */
void cache_decay(const struct cache_use *use);

/* Whether it holds anything. Anybody may ask. */
bool cache_is_empty(const struct cache *cache);

/* A number that changes with nearly every operation. Anybody may ask. */
uintptr_t cache_sum(const struct cache *cache);

/* Adds the cells in it, while it is held. */
void cache_count(const struct cache *cache, size_t *cells, size_t *bytes);

/* Forgets what it has; the cells are lost. */
void cache_abandon(struct cache *cache);

#endif
