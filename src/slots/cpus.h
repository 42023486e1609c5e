/*
 * Slots of CPUs: as many slots as threads of the process can run at once, each entered without a
 * lock and without a mark.
 *
 * A slot is an array of words, each the top of a stack of items, or a place for one. Each operation
 * is a *restartable sequence* (rseq(2)): a few instructions that the kernel knows of, the last of
 * which stores the one word that counts. A thread that is preempted, moved or sent a signal in one
 * of them begins it anew; so of all threads that run with the same number, one at a time passes
 * through.
 *
 *   cpus_pop       takes the item below a word's top, and lowers the top.
 *   cpus_push      stores an item above it, and raises it.
 *   cpus_exchange  puts another stack in the place of this one, whole.
 *   cpus_swap      puts an item into a place, and takes out what lay there.
 *
 * A stack lies between guards: two NULLs below the first item, an odd word behind the last place. A
 * thread that is moved between two operations is in another slot in the second; whoever wants more
 * than an item exchanges a stack, has it alone, and puts it where he then is.
 *
 * The number is the kernel's concurrency id (mm_cid, Linux 6.3): below the number of CPUs and of
 * the process's threads, the lowest first. So a thread that wanders over CPUs has one slot, where
 * by CPU numbers it would leave something in each. The C library registers each thread (glibc
 * 2.35); we set the critical section's address as its protocol says, and write nothing else. Where
 * either is missing (musl, older kernels, valgrind, qemu; and under ThreadSanitizer, which cannot
 * see it) `cpus_start` says so, and the operations say RSEQ_NONE. So they do for a thread that is
 * not registered.
 *
 * To look into another CPU's slot it is *stopped*: its entry in the table leads to a slot that is
 * empty and full for ever, and all sequences under way are made to begin anew (membarrier). A child
 * of vfork has its parent's registration in sight but is not registered itself: all slots are
 * stopped as long as there is one (cpus_pause; engine/duet/vfork.c).
 *
 * (The technique is that of P. Turner's per-CPU caches; concurrency ids are M. Desnoyers's.)
 */
#ifndef DUET_SLOTS_CPUS_H
#define DUET_SLOTS_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/lock.h"
#include "os/rseq.h"

/* Whether they can be had at all, by what this is compiled with. */
#define CPUS_POSSIBLE RSEQ_POSSIBLE

/* More than Linux can be built for. */
#define CPUS_MOST 8192

/* A slot: its words. The rest of it is its user's. */
typedef void **cpus_slot;

/* What the operations look at. */
struct cpus_table {
    ptrdiff_t area; /* from a thread's pointer to its registration */
    cpus_slot *slots[CPUS_MOST];
};
extern HIDDEN struct cpus_table cpus_table;

/* *item is set if it is done. RSEQ_UNDONE is what a slot says that is stopped, too. */
ALWAYS_INLINE enum rseq_result cpus_pop(size_t word, void **item)
{
    return rseq_pop(cpus_table.area, cpus_table.slots, word, item);
}

ALWAYS_INLINE enum rseq_result cpus_push(size_t word, void *item)
{
    return rseq_push(cpus_table.area, cpus_table.slots, word, item);
}

/* Whose slots they are. */
struct cpus_set {
    struct lock lock;
    size_t stride;                              /* bytes from one slot to the next */
    cpus_slot *first;                           /* part of the library: number 0's */
    cpus_slot *stopped;                         /* for all: each word's stack is empty and full */
    void (*prepare)(void *slot, size_t number); /* makes a new slot usable */
    char *others;                               /* those from number 1 on, once one is needed */
    uint32_t most;                              /* numbers there can be; 0: not started */
    uint32_t paused;                            /* how often */
    bool off;                                   /* for ever */
    uint64_t made[CPUS_MOST / 64];              /* a bit for each that has been made */
};

#define CPUS_SET_INITIAL(first_, stopped_, prepare_)                                               \
    {                                                                                              \
        .lock = LOCK_INITIAL(LOCK_RANK_CPUS), .stride = sizeof *(first_),                          \
        .first = (cpus_slot *)(first_), .stopped = (cpus_slot *)(stopped_), .prepare = (prepare_)  \
    }

/* Before the first operation, by anybody, any number of times. False: there are none. */
bool cpus_start(struct cpus_set *set);

/* Whether this thread has CPUs' slots; one that has a moment ago may be stopped. */
bool cpus_are_mine(const struct cpus_set *set);

/* The slot that this thread is in now, which is made if there was none; a moment later it may be
 * another. NULL: it is stopped, or there is no memory. */
void *cpus_slot_now(struct cpus_set *set);

/* *item, which may be NULL, changes places with what lies there. False: there was no slot to be
 * had, nothing was done. */
ALWAYS_INLINE bool cpus_swap(const struct cpus_set *set, size_t word, void **item)
{
    void *slot, *before = rseq_exchange(cpus_table.area, cpus_table.slots, word, *item,
                                        set->stopped, &slot);
    if (unlikely(slot == NULL))
        return false;
    *item = before;
    return true;
}

/* As cpus_slot_now, of a slot that was made already; the stopped one else, and where there are
 * none. */
ALWAYS_INLINE void *cpus_slot_here(const struct cpus_set *set)
{
    ptrdiff_t area = load_relaxed(&cpus_table.area);
    if (unlikely(!rseq_is_registered(area)))
        return set->stopped;
    return load_acquire(&cpus_table.slots[rseq_number(area)]);
}

/* Puts another stack's top in the place of the word; returns the top before and says of which slot.
 * NULL: there was no slot to be had, nothing was done. */
void **cpus_exchange(const struct cpus_set *set, size_t word, void **top, void **slot);

/* Visits all slots, stopped; `wanted` is asked first, of a slot that others are in, and may be
 * NULL: all are. Where the kernel refuses to stop them nobody is visited. */
void cpus_visit(struct cpus_set *set, bool (*wanted)(void *slot, void *context),
                void (*visit)(void *slot, void *context), void *context);

/* Stops all slots until as many calls of the second by the same thread. Others may be on their way
 * through the sequences that they are in. */
void cpus_pause(struct cpus_set *set);
void cpus_resume(struct cpus_set *set);

/* Stops all slots for ever: from now on the operations say RSEQ_NONE. */
void cpus_end(struct cpus_set *set);

/* Slots that have been made; 0 once they have ended. */
uint32_t cpus_count(const struct cpus_set *set);

/* Around fork. No sequence is ever found half done. In the child nobody waits for a vfork but its
 * only thread. */
void cpus_fork_prepare(struct cpus_set *set);
void cpus_fork_end(struct cpus_set *set);
void cpus_fork_end_child(struct cpus_set *set);

#endif
