/*
 * Groups: made, used up, freed. Everything here happens with the group's context held.
 */
#include "engine/ng/group.h"

#include <string.h>

#include "base/fatal.h"
#include "base/thread.h"
#include "engine/ng/cell.h"
#include "engine/ng/check.h"
#include "engine/ng/plan.h"
#include "os/os.h"
#include "spans/table.h"

uint32_t group_hints[HINTS];
struct context *ng_context_table[CONTEXTS_MOST];

/* ---- What a group begins with -------------------------------------------------------------- */

/* The bytes before and behind cells that must be zero, where memory may not be: of the cells from
 * `first` to `last` and of the one behind. What is zero is not written: the last may be the end of
 * the outer cell, and the header of its neighbour, which somebody else has. */
static void clear_headers(const struct group *group, struct group_head *base, unsigned first,
                          unsigned last)
{
    char *start = (char *)base + NG_UNIT;
    for (unsigned index = first; index <= last + 1; index++) {
        uint8_t *far = header_far(start + group_stride(group) * index);
        if (*far != 0)
            *far = 0;
    }
}

/* Gives the context its number, with its first group. False: there are too many. */
static bool number_context(struct context *context)
{
    static uint32_t numbers;
    if (likely(context->number != 0))
        return true;
    uint32_t number = add_relaxed(&numbers, 1) + 1;
    if (number >= CONTEXTS_MOST)
        return false;
    store_release(&ng_context_table[number], context);
    store_release(&context->number, number);
    return true;
}

/* All that is still to be done once pages and masks are known. The base comes last: with it the
 * meta is a group's. */
static void found_group(struct context *context, struct group *group, struct group_head *base,
                        uint32_t shape)
{
    uint32_t index = group_index(group);
    store_relaxed(&group->shape, shape | SHAPE_OF_CONTEXT(context->number));
    context->usage[SHAPE_CLASS(shape)] += SHAPE_LAST(shape) + 1;
    base->meta = index;
    if (group->pages != 0)
        table_mark(base, group_mapped_bytes(group));
    if (shape & SHAPE_DIRTY)
        clear_headers(group, base, 0, SHAPE_ACTIVE(shape));
    store_release(&group->base, base);
    group_set_hint(base, index, SHAPE_CLASS(shape));
}

/* ---- Mappings ----------------------------------------------------------------------------- */

/* On machines with large pages, one. */
static size_t kept_most_bytes(void)
{
    return max_size(MAPPING_KEPT_BYTES, os_page_bytes());
}

char *group_map(size_t bytes)
{
    char *start = os_map(bytes, os_page_bytes());
    if (start != NULL && !table_cover(start, bytes)) {
        os_discard(start, bytes);
        start = NULL;
    }
    return start;
}

void group_note_mapping(struct context *context)
{
    bounce_step(&context->bounce);
    context->mappings++;
}

static struct mapping *kept_at(struct context *context, uint32_t number)
{
    return &context->kept[number % MAPPINGS_KEPT];
}

/* The newest that has the length. */
static char *take_kept(struct context *context, size_t bytes)
{
    if (bytes > kept_most_bytes())
        return NULL;
    for (uint32_t age = 1; age <= MAPPINGS_KEPT; age++) {
        struct mapping *kept = kept_at(context, context->next_kept - age);
        if (kept->bytes != bytes)
            continue;
        char *start = kept->start;
        *kept = (struct mapping){NULL, 0};
        if (age == 1)
            context->next_kept--;
        return start;
    }
    return NULL;
}

/* Keeps the mapping, in place of the oldest one. Returns what is to be unmapped. */
static struct mapping keep(struct context *context, struct mapping mapping)
{
    if (mapping.bytes > kept_most_bytes())
        return mapping;
    struct mapping *place = kept_at(context, context->next_kept++);
    struct mapping oldest = *place;
    *place = mapping;
    return oldest;
}

/* What the kernel would not unmap, having too many mappings to split one: the memory goes back, and
 * the addresses become a group of one cell that stays. (After mallocng's `donate`.) */
static void donate(struct context *context, const struct mapping *mapping, bool zeroed)
{
    if (mapping->bytes > UINT32_MAX / 2)
        return; /* more than a cell can have: lost, but it is nothing more than addresses */
    size_t class = NG_CLASSES - 1;
    while (ng_group_bytes(class, 1) > mapping->bytes)
        class--;
    struct group *group = number_context(context) ? group_take_meta(context) : NULL;
    if (group == NULL)
        return; /* lost, too */
    group->freed = 1;
    store_relaxed(&group->pages, (uint32_t)(mapping->bytes >> TABLE_MARK_SHIFT));
    found_group(context, group, (struct group_head *)mapping->start,
                SHAPE_OF(class, 0, 0) | SHAPE_STAYS | (zeroed ? 0 : SHAPE_DIRTY));
    group_queue(&context->active[class], group);
}

