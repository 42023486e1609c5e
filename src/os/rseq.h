/*
 * Restartable sequences (rseq(2)): a few instructions that the kernel lets begin anew in a thread
 * which is preempted, moved to another CPU or sent a signal in one of them. The last of them stores
 * the one word that counts. So of all threads with the same number one at a time passes through.
 *
 * These work on slots: arrays of words, each the top of a stack of items between guards or, for
 * rseq_exchange, an item, as slots/cpus.h describes. `slots` is the table of them by number, `area`
 * the distance of a thread's registration from its thread pointer.
 *
 * Each is laid out like this; what lies elsewhere is data, or runs to begin anew or not at all:
 *
 *          unless the kernel knows this thread, go to 6
 *   1:     the address of 3 into the registration's rseq_cs
 *   2:     ...                                            begin
 *          where it cannot be done, go to 4 (or to a label of the compiler's)
 *          store the word that counts
 *   4:                                                    end
 *
 *   3:     version and flags, begin, length, 5            in __rseq_cs
 *          the signature                                  in .text.cpus
 *   5:     go to 1
 *   6:     say that it is not done, go to 4
 *
 * (linux/rseq.h; the offsets are part of the kernel's interface. gcc 12.2 returns what an `asm
 * goto` with outputs has left unset where it jumps, though it was told to return NULL. So there is
 * none: rseq_pop says by its item, or by a flag, whether it is done.)
 */
#ifndef DUET_OS_RSEQ_H
#define DUET_OS_RSEQ_H

#include <features.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

/* Whether there are any, as far as the compiler knows: the C library registers threads, and no
 * ThreadSanitizer has to see what they do. */
#if defined(__SANITIZE_THREAD__)
#define RSEQ_POSSIBLE 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RSEQ_POSSIBLE 0
#endif
#endif
#if !defined(RSEQ_POSSIBLE) && defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 35) && (defined(__x86_64__) || defined(__aarch64__))
#define RSEQ_POSSIBLE 1
#endif
#endif
#ifndef RSEQ_POSSIBLE
#define RSEQ_POSSIBLE 0
#endif

/* The distance of a thread's registration; that of one that looks like a thread's which is not
 * registered. */
ptrdiff_t rseq_area(void);
ptrdiff_t rseq_area_of_nobody(void);

/* Whether the C library has registered threads, and the kernel tells each a number that is below
 * that of the process's threads and of its CPUs (mm_cid, Linux 6.3). */
bool rseq_has_numbers(void);

enum rseq_result {
    RSEQ_NONE, /* the thread is not registered */
    RSEQ_DONE,
    RSEQ_UNDONE, /* there is no item; or no room, or the item is one of the two on top already */
};

#if RSEQ_POSSIBLE

/* Offsets in the registration: int32_t cpu_id, uint64_t rseq_cs, uint32_t mm_cid. */
#define RSEQ_CPU_ID 4
#define RSEQ_MM_CID 24

#define RSEQ_DESCRIPTION                                                                           \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n"                                                                                 \
    "3:\n\t"                                                                                       \
    ".long 0, 0\n\t"                                                                               \
    ".quad 2b, 4b - 2b, 5f\n\t"                                                                    \
    ".popsection\n\t"

#if defined(__x86_64__)

/* The area is an offset from %fs. */
#define RSEQ_AREA area

#define RSEQ_CHECK(otherwise)                                                                      \
    "cmpl $0, %%fs:4(%[area])\n\t"                                                                 \
    "jl " otherwise "\n"

#define RSEQ_BEGIN                                                                                 \
    "1:\n\t"                                                                                       \
    "leaq 3f(%%rip), %[slot]\n\t"                                                                  \
    "movq %[slot], %%fs:8(%[area])\n"                                                              \
    "2:\n\t"                                                                                       \
    "movl %%fs:24(%[area]), %k[slot]\n\t"                                                          \
    "movq (%[slots], %[slot], 8), %[slot]\n\t"

