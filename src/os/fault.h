/*
 * Calls into the kernel that fail on purpose, in the checked and tiny builds, so that tests see
 * what happens then. In other builds nothing is left of this.
 */
#ifndef DUET_OS_FAULT_H
#define DUET_OS_FAULT_H

#include "base/atomics.h"
#include "base/config.h"

/* Every n-th call fails; 0: none does. Threads share the count. */
extern unsigned fault_every;
extern unsigned fault_calls;

static inline bool fault_is_due(void)
{
    if (!DUET_CHECKED)
        return false;
    unsigned every = load_relaxed(&fault_every);
    return every != 0 && add_relaxed(&fault_calls, 1) % every == every - 1;
}

#endif