void group_bury(const struct mapping *remains)
{
    if (likely(remains->start == NULL) || os_unmap(remains->start, remains->bytes))
        return;
    bool zeroed = os_purge(remains->start, remains->bytes);
    struct context *context = (struct context *)slot_take(&ng_contexts);
    if (context != NULL) {
        donate(context, remains, zeroed);
        slot_release(&context->slot);
    }
}

/* ---- A new group -------------------------------------------------------------------------- */

static struct ng_plan plan_for(const struct context *context, size_t class, size_t request)
{
    const struct ng_demand demand = {
        .class = class,
        .request = request,
        .usage = context->usage[class],
        .coarse_usage = class + 1 < NG_CLASSES ? context->usage[class + 1] : 0,
        .bouncing = bounce_is_on(&context->bounce, class),
        .page_bytes = os_page_bytes(),
    };
    return ng_plan_group(&demand);
}

static struct group_head *map_group(struct context *context, size_t class, size_t bytes,
                                    bool *dirty)
{
    bounce_account(&context->bounce, class);
    bounce_step(&context->bounce);
    char *start = take_kept(context, bytes);
    *dirty = start != NULL;
    if (start == NULL)
        start = group_map(bytes);
    if (start != NULL)
        context->mappings++;
    return (struct group_head *)start;
}

/* In a cell of the class that holds it; all of it, so that the cell's pointer is its start. */
static struct group_head *nest_group(struct context *context, size_t bytes)
{
    size_t outer_class = ng_class_for(bytes - NG_HEADER_BYTES);
    int index = group_take_cell(context, outer_class, bytes - NG_HEADER_BYTES);
    if (index < 0)
        return NULL;
    const struct group *outer = context->active[outer_class];
    size_t room = ng_class_bytes(outer_class) - NG_HEADER_BYTES;
    char *start = cell_frame(outer, (unsigned)index, room, context->mappings);
    *header_code(start) = (uint8_t)(index | RESERVED_NESTED << HEADER_INDEX_BITS);
    return (struct group_head *)start;
}

static struct group *make_group(struct context *context, size_t class, size_t request)
{
    struct group *group = number_context(context) ? group_take_meta(context) : NULL;
    if (group == NULL)
        return NULL;
    struct ng_plan plan = plan_for(context, class, request);
    bool dirty = true;
    struct group_head *base = plan.mapped_bytes != 0
                                  ? map_group(context, class, plan.mapped_bytes, &dirty)
                                  : nest_group(context, ng_group_bytes(class, plan.count));
    if (base == NULL) {
        group_give_meta(context, group);
        return NULL;
    }
    uint32_t avail = mask_to(plan.active - 1);
    store_relaxed(&group->pages, (uint32_t)(plan.mapped_bytes >> TABLE_MARK_SHIFT));
    store_relaxed(&group->avail, avail);
    store_relaxed(&group->freed, mask_to(plan.count - 1) - avail);
    found_group(context, group, base,
                SHAPE_OF(class, plan.count - 1, plan.active - 1) | (dirty ? SHAPE_DIRTY : 0));
    return group;
}

/* ---- The mask that others add to ---------------------------------------------------------- */

static void add_freed(struct group *group, uint32_t bits)
{
    if (thread_is_alone())
        store_relaxed(&group->freed, group->freed | bits);
    else
        or_release(&group->freed, bits);
}

/* Returns those of `bits` that there were. */
static uint32_t take_freed(struct group *group, uint32_t bits)
{
    if (!thread_is_alone())
        return and_acquire(&group->freed, ~bits) & bits;
    uint32_t freed = group->freed;
    store_relaxed(&group->freed, freed & ~bits);
    return freed & bits;
}

/* ---- Taking a cell ------------------------------------------------------------------------ */

/* Makes the freed cells ready, of those that are active. */
static uint32_t activate_group(struct group *group)
{
    check(group->avail == 0);
    uint32_t ready = take_freed(group, mask_to(group_active(group)));
    store_relaxed(&group->avail, ready);
    return ready;
}

