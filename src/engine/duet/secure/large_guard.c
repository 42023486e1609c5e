#include "engine/duet/secure/large_guard.h"

#include "base/atomics.h"

/* Round and round; any thread may put one in another's place. */
#define WAITING_MOST 8

static struct large_memory *waiting[WAITING_MOST];
static uint32_t next;

static struct large_memory *exchange(uint32_t place, struct large_memory *memory)
{
    return exchange_acquire_release(&waiting[place % WAITING_MOST], memory);
}

struct large_memory *large_guard_wait(struct large_memory *memory)
{
    return exchange(add_relaxed(&next, 1), memory);
}

struct large_memory *large_guard_end_wait(void)
{
    struct large_memory *memory = NULL;
    for (uint32_t place = 0; place < WAITING_MOST && memory == NULL; place++)
        memory = exchange(place, NULL);
    return memory;
}
