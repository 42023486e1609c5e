/*
 * The engine smp: Zig's SmpAllocator in C. Start reading here.
 *
 * Cells are powers of two from 8 bytes to half a slab. A slab is one block, aligned to its
 * length, and holds cells of one class from its first byte to its last; there is no word of
 * metadata per cell or per slab. Each slot has, per class, a list of free cells, linked through
 * the cells, and the address of the next cell of its newest slab that was never handed out.
 *
 *   malloc   pop the slot's list; else bump the next address; else (slow) take over the list of
 *            another slot; else cut a new slab.
 *   free     push onto the list of the slot that the freeing thread is in, wherever the cell
 *            came from.
 *
 * A slot may be entered by one thread at a time (slots.h). There is no hook for threads that
 * exit: what they leave in a slot is used by the next thread there, and found by searches.
 *
 * What it gives up: small memory is kept for ever, in the class that it first served; a cell may
 * be nearly twice as large as what was asked for; and the heap is not protected from overflows.
 *
 * Beyond its ancestor: threads start in different slots and not all in the first; a search takes a
 * whole list over instead of moving the thread to the other slot, so that a thread stays where
 * its memory is warm; and two checks cost an instruction or two each on free: that the address is
 * a cell's first, and that the cell is not the one that was freed last.
 *
 * This header is the engine's half of the contract that heap and front compile against; every
 * engine has one of this name. docs/design.md, 'An engine', says what each part has to do.
 */
#ifndef DUET_ENGINE_SMP_ENGINE_H
#define DUET_ENGINE_SMP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "engine/contract.h"
#include "engine/smp/check.h"
#include "slots/slots.h"
#include "spans/table.h"

#define ENGINE_NAME "smp"

/* The least length that large blocks are asked for. */
#define ENGINE_LARGE_LEAST 1

/* A slab is a block, so the address table tells the class of any cell, and a slab's end shows in
 * the low bits of an address. 64 KiB is no less than any page, and holds at least two cells. */
#define SMP_SLAB_BYTES BLOCK_BYTES

/* The least cell must hold the link of a free one. */
#define SMP_LEAST_SHIFT 3

/* Cells of 8 bytes to half a slab. A slab of a single cell would be no better than a mapping. */
#define ENGINE_CLASSES (BLOCK_SHIFT - SMP_LEAST_SHIFT)

/* What a caller of a sized free says is trusted: it alone tells a cell's class, without a
 * look-up. */
#define ENGINE_CHECKS_SIZES false

/* How many other slots an allocation looks at before it cuts a new slab. SmpAllocator moves to one.
 * With one, threads that come and go in turn cut slabs without end: a list that was taken over is
 * somewhere, but seldom in the one slot that is looked at (docs/smp.md has the figures). Looking
 * reads a word of each, and a slab costs 16 page faults, so 64 slots are cheap beside it. */
#define SMP_MAX_ALLOC_SEARCH 64

static_assert((1 << SMP_LEAST_SHIFT) >= sizeof(void *), "a free cell holds a link");
static_assert((SMP_SLAB_BYTES & (SMP_SLAB_BYTES - 1)) == 0, "a slab's end shows in low bits");
static_assert(TABLE_ENGINE_FIRST + ENGINE_CLASSES - 1 <= TABLE_ENGINE_LAST, "classes fit");

struct smp_class {
    /* The cell freed last; its first word links to the one before. Searches read it from outside,
     * hence relaxed stores; whoever follows it holds the slot. */
    void **free;
    char *next; /* the next cell of the newest slab; a multiple of the slab's length: none */
};

struct smp_slot {
    alignas(CACHE_LINE_PAIR) struct slot head;
    struct smp_class classes[ENGINE_CLASSES];
};

extern struct slot_set smp_slots;

/* The class of a length and an alignment, a power of two. At least ENGINE_CLASSES if they are too
 * large for a cell. A length of 0 counts as 1. */
ALWAYS_INLINE size_t smp_class_for(size_t length, size_t align)
{
    size_t least = max_size(align, (size_t)1 << SMP_LEAST_SHIFT);
    return highest_bit(max_size(length, least) - 1) + 1 - SMP_LEAST_SHIFT;
}

ALWAYS_INLINE size_t engine_class_bytes(size_t class)
{
    return (size_t)1 << (class + SMP_LEAST_SHIFT);
}

ALWAYS_INLINE bool engine_is_large(size_t length, size_t align)
{
    return smp_class_for(length, align) >= ENGINE_CLASSES;
}

/* The class of a class byte from the address table; at least ENGINE_CLASSES if it is none. */
ALWAYS_INLINE size_t smp_class_of_table(uint8_t table_class)
{
    return (size_t)table_class - TABLE_ENGINE_FIRST;
}

/* The class of the cell that ptr points to; at least ENGINE_CLASSES if it points to none. */
ALWAYS_INLINE size_t smp_class_at(const void *ptr)
{
    return smp_class_of_table(table_class(ptr));
}

