/*
 * The slow half of the engine ng: what is left when the head of a ring has no cell, or a free needs
 * the context.
 */
#include "engine/ng/engine.h"

#include "base/fatal.h"
#include "engine/ng/plan.h"
#include "os/os.h"

static struct context static_contexts[SLOTS_STATIC];
struct slot_set ng_contexts = SLOT_SET_INITIAL(static_contexts);
bool ng_purge;

static_assert(sizeof(struct context) % CACHE_LINE_PAIR == 0, "contexts share no cache line");
static_assert(offsetof(struct context, slot) == 0, "a slot is its context");

void engine_configure(const struct engine_options *options)
{
    cas_relaxed(&ng_contexts.wanted, 0u, options->slots != 0 ? options->slots : slots_default());
    ng_purge = options->purge;
}

/* ---- Allocating --------------------------------------------------------------------------- */

static bool has_nothing_free(const struct context *context, size_t class)
{
    const struct group *head = load_relaxed(&context->active[class]);
    return head == NULL || (load_relaxed(&head->avail) | load_relaxed(&head->freed)) == 0;
}

size_t ng_coarse_class(const struct context *context, size_t class)
{
    if (class % 2 != 0 || context->usage[class] != 0)
        return class;
    size_t next = class + 1;
    bool coarse = ng_plan_is_coarse(class, context->usage[next], has_nothing_free(context, next));
    return coarse ? next : class;
}

/* A cell whose bit is taken. */
struct taken {
    struct group *group; /* NULL: there is none */
    unsigned index;
    uint32_t counter;
};

static struct taken taken_from(const struct context *context, size_t class, int index)
{
    return (struct taken){index < 0 ? NULL : context->active[class],
                          index < 0 ? 0 : (unsigned)index, context->mappings};
}

/* Asked from outside, so a guess: a head may have run out, which is found out with it in hand. */
static bool may_have_free_cells(const struct slot *slot, size_t class)
{
    return load_relaxed(&((const struct context *)slot)->active[class]) != NULL;
}

/* So many other contexts are looked at before a group is made. */
#define CONTEXTS_SEARCHED 64

/* A free cell of another context, which it goes back to in time. Threads move from context to
 * context, and so do cells from hand to hand: without this each context would come to hold what it
 * ever needed at most, and all together far more than was ever needed at once. */
static struct taken take_elsewhere(struct context *home, size_t class, uint32_t most,
                                   unsigned rounds)
{
    struct taken taken = {NULL, 0, 0};
    if (!slots_are_shared(&ng_contexts))
        return taken;
    struct slot *slot =
        slot_take_other(&ng_contexts, &home->slot, most, may_have_free_cells, class, rounds);
    if (slot == NULL)
        return taken;
    struct context *other = (struct context *)slot;
    taken = taken_from(other, class, group_take_present_cell(other, class));
    slot_return_other(slot);
    return taken;
}

static struct taken take_cell(struct context *context, size_t bytes, size_t *class)
{
    group_settle_deferred(context);
    *class = ng_serving_class(context, bytes);
    struct taken taken = taken_from(context, *class, group_take_present_cell(context, *class));
    if (taken.group == NULL)
        taken = take_elsewhere(context, *class, CONTEXTS_SEARCHED, SLOTS_SHORT_WAIT);
    if (taken.group == NULL)
        taken = taken_from(context, *class, group_take_cell(context, *class, bytes));
    if (taken.group == NULL)
        taken = take_elsewhere(context, *class, slots_in_all(&ng_contexts), SLOTS_LONG_WAIT);
    ng_check_turn(context);
    return taken;
}

/* With the context held, which is let go. */
static char *alloc_holding(struct context *context, size_t bytes, size_t *class, bool *zeroed)
{
    struct taken taken = take_cell(context, bytes, class);
    slot_release(&context->slot);
    if (taken.group == NULL)
        return NULL;
    *zeroed = group_is_fresh(taken.group);
    return cell_frame(taken.group, taken.index, bytes, taken.counter);
}

void *ng_alloc_reading(struct context *context, size_t length, size_t *class, bool *zeroed)
{
    if (context_is_read_by_many()) {
        context_end_reading(context);
        return NULL;
    }
    return alloc_holding(context, length, class, zeroed);
}

void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed)
{
    struct context *context = (struct context *)slot_take(&ng_contexts);
    if (context == NULL)
        return NULL;
    char *ptr = alloc_holding(context, ng_bytes_for(length, align), class, zeroed);
    return ptr != NULL && align > NG_UNIT ? cell_align(ptr, align, length) : ptr;
}

/* ---- Freeing ------------------------------------------------------------------------------ */

void ng_free_holding(struct group *group, unsigned index)
{
    struct context *context = group_context(group);
    struct mapping remains = {NULL, 0};
    group_settle_deferred(context);
    group_free_cell(group, index, &remains);
    ng_check_turn(context);
    slot_return_other(&context->slot);
    group_bury(&remains);
}