#define RSEQ_END                                                                                   \
    "4:\n\t" RSEQ_DESCRIPTION ".pushsection .text.cpus, \"ax\"\n\t"                                \
    ".byte 0x0f, 0xb9, 0x3d\n\t" /* an instruction that is none, and the signature in it */        \
    ".long 0x53053053\n"                                                                           \
    "5:\n\t"                                                                                       \
    "jmp 1b\n"

#define RSEQ_NOT_DONE(result)                                                                      \
    "6:\n\t"                                                                                       \
    "xorq " result ", " result "\n\t"                                                              \
    "jmp 4b\n\t"

/* The flag Z says that there is no item. */
#define RSEQ_POP                                                                                   \
    "movq (%[slot], %[word], 8), %[top]\n\t"                                                       \
    "movq -8(%[top]), %[item]\n\t"                                                                 \
    "testq %[item], %[item]\n\t"                                                                   \
    "jz 4f\n\t"                                                                                    \
    "leaq -8(%[top]), %[top]\n\t"                                                                  \
    "movq %[top], (%[slot], %[word], 8)\n"
#define RSEQ_POP_FLAG "=@ccz"
#define RSEQ_CLOBBERS "memory"

#define RSEQ_PUSH                                                                                  \
    "cmpl $0, %%fs:4(%[area])\n\t"                                                                 \
    "jl %l[none]\n"                                                                                \
    "1:\n\t"                                                                                       \
    "leaq 3f(%%rip), %%r10\n\t"                                                                    \
    "movq %%r10, %%fs:8(%[area])\n"                                                                \
    "2:\n\t"                                                                                       \
    "movl %%fs:24(%[area]), %%r10d\n\t"                                                            \
    "movq (%[slots], %%r10, 8), %%r10\n\t"                                                         \
    "movq (%%r10, %[word], 8), %%r11\n\t"                                                          \
    "testb $1, (%%r11)\n\t"                                                                        \
    "jnz %l[undone]\n\t"                                                                           \
    "cmpq %[item], -8(%%r11)\n\t"                                                                  \
    "je %l[undone]\n\t"                                                                            \
    "cmpq %[item], -16(%%r11)\n\t"                                                                 \
    "je %l[undone]\n\t"                                                                            \
    "movq %[item], (%%r11)\n\t"                                                                    \
    "addq $8, %%r11\n\t"                                                                           \
    "movq %%r11, (%%r10, %[word], 8)\n"
#define RSEQ_PUSH_CLOBBERS "r10", "r11"

#define RSEQ_EXCHANGE                                                                              \
    "cmpq %[stopped], %[slot]\n\t"                                                                 \
    "je 6f\n\t"                                                                                    \
    "movq (%[slot], %[word], 8), %[old]\n\t"                                                       \
    "movq %[top], (%[slot], %[word], 8)\n"
#define RSEQ_EXCHANGE_NOT_DONE                                                                     \
    "6:\n\t"                                                                                       \
    "xorl %k[old], %k[old]\n\t"                                                                    \
    "xorl %k[slot], %k[slot]\n\t"                                                                  \
    "jmp 4b\n\t"

#elif defined(__aarch64__)

#define RSEQ_AREA ((char *)__builtin_thread_pointer() + area)

#define RSEQ_CHECK(otherwise)                                                                      \
    "ldr w16, [%[area], #4]\n\t"                                                                   \
    "cmp w16, #0\n\t"                                                                              \
    "b.lt " otherwise "\n"

#define RSEQ_BEGIN                                                                                 \
    "1:\n\t"                                                                                       \
    "adrp %[slot], 3f\n\t"                                                                         \
    "add %[slot], %[slot], :lo12:3f\n\t"                                                           \
    "str %[slot], [%[area], #8]\n"                                                                 \
    "2:\n\t"                                                                                       \
    "ldr %w[slot], [%[area], #24]\n\t"                                                             \
    "ldr %[slot], [%[slots], %[slot], lsl #3]\n\t"