/* Moves on to the next group with free cells, if the head has run out. NULL: there is none. */
static struct group *next_group(struct group **ring)
{
    struct group *group = *ring;
    if (load_relaxed(&group->freed) == 0) {
        group_dequeue(ring, group);
        group = *ring;
    } else {
        group = group_next(group);
        store_relaxed(ring, group);
    }
    if (group == NULL)
        return NULL;
    /* A free group is left to be returned, unless it is the only one. */
    if (load_relaxed(&group->freed) == mask_to(group_last(group)) &&
        (group_shape(group) & SHAPE_STAYS) == 0) {
        group = group_next(group);
        store_relaxed(ring, group);
    }
    return group;
}

/* If none of the active cells is free: another group has some, or else more become active. So pages
 * that were never touched stay so as long as there is anything else. */
static struct group *activate_cells(struct group **ring)
{
    struct group *group = *ring;
    uint32_t shape = group_shape(group);
    if ((load_relaxed(&group->freed) & mask_to(SHAPE_ACTIVE(shape))) != 0)
        return group;
    if (group_next(group) != group) {
        group = group_next(group);
        store_relaxed(ring, group);
        return group;
    }
    unsigned active = SHAPE_ACTIVE(shape) + 1;
    unsigned more = ng_plan_activation(SHAPE_CLASS(shape), active, SHAPE_LAST(shape) + 1);
    if (shape & SHAPE_DIRTY)
        clear_headers(group, group->base, active, more - 1);
    store_relaxed(&group->shape, shape + SHAPE_OF(0, 0, more - active));
    return group;
}

/* In a large heap the groups of a ring, and their cells, are in no cache when their turn comes. Of
 * the next group the meta has been fetched, as the one after the next's is now; so its first free
 * cell can be found and fetched, too. */
static void fetch_ahead(const struct group *group)
{
    if (group->next == group->previous)
        return;
    const struct group *next = group_next(group);
    uint32_t freed = load_relaxed(&next->freed);
    if (freed != 0)
        prefetch_for_write(group_cell(next, (unsigned)__builtin_ctz(freed)) - NG_HEADER_BYTES);
    prefetch_for_write(group_address(next->next));
}

int group_take_present_cell(struct context *context, size_t class)
{
    struct group **ring = &context->active[class];
    struct group *group = *ring;
    if (group == NULL)
        return -1;
    uint32_t ready = load_relaxed(&group->avail);
    if (ready == 0) {
        if (next_group(ring) == NULL)
            return -1;
        group = activate_cells(ring);
        ready = activate_group(group);
        require(ready != 0);
        fetch_ahead(group);
        bounce_decay(&context->bounce, class);
    }
    store_relaxed(&group->avail, ready & (ready - 1));
    return __builtin_ctz(ready);
}

int group_take_cell(struct context *context, size_t class, size_t request)
{
    int index = group_take_present_cell(context, class);
    if (index >= 0)
        return index;
    struct group *group = make_group(context, class, request);
    if (group == NULL)
        return -1;
    store_relaxed(&group->avail, group->avail & (group->avail - 1));
    group_queue(&context->active[class], group);
    return 0;
}

/* ---- Freeing ------------------------------------------------------------------------------ */

/* A class that is used so much that its next group will be larger. */
static bool is_outgrown(unsigned count, size_t usage)
{
    return 9 * count <= usage && count < 20;
}

/* Whether a group goes with its last cell, or stays for the next allocation. */
static bool okay_to_free(const struct context *context, const struct group *group)
{
    uint32_t shape = group_shape(group);
    size_t class = SHAPE_CLASS(shape);
    if (shape & SHAPE_STAYS)
        return false;
    if (group_is_for_one_use(group))
        return true;
    /* Nested: it costs little to make again, and its cell may keep a much larger group. */
    if (group->pages == 0)
        return true;
    /* There is another group with free cells. */
    if (!group_is_queued(group) || group_next(group) != group)
        return true;
    return !bounce_is_on(&context->bounce, class) ||
           is_outgrown(SHAPE_LAST(shape) + 1, context->usage[class]);
}

/* The cell that a group was nested in. */
static void free_outer_cell(char *start, struct mapping *remains)
{
    struct cell outer;
    if (!cell_find(start, &outer) ||
        *header_code(start) != (outer.index | RESERVED_NESTED << HEADER_INDEX_BITS))
        cell_accuse(start, "free");
    cell_invalidate(start);
    group_free_cell(outer.group, outer.index, remains);
}

