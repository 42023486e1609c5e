#include "slots/slots.h"

#include <limits.h>

#include "os/os.h"

__thread struct slot_thread slot_thread;

/* How many rounds of back-off are waited for a slot whose holder may never come: some 100 ms, the
 * most of it asleep. */
#define ROUNDS_OF_PATIENCE 2000

bool slot_is_own(const struct slot *slot)
{
    return (load_relaxed(&slot->owner) & ~SLOT_OWNER_FORK) == thread_self();
}

/* Maps the slots beyond SLOTS_LEAST. A refusal leaves SLOTS_LEAST of them. */
static uint32_t map_slots(struct slot_set *set, uint32_t wanted)
{
    if (wanted <= SLOTS_LEAST)
        return SLOTS_LEAST;
    size_t length = round_up((wanted - SLOTS_LEAST) * set->stride, os_page_bytes());
    char *slots = os_map(length, CACHE_LINE_PAIR);
    if (slots == NULL)
        return SLOTS_LEAST;
    if (!cas_release(&set->mapped, (char *)NULL, slots))
        os_discard(slots, length); /* another thread was faster */
    return wanted;
}

uint32_t slots_default(void)
{
    return DUET_TINY ? SLOTS_LEAST : os_cpu_count();
}

/* Decided by compare-and-swap step by step, so that threads that meet here agree on the number
 * before any of them maps, and no one waits. */
uint32_t slots_count(struct slot_set *set)
{
    uint32_t count = load_acquire(&set->count);
    if (likely(count != 0))
        return count;
    cas_relaxed(&set->wanted, 0u, slots_default());
    count = map_slots(set, load_relaxed(&set->wanted));
    cas_release(&set->count, 0u, count);
    return load_acquire(&set->count);
}

/* The numbers below this are slots in rotation, this one is the forking thread's, and those
 * above are reserves, the newest first. */
static uint32_t rotation_end(const struct slot_set *set)
{
    return (uint32_t)max_size(load_acquire(&set->count), SLOTS_LEAST);
}

uint32_t slots_in_all(const struct slot_set *set)
{
    return rotation_end(set) + 1 + load_acquire(&set->reserve_count);
}

static struct slot *fork_slot(const struct slot_set *set)
{
    return (struct slot *)(set->first + SLOTS_LEAST * set->stride);
}

/* NULL for a number that is too high. */
static struct slot *slot_at(const struct slot_set *set, uint32_t number)
{
    if (number < SLOTS_LEAST)
        return (struct slot *)(set->first + number * set->stride);
    uint32_t end = rotation_end(set);
    if (number < end)
        return (struct slot *)(load_acquire(&set->mapped) + (number - SLOTS_LEAST) * set->stride);
    if (number == end)
        return fork_slot(set);
    struct slot *reserve = load_acquire(&set->reserves);
    for (; reserve != NULL && number > end + 1; number--)
        reserve = reserve->next_reserve;
    return reserve;
}

static struct slot *make_current(struct slot *slot, uint32_t number)
{
    store_relaxed(&slot->number, number);
    slot_thread.current = slot;
    return slot;
}

/* In turn, so that threads start apart. The first one needs no count, so a process of one thread
 * never asks for it. */
void slots_bind(struct slot_set *set)
{
    if (likely(slot_thread.current != NULL))
        return;
    uint32_t order = add_relaxed(&set->bound, 1);
    uint32_t number = order == 0 ? 0 : order % slots_count(set);
    make_current(slot_at(set, number), number);
}

static struct slot *add_reserve(struct slot_set *set)
{
    size_t length = round_up(set->stride, os_page_bytes());
    struct slot *slot = os_map(length, CACHE_LINE_PAIR);
    if (slot == NULL)
        return NULL;
    store_relaxed(&slot->owner, thread_self());
    do
        slot->next_reserve = load_relaxed(&set->reserves);
    while (!cas_release(&set->reserves, slot->next_reserve, slot));
    add_relaxed(&set->reserve_count, 1);
    return slot;
}

/* For a nested operation: whatever is free at once. */
static struct slot *take_nested(struct slot_set *set)
{
    slots_count(set); /* from now on there is memory in more than one slot: searches begin */
    if (load_relaxed(&set->forking) == thread_self() && slot_try(fork_slot(set)))
        return fork_slot(set);
    for (uint32_t number = 0; number < slots_in_all(set); number++) {
        struct slot *slot = slot_at(set, number);
        if (slot != NULL && slot != fork_slot(set) && slot_try(slot))
            return slot;
    }
    return add_reserve(set);
}

/* One round over the slots, starting behind the current one. */
static struct slot *rotate(struct slot_set *set, bool *nested)
{
    uint32_t count = slots_count(set);
    uint32_t start = load_relaxed(&slot_thread.current->number);
    for (uint32_t step = 1; step <= count; step++) {
        uint32_t number = (start + step) % count;
        struct slot *slot = slot_at(set, number);
        if (slot_try(slot))
            return make_current(slot, number);
        if (slot_is_own(slot)) {
            *nested = true;
            return NULL;
        }
    }
    return NULL;
}

/* A reader leaves no number behind. If all slots have been busy for long, it may be that this
 * thread was interrupted as a reader of some and as the owner of none. */
static bool may_be_nested_in_reading(unsigned round)
{
    return DUET_RWLOCK && round >= ROUNDS_OF_PATIENCE;
}

