/*
 * The names of src/base/thread.h, for the exhaustive tests: threads are the scheduler's. A pause is
 * nothing: who loads again what has not changed is where it was before (scheduler.h).
 */
#ifndef DUET_BASE_THREAD_H
#define DUET_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

uintptr_t exh_thread_self(void);

static inline uintptr_t thread_self(void)
{
    return exh_thread_self();
}

static inline void thread_pause(void)
{
}

static inline bool thread_is_alone(void)
{
    return false;
}

#endif