#define RSEQ_END                                                                                   \
    "4:\n\t" RSEQ_DESCRIPTION ".pushsection .text.cpus, \"ax\"\n\t"                                \
    ".inst 0xd428bc00\n" /* the signature: brk #0x45e0 */                                          \
    "5:\n\t"                                                                                       \
    "b 1b\n"

#define RSEQ_NOT_DONE(result)                                                                      \
    "6:\n\t"                                                                                       \
    "mov " result ", #0\n\t"                                                                       \
    "b 4b\n\t"

#define RSEQ_POP                                                                                   \
    "ldr %[top], [%[slot], %[word], lsl #3]\n\t"                                                   \
    "ldr %[item], [%[top], #-8]\n\t"                                                               \
    "cbz %[item], 4f\n\t"                                                                          \
    "sub %[top], %[top], #8\n\t"                                                                   \
    "str %[top], [%[slot], %[word], lsl #3]\n"

#define RSEQ_PUSH                                                                                  \
    "ldr w16, [%[area], #4]\n\t"                                                                   \
    "tbnz w16, #31, %l[none]\n"                                                                    \
    "1:\n\t"                                                                                       \
    "adrp x16, 3f\n\t"                                                                             \
    "add x16, x16, :lo12:3f\n\t"                                                                   \
    "str x16, [%[area], #8]\n"                                                                     \
    "2:\n\t"                                                                                       \
    "ldr w16, [%[area], #24]\n\t"                                                                  \
    "ldr x16, [%[slots], x16, lsl #3]\n\t"                                                         \
    "ldr x17, [x16, %[word], lsl #3]\n\t"                                                          \
    "ldr x15, [x17]\n\t"                                                                           \
    "tbnz x15, #0, %l[undone]\n\t"                                                                 \
    "ldr x15, [x17, #-8]\n\t"                                                                      \
    "cmp x15, %[item]\n\t"                                                                         \
    "b.eq %l[undone]\n\t"                                                                          \
    "ldr x15, [x17, #-16]\n\t"                                                                     \
    "cmp x15, %[item]\n\t"                                                                         \
    "b.eq %l[undone]\n\t"                                                                          \
    "str %[item], [x17], #8\n\t"                                                                   \
    "str x17, [x16, %[word], lsl #3]\n"
#define RSEQ_CLOBBERS "memory", "cc", "x16"
#define RSEQ_PUSH_CLOBBERS "x15", "x16", "x17"

#define RSEQ_EXCHANGE                                                                              \
    "cmp %[slot], %[stopped]\n\t"                                                                  \
    "b.eq 6f\n\t"                                                                                  \
    "ldr %[old], [%[slot], %[word], lsl #3]\n\t"                                                   \
    "str %[top], [%[slot], %[word], lsl #3]\n"
#define RSEQ_EXCHANGE_NOT_DONE                                                                     \
    "6:\n\t"                                                                                       \
    "mov %[old], #0\n\t"                                                                           \
    "mov %[slot], #0\n\t"                                                                          \
    "b 4b\n\t"

#endif

/* The number of the thread that asks, if it is registered; a moment later it may be another. */
ALWAYS_INLINE uint32_t rseq_number(ptrdiff_t area)
{
    uint32_t number;
#if defined(__x86_64__)
    __asm__ volatile("movl %%fs:24(%[area]), %[number]" : [number] "=r"(number) : [area] "r"(area));
#else
    number = *(const volatile uint32_t *)(RSEQ_AREA + RSEQ_MM_CID);
#endif
    return number;
}

/* Whether the thread is registered. */
ALWAYS_INLINE bool rseq_is_registered(ptrdiff_t area)
{
#if defined(__x86_64__)
    bool unknown;
    __asm__ volatile("cmpl $0, %%fs:4(%[area])" : "=@ccl"(unknown) : [area] "r"(RSEQ_AREA));
    return !unknown;
#else
    return *(const volatile int32_t *)(RSEQ_AREA + RSEQ_CPU_ID) >= 0;
#endif
}

