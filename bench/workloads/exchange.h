/*
 * How cells get from one thread to another without a wait: an array of slots, each with a record.
 * A thread swaps its own record for that of a random slot by one atomic exchange, and has from then
 * on what some thread has left there, perhaps itself. Records are neither made nor lost; what is
 * in one belongs to whoever holds it.
 *
 * How often a record comes from another thread is up to the scheduler, how much work there is is
 * not.
 */
#ifndef DUET_WORKLOADS_EXCHANGE_H
#define DUET_WORKLOADS_EXCHANGE_H

#include <stdatomic.h>

#include "support.h"
#include "team.h"

/* A line to a slot: two threads at different slots do not meet. */
struct exchange_slot {
    _Atomic(void *) record;
} __attribute__((aligned(LINE_BYTES)));

struct exchange {
    struct exchange_slot *slots;
    size_t count;
};

/* With zeroed records of so many bytes in all slots. */
static inline void exchange_make(struct exchange *exchange, size_t count, size_t record_bytes)
{
    unsigned char *records = table_make(count, record_bytes);

    exchange->slots = table_make(count, sizeof *exchange->slots);
    exchange->count = count;
    for (size_t i = 0; i < count; i++)
        atomic_init(&exchange->slots[i].record, records + i * record_bytes);
}

static inline void *exchange_swap(struct exchange *exchange, size_t at, void *record)
{
    return atomic_exchange_explicit(&exchange->slots[at].record, record, memory_order_acq_rel);
}

static inline void *exchange_swap_any(struct exchange *exchange, struct hand *hand, void *record)
{
    return exchange_swap(exchange, random_below(&hand->random, exchange->count), record);
}

/* When nobody swaps any more. */
static inline void *exchange_record(struct exchange *exchange, size_t at)
{
    return atomic_load_explicit(&exchange->slots[at].record, memory_order_acquire);
}

#endif
