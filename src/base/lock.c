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

/* The kernel's numbers, which musl has no header for. */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

/* Critical sections are a few hundred instructions, or one call into the kernel. */
#define SPINS_BEFORE_WAITING 100

/* Signals that the running instruction raises: blocked, they would kill the process without their
 * handler. SIGSYS is one too: sandboxes emulate system calls in its handler. SIGABRT is not: abort
 * unblocks it by itself, and otherwise it comes from outside. Bit n - 1 stands for signal n. */
#define BIT_OF(signal) ((uint64_t)1 << ((signal)-1))
static const uint64_t deferrable_signals = ~(BIT_OF(SIGSEGV) | BIT_OF(SIGBUS) | BIT_OF(SIGILL) |
                                             BIT_OF(SIGFPE) | BIT_OF(SIGTRAP) | BIT_OF(SIGSYS));

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

/* The kernel compares and sleeps on 32 bits: those that have LOCK_AWAITED. */
static uint32_t *futex_word(struct lock *lock)
{
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low bits come first");
    return (uint32_t *)(void *)&lock->owner;
}

static void sleep_while(struct lock *lock, uintptr_t owner)
{
    int saved_errno = errno;
    syscall(SYS_futex, futex_word(lock), FUTEX_WAIT_PRIVATE, (uint32_t)owner, NULL, NULL, 0);
    errno = saved_errno;
}

static void wake_one(struct lock *lock)
{
    int saved_errno = errno;
    syscall(SYS_futex, futex_word(lock), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved_errno;
}

/* Takes the lock as awaited, since others may sleep too. */
static void wait_for(struct lock *lock)
{
    for (int spin = 0; spin < SPINS_BEFORE_WAITING; spin++) {
        thread_pause();
        if (load_relaxed(&lock->owner) == 0 &&
            cas_acquire(&lock->owner, (uintptr_t)0, thread_self()))
            return;
    }
    while (!cas_acquire(&lock->owner, (uintptr_t)0, thread_self() | LOCK_AWAITED)) {
        uintptr_t owner = load_relaxed(&lock->owner);
        uintptr_t awaited = owner | LOCK_AWAITED;
        if (owner != 0 && (owner == awaited || cas_relaxed(&lock->owner, owner, awaited)))
            sleep_while(lock, awaited);
    }
}

void lock_take(struct lock *lock)
{
    if (lock_is_held(lock)) {
        lock->depth++;
        return;
    }
    uint64_t mask = block_signals();
    if (!cas_acquire(&lock->owner, (uintptr_t)0, thread_self()))
        wait_for(lock);
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
    if (exchange_release(&lock->owner, (uintptr_t)0) & LOCK_AWAITED)
        wake_one(lock);
    restore_signals(mask);
}

bool lock_is_held(const struct lock *lock)
{
    return (load_relaxed(&lock->owner) & ~LOCK_AWAITED) == thread_self();
}