struct slot *slot_take(struct slot_set *set)
{
    slots_bind(set);
    if (likely(slot_try(slot_thread.current)))
        return slot_thread.current;
    bool nested = slot_is_own(slot_thread.current);
    for (unsigned round = 0; !nested; round++) {
        struct slot *slot = rotate(set, &nested);
        if (slot != NULL)
            return slot;
        nested = nested || may_be_nested_in_reading(round);
        if (!nested)
            os_back_off(round);
    }
    return take_nested(set);
}

uint32_t slots_in_use(const struct slot_set *set)
{
    return (uint32_t)min_size(load_relaxed(&set->bound), rotation_end(set));
}

bool slots_are_shared(const struct slot_set *set)
{
    /* The count is first asked for by a second thread, or by one that rotates or is nested. */
    return load_relaxed(&set->count) != 0;
}

static bool is_fork_held(const struct slot *slot)
{
    return load_relaxed(&slot->owner) == (thread_self() | SLOT_OWNER_FORK);
}

bool slot_borrow(struct slot *slot)
{
    return is_fork_held(slot) || slot_try(slot);
}

/* One search. *busy: there was a wanted slot that could not be had. */
static struct slot *search(struct slot_set *set, struct slot *home, uint32_t most,
                           slot_wanted *wanted, size_t context, bool *busy)
{
    uint32_t in_all = slots_in_all(set);
    uint32_t number = home->next_to_search % in_all;
    struct slot *found = NULL;
    for (uint32_t i = 0; i < min_size(most, in_all) && found == NULL; i++) {
        struct slot *slot = slot_at(set, number);
        if (slot != NULL && slot != home && wanted(slot, context)) {
            if (slot_borrow(slot))
                found = slot;
            else
                *busy = *busy || !slot_is_own(slot);
        }
        number = number + 1 < in_all ? number + 1 : 0;
    }
    home->next_to_search = number;
    return found;
}

struct slot *slot_take_other(struct slot_set *set, struct slot *home, uint32_t most,
                             slot_wanted *wanted, size_t context, unsigned rounds)
{
    for (unsigned round = 0;; round++) {
        bool busy = false;
        struct slot *found = search(set, home, most, wanted, context, &busy);
        if (found != NULL || !busy || round >= rounds)
            return found;
        os_back_off(round);
    }
}

void slot_return_other(struct slot *other)
{
    if (!is_fork_held(other))
        slot_release(other);
}

/* Takes the slot under the name of `owner`, if it can be had within so many rounds. */
static bool revoke(struct slot *slot, uintptr_t owner, unsigned rounds)
{
    for (unsigned round = 0; !slot_try_by_cas(slot, owner); round++) {
        if (round >= rounds)
            return false;
        os_back_off(round);
    }
    return true;
}

bool slots_is_inside(const struct slot_set *set)
{
    for (uint32_t number = 0; number < slots_in_all(set); number++) {
        struct slot *slot = slot_at(set, number);
        if (slot != NULL && slot_is_own(slot))
            return true;
    }
    return false;
}

static void visit_each(struct slot_set *set, bool (*wanted)(struct slot *slot, void *context),
                       void (*visit)(struct slot *slot, void *context), void *context,
                       unsigned rounds)
{
    for (uint32_t number = 0; number < slots_in_all(set); number++) {
        struct slot *slot = slot_at(set, number);
        if (slot == NULL || slot_is_own(slot) || (wanted != NULL && !wanted(slot, context)) ||
            !revoke(slot, thread_self(), rounds))
            continue;
        visit(slot, context);
        slot_release(slot);
    }
}

void slots_visit(struct slot_set *set, void (*visit)(struct slot *slot, void *context),
                 void *context)
{
    unsigned rounds = slots_is_inside(set) ? 0 : DUET_RWLOCK ? ROUNDS_OF_PATIENCE : UINT_MAX;
    visit_each(set, NULL, visit, context, rounds);
}

void slots_visit_free(struct slot_set *set, bool (*wanted)(struct slot *slot, void *context),
                      void (*visit)(struct slot *slot, void *context), void *context)
{
    visit_each(set, wanted, visit, context, 0);
}

void slots_fork_prepare(struct slot_set *set)
{
    if (!thread_is_alone())
        slots_count(set); /* so that their number does not change any more */
    unsigned rounds = slots_is_inside(set) ? 0 : ROUNDS_OF_PATIENCE;
    for (uint32_t number = 0; number < slots_in_all(set); number++) {
        struct slot *slot = slot_at(set, number);
        if (slot != NULL && slot != fork_slot(set) && !slot_is_own(slot))
            revoke(slot, thread_self() | SLOT_OWNER_FORK, rounds);
    }
    store_relaxed(&set->forking, thread_self());
}

void slots_fork_end(struct slot_set *set)
{
    store_relaxed(&set->forking, 0);
    for (uint32_t number = 0; number < slots_in_all(set); number++) {
        struct slot *slot = slot_at(set, number);
        if (slot != NULL && is_fork_held(slot))
            slot_release(slot);
    }
}

void slots_fork_end_child(struct slot_set *set, void (*abandon)(struct slot *slot))
{
    for (uint32_t number = 0; number < slots_in_all(set); number++) {
        struct slot *slot = slot_at(set, number);
        if (slot == NULL || slot_is_own(slot) ||
            (load_relaxed(&slot->owner) == 0 && load_relaxed(&slot->readers) == 0))
            continue;
        abandon(slot);
        store_relaxed(&slot->readers, 0);
        store_release(&slot->owner, 0);
    }
    slots_fork_end(set);
}
