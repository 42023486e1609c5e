/*
 * Metas of groups: taken, given back, and linked in rings. A context's are touched with it held;
 * spare ones go from one context to another by a list that is pushed without a lock, and taken
 * whole.
 */
#include "base/fatal.h"
#include "engine/ng/group.h"

char *ng_meta_steps[STEPS_MOST];
struct meta_pool ng_metas = {.lock = LOCK_INITIAL(LOCK_RANK_ENGINE_METAS),
                             .record_shift = SHEET_SHIFT,
                             .steps = ng_meta_steps,
                             .steps_most = STEPS_MOST};

/* ---- Metas -------------------------------------------------------------------------------- */

/* Spare metas that no context has: a list, pushed one by one and taken all at once. */
static uint32_t shared_spares;

/* By words that others may read at any time, if only to find that this is no group. */
static void erase(struct group *group)
{
    store_relaxed(&group->base, NULL); /* first: from now on nobody takes it for a group */
    fence_signal();
    store_relaxed(&group->shape, 0);
    store_relaxed(&group->pages, 0);
    store_relaxed(&group->avail, 0);
    store_relaxed(&group->freed, 0);
    group->next = group->previous = 0;
}

void group_share_meta(struct group *group)
{
    uint32_t index = group_index(group);
    erase(group);
    do
        group->next = load_relaxed(&shared_spares);
    while (!cas_release(&shared_spares, group->next, index));
}

/* Opens another sheet, if there is none with metas left that were never in use. */
static struct group *fresh_meta(struct context *context)
{
    if (context->fresh_meta == context->fresh_end) {
        struct meta *sheet = meta_take(&ng_metas);
        if (sheet == NULL)
            return NULL;
        context->fresh_meta = sheet_first_index(sheet) + 1; /* behind the head */
        context->fresh_end = sheet_first_index(sheet) + SHEET_PLACES;
    }
    return group_at(context->fresh_meta++);
}

struct group *group_take_meta(struct context *context)
{
    if (context->spares == 0 && load_relaxed(&shared_spares) != 0)
        context->spares = exchange_acquire(&shared_spares, 0u);
    if (context->spares == 0)
        return fresh_meta(context);
    struct group *group = group_at(context->spares);
    require(group != NULL && group->base == NULL);
    context->spares = group->next;
    group->next = 0;
    return group;
}

void group_give_meta(struct context *context, struct group *group)
{
    uint32_t index = group_index(group);
    erase(group);
    group->next = context->spares;
    context->spares = index;
}

/* ---- Rings -------------------------------------------------------------------------------- */

static struct group *linked(uint32_t index)
{
    struct group *group = group_at(index);
    require(group != NULL && group->base != NULL);
    return group;
}

struct group *group_next(const struct group *group)
{
    return linked(group->next);
}

void group_queue(struct group **ring, struct group *group)
{
    require(!group_is_queued(group));
    uint32_t index = group_index(group);
    struct group *head = *ring;
    if (head == NULL) {
        group->next = group->previous = index;
        store_relaxed(ring, group);
        return;
    }
    struct group *last = linked(head->previous);
    group->next = last->next;
    group->previous = head->previous;
    last->next = head->previous = index;
}

void group_dequeue(struct group **ring, struct group *group)
{
    struct group *next = group_next(group);
    struct group *previous = linked(group->previous);
    require(next->previous == group_index(group) && previous->next == next->previous);
    if (next == group) {
        store_relaxed(ring, NULL);
    } else {
        next->previous = group->previous;
        previous->next = group->next;
        if (*ring == group)
            store_relaxed(ring, next);
    }
    group->next = group->previous = 0;
}