/* The meta goes first, so that whoever forks in the middle leaves no group without marks. */
static void free_group(struct context *context, struct group *group, struct mapping *remains)
{
    struct group_head *base = group->base;
    size_t mapped = group_mapped_bytes(group);
    size_t class = group_class(group);
    context->usage[class] -= group_last(group) + 1;
    group_give_meta(context, group);
    if (mapped != 0) {
        bounce_step(&context->bounce);
        bounce_record(&context->bounce, class);
        table_unmark(base, mapped);
        *remains = keep(context, (struct mapping){(char *)base, mapped});
    } else {
        base->meta = 0;
        free_outer_cell((char *)base, remains);
    }
}

static void dequeue_free_group(struct context *context, struct group *group)
{
    struct group **ring = &context->active[group_class(group)];
    bool was_head = *ring == group;
    group_dequeue(ring, group);
    if (was_head && *ring != NULL)
        activate_group(*ring);
}

void group_free_cell(struct group *group, unsigned index, struct mapping *remains)
{
    struct context *context = group_context(group);
    struct group **ring = &context->active[group_class(group)];
    uint32_t self = (uint32_t)1 << index;
    uint32_t free = load_acquire(&group->freed) | load_relaxed(&group->avail);
    if (unlikely((free & self) != 0))
        fatal_pointer("free", group_cell(group, index), "was freed twice");
    if ((free | self) == mask_to(group_last(group)) && okay_to_free(context, group)) {
        /* A single cell's group may have left the ring. */
        if (group_is_queued(group))
            dequeue_free_group(context, group);
        free_group(context, group, remains);
        return;
    }
    /* The last cell that was taken may have been the last of its group: then it is still the
     * head. */
    if (free == 0 && *ring != group)
        group_queue(ring, group);
    add_freed(group, self);
}

/* ---- Frees that found the context taken --------------------------------------------------- */

/* In the free cell itself, which has room for it: nobody else's bytes are at its start. */
struct deferred_free {
    struct deferred_free *next;
    uint32_t group; /* index */
};
static_assert(sizeof(struct deferred_free *) + sizeof(uint32_t) <= NG_UNIT - NG_HEADER_BYTES,
              "the least cell has room");

void group_defer_free(struct group *group, unsigned index)
{
    struct context *context = group_context(group);
    struct deferred_free *cell = (struct deferred_free *)group_cell(group, index);
    cell->group = group_index(group);
    do
        cell->next = load_relaxed(&context->deferred);
    while (!cas_release(&context->deferred, cell->next, cell));
}

/* What lay in a free cell is believed no more than a pointer from outside. */
static struct group *group_of_deferred(const struct context *context,
                                       const struct deferred_free *cell, unsigned *index)
{
    bool readable = is_aligned((uintptr_t)cell, NG_UNIT) && table_is_marked(cell);
    struct group *group = readable ? group_at(cell->group) : NULL;
    if (group == NULL || load_acquire(&group->base) == NULL || group_context(group) != context)
        cell_accuse_free((const char *)cell);
    size_t distance = (size_t)((const char *)cell - group_cell(group, 0));
    *index = (unsigned)(distance / group_stride(group));
    if (distance % group_stride(group) != 0 || distance / group_stride(group) > group_last(group))
        cell_accuse_free((const char *)cell);
    return group;
}

void group_settle_deferred(struct context *context)
{
    if (likely(load_relaxed(&context->deferred) == NULL))
        return;
    struct deferred_free *cell = exchange_acquire(&context->deferred, (struct deferred_free *)NULL);
    while (cell != NULL) {
        unsigned index;
        struct group *group = group_of_deferred(context, cell, &index);
        struct mapping remains = {NULL, 0};
        cell = cell->next;
        group_free_cell(group, index, &remains);
        group_bury(&remains);
    }
}

/* ---- Returning more ----------------------------------------------------------------------- */

static bool unmap_kept(struct context *context)
{
    bool any = false;
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        struct mapping kept = context->kept[i];
        any = any || kept.start != NULL;
        context->kept[i] = (struct mapping){NULL, 0};
        group_bury(&kept);
    }
    return any;
}

static bool is_free(const struct group *group)
{
    return (load_acquire(&group->freed) | load_relaxed(&group->avail)) ==
           mask_to(group_last(group));
}

/* A free group of the ring, of those that stay or of the others; NULL: there is none. */
static struct group *find_free_group(struct group *head, uint32_t stays)
{
    struct group *group = head;
    if (head == NULL)
        return NULL;
    do {
        if (is_free(group) && (group_shape(group) & SHAPE_STAYS) == stays)
            return group;
        group = group_next(group);
    } while (group != head);
    return NULL;
}

