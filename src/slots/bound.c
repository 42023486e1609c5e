#include "slots/bound.h"

#include <pthread.h>

#include "base/fatal.h"
#include "base/thread.h"
#include "os/os.h"

/* Rounds of back-off for a slot whose owner may never leave: some 100 ms, the most of it asleep. */
#define ROUNDS_OF_PATIENCE 2000

__thread struct bound_slot *bound_thread;

/* For threads that had a slot and will have none any more. Nobody ever leaves it. */
static struct bound_slot no_slot = {.state = BOUND_BUSY};

static struct bound_slot *slot_at(const struct bound_set *set, uint32_t number)
{
    if (number == 0)
        return set->first;
    /* Chunk k begins at number 1 + BOUND_FIRST_CHUNK * (2^k - 1). */
    size_t place = (number - 1) / BOUND_FIRST_CHUNK + 1;
    size_t chunk = highest_bit(place);
    size_t before = (size_t)BOUND_FIRST_CHUNK * (((size_t)1 << chunk) - 1);
    return (struct bound_slot *)(load_relaxed(&set->chunks[chunk]) +
                                 (number - 1 - before) * set->stride);
}

static bool make_room(struct bound_set *set, uint32_t number)
{
    if (number == 0)
        return true;
    size_t chunk = highest_bit((number - 1) / BOUND_FIRST_CHUNK + 1);
    if (chunk >= BOUND_CHUNKS)
        return false;
    if (set->chunks[chunk] == NULL) {
        size_t bytes = ((size_t)BOUND_FIRST_CHUNK << chunk) * set->stride;
        store_release(&set->chunks[chunk],
                      (char *)os_map(round_up(bytes, os_page_bytes()), CACHE_LINE_PAIR));
    }
    return set->chunks[chunk] != NULL;
}

static struct bound_slot *make_slot(struct bound_set *set)
{
    uint32_t number = set->count;
    if (number >= load_relaxed(&set->limit) || !make_room(set, number))
        return NULL;
    struct bound_slot *slot = slot_at(set, number);
    slot->number = number;
    store_relaxed(&slot->state, (uint8_t)BOUND_IDLE);
    set->prepare(slot);
    store_release(&set->count, number + 1);
    return slot;
}

static struct bound_slot *reuse_slot(struct bound_set *set)
{
    struct bound_slot *slot = set->retired;
    if (slot != NULL) {
        store_relaxed(&set->retired, slot->next_retired);
        set->retired_count--;
    }
    return slot;
}

static bool may_have_one(const struct bound_set *set)
{
    return load_relaxed(&set->retired) != NULL ||
           load_relaxed(&set->count) < load_relaxed(&set->limit);
}

void bound_bind(struct bound_set *set)
{
    if (likely(bound_thread != NULL) || !may_have_one(set))
        return;
    lock_take(&set->lock);
    struct bound_slot *slot = bound_thread != NULL ? NULL : reuse_slot(set);
    if (slot == NULL && bound_thread == NULL)
        slot = make_slot(set);
    if (slot != NULL) {
        slot->retired = false;
        slot->thread = thread_self();
        bound_thread = slot;
    }
    lock_release(&set->lock);
    if (slot != NULL && load_relaxed(&set->key) != 0)
        pthread_setspecific(set->key - 1, slot);
}

/* ---- The end of a thread ----------------------------------------------------------------- */

static struct bound_set *started; /* the set that threads retire to */

static void push_retired(struct bound_set *set, struct bound_slot *slot)
{
    slot->retired = true;
    slot->thread = 0;
    slot->next_retired = set->retired;
    store_relaxed(&set->retired, slot);
    set->retired_count++;
}

/* The C library calls it as a thread ends. A slot that cannot be entered is being looked into, and
 * will be let go by whoever does that: the lock waits for it. */
static void retire(void *value)
{
    struct bound_slot *slot = value;
    struct bound_set *set = started;
    if (bound_thread != slot)
        return;
    bound_thread = &no_slot;
    lock_take(&set->lock);
    if (bound_try(slot)) {
        set->retire(slot);
        bound_leave(slot);
    }
    push_retired(set, slot);
    lock_release(&set->lock);
}

void bound_limit(struct bound_set *set, uint32_t limit)
{
    cas_relaxed(&set->limit, (uint32_t)BOUND_LEAST, limit);
}

void bound_start(struct bound_set *set)
{
    pthread_key_t key;
    started = set;
    if (pthread_key_create(&key, retire) != 0)
        return; /* then those of threads that end stay theirs */
    store_relaxed(&set->key, (uint32_t)key + 1);
    if (bound_thread != NULL && bound_thread != &no_slot)
        pthread_setspecific(key, bound_thread);
}

