#include "engine/duet/cache.h"

#include <string.h>

#include "base/random.h"
#include "engine/duet/depot.h"
#include "engine/duet/group.h"

/* A number below `limit`, of a generator that began with a secret. */
static size_t random_below(uint64_t *random, size_t limit)
{
    *random = *random * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
    return (size_t)((*random >> 32) * limit >> 32);
}

/* ---- Waiting, in the secure flavour ---------------------------------------------------------- */

#if DUET_SECURE

/* An order in which halves of this many places are gone through. */
static uint32_t waiting_order(size_t half, uint64_t *random)
{
    uint32_t order = 0;
    for (size_t turn = 0; turn < WAITING_TURNS; turn++) {
        const uint32_t one_place = WAITING_TURNS - 1;
        size_t before = turn % half, chosen = turn - before + random_below(random, before + 1);
        uint32_t at = (uint32_t)turn * WAITING_PLACE_BITS;
        uint32_t from = (uint32_t)chosen * WAITING_PLACE_BITS;
        order |= (order >> from & one_place) << at;
        order = (order & ~(one_place << from)) | (uint32_t)before << from;
    }
    return order;
}

static void waiting_prepare(struct cache *cache)
{
    struct waiting *waiting = &cache->waiting;
    uint64_t random = random_secret();
    waiting->secret = random_secret() | 1;
    for (size_t size = 0; size < WAITING_SIZES; size++)
        for (size_t i = 0; i < WAITING_ORDERS; i++)
            waiting->orders[size][i] = waiting_order(WAITING_TURNS >> size, &random);
}

static void waiting_abandon(struct cache *cache)
{
    memset(cache->waiting.cells, 0, sizeof cache->waiting.cells);
}

/* *cell changes places with what lies there. False: there is no slot to be had, nothing was
 * done. */
static bool change_places(const struct cache_use *use, size_t kind, size_t place, void **cell)
{
    if (use->cpus != NULL)
        return cpus_swap(use->cpus, cache_waiting_word(kind, place), cell);
    cache_change_places(use->cache, kind, place, cell);
    return true;
}

void cache_wait_slow(const struct cache_use *use, void **cell, size_t kind)
{
    change_places(use, kind, waiting_next(&use->cache->waiting, kind), cell);
}

/* What lies there; NULL: nothing. */
static void *waiting_take(const struct cache_use *use, size_t kind, size_t place)
{
    void *cell = NULL;
    if (load_relaxed(&use->cache->waiting.cells[kind][place]) != NULL)
        change_places(use, kind, place, &cell);
    return cell;
}

/* Where there is no memory what waits is better than nothing. NULL: there is none. */
static void *waiting_take_any(const struct cache_use *use, size_t kind)
{
    void *cell = NULL;
    for (size_t place = 0; place < waiting_places(kind) && cell == NULL; place++)
        cell = waiting_take(use, kind, place);
    return cell;
}

/* Back to their groups. */
static void waiting_return(const struct cache_use *use, size_t kind)
{
    void *cells[WAITING_MOST];
    size_t count = 0;
    for (size_t place = 0; place < waiting_places(kind); place++) {
        cells[count] = waiting_take(use, kind, place);
        if (cells[count] != NULL)
            duet_check_free(cells[count++], kind);
    }
    if (count > 0)
        depot_return(kind, cells, count);
}

static size_t waiting_turns(const struct cache *cache, size_t kind)
{
    return load_relaxed(&cache->waiting.turns[kind]);
}

static size_t waiting_count(const struct cache *cache, size_t kind)
{
    size_t count = 0;
    for (size_t place = 0; place < waiting_places(kind); place++)
        count += load_relaxed(&cache->waiting.cells[kind][place]) != NULL;
    return count;
}

#else

static void waiting_prepare(struct cache *cache)
{
    (void)cache;
}

static void waiting_abandon(struct cache *cache)
{
    (void)cache;
}

static void *waiting_take_any(const struct cache_use *use, size_t kind)
{
    (void)use, (void)kind;
    return NULL;
}

static void waiting_return(const struct cache_use *use, size_t kind)
{
    (void)use, (void)kind;
}