/* Tries again whether it is trivial, then the lock, and else leaves it to whoever has that: waiting
 * would cost more. */
void ng_free_slowly(struct group *group, unsigned index)
{
    uint32_t self = (uint32_t)1 << index;
    if (!thread_is_alone()) {
        uint32_t freed = load_relaxed(&group->freed);
        for (; ng_is_trivial(group, freed, self); freed = load_relaxed(&group->freed)) {
            if (unlikely((freed & self) != 0)) /* by another thread, just now */
                fatal_pointer("free", group_cell(group, index), "was freed twice");
            if (cas_release(&group->freed, freed, freed | self))
                return;
        }
    }
    if (slot_borrow(&group_context(group)->slot))
        ng_free_holding(group, index);
    else
        group_defer_free(group, index);
}

bool ng_purges_slow(const struct cell *cell)
{
    return group_last(cell->group) != 0 && (size_t)(cell->end - cell->start) >= os_page_bytes();
}

bool engine_free_sized(void *ptr, size_t length, size_t align, size_t *class)
{
    struct cell cell;
    size_t bytes;
    if (unlikely(!ng_find(ptr, &cell, &bytes)) || unlikely(bytes != length) ||
        unlikely(!is_aligned((uintptr_t)ptr, align)))
        return false;
    ng_free(&cell, class);
    return true;
}

size_t engine_free_slow(void *ptr, const char *call)
{
    slots_bind(&ng_contexts);
    struct cell cell;
    cell_require(ptr, call, &cell);
    size_t class = group_class(cell.group);
    if (class == NG_CLASS_LARGE)
        return ENGINE_CLASSES;
    if (ng_purges(&cell))
        group_purge(cell.start, cell.end);
    ng_free(&cell, &class);
    return class;
}

/* ---- What is known of a cell --------------------------------------------------------------- */

size_t engine_class_of(const void *ptr, const char *call)
{
    struct cell cell;
    cell_require(ptr, call, &cell);
    size_t class = group_class(cell.group);
    return class == NG_CLASS_LARGE ? ENGINE_CLASSES : class;
}

size_t engine_usable(const void *ptr, size_t class, const char *call)
{
    (void)class;
    struct cell cell;
    return cell_require(ptr, call, &cell);
}

bool engine_was_allocated(const void *ptr, size_t class, size_t length, size_t align,
                          const char *call)
{
    (void)class, (void)align;
    struct cell cell;
    return cell_require(ptr, call, &cell) == length;
}

bool engine_resize(void *ptr, size_t class, size_t length, size_t align, const char *call)
{
    struct cell cell;
    cell_require(ptr, call, &cell);
    size_t bytes = ng_bytes_for(length, align);
    bool fits = length <= (size_t)(cell.end - cell.ptr) && bytes < NG_LARGE_BYTES;
    if (!fits || ng_class_for(bytes) + 1 < class)
        return false;
    cell_set_nominal(cell.ptr, cell.end, cell.index, length);
    return true;
}

/* ---- The whole ---------------------------------------------------------------------------- */

static void trim_context(struct slot *slot, void *any)
{
    if (group_trim((struct context *)slot))
        *(bool *)any = true;
}

bool engine_trim(void)
{
    bool any = false;
    slots_visit(&ng_contexts, trim_context, &any);
    return any;
}

void engine_fork_prepare(void)
{
    slots_fork_prepare(&ng_contexts);
    lock_take(&ng_metas.lock);
}

void engine_fork_end(void)
{
    lock_release(&ng_metas.lock);
    slots_fork_end(&ng_contexts);
}

static void abandon_context(struct slot *slot)
{
    group_rebuild((struct context *)slot);
}

void engine_fork_end_child(void)
{
    slots_fork_end_child(&ng_contexts, abandon_context);
    lock_release(&ng_metas.lock);
}

/* A cell that holds a group is counted by the cells in that. */
void engine_count(struct engine_count *count)
{
    *count = (struct engine_count){.slots = slots_in_use(&ng_contexts)};
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        const struct group *group = group_at(index);
        if (group == NULL || load_acquire(&group->base) == NULL || group_context(group) == NULL)
            continue;
        size_t bytes = group_stride(group);
        size_t free =
            (size_t)__builtin_popcount(load_relaxed(&group->avail) | load_relaxed(&group->freed));
        size_t cells = group_last(group) + 1 - free;
        count->cells += cells;
        count->cell_bytes += cells * bytes;
        count->free_bytes += free * bytes;
        if (load_relaxed(&group->pages) == 0) {
            size_t outer =
                ng_class_for((group_last(group) + 1) * bytes + NG_UNIT - NG_HEADER_BYTES);
            count->cells--;
            count->cell_bytes -= ng_class_bytes(outer);
        }
    }
}
