/*
 * Atomic operations with their memory order in the name. All code goes through these, so that
 * one file can put a model checker's scheduler in their place.
 *
 * They work on plain integers and pointers; a word that is accessed through them once is
 * accessed through them always, except before it is shared.
 */
#ifndef DUET_BASE_ATOMICS_H
#define DUET_BASE_ATOMICS_H

#include <stdbool.h>

#define load_relaxed(ptr) __atomic_load_n((ptr), __ATOMIC_RELAXED)
#define load_acquire(ptr) __atomic_load_n((ptr), __ATOMIC_ACQUIRE)
#define store_relaxed(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELAXED)
#define store_release(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)

/* Return the value before. */
#define add_relaxed(ptr, value) __atomic_fetch_add((ptr), (value), __ATOMIC_RELAXED)
#define sub_relaxed(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_RELAXED)
#define sub_acquire(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_ACQUIRE)
#define sub_release(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_RELEASE)
#define or_release(ptr, value) __atomic_fetch_or((ptr), (value), __ATOMIC_RELEASE)
#define or_relaxed(ptr, value) __atomic_fetch_or((ptr), (value), __ATOMIC_RELAXED)
#define and_relaxed(ptr, value) __atomic_fetch_and((ptr), (value), __ATOMIC_RELAXED)
#define and_acquire(ptr, value) __atomic_fetch_and((ptr), (value), __ATOMIC_ACQUIRE)
#define and_acquire_release(ptr, value) __atomic_fetch_and((ptr), (value), __ATOMIC_ACQ_REL)
#define exchange_acquire(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_ACQUIRE)
#define exchange_acquire_release(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_ACQ_REL)
#define exchange_release(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_RELEASE)

/* Stores `desired` if the word is `expected`; says whether it was. */
#define cas_acquire(ptr, expected, desired)                                                        \
    ({                                                                                             \
        __typeof__(*(ptr)) cas_expected_ = (expected);                                             \
        __atomic_compare_exchange_n((ptr), &cas_expected_, (desired), false, __ATOMIC_ACQUIRE,     \
                                    __ATOMIC_RELAXED);                                             \
    })
#define cas_release(ptr, expected, desired)                                                        \
    ({                                                                                             \
        __typeof__(*(ptr)) cas_expected_ = (expected);                                             \
        __atomic_compare_exchange_n((ptr), &cas_expected_, (desired), false, __ATOMIC_RELEASE,     \
                                    __ATOMIC_RELAXED);                                             \
    })
#define cas_acquire_release(ptr, expected, desired)                                                \
    ({                                                                                             \
        __typeof__(*(ptr)) cas_expected_ = (expected);                                             \
        __atomic_compare_exchange_n((ptr), &cas_expected_, (desired), false, __ATOMIC_ACQ_REL,     \
                                    __ATOMIC_RELAXED);                                             \
    })
#define cas_relaxed(ptr, expected, desired)                                                        \
    ({                                                                                             \
        __typeof__(*(ptr)) cas_expected_ = (expected);                                             \
        __atomic_compare_exchange_n((ptr), &cas_expected_, (desired), false, __ATOMIC_RELAXED,     \
                                    __ATOMIC_RELAXED);                                             \
    })

/* In one order that all threads agree on, together with each other: for two threads that each
 * write one word and then read the other's. */
#define load_sequential(ptr) __atomic_load_n((ptr), __ATOMIC_SEQ_CST)
#define add_sequential(ptr, value) __atomic_fetch_add((ptr), (value), __ATOMIC_SEQ_CST)
#define cas_sequential(ptr, expected, desired)                                                     \
    ({                                                                                             \
        __typeof__(*(ptr)) cas_expected_ = (expected);                                             \
        __atomic_compare_exchange_n((ptr), &cas_expected_, (desired), false, __ATOMIC_SEQ_CST,     \
                                    __ATOMIC_RELAXED);                                             \
    })

/* Orders this thread's memory accesses for a signal handler that interrupts it. */
static inline void fence_signal(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Raises *ptr to at least `value`. */
#define raise_relaxed(ptr, value)                                                                  \
    do {                                                                                           \
        __typeof__(*(ptr)) raise_to_ = (value);                                                    \
        __typeof__(*(ptr)) raise_was_ = load_relaxed(ptr);                                         \
        while (raise_was_ < raise_to_ && !cas_relaxed((ptr), raise_was_, raise_to_))               \
            raise_was_ = load_relaxed(ptr);                                                        \
    } while (0)

#endif
