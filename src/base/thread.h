/*
 * Who is running: a number that no other live thread of the process has, at the cost of one
 * instruction. It is the thread pointer, so it is never 0, its low bits are clear, it survives
 * fork in the child's only thread, and a vfork child shares its parent's.
 */
#ifndef DUET_BASE_THREAD_H
#define DUET_BASE_THREAD_H

#include <stdint.h>

static inline uintptr_t thread_self(void)
{
    return (uintptr_t)__builtin_thread_pointer();
}

/* For a loop that waits for another thread: lets the CPU rest for some tens of cycles. */
static inline void thread_pause(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#else
    __asm__ volatile("");
#endif
}

#if defined(__has_include) && __has_include(<sys/single_threaded.h>)
#include <stdbool.h>
#include <sys/single_threaded.h>

/* True only while no other thread can run. The C library clears it in the thread that is about
 * to start the second one, so a thread in the middle of an operation never sees it change,
 * unless by a signal handler that starts a thread, which POSIX does not allow. */
static inline bool thread_is_alone(void)
{
    return __libc_single_threaded != 0;
}
#else
#include <stdbool.h>

static inline bool thread_is_alone(void)
{
    return false;
}
#endif

#endif
