#include "engine/ng/check.h"

#include "base/fatal.h"
#include "base/thread.h"
#include "engine/ng/cell.h"
#include "engine/ng/group.h"

/* Groups that one turn looks at. */
#define GROUPS_OF_A_TURN 8

static bool is_own(const struct context *context, const struct group *group)
{
    return group != NULL && load_acquire(&group->base) != NULL && group_context(group) == context;
}

static void check_ring(const struct context *context, const struct group *group, uint32_t free)
{
    const struct group *head = context->active[group_class(group)];
    require(head != NULL || !group_is_queued(group));
    require(group == head || load_relaxed(&group->avail) == 0);
    /* Another thread may just have put the first bit aside, to free it with the context held. */
    require(free == 0 || group_is_queued(group));
    if (group_is_queued(group)) {
        const struct group *next = group_next(group);
        require(group_class(next) == group_class(group) && group_context(next) == context);
        require(next->previous == group_index(group));
    }
}

/* Cells of users, by their headers. */
static void check_cells(const struct group *group, uint32_t free)
{
    for (unsigned index = 0; index <= group_active(group); index++) {
        const char *start = group_cell(group, index);
        require(*header_far(start) == 0);
        if (free >> index & 1)
            continue;
        uint8_t code = *header_code(start);
        unsigned reserved = code >> HEADER_INDEX_BITS;
        if (reserved == RESERVED_NESTED || code == HEADER_FREED)
            continue; /* a group is in it, or its free is under way */
        if (reserved == RESERVED_UNUSED)
            start += (size_t)*header_offset(start) * NG_UNIT;
        if (*header_code(start) == HEADER_FREED)
            continue; /* its free is under way */
        struct cell cell;
        size_t bytes;
        require(cell_find(start, &cell) && cell.group == group && cell.index == index);
        require(cell_nominal(&cell, &bytes));
    }
}

static void check_nesting(const struct context *context, const struct group *group)
{
    struct cell outer;
    require(cell_find(group->base, &outer) && outer.start == (char *)group->base);
    require(*header_code(outer.ptr) >> HEADER_INDEX_BITS == RESERVED_NESTED);
    require(group_context(outer.group) == context && group_class(outer.group) > group_class(group));
    require(outer.end - outer.start + NG_HEADER_BYTES >=
            (ptrdiff_t)(NG_UNIT + (group_last(group) + 1) * ng_class_bytes(group_class(group))));
}

void ng_check_group(const struct context *context, const struct group *group)
{
    uint32_t avail = load_relaxed(&group->avail);
    uint32_t freed = load_relaxed(&group->freed);
    require((avail & freed) == 0);
    require(((avail | freed) & ~mask_to(group_last(group))) == 0);
    require((avail & ~mask_to(group_active(group))) == 0 &&
            group_active(group) <= group_last(group));
    require((freed | mask_to(group_active(group))) == mask_to(group_last(group)));
    require(group_class(group) < NG_CLASSES);
    require(group->base->meta == group_index(group));
    if (thread_is_alone())
        check_ring(context, group, avail | freed);
    if (group->pages == 0)
        check_nesting(context, group);
    else
        require(table_is_marked(group->base) &&
                table_is_marked((const char *)group->base + group_mapped_bytes(group) - 1));
}

void ng_check_context(const struct context *context)
{
    size_t usage[NG_CLASSES] = {0};
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        const struct group *group = group_at(index);
        if (!is_own(context, group))
            continue;
        ng_check_group(context, group);
        if (thread_is_alone())
            check_cells(group, load_relaxed(&group->avail) | load_relaxed(&group->freed));
        usage[group_class(group)] += group_last(group) + 1;
    }
    for (size_t class = 0; class < NG_CLASSES; class++)
        require(usage[class] == context->usage[class]);
}

void ng_check_turn_slow(struct context *context)
{
    static uint32_t turn;
    uint32_t end = group_indices_end();
    for (uint32_t i = 0; i < GROUPS_OF_A_TURN && end > 0; i++) { /* 0: no memory for a meta yet */
        const struct group *group = group_at(add_relaxed(&turn, 1) % end);
        if (is_own(context, group))
            ng_check_group(context, group);
    }
}
