/*
 * The plans, and a look at them for each call; see the header.
 */
#include "os/fault.h"

#include <errno.h>

#include "base/atomics.h"

static struct {
    struct fault_plan plan;
    struct fault_count count;
} faults[FAULT_KINDS];

/* A number below FAULT_SHARES that looks like chance. */
static uint32_t choose(uint32_t chance, enum fault_kind kind, size_t number)
{
    uint64_t mixed = ((uint64_t)chance << 32 | (uint64_t)kind << 28) + number;
    mixed *= 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 29;
    mixed *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)((mixed ^ mixed >> 32) % FAULT_SHARES);
}

void fault_set(enum fault_kind kind, struct fault_plan plan)
{
    store_relaxed(&faults[kind].plan.once, plan.once);
    store_relaxed(&faults[kind].plan.every, plan.every);
    store_relaxed(&faults[kind].plan.share, plan.share);
    store_relaxed(&faults[kind].plan.chance, plan.chance);
    store_relaxed(&faults[kind].count.calls, (size_t)0);
    store_relaxed(&faults[kind].count.failed, (size_t)0);
}

void fault_set_all(struct fault_plan plan)
{
    for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++)
        fault_set(kind, plan);
}

struct fault_count fault_count(enum fault_kind kind)
{
    return (struct fault_count){load_relaxed(&faults[kind].count.calls),
                                load_relaxed(&faults[kind].count.failed)};
}

bool fault_strikes(enum fault_kind kind)
{
    const struct fault_plan *plan = &faults[kind].plan;
    size_t number = add_relaxed(&faults[kind].count.calls, (size_t)1) + 1;
    size_t every = load_relaxed(&plan->every);
    if (number != load_relaxed(&plan->once) && (every == 0 || number % every != 0) &&
        choose(load_relaxed(&plan->chance), kind, number) >= load_relaxed(&plan->share))
        return false;
    add_relaxed(&faults[kind].count.failed, (size_t)1);
    errno = ENOMEM;
    return true;
}
