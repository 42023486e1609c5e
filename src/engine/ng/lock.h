/*
 * How a context is locked to take a cell from the head of a ring: the one place that knows of both
 * ways. With a mutex, the slot itself, `avail` is changed by plain stores; with a read-write lock
 * (DUET_RWLOCK) by compare-and-swap, since others read beside. While there is one thread it is the
 * first way in either build, and the mutex is no more than a mark.
 *
 * Whoever finds that a bit is not enough lets the context go, and takes it to write (slot_take): in
 * between everything may have changed.
 */
#ifndef DUET_ENGINE_NG_LOCK_H
#define DUET_ENGINE_NG_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/thread.h"
#include "engine/ng/group.h"

ALWAYS_INLINE bool context_is_read_by_many(void)
{
    return DUET_RWLOCK && !thread_is_alone();
}

ALWAYS_INLINE bool context_try_reading(struct context *context)
{
    return context_is_read_by_many() ? slot_try_reading(&context->slot) : slot_try(&context->slot);
}

ALWAYS_INLINE void context_end_reading(struct context *context)
{
    if (context_is_read_by_many())
        slot_end_reading(&context->slot);
    else
        slot_release(&context->slot);
}

/* Takes the lowest bit out of the mask, which may be empty. */
ALWAYS_INLINE bool context_take_bit(uint32_t *mask, unsigned *index)
{
    uint32_t bits = load_relaxed(mask);
    if (context_is_read_by_many()) {
        while (bits != 0 && !cas_acquire(mask, bits, bits & (bits - 1)))
            bits = load_relaxed(mask);
    } else {
        store_relaxed(mask, bits & (bits - 1));
    }
    *index = (unsigned)__builtin_ctz(bits | (uint32_t)1 << 31);
    return bits != 0;
}

#endif
