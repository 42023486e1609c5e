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
#include "slots/slots.h"

static_assert(ENGINE_CLASSES <= COUNT_SMALL_ROWS, "each class has a row");

/* Values of `owned` in a shard. */
enum { SHARD_FREE = 0, SHARD_OWNED = 1 };

/* This thread's shard, at slot_thread.companion: its own; or else count_nobodys, from which every
 * operation leads to the slow function, since its window is over for ever; what else is written
 * there means nothing; NULL where an engine has served the thread's first operation without a slow
 * one (a CPU's slot had what was wanted), and count_bind was not called yet. */
extern struct count_shard count_nobodys;

COLD void *count_alloc_slow(struct count_shard *shard, size_t class, void *cell);
COLD void count_free_slow(struct count_shard *shard, size_t class);

/* Gives the thread a shard if it has none yet. Called wherever a thread may get its first slot. */
void count_bind(void);

/* Returns the cell, so that a caller that does the same may end in a jump to the slow function. */
ALWAYS_INLINE void *count_alloc(size_t class, void *cell)
{
    struct count_shard *shard = slot_thread.companion;
    if (unlikely(shard == NULL))
        return count_alloc_slow(shard, class, cell);
    shard->allocated[class]++;
    return unlikely(--shard->until_look < 0) ? count_alloc_slow(shard, class, cell) : cell;
}

ALWAYS_INLINE void count_free(size_t class)
{
    struct count_shard *shard = slot_thread.companion;
    if (unlikely(shard == NULL)) {
        count_free_slow(shard, class);
        return;
    }
    shard->freed[class]++;
    if (unlikely(--shard->until_look < 0))
        count_free_slow(shard, class);
}

void count_large_alloc(size_t bytes);
void count_large_free(size_t bytes);
void count_realloc(bool moved);
void count_renewed(void);
void count_failure(void);
void count_held(void); /* after calls that may have mapped memory */

/* When the library is loaded, by the path that the program was started by; when the process exits;
 * before fork and in its child, with all slots held but those of CPUs. */
void count_start(const char *program);
void count_end(void);
void count_fork_prepare(void);
void count_fork_child(void);

#endif