static size_t waiting_turns(const struct cache *cache, size_t kind)
{
    (void)cache, (void)kind;
    return 0;
}

static size_t waiting_count(const struct cache *cache, size_t kind)
{
    (void)cache, (void)kind;
    return 0;
}

#endif

/* ---- Beginning --------------------------------------------------------------------------- */

static void have_no_magazines(struct cache *cache)
{
    for (size_t kind = 0; kind < DUET_KINDS; kind++)
        store_relaxed(&cache->tops[kind], MAGAZINE_NONE_TOP);
}

void cache_prepare(struct cache *cache, size_t home)
{
    if (cache->ready)
        return;
    have_no_magazines(cache);
    waiting_prepare(cache);
    cache->home = (uint8_t)home;
    store_release(&cache->ready, true); /* a sweep may look */
}

void cache_abandon(struct cache *cache)
{
    have_no_magazines(cache);
    memset(cache->sizes, 0, sizeof cache->sizes);
    cache->bytes = 0;
    waiting_abandon(cache);
}

/* ---- Taking out, putting in ---------------------------------------------------------------- */

/* A magazine that nobody else has; none: NULL and 0. */
struct own {
    struct magazine *magazine;
    size_t count;
};

static size_t bytes_of(const struct magazine *magazine, size_t kind)
{
    return magazine->capacity * duet_kind_bytes(kind);
}

static struct own own_of_top(void **top)
{
    struct own own = {.magazine = magazine_of_top(top)};
    if (own.magazine != NULL)
        own.count = (size_t)(top - own.magazine->cells);
    return own;
}

static size_t room_in(const struct own *own)
{
    return own->magazine == NULL ? 0 : own->magazine->capacity - own->count;
}

static void **top_of_own(const struct own *own)
{
    return own->magazine == NULL ? MAGAZINE_NONE_TOP : own->magazine->cells + own->count;
}

/* Who has changed a CPU's cache may note it only now, when others have changed it again. */
static void note_exchange(struct cache *cache, size_t kind, const struct magazine *before,
                          const struct magazine *after)
{
    size_t bytes =
        (after == NULL ? 0 : bytes_of(after, kind)) - (before == NULL ? 0 : bytes_of(before, kind));
    if (bytes != 0)
        add_relaxed(&cache->bytes, bytes);
    store_relaxed(&cache->sizes[kind], (uint8_t)(after == NULL ? 0 : after->size + 1));
}

/* Puts a magazine, or none, in the place of the one that is there, which is now the caller's.
 * False: there is no slot to be had, nothing was done. */
static bool exchange(const struct cache_use *use, size_t kind, const struct own *own,
                     struct own *before)
{
    void **top = top_of_own(own);
    struct cache *cache = use->cache;
    void **old = load_relaxed(&cache->tops[kind]);
    if (use->cpus == NULL)
        store_relaxed(&cache->tops[kind], top);
    else
        old = cpus_exchange(use->cpus, kind, top, (void **)&cache);
    *before = (struct own){NULL, 0};
    if (old == NULL)
        return false;
    *before = own_of_top(old);
    note_exchange(cache, kind, before->magazine, own->magazine);
    return true;
}

static struct own take_out(const struct cache_use *use, size_t kind)
{
    const struct own none = {NULL, 0};
    struct own own;
    exchange(use, kind, &none, &own);
    return own;
}

/* A magazine that is filled to less than one part in so many is worth more than its cells. */
#define TRANSFER_LEAST_PART 4

/* Cells of another home, as the oldest tells, go to its shelf: there they were allocated, and will
 * be again. The own ones go to their groups: what comes from there next lies side by side, and they
 * are of use to every class. The magazine is nobody's any more. */
static void pass_on(const struct cache_use *use, size_t kind, const struct own *own)
{
    size_t here = use->cache->home;
    if (own->magazine == NULL)
        return;
    if (own->count > 0) {
        size_t home = depot_home(kind, own->magazine->cells[0]);
        bool worth_it = own->count * TRANSFER_LEAST_PART >= own->magazine->capacity;
        if (home != here && worth_it && transfer_put(home, kind, own->magazine, own->count))
            return;
        depot_return(kind, own->magazine->cells, own->count);
    }
    magazine_give(here, own->magazine);
}

