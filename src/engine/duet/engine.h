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
 *   blocks     of more than 64 KiB are extents, or mappings of their own (large_memory.h), with a
 *              seal behind each (heap/large/sealed/).
 *
 * What it gives up: a cell that was freed twice is found at once only while it is one of the two on
 * top of its magazine, else when its bits meet; and unless it was handed out again in between.
 * Written-to freed memory is not noticed, but nothing that it holds is believed either.
 *
 * This header is the engine's half of the contract that heap and front compile against; every
 * engine has one of this name. docs/design.md, 'An engine', says what each part has to do.
 */
#ifndef DUET_ENGINE_DUET_ENGINE_H
#define DUET_ENGINE_DUET_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/contract.h"
#include "engine/duet/cells.h"

#define ENGINE_NAME "duet"

/* The least length that large blocks are asked for: of no bytes, they are addresses alone. */
#define ENGINE_LARGE_LEAST 0

ALWAYS_INLINE bool engine_is_large(size_t length, size_t align)
{
    return duet_kind_for_aligned(length, align) == 0;
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

static inline size_t engine_usable(const void *cell, size_t class, const char *call)
{
    (void)cell, (void)call;
    return engine_class_bytes(class);
}

/* Whether the cell can have been allocated with this length and alignment, or resized to it. */
static inline bool engine_was_allocated(const void *cell, size_t class, size_t length, size_t align,
                                        const char *call)
{
    (void)cell, (void)call;
    return duet_kind_for_aligned(length, align) == class + 1 ||
           duet_fits(length, engine_class_bytes(class));
}

/* Gives the cell another length where it is. False: it stays as it was. */
static inline bool engine_resize(void *cell, size_t class, size_t length, size_t align,
                                 const char *call)
{
    return engine_was_allocated(cell, class, length, align, call);
}

/* What is to be done as the process ends: nothing. */
static inline void engine_end(void)
{
}

#endif
