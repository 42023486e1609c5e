/*
 * duet_stats for programs of both kinds (names.h): under the standard names it comes from the
 * preloaded library, and the program must link without it.
 */
#ifndef TESTS_HEAP_STATS_H
#define TESTS_HEAP_STATS_H

#include "check.h"
#include "duet.h"

#ifndef DUET_NAMES
#pragma weak duet_stats
#endif

static inline struct duet_heap_stats heap_stats(void)
{
    struct duet_heap_stats stats;
    CHECK(duet_stats != NULL);
    duet_stats(&stats);
    return stats;
}

#endif
