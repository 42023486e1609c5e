/*
 * The checked build's look at groups, contexts and the cells in them. In other builds nothing is
 * left of it but the functions, for tests.
 */
#ifndef DUET_ENGINE_NG_CHECK_H
#define DUET_ENGINE_NG_CHECK_H

#include <stdint.h>

#include "base/config.h"

struct context;
struct group;

/* Each stops the program where something is broken; the context is held. One group: its masks, its
 * head, the cell that it is nested in, and, while there is one thread, its place in the ring. */
void ng_check_group(const struct context *context, const struct group *group);

/* All groups of the context, and its usage; while there is one thread, and no allocation under way,
 * also every cell's header. */
void ng_check_context(const struct context *context);

/* After each operation of the slow paths: some groups, a different few each time, so that all have
 * their turn however many they are. */
void ng_check_turn_slow(struct context *context);

static inline void ng_check_turn(struct context *context)
{
    if (DUET_CHECKED)
        ng_check_turn_slow(context);
}

#endif
