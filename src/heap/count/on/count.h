/*
 * Counting, in the flavour that `duet run` preloads: every operation is added to the thread's
 * shard of the process's record. See heap/counters.h for what the numbers mean.
 *
 * A thread's own shard is added to with plain instructions: nobody else writes it, and who reads
 * it does so once the process is at rest. A signal handler that allocates between a load and a
 * store of ours could make one count be lost, were they not one instruction on x86-64.
 */
#ifndef DUET_HEAP_COUNT_H
#define DUET_HEAP_COUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "engine.h"
#include "heap/counters.h"

static_assert(ENGINE_CLASSES <= COUNT_SMALL_ROWS, "each class has a row");

/* Values of `owned` in a shard. */
enum { SHARD_FREE = 0, SHARD_OWNED = 1, SHARD_COMMON = 2 };

/* This thread's shard: owned, or the common one, or NULL if it has none yet. */
extern __thread struct count_shard *count_shard;

COLD void count_alloc_slow(size_t class);
COLD void count_free_slow(size_t class);
COLD void count_flush(struct count_shard *shard);

ALWAYS_INLINE void count_alloc(size_t class)
{
    struct count_shard *shard = count_shard;
    if (unlikely(shard == NULL) || unlikely(shard->owned != SHARD_OWNED)) {
        count_alloc_slow(class);
        return;
    }
    shard->allocated[class]++;
    shard->pending_bytes += (int64_t)engine_class_bytes(class);
    if (unlikely(shard->pending_bytes > COUNT_SLACK_BYTES))
        count_flush(shard);
}

ALWAYS_INLINE void count_free(size_t class)
{
    struct count_shard *shard = count_shard;
    if (unlikely(shard == NULL) || unlikely(shard->owned != SHARD_OWNED)) {
        count_free_slow(class);
        return;
    }
    shard->freed[class]++;
    shard->pending_bytes -= (int64_t)engine_class_bytes(class);
    if (unlikely(shard->pending_bytes < -COUNT_SLACK_BYTES))
        count_flush(shard);
}

void count_large_alloc(size_t bytes);
void count_large_free(size_t bytes);
void count_realloc(bool moved);
void count_renewed(void);
void count_failure(void);
void count_held(void); /* after calls that may have mapped memory */

/* When the library is loaded, when the process exits, and in a child of fork. */
void count_start(void);
void count_end(void);
void count_fork_child(void);

#endif
