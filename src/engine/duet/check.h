/*
 * The checked build's second book: which cells are handed out, a bit each, apart from the masks, in
 * the group's record. It finds every cell that is handed out twice, and every double free at once.
 * In other builds nothing is left of this.
 */
#ifndef DUET_ENGINE_DUET_CHECK_H
#define DUET_ENGINE_DUET_CHECK_H

#include <stddef.h>

#include "base/config.h"

struct group;

void duet_check_alloc_slow(void *cell, size_t kind);
void duet_check_free_slow(void *cell, size_t kind);
void duet_check_released_slow(struct group *group);

static inline void duet_check_alloc(void *cell, size_t kind)
{
    if (DUET_CHECKED)
        duet_check_alloc_slow(cell, kind);
}

static inline void duet_check_free(void *cell, size_t kind)
{
    if (DUET_CHECKED)
        duet_check_free_slow(cell, kind);
}

/* None of its cells is with anybody. */
static inline void duet_check_released(struct group *group)
{
    if (DUET_CHECKED)
        duet_check_released_slow(group);
}

#endif
