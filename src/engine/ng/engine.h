/*
 * The engine ng: musl's mallocng. Start reading here.
 *
 * Cells of one class lie in groups of up to 32 (group.h), each described by a meta that no overflow
 * of a cell can reach. Which cells are free is known to the meta's masks alone, so nothing that a
 * program writes into a freed cell is believed. Groups are as small as the usage of their class
 * allows (plan.h), and go back to the OS with their last cell, but for classes that would have them
 * mapped anew at once (bounce.h). Each cell has a header of 4 bytes (cell.h); it, the group and the
 * meta vouch for each other, and are verified at every free and realloc, in every build.
 *
 *   malloc   take a bit out of the head group's `avail`; else (slow) go through the groups of the
 *            class, and make one if there is none left.
 *   free     find the meta by the header, put the bit into `freed`; (slow) for a group's first free
 *            cell, which puts it back into its ring, and for its last, which frees the group.
 *
 * Beyond its ancestor: there is a context, with rings and counters of its own, per slot (slots.h),
 * so threads do not wait for one lock; a cell goes back to the context that made it. A pointer is
 * looked up before it is followed. A free that finds the context taken is left to the next who has
 * it.
 *
 * This header is the engine's half of the contract that heap and front compile against; every
 * engine has one of this name. docs/design.md, 'An engine', says what each part has to do.
 */
#ifndef DUET_ENGINE_NG_ENGINE_H
#define DUET_ENGINE_NG_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"
#include "base/thread.h"
#include "engine/contract.h"
#include "engine/ng/cell.h"
#include "engine/ng/check.h"
#include "engine/ng/group.h"
#include "engine/ng/lock.h"
#include "slots/slots.h"

#define ENGINE_NAME "ng"

/* The least length that large blocks are asked for. */
#define ENGINE_LARGE_LEAST 1
#define ENGINE_CLASSES NG_CLASSES

/* Of every cell it is known how many bytes were asked for. */
#define ENGINE_CHECKS_SIZES true

ALWAYS_INLINE size_t engine_class_bytes(size_t class)
{
    return ng_class_bytes(class);
}

/* What to ask for so that there is room to move to a multiple of `align`. */
ALWAYS_INLINE size_t ng_bytes_for(size_t length, size_t align)
{
    return align > NG_UNIT ? length + align - NG_UNIT : length;
}

ALWAYS_INLINE bool engine_is_large(size_t length, size_t align)
{
    return ng_bytes_for(length, align) >= NG_LARGE_BYTES;
}

/* The option `purge`: whether this cell's free has pages to return. A group of one cell is
 * unmapped, pages and all. */
extern bool ng_purge;
COLD bool ng_purges_slow(const struct cell *cell);

ALWAYS_INLINE bool ng_purges(const struct cell *cell)
{
    return unlikely(ng_purge) && ng_purges_slow(cell);
}

/* The class to serve a class from: an even one without any group takes the next at first. */
COLD size_t ng_coarse_class(const struct context *context, size_t class);

ALWAYS_INLINE size_t ng_serving_class(const struct context *context, size_t bytes)
{
    size_t class = ng_class_for(bytes);
    return likely(load_relaxed(&context->active[class]) != NULL) ? class
                                                                 : ng_coarse_class(context, class);
}

/* Goes on with an allocation for which the head's mask has no bit. The context is being read, and
 * is let go. NULL: engine_alloc_slow is to be called. */
__attribute__((noinline)) void *ng_alloc_reading(struct context *context, size_t length,
                                                 size_t *class, bool *zeroed);

/* A cell and its class, or NULL: then engine_alloc_slow is to be called, or it is large. *zeroed
 * says whether it reads as zero. */
ALWAYS_INLINE void *engine_alloc(size_t length, size_t align, size_t *class, bool *zeroed)
{
    struct context *context = (struct context *)slot_thread.current;
    if (unlikely(length >= NG_LARGE_BYTES) || unlikely(align > NG_UNIT) ||
        unlikely(context == NULL) || unlikely(!context_try_reading(context)))
        return NULL;
    *class = ng_serving_class(context, length);
    struct group *group = load_relaxed(&context->active[*class]);
    unsigned index;
    if (unlikely(group == NULL) || unlikely(!context_take_bit(&group->avail, &index)))
        return ng_alloc_reading(context, length, class, zeroed);
    uint32_t counter = load_relaxed(&context->mappings);
    context_end_reading(context);
    *zeroed = false;
    return cell_frame(group, index, length, counter);
}

