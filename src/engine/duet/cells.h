/*
 * Cells of the engine duet, below what it makes of them: the fast halves, which take one from the
 * magazine of the thread's slot, or put it there, and the slow ones, which do whatever it takes.
 * duet.c has these. Two engines stand on them: duet itself (engine.h) and its secure flavour
 * (secure/engine.h).
 */
#ifndef DUET_ENGINE_DUET_CELLS_H
#define DUET_ENGINE_DUET_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"
#include "engine/contract.h"
#include "engine/duet/cache.h"
#include "engine/duet/classes.h"
#include "slots/bound.h"
#include "slots/cpus.h"
#include "slots/slots.h"
#include "spans/table.h"

struct bound_cache {
    alignas(CACHE_LINE_PAIR) struct bound_slot slot;
    struct cache cache;
};

/* ---- What is alike in the contract of both ------------------------------------------------- */

#define ENGINE_CLASSES ((size_t)DUET_CLASSES)

/* Nothing that a caller says of a cell is trusted. */
#define ENGINE_CHECKS_SIZES true

ALWAYS_INLINE size_t engine_class_bytes(size_t class)
{
    return duet_kind_bytes(class + 1);
}

/* The class of a cell; ENGINE_CLASSES for what is in no group. Stops the program, in the name of
 * `call`, where ptr is in a group and not the start of a cell. */
size_t engine_class_of(const void *ptr, const char *call);

/* What is to be done ten times a second, if anybody calls: the sweep. Slow operations do it,
 * too. */
void engine_tick(void);

/* Returns what can be returned to the OS; says whether there was anything. */
bool engine_trim(void);

/* ---- Taking and putting back --------------------------------------------------------------- */

/* Lengths from this one on are not for the fast path: DUET_MOST_BYTES + 1, but 0 before it is known
 * what slots there are. */
extern HIDDEN size_t duet_fast_end;

/* With the slot of the thread. */
ALWAYS_INLINE void *duet_pop_bound(size_t kind)
{
    struct bound_slot *slot = bound_enter();
    if (unlikely(slot == NULL))
        return NULL;
    void *cell = cache_pop(&((struct bound_cache *)slot)->cache, kind);
    bound_leave(slot);
    return cell;
}

ALWAYS_INLINE bool duet_push_bound(void *ptr, size_t kind)
{
    struct bound_slot *slot = bound_enter();
    if (unlikely(slot == NULL))
        return false;
    bool done = cache_push(&((struct bound_cache *)slot)->cache, ptr, kind);
    bound_leave(slot);
    return likely(done);
}

ALWAYS_INLINE void *duet_pop(size_t kind)
{
    if (!CPUS_POSSIBLE)
        return duet_pop_bound(kind);
    void *cell;
    enum rseq_result result = cpus_pop(kind, &cell);
    if (unlikely(result == RSEQ_NONE))
        return duet_pop_bound(kind);
    if (unlikely(result == RSEQ_UNDONE))
        return NULL;
    duet_check_alloc(cell, kind);
    return cell;
}

/* Of an address at which a cell begins. False: nothing was done. */
ALWAYS_INLINE bool duet_push(void *ptr, size_t kind)
{
    if (!CPUS_POSSIBLE)
        return duet_push_bound(ptr, kind);
    duet_check_free(ptr, kind); /* before another thread may have it */
    enum rseq_result result = cpus_push(kind, ptr);
    if (likely(result == RSEQ_DONE))
        return true;
    duet_check_alloc(ptr, kind);
    return result == RSEQ_NONE && duet_push_bound(ptr, kind);
}

/* Whether a cell of this kind begins there, of a group of several blocks; false for all others. */
ALWAYS_INLINE bool duet_is_long_start(const void *ptr, size_t kind)
{
    return kind != TABLE_FOREIGN && kind < DUET_KINDS &&
           duet_is_long_cell(ptr, kind, table_meta(ptr));
}

/* As duet_free_hot, where duet_is_cell cannot tell: of a group of several blocks. */
bool duet_free_long(void *ptr, size_t kind);

/* False: nothing was done, engine_free_slow is to be called. */
ALWAYS_INLINE bool duet_free_hot(void *ptr, size_t kind)
{
    if (likely(duet_is_cell(ptr, kind)))
        return duet_push(ptr, kind);
    return duet_free_long(ptr, kind);
}

/* A cell of this kind, however it can be had; of another that the length fits, which *kind becomes
 * (cache_alloc_slow). *zeroed: whether it is known to read as zero. NULL: no memory. */
void *cells_take(size_t length, size_t align, size_t *kind, bool *zeroed);

extern HIDDEN struct cpus_set duet_cpus;

#if DUET_SECURE

/* A freed cell begins to wait (waiting.h); *cell is one that is to be put back in its place, or
 * NULL. False: nothing was done, cells_give_later is to be called. */
ALWAYS_INLINE bool duet_wait(void **cell, size_t kind)
{
    if (CPUS_POSSIBLE) {
        struct cache *cache = cpus_slot_here(&duet_cpus);
        if (likely((void *)cache != (void *)duet_cpus.stopped)) {
            size_t place = waiting_next(&cache->waiting, kind);
            if (likely(cpus_swap(&duet_cpus, cache_waiting_word(kind, place), cell)))
                return true;
        }
    }
    struct bound_slot *slot = bound_enter();
    if (unlikely(slot == NULL))
        return false;
    cache_wait(&((struct bound_cache *)slot)->cache, cell, kind);
    bound_leave(slot);
    return true;
}

/* Lets it wait, if it can; and puts back one that has waited. */
void cells_give_later(void *cell, size_t kind);

#endif

/* Puts back a cell, of which it is known that it is one. Stops the program where it can be seen
 * that it was put back already. */
void cells_give(void *cell, size_t kind);

struct group;

/* All groups there are, the locks of their homes held, once the cells in magazines and on shelves
 * are back in them; both as far as nobody is in the way. */
void cells_visit_groups(void (*visit)(struct group *group));

#endif
