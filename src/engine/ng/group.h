/*
 * Groups: up to 32 cells of one class in a row, and the meta that describes them.
 *
 *   the meta, far away              the group: in a mapping of its own, or nested in a cell
 *   ┌───────────────┐   base      ┌──────────────────────────────────────────────────────────┐
 *   │ class, count  ├────────────►│ head │ cell 0           │h│ cell 1           │h│ ...     │
 *   │ avail  ...101 │◄────────────┤ meta │h                 │ │                  │ │         │
 *   │ freed  ...010 │  its index  └──────────────────────────────────────────────────────────┘
 *   └───────────────┘               16 bytes: 12, and then the first cell's header (h, 4 bytes)
 *
 * Whether a cell is free is known to the meta alone: by a bit in `avail`, ready to be handed out,
 * or in `freed`, which are made ready together when `avail` has run out. So a cell that was freed
 * rests for a while, and freeing needs no lock. Cells that were never touched start as freed, and
 * are no `active` ones until no other group has free cells.
 *
 * Groups with free cells stand in a ring per class, the head of which is the one that serves. Only
 * the head has bits in `avail`. A group whose cells are all out stands in none, until one is freed.
 *
 * Concurrency: a meta's context has the lock. Without it, `freed` gets bits by compare-and-swap as
 * long as neither the first bit comes nor the last; and in a DUET_RWLOCK build `avail` loses bits
 * in the same way, by readers. What does not change while the group has cells out, anybody may
 * read.
 */
#ifndef DUET_ENGINE_NG_GROUP_H
#define DUET_ENGINE_NG_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "engine/ng/bounce.h"
#include "engine/ng/classes.h"
#include "slots/slots.h"
#include "spans/metas.h"
#include "spans/table.h"

/* What lies before a group's cells; the rest, to NG_UNIT bytes, is the first cell's header. */
struct group_head {
    uint32_t meta; /* index */
    uint32_t unused[2];
};
static_assert(sizeof(struct group_head) + NG_HEADER_BYTES == NG_UNIT, "cells are aligned");

struct context;

/* A meta: 32 bytes, so that two share a cache line. */
struct group {
    uint32_t
        next; /* in the ring, by index; 0: it is in none. In the list of spare metas: the next */
    uint32_t previous;
    struct group_head *base; /* NULL: the meta is spare */
    uint32_t avail;          /* cells that are ready */
    uint32_t freed;          /* cells that are free and not ready */
    uint32_t pages;          /* of its mapping, 4 KiB each, whatever the page size; 0: nested */
    uint32_t shape;          /* the fields below */
};

#define GROUP_META_SHIFT 5
static_assert(sizeof(struct group) == 1 << GROUP_META_SHIFT, "a meta is as small as it can be");

/* Metas lie on sheets of 4 KiB, each of them a record of the pool. The first place on each is its
 * head, with the secret. A group's index is its sheet's index and its place there. */
#define SHEET_SHIFT 12
#define SHEET_BYTES ((size_t)1 << SHEET_SHIFT)
#define SHEET_PLACES_SHIFT (SHEET_SHIFT - GROUP_META_SHIFT)
#define SHEET_PLACES ((uint32_t)1 << SHEET_PLACES_SHIFT)
static_assert(sizeof(struct meta) <= sizeof(struct group), "the head takes one place");

/* That of the sheet's head. Records are counted from 1, indices from 0. */
ALWAYS_INLINE uint32_t sheet_first_index(const struct meta *sheet)
{
    return (sheet->index - 1) << SHEET_PLACES_SHIFT;
}

/* A step of the pool has so many places; and with so many steps there can be half a billion groups,
 * a terabyte of small cells. */
#define STEP_GROUPS (META_STEP_BYTES >> GROUP_META_SHIFT)
#define STEPS_MOST ((uint32_t)1 << 18)

/* Fields of `shape`. But for `active`, what it says holds as long as the group exists. */
#define SHAPE_CLASS(shape) ((shape)&63)          /* or NG_CLASS_LARGE */
#define SHAPE_LAST(shape) ((shape) >> 6 & 31)    /* the last cell's index */
#define SHAPE_ACTIVE(shape) ((shape) >> 11 & 31) /* the last active cell's index */
#define SHAPE_CONTEXT(shape) ((shape) >> 18) /* number of where it was made; of a large block: 0 */
#define SHAPE_STAYS                                                                                \
    ((uint32_t)1 << 16) /* not freed with its last cell: the kernel would not unmap it */
#define SHAPE_DIRTY ((uint32_t)1 << 17) /* what is mapped does not read as zero */
#define SHAPE_OF(class, last, active)                                                              \
    ((uint32_t)(class) | (uint32_t)(last) << 6 | (uint32_t)(active) << 11)
