/*
 * The names of src/base/atomics.h, for the exhaustive tests: this folder comes first on their
 * include path. Each access is a step of the scheduler's (scheduler.h), which decides who takes the
 * next one, and what a load sees. The real orders are in the names, and go along.
 *
 * A word keeps one type and one size, of 8 bytes at most. What is written where and in which
 * function goes along, too, for the trace of a schedule that fails.
 */
#ifndef DUET_BASE_ATOMICS_H
#define DUET_BASE_ATOMICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exh_order { EXH_RELAXED, EXH_ACQUIRE, EXH_RELEASE, EXH_ACQUIRE_RELEASE, EXH_SEQUENTIAL };
enum exh_change { EXH_ADD, EXH_SUB, EXH_OR, EXH_AND, EXH_EXCHANGE };

/* Where in the source an access stands. */
struct exh_site {
    const char *text;
    const char *function;
};

uint64_t exh_load(const void *word, size_t size, enum exh_order order, struct exh_site site);
void exh_store(void *word, size_t size, uint64_t value, enum exh_order order, struct exh_site site);
uint64_t exh_change(void *word, size_t size, enum exh_change change, uint64_t operand,
                    enum exh_order order, struct exh_site site);
bool exh_cas(void *word, size_t size, uint64_t expected, uint64_t desired, enum exh_order order,
             struct exh_site site);

#define EXH_SITE(text)                                                                             \
    (struct exh_site)                                                                              \
    {                                                                                              \
        text, __func__                                                                             \
    }

/* The type of a word, without a const before it. */
#define EXH_TYPE(ptr) __typeof__(((void)0, *(ptr)))

/* A value as 64 bits; one of the word's type, so what it does not hold is cut off. */
#define EXH_BITS(ptr, value)                                                                       \
    ({                                                                                             \
        EXH_TYPE(ptr) exh_value_ = (value);                                                        \
        (uint64_t)(uintptr_t) exh_value_;                                                          \
    })
#define EXH_WORD(ptr, bits) ({ (EXH_TYPE(ptr))(uintptr_t)(bits); })

#define EXH_LOAD(name, ptr, order)                                                                 \
    EXH_WORD(ptr, exh_load((ptr), sizeof *(ptr), (order), EXH_SITE(name "(" #ptr ")")))
#define EXH_STORE(name, ptr, value, order)                                                         \
    exh_store((ptr), sizeof *(ptr), EXH_BITS(ptr, value), (order), EXH_SITE(name "(" #ptr ")"))
#define EXH_CHANGE(name, ptr, change, operand, order)                                              \
    EXH_WORD(ptr, exh_change((ptr), sizeof *(ptr), (change), (uint64_t)(operand), (order),         \
                             EXH_SITE(name "(" #ptr ")")))
#define EXH_EXCHANGE_OF(name, ptr, value, order)                                                   \
    EXH_WORD(ptr, exh_change((ptr), sizeof *(ptr), EXH_EXCHANGE, EXH_BITS(ptr, value), (order),    \
                             EXH_SITE(name "(" #ptr ")")))
#define EXH_CAS(name, ptr, expected, desired, order)                                               \
    exh_cas((ptr), sizeof *(ptr), EXH_BITS(ptr, expected), EXH_BITS(ptr, desired), (order),        \
            EXH_SITE(name "(" #ptr ")"))

#define load_relaxed(ptr) EXH_LOAD("load_relaxed", ptr, EXH_RELAXED)
#define load_acquire(ptr) EXH_LOAD("load_acquire", ptr, EXH_ACQUIRE)
#define store_relaxed(ptr, value) EXH_STORE("store_relaxed", ptr, value, EXH_RELAXED)
#define store_release(ptr, value) EXH_STORE("store_release", ptr, value, EXH_RELEASE)

#define add_relaxed(ptr, value) EXH_CHANGE("add_relaxed", ptr, EXH_ADD, value, EXH_RELAXED)
#define sub_relaxed(ptr, value) EXH_CHANGE("sub_relaxed", ptr, EXH_SUB, value, EXH_RELAXED)
#define sub_acquire(ptr, value) EXH_CHANGE("sub_acquire", ptr, EXH_SUB, value, EXH_ACQUIRE)
#define sub_release(ptr, value) EXH_CHANGE("sub_release", ptr, EXH_SUB, value, EXH_RELEASE)
#define or_release(ptr, value) EXH_CHANGE("or_release", ptr, EXH_OR, value, EXH_RELEASE)
#define or_relaxed(ptr, value) EXH_CHANGE("or_relaxed", ptr, EXH_OR, value, EXH_RELAXED)
#define and_relaxed(ptr, value) EXH_CHANGE("and_relaxed", ptr, EXH_AND, value, EXH_RELAXED)
#define and_acquire(ptr, value) EXH_CHANGE("and_acquire", ptr, EXH_AND, value, EXH_ACQUIRE)
#define and_acquire_release(ptr, value)                                                            \
    EXH_CHANGE("and_acquire_release", ptr, EXH_AND, value, EXH_ACQUIRE_RELEASE)
#define exchange_acquire(ptr, value) EXH_EXCHANGE_OF("exchange_acquire", ptr, value, EXH_ACQUIRE)
#define exchange_acquire_release(ptr, value)                                                       \
    EXH_EXCHANGE_OF("exchange_acquire_release", ptr, value, EXH_ACQUIRE_RELEASE)
#define exchange_release(ptr, value) EXH_EXCHANGE_OF("exchange_release", ptr, value, EXH_RELEASE)

#define cas_acquire(ptr, expected, desired)                                                        \
    EXH_CAS("cas_acquire", ptr, expected, desired, EXH_ACQUIRE)
#define cas_release(ptr, expected, desired)                                                        \
    EXH_CAS("cas_release", ptr, expected, desired, EXH_RELEASE)
#define cas_acquire_release(ptr, expected, desired)                                                \
    EXH_CAS("cas_acquire_release", ptr, expected, desired, EXH_ACQUIRE_RELEASE)
#define cas_relaxed(ptr, expected, desired)                                                        \
    EXH_CAS("cas_relaxed", ptr, expected, desired, EXH_RELAXED)

#define load_sequential(ptr) EXH_LOAD("load_sequential", ptr, EXH_SEQUENTIAL)
#define add_sequential(ptr, value) EXH_CHANGE("add_sequential", ptr, EXH_ADD, value, EXH_SEQUENTIAL)
#define cas_sequential(ptr, expected, desired)                                                     \
    EXH_CAS("cas_sequential", ptr, expected, desired, EXH_SEQUENTIAL)

/* Threads are not interrupted here. */
static inline void fence_signal(void)
{
    __asm__ volatile("" ::: "memory");
}

#define raise_relaxed(ptr, value)                                                                  \
    do {                                                                                           \
        EXH_TYPE(ptr) raise_to_ = (value);                                                         \
        EXH_TYPE(ptr) raise_was_ = load_relaxed(ptr);                                              \
        while (raise_was_ < raise_to_ && !cas_relaxed((ptr), raise_was_, raise_to_))               \
            raise_was_ = load_relaxed(ptr);                                                        \
    } while (0)

#endif
