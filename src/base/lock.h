/*
 * The lock of slow paths that can afford two system calls. Whoever holds one has all signals
 * blocked that can be deferred: so the holder always comes out again, and a signal handler may wait
 * for a lock, since it never interrupts a holder in its own thread. Fast paths do not use this; see
 * slots/.
 *
 * Signals that tell of a fault of the running instruction cannot be deferred. A handler of one
 * that struck inside a lock finds the lock its own and goes on with whatever state there is; the
 * program is about to end.
 *
 * Locks are ranked; a thread takes them in rising rank only, which the checked build verifies.
 * fork takes them all, in that order. Between its prepare and its end the forking thread, and
 * nobody else, may take a lock that it holds: other libraries' fork handlers allocate.
 */
#ifndef DUET_BASE_LOCK_H
#define DUET_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
    LOCK_RANK_FORK = 1,     /* held by the one fork that is under way */
    LOCK_RANK_CPUS,         /* slots of CPUs: made, stopped */
    LOCK_RANK_BOUND,        /* bound slots: made, retired, revoked */
    LOCK_RANK_ENGINE_METAS, /* an engine's pools of metas: areas and free records */
    LOCK_RANK_ENGINE_METAS_LAST = LOCK_RANK_ENGINE_METAS + 11,
    LOCK_RANK_LARGE, /* large blocks that could not be unmapped */
    LOCK_RANK_LARGE_METAS,
    LOCK_RANK_EXTENT_METAS,
    LOCK_RANK_SPANS, /* segments and their free blocks */
    LOCK_RANK_SEGMENT_METAS,
};

struct lock {
    uintptr_t owner;      /* thread_self() of the holder, else 0; LOCK_AWAITED beside it */
    uint64_t signal_mask; /* the holder's mask before */
    uint32_t rank;        /* enum lock_rank */
    uint32_t depth;       /* how often the holder took it again */
};

/* Somebody sleeps until the lock is released. A thread's number has its low bits clear. */
#define LOCK_AWAITED ((uintptr_t)1)

#define LOCK_INITIAL(the_rank)                                                                     \
    {                                                                                              \
        .rank = (the_rank)                                                                         \
    }

/* Waits for the lock. Neither changes errno. */
void lock_take(struct lock *lock);
void lock_release(struct lock *lock);

bool lock_is_held(const struct lock *lock);

#endif
