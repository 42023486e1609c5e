/*
 * Latches: locks that are only ever tried. A latch is a word with its holder's number.
 *
 * Its holder may have been interrupted by a signal handler that is long in returning, or that is
 * this very operation. So nobody waits for one for ever, and each who tries has something else to
 * do where it is not to be had. In return no signals need be blocked, which would cost two system
 * calls, more than what is done under it. For a lock that everybody comes by in the end, see
 * base/lock.h.
 *
 * While the process has one thread, a plain store is enough to take it.
 *
 * Between fork's prepare and its end a latch rests with the forking thread, which alone may take
 * it: other libraries' fork handlers allocate.
 *
 * It lies in this layer, since who waits a while does so in the kernel (os_back_off).
 */
#ifndef DUET_OS_LATCH_H
#define DUET_OS_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/fatal.h"
#include "base/thread.h"

struct latch {
    uintptr_t owner; /* thread_self() of the holder, or `rest`; or LATCH_LOST */
    uintptr_t rest;  /* 0; while a fork is under way the forking thread's number, marked */
};

/* A thread's number has its low bits clear. */
#define LATCH_FORKING ((uintptr_t)1)
#define LATCH_LOST ((uintptr_t)2)

/* What the owner is while nobody has it, as far as this thread is concerned. */
ALWAYS_INLINE uintptr_t latch_rest(const struct latch *latch)
{
    uintptr_t rest = load_relaxed(&latch->rest);
    return unlikely(rest == (thread_self() | LATCH_FORKING)) ? rest : 0;
}

/* Takes it at once. False: somebody has it, or this thread has interrupted itself in it. */
ALWAYS_INLINE bool latch_try(struct latch *latch)
{
    uintptr_t rest = latch_rest(latch);
    if (load_relaxed(&latch->owner) != rest)
        return false;
    if (thread_is_alone()) {
        store_relaxed(&latch->owner, thread_self());
        fence_signal();
        return true;
    }
    return cas_acquire(&latch->owner, rest, thread_self());
}

static inline bool latch_is_own(const struct latch *latch)
{
    return load_relaxed(&latch->owner) == thread_self();
}

/* Whether waiting for it is in vain: who has it is this thread, or is not there any more. */
static inline bool latch_never_comes(const struct latch *latch)
{
    uintptr_t owner = load_relaxed(&latch->owner);
    return owner == thread_self() || owner == LATCH_LOST;
}

ALWAYS_INLINE void latch_release(struct latch *latch)
{
    check(latch_is_own(latch));
    store_release(&latch->owner, load_relaxed(&latch->rest));
}

/* As latch_try, in so many rounds of back-off, which get longer; 0 of them: at once. It does not
 * wait for its own thread, nor for one that is lost. */
bool latch_try_for(struct latch *latch, unsigned rounds);

/* Around fork: takes it, if it comes within so many rounds, and lets it rest. Says whether it did;
 * if so, the end follows in parent and child, and the child has the thread that forked alone. */
bool latch_fork_prepare(struct latch *latch, unsigned rounds);
void latch_fork_end(struct latch *latch);

/* In the child, where it did not come, if whoever held it does not exist there: nobody will have it
 * any more; or it is free, since what its holder left half done was made anew. */
void latch_lose(struct latch *latch);
void latch_renew(struct latch *latch);

#endif
