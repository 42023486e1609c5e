/*
 * One source, two sets of names. A test is written with the standard names. Compiled plainly, it
 * calls the C library's functions, and is run with the duet library preloaded; compiled with
 * DUET_NAMES, the same calls go to the duet_ names of the static library, which is what the
 * sanitizer builds can test, since a sanitizer owns malloc.
 *
 * Include this after every system header. Every main starts with require_duet().
 */
#ifndef TESTS_NAMES_H
#define TESTS_NAMES_H

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_NOT_ON_DUET 99 /* no other failure uses this status */

#ifdef DUET_NAMES

#include "duet.h"

#define malloc duet_malloc
#define calloc duet_calloc
#define realloc duet_realloc
#define reallocarray duet_reallocarray
#define free duet_mfree
#define free_sized duet_free_sized
#define free_aligned_sized duet_free_aligned_sized
#define aligned_alloc duet_aligned_alloc
#define memalign duet_memalign
#define valloc duet_valloc
#define pvalloc duet_pvalloc
#define posix_memalign duet_posix_memalign
#define malloc_usable_size(ptr) duet_usable_size(ptr)

static inline bool has_sized_free(void)
{
    return true;
}

static inline bool is_on_duet(void)
{
    return true; /* linked, or this would not have been built */
}

#else

/* C23 names that glibc 2.36 lacks: weak, so that the program links without duet. */
extern void free_sized(void *ptr, size_t size) __attribute__((weak));
extern void free_aligned_sized(void *ptr, size_t align, size_t size) __attribute__((weak));

extern const char *duet_engine(void) __attribute__((weak));

static inline bool has_sized_free(void)
{
    return free_sized != NULL && free_aligned_sized != NULL;
}

/* The loader drops a preload that it cannot map without a word that anybody reads, and then a
 * test would pass on the C library's malloc. */
static inline bool is_on_duet(void)
{
    return duet_engine != NULL;
}

#endif

/* DUET_TEST_ANY_MALLOC is for people who want to know what another malloc makes of a test;
 * nothing in the build sets it. */
static inline void require_duet(void)
{
    if (is_on_duet() || getenv("DUET_TEST_ANY_MALLOC") != NULL)
        return;
    static const char text[] = "test: the duet library is not mapped\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(EXIT_NOT_ON_DUET);
    _exit(EXIT_NOT_ON_DUET);
}

/* Compilers know what malloc does with a size, and warn about or fold what tests ask for on
 * purpose. They know nothing about what comes out of here. */
static inline size_t opaque_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

static inline void *opaque(void *ptr)
{
    __asm__ volatile("" : "+r"(ptr) : : "memory");
    return ptr;
}

#endif
