/*
 * Arithmetic on sizes and bits. `align` is a power of two everywhere.
 */
#ifndef DUET_BASE_BITS_H
#define DUET_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((noinline, cold))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Of what is defined in another file of the same library: reached without its table of
 * addresses. */
#define HIDDEN __attribute__((visibility("hidden")))

/* Brings what will be read or written soon into the caches. Any address will do. */
#define prefetch(ptr) __builtin_prefetch(ptr)
#define prefetch_for_write(ptr) __builtin_prefetch((ptr), 1)

static inline bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* The number of the highest bit of n > 0. By xor, which on x86-64 leaves one instruction. */
static inline size_t highest_bit(size_t n)
{
    return (unsigned)__builtin_clzl(n) ^ 63;
}

/* The number of bits that n needs: 0 for 0, 1 for 1, 64 for the largest. */
static inline unsigned bit_width(size_t n)
{
    return n == 0 ? 0 : (unsigned)highest_bit(n) + 1;
}

static inline size_t round_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

/* n + align - 1 must not overflow. */
static inline size_t round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static inline bool is_aligned(uintptr_t address, size_t align)
{
    return (address & (align - 1)) == 0;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Says whether a * b does not fit; else stores it. */
static inline bool multiply_overflows(size_t a, size_t b, size_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}

#endif
