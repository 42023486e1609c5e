/*
 * All that is free goes back to where it came from, slots' magazines too, and what can be to the
 * system, by the name that is tested.
 */
#ifndef TESTS_TRIM_H
#define TESTS_TRIM_H

#include <stdbool.h>

#include "names.h"

/* Whether anything went back to the system. */
static inline bool trim(void)
{
#ifdef DUET_NAMES
    return duet_trim();
#else
    return malloc_trim(0) == 1;
#endif
}

#endif