static void put_in(const struct cache_use *use, size_t kind, const struct own *own)
{
    struct own before;
    bool done = exchange(use, kind, own, &before);
    pass_on(use, kind, done ? &before : own);
}

static void drop(const struct cache_use *use, size_t kind)
{
    struct own own = take_out(use, kind);
    pass_on(use, kind, &own);
}

void cache_drain(const struct cache_use *use)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        drop(use, kind);
        waiting_return(use, kind);
    }
}

/* Changes as a magazine's top moves, and as cells of the kind begin to wait: by odd steps, which
 * those of a top do not undo. */
static uintptr_t trace_of(const struct cache *cache, size_t kind)
{
    return (uintptr_t)load_relaxed(&cache->tops[kind]) / sizeof(void *) +
           waiting_turns(cache, kind) * 0x9e3779b9u;
}

/* A class whose magazine suffices has no events, but is used, and stays as it is. */
void cache_decay(const struct cache_use *use)
{
    struct cache *cache = use->cache;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        uint8_t events = load_relaxed(&cache->events[kind]);
        uint16_t trace = (uint16_t)trace_of(cache, kind);
        if (events == 0 && trace == cache->seen[kind]) {
            drop(use, kind);
            waiting_return(use, kind);
        }
        store_relaxed(&cache->events[kind], (uint8_t)(events / 2));
        store_relaxed(&cache->seen[kind], (uint16_t)trace_of(cache, kind));
    }
    store_relaxed(&cache->patience, (uint8_t)0);
}

/* ---- Sizes ------------------------------------------------------------------------------- */

/* Puts the top cells into another magazine, which must have room, in this one's place. */
static void move_to(size_t home, struct own *own, struct magazine *other, size_t count)
{
    if (count > 0)
        memcpy(other->cells, own->magazine->cells + own->count - count,
               count * sizeof other->cells[0]);
    if (own->magazine != NULL)
        magazine_give(home, own->magazine);
    *own = (struct own){other, count};
}

/* To half the size; what is on top stays, and what does not fit is passed on. */
static void shrink(const struct cache_use *use, size_t kind)
{
    struct own own = take_out(use, kind);
    struct magazine *smaller =
        own.magazine != NULL && own.magazine->size > 0
            ? magazine_take(use->cache->home, own.magazine->size - (size_t)1, kind)
            : NULL;
    if (smaller != NULL) {
        struct own kept = {smaller, min_size(own.count, smaller->capacity)};
        own.count -= kept.count;
        memcpy(smaller->cells, own.magazine->cells + own.count,
               kept.count * sizeof smaller->cells[0]);
        put_in(use, kind, &kept);
    }
    pass_on(use, kind, &own);
}

/* Events between two looks for budget that found none. */
#define EVENTS_OF_PATIENCE 32

/* Half a magazine has twice the events, and twice a magazine half of them. So a class can spare
 * half of its own if what it loses, for a byte, is less than what the other wins by `bytes`:
 * classes of short cells come before those of long ones. */
static bool gives_way(const struct cache *cache, size_t victim, size_t kind, size_t bytes)
{
    size_t size = load_relaxed(&cache->sizes[victim]);
    if (victim == kind || size == 0)
        return false;
    size_t held = magazine_room(size - 1, victim) * duet_kind_bytes(victim);
    size_t loses = load_relaxed(&cache->events[victim]) * (size_t)2 * bytes;
    return loses <= load_relaxed(&cache->events[kind]) * held;
}

/* It may be below zero for a moment: who has changed a CPU's magazines counts it afterwards. */
static bool budget_lasts(const struct cache *cache, size_t bytes)
{
    return (ptrdiff_t)(load_relaxed(&cache->bytes) + bytes) <= (ptrdiff_t)CACHE_MOST_BYTES;
}