#define SHAPE_OF_CONTEXT(number) ((uint32_t)(number) << 18)
#define CONTEXTS_MOST ((uint32_t)1 << 14)

/* A mapping whose group is gone. */
struct mapping {
    char *start; /* NULL: there is none */
    size_t bytes;
};

/* So many mappings, and of so many bytes at most, are kept for the next group of their length: so
 * making and freeing the same few groups costs no calls, no page faults and no zeroing. Half a
 * megabyte at most, and most are a page. */
#define MAPPINGS_KEPT 32
#define MAPPING_KEPT_BYTES ((size_t)16 * 1024)

/* One shard: what a lock is held for. Process-wide there is one as long as there is one thread. */
struct context {
    alignas(CACHE_LINE_PAIR) struct slot slot;
    uint32_t number;     /* 0: it has made no group yet */
    uint32_t mappings;   /* made so far, by which the first use of a cell is placed in it */
    uint32_t spares;     /* list of metas that are not in use; index */
    uint32_t fresh_meta; /* the next meta that never was in use; index */
    uint32_t fresh_end;  /* of these */
    uint32_t next_kept;
    struct deferred_free *deferred;   /* frees that found the context taken */
    struct group *active[NG_CLASSES]; /* heads of the rings */
    uint32_t usage[NG_CLASSES];       /* cells in all groups of the class, free ones too */
    struct bounce bounce;
    struct mapping kept[MAPPINGS_KEPT]; /* round and round, from next_kept on; the oldest goes */
};

extern struct slot_set ng_contexts;
extern struct meta_pool ng_metas;
extern char *ng_meta_steps[STEPS_MOST]; /* where they lie */

/* By number; 0 is none. */
extern struct context *ng_context_table[CONTEXTS_MOST];

/* Where groups are, as far as it is known without a look into them: by the address of the base, the
 * meta's index and the class. A guess, which the meta's own base confirms, and mostly right up to
 * half a gigabyte: the head in the group is seldom in a cache, and this is. */
#define HINT_SHIFT 10 /* most groups have almost 1 or 2 KiB */
#define HINTS ((size_t)1 << (DUET_TINY ? 4 : 19))
#define HINT_INDEX_BITS 26
#define HINT_FIRST_INDEX                                                                           \
    (4 * SHEET_PLACES) /* a small heap is in the caches as it is, and need not touch this */
extern uint32_t group_hints[HINTS];

ALWAYS_INLINE uint32_t *group_hint(const void *base)
{
    return &group_hints[((uintptr_t)base >> HINT_SHIFT) % HINTS];
}

ALWAYS_INLINE void group_set_hint(const void *base, uint32_t index, uint32_t class)
{
    if (index >= HINT_FIRST_INDEX && likely(index >> HINT_INDEX_BITS == 0))
        store_relaxed(group_hint(base), index | class << HINT_INDEX_BITS);
}

/* Where the group of an index would be, of those that are or were in use. */
ALWAYS_INLINE struct group *group_address(uint32_t index)
{
    return (struct group *)load_acquire(&ng_meta_steps[index / STEP_GROUPS]) + index % STEP_GROUPS;
}

/* The group of an index; NULL if there is none. A spare meta is a group without a base. */
ALWAYS_INLINE struct group *group_at(uint32_t index)
{
    if (unlikely(index % SHEET_PLACES == 0) || unlikely(index / STEP_GROUPS >= STEPS_MOST) ||
        unlikely(load_acquire(&ng_meta_steps[index / STEP_GROUPS]) == NULL))
        return NULL;
    struct group *group = group_address(index);
    const struct meta *sheet = (const struct meta *)round_down((uintptr_t)group, SHEET_BYTES);
    return likely(meta_is_valid(&ng_metas, sheet)) ? group : NULL;
}

ALWAYS_INLINE uint32_t group_index(const struct group *group)
{
    const struct meta *sheet = (const struct meta *)round_down((uintptr_t)group, SHEET_BYTES);
    return sheet_first_index(sheet) +
           (uint32_t)((uintptr_t)group % SHEET_BYTES >> GROUP_META_SHIFT);
}

/* All indices are below this. */
static inline uint32_t group_indices_end(void)
{
    return meta_last(&ng_metas) << SHEET_PLACES_SHIFT;
}

ALWAYS_INLINE uint32_t group_shape(const struct group *group)
{
    return load_relaxed(&group->shape);
}

ALWAYS_INLINE size_t group_class(const struct group *group)
{
    return SHAPE_CLASS(group_shape(group));
}

ALWAYS_INLINE unsigned group_last(const struct group *group)
{
    return SHAPE_LAST(group_shape(group));
}

ALWAYS_INLINE unsigned group_active(const struct group *group)
{
    return SHAPE_ACTIVE(group_shape(group));
}

