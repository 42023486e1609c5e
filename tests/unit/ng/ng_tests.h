/*
 * What the tests of ng share: contexts in which nothing happens but what the test does, and a
 * look at all groups of a context.
 */
#ifndef TESTS_UNIT_NG_TESTS_H
#define TESTS_UNIT_NG_TESTS_H

#include "random.h"
#include "unit.h"

#include <stdio.h>

#include "duet.h"
#include "engine.h"
#include "engine/ng/plan.h"

/* ---- Contexts of a test's own -------------------------------------------------------------- */

/* cmocka and the C library allocate in the contexts of the process. In one that only the test
 * knows, every group is the test's. The thread works in it until it goes back. */
static inline struct slot *work_in(struct context *context)
{
    struct slot *before = slot_thread.current;
    slot_thread.current = &context->slot;
    return before;
}

static inline void go_back_to(struct slot *before)
{
    slot_thread.current = before;
}

static inline bool is_group_of(const struct context *context, const struct group *group)
{
    return group != NULL && group->base != NULL && group_context(group) == context;
}

static inline size_t count_groups(const struct context *context)
{
    size_t count = 0;
    for (uint32_t index = 1; index < group_indices_end(); index++)
        count += is_group_of(context, group_at(index));
    return count;
}

static inline void free_cell(struct group *group, unsigned index)
{
    struct mapping remains = {NULL, 0};
    group_free_cell(group, index, &remains);
    group_bury(&remains);
}

static inline uint32_t free_mask(const struct group *group)
{
    return load_relaxed(&group->avail) | load_relaxed(&group->freed);
}

/* Makes another group of it: of so many cells, so many of them active. Flags: SHAPE_STAYS or 0. */
static inline void reshape(struct group *group, unsigned count, unsigned active, uint32_t flags)
{
    uint32_t shape = group_shape(group);
    shape &= ~(SHAPE_OF(0, 31, 31) | SHAPE_STAYS);
    store_relaxed(&group->shape, shape | SHAPE_OF(0, count - 1, active - 1) | flags);
}

static inline unsigned count_of_cells(const struct group *group)
{
    return group_last(group) + 1;
}

static inline unsigned count_of_active(const struct group *group)
{
    return group_active(group) + 1;
}

/* ---- All of the process's contexts ---------------------------------------------------------- */

static inline void check_visited(struct slot *slot, void *unused)
{
    (void)unused;
    ng_check_context((const struct context *)slot);
}

static inline void check_all_contexts(void)
{
    slots_visit(&ng_contexts, check_visited, NULL);
}

/* ---- What is known of a pointer ------------------------------------------------------------- */

static inline struct cell cell_of(const void *ptr)
{
    struct cell cell;
    assert_true(cell_find(ptr, &cell));
    return cell;
}

static inline struct group *group_of(const void *ptr)
{
    return cell_of(ptr).group;
}

#endif