/* Whether the budget lasts for so much here, once others have given way if need be. */
static bool find_budget(const struct cache_use *use, size_t kind, size_t bytes)
{
    struct cache *cache = use->cache;
    if (budget_lasts(cache, bytes))
        return true;
    uint8_t patience = load_relaxed(&cache->patience);
    if (patience > 0) {
        store_relaxed(&cache->patience, (uint8_t)(patience - 1));
        return false;
    }
    for (size_t i = 0; i < DUET_KINDS && !budget_lasts(cache, bytes); i++) {
        size_t victim = load_relaxed(&cache->next_victim) % DUET_KINDS;
        store_relaxed(&cache->next_victim, (uint32_t)victim + 1);
        if (gives_way(cache, victim, kind, bytes))
            shrink(use, victim);
    }
    if (budget_lasts(cache, bytes))
        return true;
    store_relaxed(&cache->patience, (uint8_t)EVENTS_OF_PATIENCE);
    return false;
}

/* Moves the cells into a larger magazine, or into one at all. False: there is to be none. */
static bool grow(const struct cache_use *use, size_t kind, struct own *own)
{
    size_t size = 0;
    if (own->magazine != NULL) {
        if (!magazine_may_grow(own->magazine->size, kind))
            return false;
        size = own->magazine->size + (size_t)1;
        if (!find_budget(use, kind, magazine_room(size, kind) * duet_kind_bytes(kind)))
            return false;
    }
    size_t home = use->cache->home;
    struct magazine *larger = magazine_take(home, size, kind);
    if (larger != NULL)
        move_to(home, own, larger, own->count);
    return larger != NULL;
}

static void note_event(struct cache *cache, size_t kind)
{
    uint8_t events = load_relaxed(&cache->events[kind]);
    if (events < UINT8_MAX)
        store_relaxed(&cache->events[kind], (uint8_t)(events + 1));
}

/* Where a cell of a class comes first by being freed, another CPU has allocated it, and may have
 * its neighbours on the same cache line. Handed out here it would be slow for both (passive false
 * sharing). A CPU that goes on freeing has a magazine after some. In the secure flavour what has
 * waited goes home; and what waits yet when the first cell is allocated. */
static bool is_foreign(const struct cache *cache, size_t kind, const struct own *own)
{
    return own->magazine == NULL && load_relaxed(&cache->events[kind]) < CACHE_FREED_FIRST;
}

/* ---- Allocating -------------------------------------------------------------------------- */

/* A magazine from the shelves takes the empty one's place, unless that is larger. */
static void refill_from(size_t home, struct own *own, struct magazine *transfer)
{
    size_t count = transfer->count;
    if (own->magazine == NULL || own->magazine->size <= transfer->size) {
        if (own->magazine != NULL)
            magazine_give(home, own->magazine);
        *own = (struct own){transfer, count};
        return;
    }
    memcpy(own->magazine->cells, transfer->cells, count * sizeof transfer->cells[0]);
    own->count = count;
    magazine_give(home, transfer);
}

/* In the secure flavour nobody can tell which cells come one after the other: each changes places
 * with one of the few before it. They stay near each other, as their memory is. */
#define SHUFFLE_REACH ((size_t)16)

static void shuffle(void **cells, size_t count)
{
    static uint64_t seed; /* about: two threads may see the same */
    uint64_t random = load_relaxed(&seed);
    if (unlikely(random == 0))
        random = random_secret();
    for (size_t i = 1; i < count; i++) {
        size_t chosen = i - random_below(&random, min_size(i + 1, SHUFFLE_REACH));
        void *cell = cells[i];
        cells[i] = cells[chosen];
        cells[chosen] = cell;
    }
    store_relaxed(&seed, random);
}

static void refill(const struct cache_use *use, size_t kind, struct own *own, bool *zeroed)
{
    size_t home = use->cache->home;
    note_event(use->cache, kind);
    struct magazine *transfer = transfer_take(home, kind);
    if (transfer != NULL) {
        refill_from(home, own, transfer);
    } else if (grow(use, kind, own) || own->magazine != NULL) {
        size_t want = max_size((size_t)own->magazine->capacity / 2, 1);
        own->count = depot_take(home, kind, own->magazine->cells, want, zeroed);
    }
    if (DUET_SECURE && own->count > 0)
        shuffle(own->magazine->cells, own->count);
}