/* A free that is neither the group's first nor its last, which need the context. */
ALWAYS_INLINE bool ng_is_trivial(const struct group *group, uint32_t freed, uint32_t self)
{
    uint32_t all = freed | load_relaxed(&group->avail) | self;
    return likely(freed != 0) && likely(all != mask_to(group_last(group)));
}

/* The frees that are not trivial, of a cell that is invalidated already. ng_free_holding holds the
 * context, and lets it go. */
__attribute__((noinline)) void ng_free_holding(struct group *group, unsigned index);
__attribute__((noinline)) void ng_free_slowly(struct group *group, unsigned index);

/* While there is one thread the mark is enough: neither lock nor compare-and-swap. */
ALWAYS_INLINE void ng_free_alone(struct group *group, unsigned index)
{
    uint32_t self = (uint32_t)1 << index;
    struct slot *slot = &group_context(group)->slot;
    if (unlikely(!slot_try(slot))) {
        ng_free_slowly(group, index);
        return;
    }
    uint32_t freed = load_relaxed(&group->freed);
    if (unlikely(!ng_is_trivial(group, freed, self))) {
        ng_free_holding(group, index);
        return;
    }
    store_relaxed(&group->freed, freed | self);
    slot_release(slot);
}

ALWAYS_INLINE void ng_free_shared(struct group *group, unsigned index)
{
    uint32_t self = (uint32_t)1 << index;
    uint32_t freed = load_relaxed(&group->freed);
    if (unlikely(!ng_is_trivial(group, freed, self)) || unlikely((freed & self) != 0) ||
        unlikely(!cas_release(&group->freed, freed, freed | self)))
        ng_free_slowly(group, index);
}

ALWAYS_INLINE void ng_free(const struct cell *cell, size_t *class)
{
    *class = group_class(cell->group); /* the group may be gone afterwards */
    cell_invalidate(cell->ptr);
    if (thread_is_alone())
        ng_free_alone(cell->group, cell->index);
    else
        ng_free_shared(cell->group, cell->index);
}

ALWAYS_INLINE bool ng_find(const void *ptr, struct cell *cell, size_t *bytes)
{
    return likely(slot_thread.current != NULL) && likely(cell_find(ptr, cell)) &&
           likely(cell_nominal(cell, bytes)) &&
           likely(group_class(cell->group) != NG_CLASS_LARGE) && likely(!ng_purges(cell));
}

/* False: nothing was done, engine_free_slow is to be called. Else the cell's class. */
ALWAYS_INLINE bool engine_free(void *ptr, size_t *class)
{
    struct cell cell;
    size_t bytes;
    if (unlikely(!ng_find(ptr, &cell, &bytes)))
        return false;
    ng_free(&cell, class);
    return true;
}

/* As engine_free, if the cell was allocated with this length and alignment. */
bool engine_free_sized(void *ptr, size_t length, size_t align, size_t *class);

/* As engine_alloc, for every case but large. NULL: no memory. */
COLD void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed);

/* As engine_free, for every case. Returns the cell's class; ENGINE_CLASSES for a large block, of
 * which nothing was done. Stops the program, in the name of `call`, where ptr is neither. */
COLD size_t engine_free_slow(void *ptr, const char *call);

/* The class that engine_free_slow would return. */
size_t engine_class_of(const void *ptr, const char *call);

/* What was asked for. */
size_t engine_usable(const void *cell, size_t class, const char *call);

/* Whether the cell was allocated with this length. */
bool engine_was_allocated(const void *cell, size_t class, size_t length, size_t align,
                          const char *call);

/* Gives the cell another length where it is, unless that would waste more than a class. False: it
 * stays as it was. */
bool engine_resize(void *cell, size_t class, size_t length, size_t align, const char *call);

/* Returns what can be returned to the OS; says whether there was anything. */
bool engine_trim(void);

/* What is to be done ten times a second, if anybody calls. Nothing: ng returns what is free at
 * once. */
static inline void engine_tick(void)
{
}

/* What is to be done as the process ends: nothing. */
static inline void engine_end(void)
{
}

#endif
