#include "engine/duet/secure/large_guard.h"

#include "base/atomics.h"

/* Blocks that are longer do not wait: all that wait are no burden where addresses are few. */
#define WAITING_MOST_BYTES ((size_t)1 << 20)

static struct large_memory *waiting[LARGE_GUARD_PLACES];
static uint32_t next;

/* Round and round; any thread may put one in another's place. */
struct large_memory *large_guard_wait(struct large_memory *memory, size_t length)
{
    if (length > WAITING_MOST_BYTES)
        return memory;
    uint32_t place = add_relaxed(&next, 1) % LARGE_GUARD_PLACES;
    return exchange_acquire_release(&waiting[place], memory);
}

struct large_memory *large_guard_end_wait(size_t place)
{
    return exchange_acquire_release(&waiting[place], NULL);
}