/* *item is set if it is done. */
ALWAYS_INLINE enum rseq_result rseq_pop(ptrdiff_t area, void ***const *slots, size_t word,
                                        void **item)
{
    void *slot, *top, *popped;
#ifdef RSEQ_POP_FLAG
    bool undone;
#define RSEQ_POP_RESULT RSEQ_POP_FLAG(undone),
#else
#define RSEQ_POP_RESULT
#endif
    __asm__ volatile(RSEQ_CHECK("6f")
                         RSEQ_BEGIN RSEQ_POP RSEQ_END RSEQ_NOT_DONE("%[item]") ".popsection"
                     : RSEQ_POP_RESULT[slot] "=&r"(slot), [top] "=&r"(top), [item] "=&r"(popped)
                     : [area] "r"(RSEQ_AREA), [slots] "r"(slots), [word] "r"(word)
                     : RSEQ_CLOBBERS);
#ifndef RSEQ_POP_FLAG
    bool undone = popped == NULL;
#endif
    if (unlikely(undone))
        return rseq_is_registered(area) ? RSEQ_UNDONE : RSEQ_NONE;
    if (popped == NULL)
        __builtin_unreachable();
    *item = popped;
    return RSEQ_DONE;
}

ALWAYS_INLINE enum rseq_result rseq_push(ptrdiff_t area, void ***const *slots, size_t word,
                                         void *item)
{
    __asm__ volatile goto(
        RSEQ_PUSH RSEQ_END ".popsection"
        :
        : [area] "r"(RSEQ_AREA), [slots] "r"(slots), [word] "r"(word), [item] "r"(item)
        : "memory", "cc", RSEQ_PUSH_CLOBBERS
        : none, undone);
    return RSEQ_DONE;
undone:
    return RSEQ_UNDONE;
none:
    return RSEQ_NONE;
}

/* What the word was before, and in which slot; both NULL: in none. */
ALWAYS_INLINE void **rseq_exchange(ptrdiff_t area, void ***const *slots, size_t word, void **top,
                                   const void *stopped, void **slot)
{
    void **old;
    __asm__ volatile(RSEQ_CHECK("6f") RSEQ_BEGIN RSEQ_EXCHANGE RSEQ_END RSEQ_EXCHANGE_NOT_DONE
                     ".popsection"
                     : [slot] "=&r"(*slot), [old] "=&r"(old)
                     : [area] "r"(RSEQ_AREA), [slots] "r"(slots), [word] "r"(word), [top] "r"(top),
                       [stopped] "r"(stopped)
                     : RSEQ_CLOBBERS);
    return old;
}

#else

ALWAYS_INLINE uint32_t rseq_number(ptrdiff_t area)
{
    (void)area;
    return 0;
}

ALWAYS_INLINE bool rseq_is_registered(ptrdiff_t area)
{
    (void)area;
    return false;
}

ALWAYS_INLINE enum rseq_result rseq_pop(ptrdiff_t area, void ***const *slots, size_t word,
                                        void **item)
{
    (void)area, (void)slots, (void)word, (void)item;
    return RSEQ_NONE;
}

ALWAYS_INLINE enum rseq_result rseq_push(ptrdiff_t area, void ***const *slots, size_t word,
                                         void *item)
{
    (void)area, (void)slots, (void)word, (void)item;
    return RSEQ_NONE;
}

ALWAYS_INLINE void **rseq_exchange(ptrdiff_t area, void ***const *slots, size_t word, void **top,
                                   const void *stopped, void **slot)
{
    (void)area, (void)slots, (void)word, (void)top, (void)stopped;
    *slot = NULL;
    return NULL;
}

#endif

#endif
