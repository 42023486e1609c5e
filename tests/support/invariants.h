/*
 * The library's own looks at all that it has, for programs that are linked with it statically. An
 * engine brings some of them, and ng its own in the checked build alone; a preloaded library shows
 * none. No other thread may be in the heap.
 */
#ifndef TESTS_INVARIANTS_H
#define TESTS_INVARIANTS_H

#include <stddef.h>

#ifdef DUET_NAMES

struct context; /* of ng */

void spans_check(void) __attribute__((weak));
void extents_check(void) __attribute__((weak));
void depots_check(void) __attribute__((weak));
void ng_check_context(const struct context *context) __attribute__((weak));
extern struct context *ng_context_table[] __attribute__((weak));

static inline void check_invariants(void)
{
    if (spans_check != NULL)
        spans_check();
    if (extents_check != NULL)
        extents_check();
    if (depots_check != NULL)
        depots_check();
    /* They have numbers from 1. */
    for (size_t i = 1; ng_check_context != NULL && ng_context_table[i] != NULL; i++)
        ng_check_context(ng_context_table[i]);
}

#else

static inline void check_invariants(void)
{
}

#endif

#endif
