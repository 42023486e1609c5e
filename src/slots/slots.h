/*
 * Slots: the shards of an engine's front-end state. A thread works in one slot at a time.
 *
 * There are as many slots as CPUs, and any number of threads. A slot belongs to whoever has put
 * its thread's number into `owner`, for the length of one operation; this busy mark is a lock
 * that is only ever tried. Each thread has a current slot; a thread that finds it taken rotates
 * to the next one, which then is its current slot, and backs off once it has tried them all. So
 * threads spread over the slots by themselves, and a thread that exits leaves nothing behind but
 * memory in a slot that others use. (After Zig's SmpAllocator.)
 *
 * While the process has one thread the mark is set by plain stores. See thread_is_alone.
 *
 * In a build with DUET_RWLOCK several threads may also be in a slot as readers, while nobody owns
 * it. Reading is a few instructions; what owns the slot is refused while it goes on.
 *
 * Re-entry. A signal handler that interrupts an operation finds its own thread's number as an
 * owner. It must not wait, since what it waits for may wait for it: it takes any slot that is
 * free at once, or else a reserve slot, of which there come to be as many as operations were
 * ever nested at one time. A thread between fork's prepare and its end, which holds every slot,
 * works in one that is kept for it.
 *
 * What a slot holds is its user's: the payload follows the head. One set of slots per process.
 */
#ifndef DUET_SLOTS_SLOTS_H
#define DUET_SLOTS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "base/thread.h"

/* The least number of slots: with one, a nested operation would always need a reserve. They are
 * part of the library, so that nothing is mapped for the slots of a small process. */
#define SLOTS_LEAST 2

/* Slots that the library has storage for: the least number, and the one for a forking thread. */
#define SLOTS_STATIC (SLOTS_LEAST + 1)

/* Marks an owner that holds the slot for a fork, beside its number, whose low bits are clear. */
#define SLOT_OWNER_FORK ((uintptr_t)1)

struct slot {
    uintptr_t owner;           /* 0: nobody is in it */
    uint32_t number;           /* its place in rotation */
    uint32_t next_to_search;   /* the slot that slot_take_other looks at next */
    uint32_t readers;          /* threads that are in it without owning it; see DUET_RWLOCK */
    struct slot *next_reserve; /* if it is a reserve slot: the next one */
};

struct slot_set {
    char *first;     /* SLOTS_STATIC slots in the library */
    size_t stride;   /* bytes from one to the next: head and payload, whole cache line pairs */
    char *mapped;    /* the others, once there are threads that need them */
    uint32_t count;  /* those in rotation; 0 until it is first asked for */
    uint32_t wanted; /* what the count is to be, SLOTS_LEAST at least; 0: not known yet */
    uint32_t bound;  /* threads that have been given a current slot */
    uint32_t reserve_count;
    uintptr_t forking;     /* the thread between fork's prepare and its end, or 0 */
    struct slot *reserves; /* a list that only grows */
};

#define SLOT_SET_INITIAL(storage)                                                                  \
    {                                                                                              \
        .first = (char *)(storage), .stride = sizeof *(storage)                                    \
    }

/* What is kept of each thread here; a few words more are bound.c's, cpus.c's, and an engine's. It
 * starts as zeros and not as addresses of something, since the loader calls resolvers of IFUNCs,
 * and they call malloc, before it fills in what thread-local variables start with. */
struct slot_thread {
    struct slot *current; /* NULL: it has none yet */
    void *companion;      /* a word for the layers above */
};
extern __thread struct slot_thread slot_thread;

/* Takes the slot, in the name of `owner`, by compare-and-swap. */
ALWAYS_INLINE bool slot_try_by_cas(struct slot *slot, uintptr_t owner)
{
    if (!DUET_RWLOCK)
        return cas_acquire(&slot->owner, (uintptr_t)0, owner);
    if (!cas_sequential(&slot->owner, (uintptr_t)0, owner))
        return false;
    if (likely(load_sequential(&slot->readers) == 0))
        return true;
    store_release(&slot->owner, 0);
    return false;
}

/* Takes the slot, which is not NULL, if nobody is in it. Says whether it did. */
ALWAYS_INLINE bool slot_try(struct slot *slot)
{
    if (thread_is_alone()) {
        if (unlikely(load_relaxed(&slot->owner) != 0))
            return false;
        store_relaxed(&slot->owner, thread_self());
        fence_signal();
        return true;
    }
    return slot_try_by_cas(slot, thread_self());
}

