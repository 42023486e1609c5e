/*
 * The slow half of the engine smp: what is left when a slot's list is empty and its slab used
 * up, or its slot taken.
 */
#include <string.h>

#include "base/atomics.h"
#include "engine/smp/engine.h"
#include "spans/spans.h"

static struct smp_slot static_slots[SLOTS_STATIC];
struct slot_set smp_slots = SLOT_SET_INITIAL(static_slots);

/* Slabs cut so far, by class. */
static size_t slabs[ENGINE_CLASSES];

/* Frees that found no slot: in a signal handler, with every slot taken and no memory for
 * another. Linked as the lists are; pushed one by one, taken all at once, so no word is ever
 * compared with one that has gone and come back. */
static void **deferred[ENGINE_CLASSES];

static_assert(sizeof(struct smp_slot) % CACHE_LINE_PAIR == 0, "slots share no cache line");

void engine_configure(const struct engine_options *options)
{
    cas_relaxed(&smp_slots.wanted, 0u, options->slots != 0 ? options->slots : slots_default());
}

static bool has_free_cells(const struct slot *slot, size_t class)
{
    return load_relaxed(&((const struct smp_slot *)slot)->classes[class].free) != NULL;
}

/* Takes over the whole list of another slot, out of the `most` that come next. */
static bool take_over_list(struct smp_slot *home, size_t class, uint32_t most)
{
    if (!slots_are_shared(&smp_slots))
        return false;
    /* What the search saves is kept for ever, so it takes its time. */
    struct slot *found =
        slot_take_other(&smp_slots, &home->head, most, has_free_cells, class, SLOTS_LONG_WAIT);
    if (found == NULL)
        return false;
    struct smp_slot *other = (struct smp_slot *)found;
    void **list = other->classes[class].free; /* somebody may have been there before us */
    store_relaxed(&home->classes[class].free, list);
    store_relaxed(&other->classes[class].free, NULL);
    slot_return_other(found);
    return list != NULL;
}

static bool take_over_deferred(struct smp_slot *home, size_t class)
{
    if (likely(load_relaxed(&deferred[class]) == NULL))
        return false;
    void **list = exchange_acquire(&deferred[class], (void **)NULL);
    store_relaxed(&home->classes[class].free, list);
    return list != NULL;
}

/* As in SmpAllocator, a slab is cut with the slot held: the cells behind the first are for it.
 * Returns the first, since its address as `next` would mean that there is none. */
static void *cut_slab(struct smp_class *cells, size_t class)
{
    struct span span;
    uint32_t book;
    if (!smp_check_open_book(&book))
        return NULL;
    if (!span_take(&span, 1, (uint8_t)(TABLE_ENGINE_FIRST + class), book)) {
        smp_check_close_book(book);
        return NULL;
    }
    if (!span.zeroed)
        memset(span.start, 0, SMP_SLAB_BYTES); /* never so far: smp gives no span back */
    add_relaxed(&slabs[class], 1);
    cells->next = span.start + engine_class_bytes(class);
    smp_check_alloc(span.start, engine_class_bytes(class));
    return span.start;
}

void *engine_alloc_slow(size_t length, size_t align, size_t *out_class, bool *zeroed)
{
    size_t class = *out_class = smp_class_for(length, align);
    struct smp_slot *slot = (struct smp_slot *)slot_take(&smp_slots);
    if (slot == NULL)
        return NULL;
    void *cell = smp_pop(slot, class, zeroed);
    if (cell == NULL &&
        (take_over_deferred(slot, class) || take_over_list(slot, class, SMP_MAX_ALLOC_SEARCH)))
        cell = smp_pop(slot, class, zeroed);
    if (cell == NULL) {
        cell = cut_slab(&slot->classes[class], class);
        *zeroed = true;
    }
    if (cell == NULL && take_over_list(slot, class, slots_in_all(&smp_slots)))
        cell = smp_pop(slot, class, zeroed);
    slot_release(&slot->head);
    return cell;
}

static void defer_free(void **cell, size_t class)
{
    do
        *cell = load_relaxed(&deferred[class]);
    while (!cas_release(&deferred[class], (void **)*cell, cell));
}

size_t engine_class_of(const void *ptr, const char *call)
{
    size_t class = smp_class_at(ptr);
    if (class < ENGINE_CLASSES && !smp_is_cell(ptr, class))
        fatal_pointer(call, ptr, "is not the start of a cell");
    return class;
}

static void free_cell(void *ptr, size_t class)
{
    struct smp_slot *slot = (struct smp_slot *)slot_take(&smp_slots);
    if (slot == NULL) {
        smp_check_free(ptr, engine_class_bytes(class));
        defer_free(ptr, class);
        return;
    }
    smp_push(slot, ptr, class);
    slot_release(&slot->head);
}

size_t engine_free_slow(void *ptr, const char *call)
{
    size_t class = engine_class_of(ptr, call);
    if (class < ENGINE_CLASSES)
        free_cell(ptr, class);
    return class;
}

void engine_fork_prepare(void)
{
    slots_fork_prepare(&smp_slots);
    smp_check_fork_prepare();
}

void engine_fork_end(void)
{
    smp_check_fork_end();
    slots_fork_end(&smp_slots);
}

/* Somebody was in the middle of an operation: what its lists led to is lost to the child. */
static void abandon_slot(struct slot *slot)
{
    struct smp_slot *abandoned = (struct smp_slot *)slot;
    for (size_t class = 0; class < ENGINE_CLASSES; class++)
        abandoned->classes[class] = (struct smp_class){NULL, NULL};
}

void engine_fork_end_child(void)
{
    smp_check_fork_end();
    slots_fork_end_child(&smp_slots, abandon_slot);
}

static void count_slot(struct slot *slot, void *context)
{
    const struct smp_slot *visited = (const struct smp_slot *)slot;
    size_t *free_cells = context; /* by class */
    for (size_t class = 0; class < ENGINE_CLASSES; class++) {
        const struct smp_class *cells = &visited->classes[class];
        for (void **cell = cells->free; cell != NULL; cell = *cell)
            free_cells[class]++;
        free_cells[class] += (-(uintptr_t)cells->next % SMP_SLAB_BYTES) / engine_class_bytes(class);
    }
}

void engine_count(struct engine_count *count)
{
    size_t free_cells[ENGINE_CLASSES] = {0};
    slots_visit(&smp_slots, count_slot, free_cells);
    *count = (struct engine_count){.slots = slots_in_use(&smp_slots)};
    for (size_t class = 0; class < ENGINE_CLASSES; class++) {
        size_t bytes = engine_class_bytes(class);
        size_t cells = load_relaxed(&slabs[class]) * (SMP_SLAB_BYTES / bytes);
        size_t unused = min_size(free_cells[class], cells);
        count->cells += cells - unused;
        count->cell_bytes += (cells - unused) * bytes;
        count->free_bytes += unused * bytes;
    }
}