uint32_t bound_count(const struct bound_set *set)
{
    return load_acquire(&set->count);
}

/* ---- Revoking ---------------------------------------------------------------------------- */

static bool is_own(const struct bound_slot *slot)
{
    return !slot->retired && slot->thread == thread_self();
}

static bool is_inside(const struct bound_slot *slot)
{
    return is_own(slot) && load_relaxed(&slot->state) == BOUND_BUSY;
}

/* The first half: from here on, once all threads had a barrier, nobody enters. */
static void announce(struct bound_slot *slot)
{
    if (!BOUND_BY_CAS)
        store_relaxed(&slot->revoked, (uint8_t)BOUND_IDLE);
}

/* The second half. False: its owner is still in it, and nothing has changed. */
static bool await(struct bound_slot *slot, unsigned rounds)
{
    for (unsigned round = 0;; round++) {
        if (BOUND_BY_CAS ? cas_acquire(&slot->state, (uint8_t)BOUND_IDLE, (uint8_t)BOUND_OWNED)
                         : load_acquire(&slot->state) == BOUND_IDLE)
            return true;
        if (round >= rounds)
            return false;
        os_back_off(round);
    }
}

static void let_go(struct bound_slot *slot)
{
    if (BOUND_BY_CAS) {
        if (load_relaxed(&slot->state) == BOUND_OWNED)
            store_release(&slot->state, (uint8_t)BOUND_IDLE);
    } else {
        store_release(&slot->revoked, 0);
    }
}

static bool barrier(void)
{
    return BOUND_BY_CAS || thread_is_alone() || os_barrier();
}

bool bound_is_inside(void)
{
    return bound_thread != NULL && is_inside(bound_thread);
}

static bool choose(struct bound_set *set, bool (*wanted)(struct bound_slot *slot, void *context),
                   void *context)
{
    bool any = false;
    for (uint32_t number = 0; number < set->count; number++) {
        struct bound_slot *slot = slot_at(set, number);
        slot->chosen = !is_inside(slot) && (wanted == NULL || wanted(slot, context));
        if (slot->chosen)
            announce(slot);
        any = any || slot->chosen;
    }
    return any;
}

void bound_visit(struct bound_set *set, bool (*wanted)(struct bound_slot *slot, void *context),
                 void (*visit)(struct bound_slot *slot, void *context), void *context)
{
    unsigned rounds = bound_is_inside() ? 0 : ROUNDS_OF_PATIENCE;
    lock_take(&set->lock);
    if (choose(set, wanted, context)) {
        bool revoked = barrier();
        for (uint32_t number = 0; number < set->count; number++) {
            struct bound_slot *slot = slot_at(set, number);
            if (!slot->chosen)
                continue;
            if ((revoked || is_own(slot) || slot->retired) && await(slot, rounds))
                visit(slot, context);
            let_go(slot);
        }
    }
    lock_release(&set->lock);
}

/* ---- Fork -------------------------------------------------------------------------------- */

void bound_fork_prepare(struct bound_set *set)
{
    unsigned rounds = bound_is_inside() ? 0 : ROUNDS_OF_PATIENCE;
    lock_take(&set->lock);
    for (uint32_t number = 0; number < set->count; number++)
        if (!is_own(slot_at(set, number)))
            announce(slot_at(set, number));
    /* Without a barrier, what the copying of the memory does must do: it stops all other CPUs. */
    (void)barrier();
    for (uint32_t number = 0; number < set->count; number++)
        if (!is_own(slot_at(set, number)))
            await(slot_at(set, number), rounds);
}

void bound_fork_end(struct bound_set *set)
{
    for (uint32_t number = 0; number < set->count; number++)
        if (!is_own(slot_at(set, number)))
            let_go(slot_at(set, number));
    lock_release(&set->lock);
}

void bound_fork_end_child(struct bound_set *set, void (*abandon)(struct bound_slot *slot))
{
    for (uint32_t number = 0; number < set->count; number++) {
        struct bound_slot *slot = slot_at(set, number);
        if (is_own(slot))
            continue;
        if (load_relaxed(&slot->state) == BOUND_BUSY) {
            abandon(slot);
            store_relaxed(&slot->state, (uint8_t)BOUND_IDLE);
        }
        let_go(slot);
        if (!slot->retired)
            push_retired(set, slot);
    }
    lock_release(&set->lock);
}