ALWAYS_INLINE void slot_release(struct slot *slot)
{
    check((load_relaxed(&slot->owner) & ~SLOT_OWNER_FORK) == thread_self());
    store_release(&slot->owner, 0);
}

/* Enters the slot as a reader, if nobody owns it. Only with DUET_RWLOCK, and while there are other
 * threads. */
ALWAYS_INLINE bool slot_try_reading(struct slot *slot)
{
    add_sequential(&slot->readers, 1);
    if (likely(load_sequential(&slot->owner) == 0))
        return true;
    sub_release(&slot->readers, 1);
    return false;
}

ALWAYS_INLINE void slot_end_reading(struct slot *slot)
{
    sub_release(&slot->readers, 1);
}

/* Takes a slot: the current one, or one to which it rotates, or a reserve. Waits if all are
 * taken, unless this is a nested operation. NULL: nested, and no memory for a reserve slot. */
struct slot *slot_take(struct slot_set *set);

/* Gives the thread its first current slot, without taking it, unless it has one. */
void slots_bind(struct slot_set *set);

/* How long slot_take_other waits for a slot that is wanted and busy, in rounds of back-off: hardly
 * at all; or through all pauses, and some yields that let a thread that was preempted in it get
 * on. */
#define SLOTS_SHORT_WAIT 1
#define SLOTS_LONG_WAIT 8

/* Looks through up to `most` other slots than `home`, which the caller holds, each search going on
 * where the last one ended, and takes the first that `wanted` says yes of and that is free, or that
 * the caller, if it is forking, holds anyway. `wanted` is asked of slots that others may be in, so
 * its answer is a guess. One that is wanted but busy is waited for in up to `rounds`. NULL: there
 * is none. The current slot stays as it is. slot_return_other gives the slot back. */
typedef bool slot_wanted(const struct slot *slot, size_t context);
struct slot *slot_take_other(struct slot_set *set, struct slot *home, uint32_t most,
                             slot_wanted *wanted, size_t context, unsigned rounds);
void slot_return_other(struct slot *other);

/* Takes this very slot, or finds it held already for the fork that this thread is in the middle of.
 * slot_return_other gives it back. */
bool slot_borrow(struct slot *slot);

/* Whether this thread is in the slot already: interrupted in it, or forking. */
bool slot_is_own(const struct slot *slot);

/* Whether slot_take_other can find anything: whether there can be memory in another slot. */
bool slots_are_shared(const struct slot_set *set);

/* Whether this thread is in any slot already. */
bool slots_is_inside(const struct slot_set *set);

/* All slots: those in rotation, the forking thread's and the reserves. */
uint32_t slots_in_all(const struct slot_set *set);

/* Slots that a thread has ever been given as its first. */
uint32_t slots_in_use(const struct slot_set *set);

/* How many slots there are if nobody says: as many as CPUs; in the tiny build the least. */
uint32_t slots_default(void);

/* The number of slots in rotation; the first call decides it. */
uint32_t slots_count(struct slot_set *set);

/* Revokes each slot in turn from whoever works in it, visits it, and lets go of it. Slots in
 * which this thread itself was interrupted are left out; and if there is one, so are those that
 * others are in, since they may wait for this thread. */
void slots_visit(struct slot_set *set, void (*visit)(struct slot *slot, void *context),
                 void *context);

/* As slots_visit, but only of slots that `wanted` says yes of, and that nobody is in: nobody is
 * waited for. It is asked of slots that others may be in. */
void slots_visit_free(struct slot_set *set, bool (*wanted)(struct slot *slot, void *context),
                      void (*visit)(struct slot *slot, void *context), void *context);

/* Around fork. Slots in which the forking thread itself was interrupted (fork in a signal handler)
 * stay as they are. A thread that does not leave its slot for long, since it is in a signal handler
 * or stopped, is not waited for: then the child, where that thread does not exist, has `abandon`
 * make something usable of the slot's payload before it goes into rotation again. */
void slots_fork_prepare(struct slot_set *set);
void slots_fork_end(struct slot_set *set);
void slots_fork_end_child(struct slot_set *set, void (*abandon)(struct slot *slot));

#endif
