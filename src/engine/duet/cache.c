#include "engine/duet/cache.h"

#include <string.h>

#include "base/random.h"
#include "engine/duet/depot.h"
#include "engine/duet/group.h"

void cache_prepare(struct cache *cache, size_t home)
{
    if (cache->ready)
        return;
    cache_abandon(cache);
    cache->home = (uint8_t)home;
    store_release(&cache->ready, true); /* a sweep may look */
}

void cache_abandon(struct cache *cache)
{
    for (size_t word = 0; word < CACHE_WORDS; word++)
        store_relaxed(&cache->tops[word], MAGAZINE_NONE_TOP);
    memset(cache->sizes, 0, sizeof cache->sizes);
    cache->bytes = 0;
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
static void note_exchange(struct cache *cache, size_t word, const struct magazine *before,
                          const struct magazine *after)
{
    size_t kind = cache_kind_of(word);
    size_t bytes =
        (after == NULL ? 0 : bytes_of(after, kind)) - (before == NULL ? 0 : bytes_of(before, kind));
    if (bytes != 0)
        add_relaxed(&cache->bytes, bytes);
    store_relaxed(&cache->sizes[word], (uint8_t)(after == NULL ? 0 : after->size + 1));
}

/* Puts a magazine, or none, in the place of the one that is there, which is now the caller's.
 * False: there is no slot to be had, nothing was done. */
static bool exchange(const struct cache_use *use, size_t word, const struct own *own,
                     struct own *before)
{
    void **top = top_of_own(own);
    struct cache *cache = use->cache;
    void **old = load_relaxed(&cache->tops[word]);
    if (use->cpus == NULL)
        store_relaxed(&cache->tops[word], top);
    else
        old = cpus_exchange(use->cpus, word, top, (void **)&cache);
    *before = (struct own){NULL, 0};
    if (old == NULL)
        return false;
    *before = own_of_top(old);
    note_exchange(cache, word, before->magazine, own->magazine);
    return true;
}

static struct own take_out(const struct cache_use *use, size_t word)
{
    const struct own none = {NULL, 0};
    struct own own;
    exchange(use, word, &none, &own);
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

static void put_in(const struct cache_use *use, size_t word, const struct own *own)
{
    struct own before;
    bool done = exchange(use, word, own, &before);
    pass_on(use, cache_kind_of(word), done ? &before : own);
}

static void drop(const struct cache_use *use, size_t word)
{
    struct own own = take_out(use, word);
    pass_on(use, cache_kind_of(word), &own);
}

void cache_drain(const struct cache_use *use)
{
    for (size_t word = 1; word < CACHE_WORDS; word++)
        drop(use, word);
}

/* The low bits of a top, as many as tell whether it has moved. */
static uint16_t low_bits(const struct cache *cache, size_t word)
{
    return (uint16_t)((uintptr_t)load_relaxed(&cache->tops[word]) / sizeof(void *));
}

/* A class whose magazine suffices has no events, but is used, and stays as it is. */
void cache_decay(const struct cache_use *use)
{
    struct cache *cache = use->cache;
    for (size_t word = 1; word < CACHE_WORDS; word++) {
        uint8_t events = load_relaxed(&cache->events[word]);
        if (events == 0 && low_bits(cache, word) == cache->seen_tops[word])
            drop(use, word);
        store_relaxed(&cache->events[word], (uint8_t)(events / 2));
        store_relaxed(&cache->seen_tops[word], low_bits(cache, word));
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
static void shrink(const struct cache_use *use, size_t word)
{
    size_t kind = cache_kind_of(word);
    struct own own = take_out(use, word);
    struct magazine *smaller =
        own.magazine != NULL && own.magazine->size > 0
            ? magazine_take(use->cache->home, own.magazine->size - (size_t)1, kind)
            : NULL;
    if (smaller != NULL) {
        struct own kept = {smaller, min_size(own.count, smaller->capacity)};
        own.count -= kept.count;
        memcpy(smaller->cells, own.magazine->cells + own.count,
               kept.count * sizeof smaller->cells[0]);
        put_in(use, word, &kept);
    }
    pass_on(use, kind, &own);
}

/* Events between two looks for budget that found none. */
#define EVENTS_OF_PATIENCE 32

/* Half a magazine has twice the events, and twice a magazine half of them. So a class can spare
 * half of its own if what it loses, for a byte, is less than what the other wins by `bytes`:
 * classes of short cells come before those of long ones. */
static bool gives_way(const struct cache *cache, size_t victim, size_t word, size_t bytes)
{
    size_t size = load_relaxed(&cache->sizes[victim]), kind = cache_kind_of(victim);
    if (victim == word || size == 0)
        return false;
    if (DUET_SECURE && size == 1 && victim == cache_freed_word(kind))
        return false; /* what was freed last is to wait */
    size_t held = magazine_room(size - 1, kind) * duet_kind_bytes(kind);
    size_t loses = load_relaxed(&cache->events[victim]) * (size_t)2 * bytes;
    return loses <= load_relaxed(&cache->events[word]) * held;
}

/* It may be below zero for a moment: who has changed a CPU's magazines counts it afterwards. */
static bool budget_lasts(const struct cache *cache, size_t bytes)
{
    return (ptrdiff_t)(load_relaxed(&cache->bytes) + bytes) <= (ptrdiff_t)CACHE_MOST_BYTES;
}

/* Whether the budget lasts for so much here, once others have given way if need be. */
static bool find_budget(const struct cache_use *use, size_t word, size_t bytes)
{
    struct cache *cache = use->cache;
    if (budget_lasts(cache, bytes))
        return true;
    uint8_t patience = load_relaxed(&cache->patience);
    if (patience > 0) {
        store_relaxed(&cache->patience, (uint8_t)(patience - 1));
        return false;
    }
    for (size_t i = 0; i < CACHE_WORDS && !budget_lasts(cache, bytes); i++) {
        size_t victim = load_relaxed(&cache->next_victim) % CACHE_WORDS;
        store_relaxed(&cache->next_victim, (uint32_t)victim + 1);
        if (gives_way(cache, victim, word, bytes))
            shrink(use, victim);
    }
    if (budget_lasts(cache, bytes))
        return true;
    store_relaxed(&cache->patience, (uint8_t)EVENTS_OF_PATIENCE);
    return false;
}

/* Moves the cells into a larger magazine, or into one at all. False: there is to be none. */
static bool grow(const struct cache_use *use, size_t word, struct own *own)
{
    size_t size = 0, kind = cache_kind_of(word);
    if (own->magazine != NULL) {
        if (!magazine_may_grow(own->magazine->size, kind))
            return false;
        size = own->magazine->size + (size_t)1;
        if (!find_budget(use, word, magazine_room(size, kind) * duet_kind_bytes(kind)))
            return false;
    }
    size_t home = use->cache->home;
    struct magazine *larger = magazine_take(home, size, kind);
    if (larger != NULL)
        move_to(home, own, larger, own->count);
    return larger != NULL;
}

static void note_event(struct cache *cache, size_t word)
{
    uint8_t events = load_relaxed(&cache->events[word]);
    if (events < UINT8_MAX)
        store_relaxed(&cache->events[word], (uint8_t)(events + 1));
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

/* In the secure flavour nobody can tell which cells come one after the other: each from number
 * `mixed` on changes places with any of those before it. */
static void shuffle(void **cells, size_t mixed, size_t count)
{
    static uint64_t seed; /* about: two threads may see the same */
    uint64_t random = load_relaxed(&seed);
    if (unlikely(random == 0))
        random = random_secret();
    for (size_t i = mixed; i < count; i++) {
        random = random * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
        size_t chosen = (size_t)((random >> 32) * (i + 1) >> 32);
        void *cell = cells[i];
        cells[i] = cells[chosen];
        cells[chosen] = cell;
    }
    store_relaxed(&seed, random);
}

/* In the secure flavour: the cells that were freed first go to those that are to be handed out, and
 * are mixed with them. There must be room. */
static void move_oldest(struct own *freed, struct own *own, size_t count)
{
    void **cells = freed->magazine->cells, **into = own->magazine->cells;
    memcpy(into + own->count, cells, count * sizeof cells[0]);
    shuffle(into, own->count, own->count + count);
    own->count += count;
    freed->count -= count;
    memmove(cells, cells + count, freed->count * sizeof cells[0]);
}

/* In the secure flavour: fills an empty magazine with what the slot has freed, once that is so much
 * that the oldest has lain there for a while. */
static void take_freed(const struct cache_use *use, size_t kind, struct own *own)
{
    if (own->magazine == NULL)
        return;
    struct own freed = take_out(use, cache_freed_word(kind));
    if (freed.magazine != NULL && freed.count >= CACHE_FREED_LEAST(freed.magazine->capacity)) {
        size_t older = freed.count - CACHE_STAYS(freed.count);
        note_event(use->cache, kind);
        note_event(use->cache, cache_freed_word(kind)); /* used, whether its top has moved or not */
        if (older > own->magazine->capacity)
            grow(use, kind, own);
        move_oldest(&freed, own, min_size(older, own->magazine->capacity));
    }
    if (freed.magazine != NULL)
        put_in(use, cache_freed_word(kind), &freed);
}

/* Where there is no memory: what is freed is better than nothing. The magazines change places. */
static void take_all_freed(const struct cache_use *use, size_t kind, struct own *own)
{
    struct own empty = *own;
    *own = take_out(use, cache_freed_word(kind));
    if (own->count > 0)
        shuffle(own->magazine->cells, 0, own->count);
    if (empty.magazine != NULL)
        put_in(use, cache_freed_word(kind), &empty);
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
        shuffle(own->magazine->cells, 0, own->count);
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
    if (DUET_SECURE && own.count == 0)
        take_freed(use, *kind, &own);
    if (own.count == 0)
        refill(use, *kind, &own, zeroed);
    if (DUET_SECURE && own.count == 0)
        take_all_freed(use, *kind, &own);
    return put_in_all_but_one(use, *kind, &own);
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

/* In the secure flavour, of a full magazine of freed cells: the older half goes where it is handed
 * out from, if that has room for it. */
static bool hand_over(const struct cache_use *use, size_t kind, struct own *freed)
{
    if (freed->magazine == NULL)
        return false;
    struct own own = take_out(use, kind);
    size_t half = (freed->count + 1) / 2;
    bool fits = room_in(&own) >= half;
    if (fits)
        move_oldest(freed, &own, half);
    if (own.magazine != NULL)
        put_in(use, kind, &own);
    return fits;
}

static void make_room(const struct cache_use *use, size_t word, struct own *own)
{
    note_event(use->cache, word);
    if (DUET_SECURE && hand_over(use, cache_kind_of(word), own))
        return;
    if (!grow(use, word, own) && own->magazine != NULL)
        flush_half(use, cache_kind_of(word), own);
}

/* Where a cell of a class comes first by being freed, another CPU has allocated it, and may have
 * its neighbours on the same cache line. Handed out here it would be slow for both (passive false
 * sharing). A CPU that goes on freeing has a magazine after some. In the secure flavour none goes
 * home at once. */
static bool is_foreign(const struct cache *cache, size_t word, const struct own *own)
{
    return !DUET_SECURE && own->magazine == NULL &&
           load_relaxed(&cache->events[word]) < CACHE_FREED_FIRST;
}

/* Of the two on top, as the fast path sees it. */
static bool is_among_last(const struct own *own, const void *cell)
{
    void **top = top_of_own(own);
    return own->count > 0 && (top[-1] == cell || top[-2] == cell);
}

void cache_free_slow(const struct cache_use *use, void *cell, size_t kind)
{
    size_t word = cache_freed_word(kind);
    struct own own = take_out(use, word);
    if (is_among_last(&own, cell))
        fatal_pointer("free", cell, "was freed twice");
    if (is_foreign(use->cache, word, &own))
        note_event(use->cache, word);
    else if (room_in(&own) == 0)
        make_room(use, word, &own);
    duet_check_free(cell, kind);
    if (own.magazine == NULL) { /* not yet, or no memory for one */
        depot_return(kind, &cell, 1);
        return;
    }
    own.magazine->cells[own.count++] = cell;
    put_in(use, word, &own);
}

/* ---- The whole --------------------------------------------------------------------------- */

bool cache_is_empty(const struct cache *cache)
{
    for (size_t word = 1; word < CACHE_WORDS; word++)
        if (load_relaxed(&cache->tops[word]) != MAGAZINE_NONE_TOP)
            return false;
    return true;
}

uintptr_t cache_sum(const struct cache *cache)
{
    uintptr_t sum = 0;
    for (size_t word = 1; word < CACHE_WORDS; word++)
        sum = sum * 3 + (uintptr_t)load_relaxed(&cache->tops[word]);
    return sum;
}

void cache_count(const struct cache *cache, size_t *cells, size_t *bytes)
{
    for (size_t word = 1; word < CACHE_WORDS && cache->ready; word++) {
        struct own own = own_of_top(cache->tops[word]);
        *cells += own.count;
        *bytes += own.count * duet_kind_bytes(cache_kind_of(word));
    }
}
