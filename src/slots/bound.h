/*
 * Bound slots: a slot that one thread has for itself, so that it is entered with plain stores.
 *
 * A thread that allocates is given a slot as long as there are any; when it ends, the slot retires
 * as it is, and goes to the next thread that starts. Threads beyond the limit, and those whose slot
 * has retired already (the C library frees after the last destructor), have none, and share the
 * slots of slots.h.
 *
 * Each operation stands between bound_enter and bound_leave, which set and clear the slot's busy
 * mark. Who finds it set has interrupted an operation of its own thread (a signal handler), and is
 * refused: it shares a slot too.
 *
 * To look into another thread's slot, or to take something out, it is *revoked*: a word is set that
 * every bound_enter reads after it has set its mark, a barrier is had from all threads of the
 * process (Linux's membarrier), and the mark is waited for. So the owner pays nothing for being
 * revocable but the load of a word. Meanwhile the owner is refused, and shares. Where the kernel
 * has no such barrier nobody's slot can be revoked. Under ThreadSanitizer, which knows of no such
 * thing, the mark is set by compare-and-swap, and revoking is to own it.
 *
 * What a slot holds is its user's: the payload follows the head. One set per process.
 */
#ifndef DUET_SLOTS_BOUND_H
#define DUET_SLOTS_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/lock.h"

/* In this order, so that one comparison tells an idle slot that is not revoked from all others. */
enum bound_state {
    BOUND_BUSY = 0, /* its owner is in it */
    BOUND_IDLE = 1,
    BOUND_OWNED = 2, /* only where it is revoked by compare-and-swap: another thread is in it */
};

struct bound_slot {
    uint8_t state;   /* enum bound_state; the owner's, or anybody's by compare-and-swap */
    uint8_t revoked; /* 0 or BOUND_IDLE; that of the holder of the set's lock */
    uint8_t retired; /* no thread has it */
    uint8_t chosen;  /* to be visited; the holder of the lock's */
    uint32_t number; /* from 0, in the order of their making */
    struct bound_slot *next_retired;
    uintptr_t thread; /* of its owner: thread_self() */
};

/* The limit before anybody has set another. */
#define BOUND_LEAST 1

/* Slots beyond the first lie in chunks that double, so none ever moves. */
#define BOUND_CHUNKS 13
#define BOUND_FIRST_CHUNK 4

struct bound_set {
    struct lock lock;
    struct bound_slot *first;                 /* part of the library */
    size_t stride;                            /* bytes from one to the next: head and payload */
    void (*prepare)(struct bound_slot *slot); /* makes a new slot's payload usable */
    void (*retire)(struct bound_slot *slot);  /* its thread ends; the slot is entered */
    char *chunks[BOUND_CHUNKS];
    uint32_t limit;
    uint32_t count;
    uint32_t retired_count;
    struct bound_slot *retired;
    uint32_t key; /* of the C library's thread-specific data, + 1; 0: there is none yet */
};

#define BOUND_SET_INITIAL(storage, prepare_, retire_)                                              \
    {                                                                                              \
        .lock = LOCK_INITIAL(LOCK_RANK_BOUND), .first = (struct bound_slot *)(storage),            \
        .stride = sizeof *(storage), .prepare = (prepare_), .retire = (retire_),                   \
        .limit = BOUND_LEAST                                                                       \
    }

/* This thread's slot; NULL: it has none yet; one that is always busy: it will have none any
 * more. */
extern __thread struct bound_slot *bound_thread;

#if defined(__SANITIZE_THREAD__)
#define BOUND_BY_CAS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BOUND_BY_CAS 1
#endif
#endif
#ifndef BOUND_BY_CAS
#define BOUND_BY_CAS 0
#endif

/* Marks the slot busy; false: it was, or is revoked, and nothing has changed. */
ALWAYS_INLINE bool bound_try(struct bound_slot *slot)
{
    if (BOUND_BY_CAS)
        return cas_acquire(&slot->state, (uint8_t)BOUND_IDLE, (uint8_t)BOUND_BUSY);
    uint8_t state = load_relaxed(&slot->state);
    store_relaxed(&slot->state, (uint8_t)BOUND_BUSY);
    fence_signal(); /* the barrier that a revoker has from all threads makes it a full one */
    if (likely(state > load_acquire(&slot->revoked)))
        return true;
    store_release(&slot->state, state); /* who sees it finds what was done here before */
    return false;
}

/* This thread's slot, entered; NULL: it has none, or cannot have it now. */
ALWAYS_INLINE struct bound_slot *bound_enter(void)
{
    struct bound_slot *slot = bound_thread;
    return likely(slot != NULL) && likely(bound_try(slot)) ? slot : NULL;
}

ALWAYS_INLINE void bound_leave(struct bound_slot *slot)
{
    store_release(&slot->state, (uint8_t)BOUND_IDLE);
}

/* Gives the thread a slot, if it has none and may have one. Not while it holds a lock. */
void bound_bind(struct bound_set *set);

/* Once, as the library is loaded: from now on the slots of threads that end retire. */
void bound_start(struct bound_set *set);

/* So many slots from now on, if nobody has set their number before. */
void bound_limit(struct bound_set *set, uint32_t limit);

/* Visits all slots but those in which this thread was interrupted, with the set's lock held;
 * others' are revoked for it. `wanted` is asked first, of a slot that its thread may be in, and may
 * be NULL: all are. A slot that its thread does not leave for long is left out; and so are all that
 * others are in, where this thread interrupted itself, since they may wait for it. */
void bound_visit(struct bound_set *set, bool (*wanted)(struct bound_slot *slot, void *context),
                 void (*visit)(struct bound_slot *slot, void *context), void *context);

/* Whether this thread has interrupted itself in its slot. */
bool bound_is_inside(void);

/* Slots that have been made. */
uint32_t bound_count(const struct bound_set *set);

/* Around fork. Slots of other threads are revoked from the first to one of the others. In the
 * child, where those threads do not exist, theirs retire; `abandon` makes something usable of the
 * payload of one whose thread was inside. */
void bound_fork_prepare(struct bound_set *set);
void bound_fork_end(struct bound_set *set);
void bound_fork_end_child(struct bound_set *set, void (*abandon)(struct bound_slot *slot));

#endif