/* Whether an address in a slab of this class is that of a cell. */
ALWAYS_INLINE bool smp_is_cell(const void *ptr, size_t class)
{
    return is_aligned((uintptr_t)ptr, engine_class_bytes(class));
}

/* A cell of the slot's own, from its list or else its newest slab; NULL if it has none. */
ALWAYS_INLINE void *smp_pop(struct smp_slot *slot, size_t class, bool *zeroed)
{
    struct smp_class *cells = &slot->classes[class];
    void **cell = cells->free;
    *zeroed = false;
    if (likely(cell != NULL)) {
        store_relaxed(&cells->free, *cell);
    } else if ((uintptr_t)cells->next % SMP_SLAB_BYTES != 0) {
        cell = (void **)cells->next;
        cells->next += engine_class_bytes(class);
        *zeroed = true;
    }
    smp_check_alloc(cell, engine_class_bytes(class));
    smp_check_list(cells, engine_class_bytes(class));
    return cell;
}

/* Onto the slot's list. */
ALWAYS_INLINE void smp_push(struct smp_slot *slot, void *ptr, size_t class)
{
    struct smp_class *cells = &slot->classes[class];
    if (unlikely(cells->free == ptr))
        fatal_pointer("free", ptr, "was freed twice");
    smp_check_free(ptr, engine_class_bytes(class));
    *(void **)ptr = cells->free;
    store_relaxed(&cells->free, ptr);
    smp_check_list(cells, engine_class_bytes(class));
}

/* A cell and its class, or NULL: then engine_alloc_slow is to be called, or it is large. *zeroed
 * says whether it reads as zero. */
ALWAYS_INLINE void *engine_alloc(size_t length, size_t align, size_t *out_class, bool *zeroed)
{
    size_t class = *out_class = smp_class_for(length, align);
    if (unlikely(class >= ENGINE_CLASSES))
        return NULL;
    struct smp_slot *slot = (struct smp_slot *)slot_thread.current;
    if (unlikely(slot == NULL) || unlikely(!slot_try(&slot->head)))
        return NULL;
    void *cell = smp_pop(slot, class, zeroed);
    slot_release(&slot->head);
    return cell;
}

/* False: nothing was done. */
ALWAYS_INLINE bool smp_free(void *ptr, size_t class)
{
    if (unlikely(!smp_is_cell(ptr, class)))
        return false;
    struct smp_slot *slot = (struct smp_slot *)slot_thread.current;
    if (unlikely(slot == NULL) || unlikely(!slot_try(&slot->head)))
        return false;
    smp_push(slot, ptr, class);
    slot_release(&slot->head);
    return true;
}

/* False: nothing was done, engine_free_slow is to be called. Else the cell's class. */
ALWAYS_INLINE bool engine_free(void *ptr, size_t *class)
{
    *class = smp_class_at(ptr);
    return likely(*class < ENGINE_CLASSES) && smp_free(ptr, *class);
}

/* As engine_free. The class is that of the length, as it was when it was allocated: no look-up. */
ALWAYS_INLINE bool engine_free_sized(void *ptr, size_t length, size_t align, size_t *class)
{
    *class = smp_class_for(length, align);
    return likely(ptr != NULL) && likely(*class < ENGINE_CLASSES) && smp_free(ptr, *class);
}

/* As engine_alloc, for every case but large. NULL: no memory. */
COLD void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed);

/* As engine_free, for every case. Returns the cell's class; at least ENGINE_CLASSES for what may
 * be a large block, of which nothing was done. Stops the program, in the name of `call`, where ptr
 * is inside a slab and not the start of a cell. */
COLD size_t engine_free_slow(void *ptr, const char *call);

/* The class that engine_free_slow would return. */
size_t engine_class_of(const void *ptr, const char *call);

static inline size_t engine_usable(const void *cell, size_t class, const char *call)
{
    (void)cell, (void)call;
    return engine_class_bytes(class);
}

/* Whether the cell can have been allocated with this length and alignment. */
static inline bool engine_was_allocated(const void *cell, size_t class, size_t length, size_t align,
                                        const char *call)
{
    (void)cell, (void)call;
    return class == smp_class_for(length, align);
}

/* Gives the cell another length where it is. False: it stays as it was. */
static inline bool engine_resize(void *cell, size_t class, size_t length, size_t align,
                                 const char *call)
{
    (void)cell, (void)call;
    return class == smp_class_for(length, align);
}

/* Returns what can be returned to the OS; says whether there was anything. smp keeps it all. */
static inline bool engine_trim(void)
{
    return false;
}

/* What is to be done ten times a second, if anybody calls. Nothing: smp keeps all small memory. */
static inline void engine_tick(void)
{
}

/* What is to be done as the process ends: nothing. */
static inline void engine_end(void)
{
}

#endif
