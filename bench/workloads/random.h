/*
 * Random numbers: the same on every run, and cheap beside a malloc. A linear congruential
 * generator with Knuth's factor, whose upper half is used.
 */
#ifndef DUET_WORKLOADS_RANDOM_H
#define DUET_WORKLOADS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#define RANDOM_FACTOR UINT64_C(6364136223846793005)
#define RANDOM_STEP UINT64_C(1442695040888963407)

static inline uint32_t random_next(uint64_t *state)
{
    *state = *state * RANDOM_FACTOR + RANDOM_STEP;
    return (uint32_t)(*state >> 32);
}

/* A state far from those of other numbers. */
static inline uint64_t random_seed(uint64_t number)
{
    uint64_t state = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

    random_next(&state);
    return state ^ state >> 29;
}

static inline size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(((uint64_t)random_next(state) * limit) >> 32);
}

static inline size_t random_between(uint64_t *state, size_t least, size_t most)
{
    return least + random_below(state, most - least + 1);
}

/* True once in so many times. */
static inline int random_once_in(uint64_t *state, size_t times)
{
    return random_below(state, times) == 0;
}

/* From 2^least to below 2^limit: every doubling is as likely as any other. */
static inline size_t random_log(uint64_t *state, unsigned least, unsigned limit)
{
    size_t base = (size_t)1 << random_between(state, least, limit - 1);

    return base + random_below(state, base);
}

/* From 2^least to below 2^limit: a doubling is half as likely as the one below it, as sizes in
 * programs are, so that each has about as many bytes as any other. */
static inline size_t random_power(uint64_t *state, unsigned least, unsigned limit)
{
    unsigned steps = (unsigned)__builtin_ctz(random_next(state) | 1u << (limit - 1 - least));
    size_t base = (size_t)1 << (least + steps);

    return base + random_below(state, base);
}

/* Puts the numbers from 0 into an order that has nothing to do with them. */
static inline void random_order(uint64_t *state, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        size_t other = random_below(state, i);
        uint32_t moved = order[i - 1];
        order[i - 1] = order[other];
        order[other] = moved;
    }
}

#endif
