/*
 * A free cell reads as zero, in all its bytes: it is cleared when it is freed, and looked at before
 * it is handed out again. Cells are multiples of 16 bytes, at multiples of 16.
 */
#ifndef DUET_ENGINE_DUET_SECURE_ZEROS_H
#define DUET_ENGINE_DUET_SECURE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "engine/duet/classes.h"

typedef uint64_t zeros_pair __attribute__((vector_size(16), may_alias));
static_assert(DUET_UNIT == sizeof(zeros_pair), "cells are made of pairs");

/* Up to so many bytes a call costs more than it saves. */
#define ZEROS_SHORT_BYTES 256

/* Of a short cell, all of it. */
ALWAYS_INLINE bool zeros_are_all(const void *cell, size_t bytes)
{
    zeros_pair any = {0, 0};
    for (const zeros_pair *pair = cell; bytes > 0; bytes -= sizeof any)
        any |= *pair++;
    return (any[0] | any[1]) == 0;
}

/* Of a longer one, or of a part of it: two halves of a line at a time. */
static inline bool zeros_are_all_long(const void *start, size_t bytes)
{
    zeros_pair even = {0, 0}, odd = {0, 0};
    const zeros_pair *pair = start;
    for (; bytes >= 4 * sizeof *pair; bytes -= 4 * sizeof *pair, pair += 4) {
        even |= pair[0] | pair[2];
        odd |= pair[1] | pair[3];
    }
    for (; bytes > 0; bytes -= sizeof *pair)
        even |= *pair++;
    even |= odd;
    return (even[0] | even[1]) == 0;
}

/* The first bytes of a short cell, or more. */
ALWAYS_INLINE void zeros_put(void *cell, size_t bytes)
{
    const zeros_pair zero = {0, 0};
    zeros_pair *pairs = cell;
    for (size_t i = 0; i < bytes; i += sizeof zero) {
        *pairs++ = zero;
        __asm__(""); /* or the compiler makes a string instruction of it, which is slow to start */
    }
}

#endif
