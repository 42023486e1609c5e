#include "base/lock.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "base/thread.h"

enum { LOCK_FREE, LOCK_HELD, LOCK_AWAITED };

/* The kernel's numbers, which musl has no header for. */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

/* Critical sections are a few hundred instructions, or one call into the kernel. */
#define SPINS_BEFORE_WAITING 100

/* Signals that tell of a fault of the running instruction stay deliverable: blocked, they would
 * kill the process without its crash handler. Bit n - 1 stands for signal n. */
#define BIT_OF(signal) ((uint64_t)1 << ((signal)-1))
static const uint64_t deferrable_signals = ~(BIT_OF(SIGSEGV) | BIT_OF(SIGBUS) | BIT_OF(SIGILL) |
                                             BIT_OF(SIGFPE) | BIT_OF(SIGTRAP) | BIT_OF(SIGABRT));

/* Which ranks this thread holds, a bit each; kept in the checked build only. */
static __thread uint32_t held_ranks;

/* By the kernel's call, since the C library's leaves out the signals that it uses itself: a
 * thread must not be cancelled while it holds a lock. */
static uint64_t block_signals(void)
{
    uint64_t before = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &deferrable_signals, &before, sizeof before);
    return before;
}

static void restore_signals(uint64_t mask)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

static void wait_for(struct lock *lock)
{
    for (int spin = 0; spin < SPINS_BEFORE_WAITING; spin++)
        if (load_relaxed(&lock->state) == LOCK_FREE &&
            cas_acquire(&lock->state, LOCK_FREE, LOCK_HELD))
            return;

    int saved_errno = errno;
    while (exchange_acquire(&lock->state, LOCK_AWAITED) != LOCK_FREE)
        syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, LOCK_AWAITED, NULL, NULL, 0);
    errno = saved_errno;
}

void lock_take(struct lock *lock)
{
    if (load_relaxed(&lock->owner) == thread_self()) {
        lock->depth++;
        return;
    }
    uint64_t mask = block_signals();
    if (!cas_acquire(&lock->state, LOCK_FREE, LOCK_HELD))
        wait_for(lock);
    store_relaxed(&lock->owner, thread_self());
    lock->signal_mask = mask;
    if (DUET_CHECKED) {
        check(held_ranks >> lock->rank == 0);
        held_ranks |= 1u << lock->rank;
    }
}

void lock_release(struct lock *lock)
{
    check(lock_is_held(lock));
    if (lock->depth > 0) {
        lock->depth--;
        return;
    }
    if (DUET_CHECKED)
        held_ranks &= ~(1u << lock->rank);
    uint64_t mask = lock->signal_mask;
    store_relaxed(&lock->owner, 0);
    if (exchange_release(&lock->state, LOCK_FREE) == LOCK_AWAITED) {
        int saved_errno = errno;
        syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        errno = saved_errno;
    }
    restore_signals(mask);
}

bool lock_is_held(const struct lock *lock)
{
    return load_relaxed(&lock->owner) == thread_self();
}
