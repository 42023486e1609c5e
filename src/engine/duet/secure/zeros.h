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

/* Short cells are gone through from both ends at once. What lies in the middle may be taken twice;
 * but a few branches tell lengths apart then, not the turns of a loop, of which a processor guesses
 * the last one wrong. */

/* These 64 bytes, together. */
ALWAYS_INLINE zeros_pair zeros_or_64(const void *start)
{
    const zeros_pair *pair = start;
    return (pair[0] | pair[1]) | (pair[2] | pair[3]);
}

ALWAYS_INLINE bool zeros_is_none(zeros_pair pair)
{
    return (pair[0] | pair[1]) == 0;
}

/* Of a short cell, all of it. */
ALWAYS_INLINE bool zeros_are_all(const void *cell, size_t bytes)
{
    const zeros_pair *first = cell, *end = first + bytes / sizeof *end;
    zeros_pair any = first[0] | end[-1];
    if (bytes > 32)
        any |= first[1] | end[-2];
    if (bytes > 64)
        any |= (first[2] | first[3]) | (end[-3] | end[-4]);
    if (bytes > 128)
        any |= zeros_or_64(first + 4) | zeros_or_64(end - 8);
    return zeros_is_none(any);
}

/* Of a longer one, or of a part of it: a multiple of 16 bytes, or none. */
static inline bool zeros_are_all_long(const void *start, size_t bytes)
{
    const zeros_pair *pair = start, *end = pair + bytes / sizeof *end;
    zeros_pair any = {0, 0};
    if (bytes < 64) {
        for (; pair < end; pair++)
            any |= *pair;
        return zeros_is_none(any);
    }
    for (; pair < end - 4; pair += 4)
        any |= zeros_or_64(pair);
    return zeros_is_none(any | zeros_or_64(end - 4));
}

/* The first bytes of a short cell, at least one; or some more. */
ALWAYS_INLINE void zeros_put(void *cell, size_t bytes)
{
    const zeros_pair zero = {0, 0};
    zeros_pair *first = cell, *end = first + (bytes + sizeof zero - 1) / sizeof zero;
    first[0] = end[-1] = zero;
    if (end - first > 2)
        first[1] = end[-2] = zero;
    if (end - first > 4)
        first[2] = first[3] = end[-3] = end[-4] = zero;
    if (end - first > 8)
        for (size_t i = 0; i < 4; i++)
            first[4 + i] = end[-5 - (ptrdiff_t)i] = zero;
}

#endif