ALWAYS_INLINE struct context *group_context(const struct group *group)
{
    return ng_context_table[SHAPE_CONTEXT(group_shape(group))];
}

/* The group with this base; NULL: there is none. Nothing is read that is not ours. Meanwhile the
 * end of the cell with this index is fetched. */
ALWAYS_INLINE struct group *group_of_base(const struct group_head *base, unsigned index)
{
    uint32_t hint = load_relaxed(group_hint(base));
    uint32_t class = hint >> HINT_INDEX_BITS;
    if (likely(class < NG_CLASSES))
        prefetch((const char *)base + ng_class_bytes(class) * (index + 1));
    struct group *group = group_at(hint & (((uint32_t)1 << HINT_INDEX_BITS) - 1));
    if (likely(group != NULL) && likely(load_relaxed(&group->base) == base))
        return group;
    group = table_is_marked(base) ? group_at(base->meta) : NULL;
    return group != NULL && load_relaxed(&group->base) == base ? group : NULL;
}

/* All cells of the group, as a mask; those up to and with `last`. */
ALWAYS_INLINE uint32_t mask_to(unsigned last)
{
    return ((uint32_t)2 << last) - 1;
}

ALWAYS_INLINE bool group_is_single_mapping(const struct group *group)
{
    return group_last(group) == 0 && load_relaxed(&group->pages) != 0;
}

/* Bytes of the mapping. */
ALWAYS_INLINE size_t group_mapped_bytes(const struct group *group)
{
    return (size_t)load_relaxed(&group->pages) << TABLE_MARK_SHIFT;
}

/* From a cell's start to the next one's. A single cell has its whole mapping. */
ALWAYS_INLINE size_t group_stride(const struct group *group)
{
    if (group_is_single_mapping(group))
        return group_mapped_bytes(group) - NG_UNIT;
    return ng_class_bytes(group_class(group));
}

ALWAYS_INLINE char *group_cell(const struct group *group, unsigned index)
{
    return (char *)group->base + NG_UNIT + group_stride(group) * index;
}

/* A mapping that was made for one request, smaller than the class: too small for the next one. */
ALWAYS_INLINE bool group_is_for_one_use(const struct group *group)
{
    size_t class = group_class(group);
    return class == NG_CLASS_LARGE || group_stride(group) < ng_class_bytes(class);
}

/* Whether the group's one cell, which was just taken, reads as zero: nobody can have had it
 * before. */
ALWAYS_INLINE bool group_is_fresh(const struct group *group)
{
    return group_last(group) == 0 && group_is_for_one_use(group) &&
           (group_shape(group) & SHAPE_DIRTY) == 0;
}

/* ---- Rings -------------------------------------------------------------------------------- */

static inline bool group_is_queued(const struct group *group)
{
    return group->next != 0;
}

struct group *group_next(const struct group *group);
void group_queue(struct group **ring, struct group *group); /* as the last */
void group_dequeue(struct group **ring, struct group *group);

/* ---- Groups, with their context held ------------------------------------------------------ */

/* A ready cell of the class, its bit taken: context->active[class] has it. A new group is made if
 * there has to be; `request` is for how many bytes. -1: no memory. */
int group_take_cell(struct context *context, size_t class, size_t request);

/* As group_take_cell, but makes no group. */
int group_take_present_cell(struct context *context, size_t class);

/* The group's cell is free. What is to be unmapped for it, once the context is let go, is left in
 * *remains, if there is anything. */
void group_free_cell(struct group *group, unsigned index, struct mapping *remains);

/* Does what was deferred. */
void group_settle_deferred(struct context *context);

/* Leaves a free to whoever holds the context next. The context is not held. */
void group_defer_free(struct group *group, unsigned index);

/* Unmaps: once the context is let go, if it is about one mapping. */
void group_bury(const struct mapping *remains);

/* A free group or page less, where there is one to spare: releases the groups that are kept, purges
 * pages inside groups, tries again to unmap. Says whether there was anything. */
bool group_trim(struct context *context);

/* A context in whose middle a fork struck, in the child: all is put in order from the metas. */
void group_rebuild(struct context *context);

/* A meta, all zero. NULL: no memory. */
struct group *group_take_meta(struct context *context);

/* Gives one back: to its context, which is held, or from whatever context. */
void group_give_meta(struct context *context, struct group *group);
void group_share_meta(struct group *group);

/* A mapping was made or unmapped. */
void group_note_mapping(struct context *context);

/* Returns the whole pages between two addresses to the OS; they read as zero then. Says whether it
 * did. */
bool group_purge(char *start, char *end);

/* Whether the address lies in a large block. The table knows only where such a block begins. */
bool group_is_inside_large(const char *ptr);

/* Memory for a mapping, zeroed, covered by the address table and not marked. NULL: none. */
char *group_map(size_t bytes);

#endif