/* Puts the magazine back, if there is one, without its top cell, if it has one. */
static void *put_in_all_but_one(const struct cache_use *use, size_t kind, struct own *own)
{
    void *cell = NULL;
    if (own->count > 0) {
        cell = own->magazine->cells[--own->count];
        duet_check_alloc(cell, kind);
    }
    if (own->magazine != NULL)
        put_in(use, kind, own);
    return cell;
}

/* A longer cell that the slot has, but none that has pages of its own. */
static void *borrow(const struct cache_use *use, size_t length, size_t *kind)
{
    for (size_t longer = *kind + 1; longer < DUET_KINDS; longer++) {
        if (!duet_fits(length, duet_kind_bytes(longer)) || duet_tables.kinds[longer].blocks > 1)
            break;
        struct own own = take_out(use, longer);
        void *cell = put_in_all_but_one(use, longer, &own);
        if (cell != NULL) {
            note_event(use->cache, *kind);
            *kind = longer;
            return cell;
        }
    }
    return NULL;
}

void *cache_alloc_slow(const struct cache_use *use, size_t length, size_t *kind, bool *zeroed)
{
    struct own own = take_out(use, *kind);
    if (own.magazine == NULL && load_relaxed(&use->cache->events[*kind]) < CACHE_BORROWED_FIRST) {
        void *cell = borrow(use, length, kind);
        if (cell != NULL)
            return cell;
    }
    bool foreign = is_foreign(use->cache, *kind, &own);
    if (own.count == 0)
        refill(use, *kind, &own, zeroed);
    if (foreign)
        waiting_return(use, *kind);
    void *cell = put_in_all_but_one(use, *kind, &own);
    return likely(cell != NULL) ? cell : waiting_take_any(use, *kind);
}

/* ---- Freeing ----------------------------------------------------------------------------- */

/* Passes on the older half, which lies below. */
static void flush_half(const struct cache_use *use, size_t kind, struct own *own)
{
    void **cells = own->magazine->cells;
    struct own half = {magazine_take(use->cache->home, own->magazine->size, kind),
                       (own->count + 1) / 2};
    if (half.magazine != NULL) {
        memcpy(half.magazine->cells, cells, half.count * sizeof cells[0]);
        pass_on(use, kind, &half);
    } else {
        depot_return(kind, cells, half.count);
    }
    own->count -= half.count;
    memmove(cells, cells + half.count, own->count * sizeof cells[0]);
}

static void make_room(const struct cache_use *use, size_t kind, struct own *own)
{
    note_event(use->cache, kind);
    if (!grow(use, kind, own) && own->magazine != NULL)
        flush_half(use, kind, own);
}

/* Of the two on top, as the fast path sees it. */
static bool is_among_last(const struct own *own, const void *cell)
{
    void **top = top_of_own(own);
    return own->count > 0 && (top[-1] == cell || top[-2] == cell);
}

void cache_free_slow(const struct cache_use *use, void *cell, size_t kind)
{
    struct own own = take_out(use, kind);
    if (is_among_last(&own, cell))
        fatal_pointer("free", cell, "was freed twice");
    if (is_foreign(use->cache, kind, &own))
        note_event(use->cache, kind);
    else if (room_in(&own) == 0)
        make_room(use, kind, &own);
    duet_check_free(cell, kind);
    if (own.magazine == NULL) { /* not yet, or no memory for one */
        depot_return(kind, &cell, 1);
        return;
    }
    own.magazine->cells[own.count++] = cell;
    put_in(use, kind, &own);
}

/* ---- The whole --------------------------------------------------------------------------- */

bool cache_is_empty(const struct cache *cache)
{
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        if (load_relaxed(&cache->tops[kind]) != MAGAZINE_NONE_TOP || waiting_count(cache, kind) > 0)
            return false;
    return true;
}

uintptr_t cache_sum(const struct cache *cache)
{
    uintptr_t sum = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        sum = sum * 3 + trace_of(cache, kind);
    return sum;
}

void cache_count(const struct cache *cache, size_t *cells, size_t *bytes)
{
    for (size_t kind = 1; kind < DUET_KINDS && cache->ready; kind++) {
        struct own own = own_of_top(cache->tops[kind]);
        size_t count = own.count + waiting_count(cache, kind);
        *cells += count;
        *bytes += count * duet_kind_bytes(kind);
    }
}
