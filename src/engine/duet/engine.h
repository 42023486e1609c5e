/*
 * The engine duet: SMP's slots in front, mallocng's groups behind. Start reading here.
 *
 *   malloc   class from a table; pop the magazine that the slot has of the class.
 *   free     class from the address table; verify that a cell begins there, with one
 *            multiplication; push onto the magazine of the slot.
 *
 * No lock, no atomic read-modify-write, no touch of the freed cell or of its group's meta. A cell
 * goes to the slot of who frees it, wherever it came from (SmpAllocator); only the first few of a
 * class that the slot has not used go home at once. Behind the magazines:
 *
 *   slots      the CPU's, in a sequence that the kernel restarts if it is interrupted
 *              (slots/cpus.h). Where there is no such thing one for each thread as long as they
 *              last, entered with plain stores (slots/bound.h). Who finds his own taken shares
 *              those of slots/slots.h.
 *   magazines  grow with use, within a budget (cache.h).
 *   shelves    whole magazines on their way home, without a lock (magazine.h).
 *   groups     bits in masks, under metas that no overflow of a cell can reach (group.h; mallocng).
 *   the sweep  what lies idle anywhere goes back, by time (sweep.h).
 *   blocks     of more than 64 KiB are extents, or mappings of their own (large_memory.h).
 *
 * What it gives up: a cell that was freed twice is found at once only while it is its magazine's
 * top cell, else when its bits meet; and unless it was handed out again in between. Written-to
 * freed memory is not noticed, but nothing that it holds is believed either.
 *
 * This header is the engine's half of the contract that heap and front compile against; every
 * engine has one of this name. docs/design.md, 'An engine', says what each part has to do.
 */
#ifndef DUET_ENGINE_DUET_ENGINE_H
#define DUET_ENGINE_DUET_ENGINE_H

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

#define ENGINE_NAME "duet"
#define ENGINE_CLASSES ((size_t)DUET_CLASSES)

/* The class that a length is served from is verified: nothing that a caller says is trusted. */
#define ENGINE_CHECKS_SIZES true

struct bound_cache {
    alignas(CACHE_LINE_PAIR) struct bound_slot slot;
    struct cache cache;
};

ALWAYS_INLINE size_t engine_class_bytes(size_t class)
{
    return duet_kind_bytes(class + 1);
}

ALWAYS_INLINE bool engine_is_large(size_t length, size_t align)
{
    return length > DUET_MOST_BYTES || duet_kind_for_aligned(length, align) == 0;
}

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

/* A cell and its class, or NULL: then engine_alloc_slow is to be called, or it is large. */
ALWAYS_INLINE void *engine_alloc(size_t length, size_t align, size_t *class, bool *zeroed)
{
    if (unlikely(length >= duet_fast_end))
        return NULL;
    size_t kind;
    if (likely(align <= DUET_UNIT))
        kind = duet_kind_for(length);
    else if ((kind = duet_kind_for_aligned(length, align)) == 0)
        return NULL;
    *class = kind - 1;
    *zeroed = false;
    return duet_pop(kind);
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

/* False: nothing was done, engine_free_slow is to be called. Else the cell's class. */
ALWAYS_INLINE bool engine_free(void *ptr, size_t *class)
{
    size_t kind = table_class(ptr);
    *class = kind - 1;
    return duet_free_hot(ptr, kind);
}

/* As engine_free, if the cell is of the class that serves this length and alignment. */
ALWAYS_INLINE bool engine_free_sized(void *ptr, size_t length, size_t align, size_t *class)
{
    size_t kind = table_class(ptr);
    *class = kind - 1;
    return likely(length <= DUET_MOST_BYTES) && likely(align <= DUET_UNIT) &&
           likely(kind == duet_kind_for(length)) && duet_free_hot(ptr, kind);
}

/* As engine_alloc, for every case but large. NULL: no memory. */
COLD void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed);

/* As engine_free, for every case. Returns the cell's class; ENGINE_CLASSES for what may be a large
 * block, of which nothing was done. Stops the program, in the name of `call`, where ptr is in a
 * group and not the start of a cell. */
COLD size_t engine_free_slow(void *ptr, const char *call);

/* The class that engine_free_slow would return. */
size_t engine_class_of(const void *ptr, const char *call);

static inline size_t engine_usable(const void *cell, size_t class, const char *call)
{
    (void)cell, (void)call;
    return engine_class_bytes(class);
}

/* A cell keeps its place for a shorter length if this much of it is still used: 3 of 4 bytes. */
ALWAYS_INLINE bool duet_fits(size_t length, size_t bytes)
{
    return length <= bytes && length >= bytes / 4 * 3;
}

/* Whether the cell can have been allocated with this length and alignment, or resized to it. */
static inline bool engine_was_allocated(const void *cell, size_t class, size_t length, size_t align)
{
    (void)cell;
    return duet_kind_for_aligned(length, align) == class + 1 ||
           duet_fits(length, engine_class_bytes(class));
}

/* Gives the cell another length where it is. False: it stays as it was. */
static inline bool engine_resize(void *cell, size_t class, size_t length, size_t align)
{
    (void)cell;
    return duet_kind_for_aligned(length, align) == class + 1 ||
           duet_fits(length, engine_class_bytes(class));
}

/* Returns what can be returned to the OS; says whether there was anything. */
bool engine_trim(void);

/* What is to be done ten times a second, if anybody calls: the sweep. Slow operations do it,
 * too. */
void engine_tick(void);

#endif