/* Those that were kept since their class bounces. */
static bool free_kept_groups(struct context *context)
{
    bool any = false;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        struct group *group;
        while ((group = find_free_group(context->active[class], 0)) != NULL) {
            struct mapping remains = {NULL, 0};
            dequeue_free_group(context, group);
            free_group(context, group, &remains);
            group_bury(&remains);
            any = true;
        }
    }
    return any;
}

/* What the kernel would not unmap, and perhaps would now. The group goes before its mapping: once
 * that is gone, its addresses may be another context's. */
static bool retry_unmapping(struct context *context)
{
    bool any = false;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        struct group *group;
        while ((group = find_free_group(context->active[class], SHAPE_STAYS)) != NULL) {
            struct mapping mapping = {(char *)group->base, group_mapped_bytes(group)};
            dequeue_free_group(context, group);
            context->usage[class]--;
            group_give_meta(context, group);
            table_unmark(mapping.start, mapping.bytes);
            if (!os_unmap(mapping.start, mapping.bytes)) {
                donate(context, &mapping, false);
                return any;
            }
            any = true;
        }
    }
    return any;
}

bool group_purge(char *start, char *end)
{
    size_t page = os_page_bytes();
    char *first = (char *)round_up((uintptr_t)start, page);
    char *last = (char *)round_down((uintptr_t)end, page);
    return first < last && os_purge(first, (size_t)(last - first));
}

/* The whole pages of each run of free cells. With the context held, no free cell gets a user. */
static bool purge_free_cells(const struct group *group)
{
    uint32_t free = load_acquire(&group->freed) | load_relaxed(&group->avail);
    bool any = false;
    while (free != 0) {
        unsigned first = (unsigned)__builtin_ctz(free);
        uint32_t behind = ~(free >> first) >> 1 << 1; /* run: ones from bit 0 */
        unsigned cells = behind == 0 ? NG_MOST_CELLS - first : (unsigned)__builtin_ctz(behind);
        char *start = group_cell(group, first);
        char *end = start + cells * group_stride(group) - NG_HEADER_BYTES;
        any = group_purge(start, end) || any;
        free &= ~(mask_to(first + cells - 1) & ~(mask_to(first) >> 1));
    }
    return any;
}

/* The context's group of this index, or NULL. */
static struct group *own_group(const struct context *context, uint32_t index)
{
    struct group *group = group_at(index);
    bool own =
        group != NULL && load_acquire(&group->base) != NULL && group_context(group) == context;
    return own ? group : NULL;
}

static bool purge_groups(const struct context *context)
{
    bool any = false;
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        const struct group *group = own_group(context, index);
        if (group != NULL && group->pages != 0)
            any = purge_free_cells(group) || any;
    }
    return any;
}

bool group_trim(struct context *context)
{
    group_settle_deferred(context);
    bool groups = free_kept_groups(context);
    bool kept = unmap_kept(context);
    bool pages = purge_groups(context);
    bool stayed = retry_unmapping(context);
    return groups || kept || pages || stayed;
}

/* ---- After a fork ------------------------------------------------------------------------- */

/* Whoever was in the middle of an operation is not in the child. What the metas say is true one by
 * one, since a group's base is written last and erased first; what leads to them is made anew. A
 * cell that was taken and not yet handed out is lost, and so are metas and mappings between two
 * states. */
void group_rebuild(struct context *context)
{
    memset(context->active, 0, sizeof context->active);
    memset(context->usage, 0, sizeof context->usage);
    memset(context->kept, 0, sizeof context->kept);
    context->spares = context->fresh_meta = context->fresh_end = 0;
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        struct group *group = own_group(context, index);
        if (group == NULL)
            continue;
        group->next = group->previous = 0;
        /* One that was made for a request which nobody waits for any more is too small for
         * others. */
        group->freed = group_is_for_one_use(group) ? 0 : group->freed | group->avail;
        group->avail = 0;
        context->usage[group_class(group)] += group_last(group) + 1;
    }
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        struct group *group = own_group(context, index);
        if (group != NULL && group->freed != 0)
            group_queue(&context->active[group_class(group)], group);
    }
}

/* ---- For messages and figures -------------------------------------------------------------- */

bool group_is_inside_large(const char *ptr)
{
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        const struct group *group = group_at(index);
        if (group == NULL || group_class(group) != NG_CLASS_LARGE)
            continue;
        const char *base = (const char *)load_relaxed(&group->base);
        if (base != NULL && ptr >= base && ptr < base + group_mapped_bytes(group))
            return true;
    }
    return false;
}
