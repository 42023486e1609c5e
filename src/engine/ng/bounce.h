/*
 * Bounce counters: whether groups of a class are mapped and unmapped in quick turn.
 *
 * A sequence number counts mappings and unmappings. A group that is mapped within ten steps of an
 * unmapping of its class is a bounce. At the hundredth the counter jumps, so that it takes many
 * activations of groups, each of which takes one off, until the class is trusted again. While a
 * class bounces, its last free group is kept. (mallocng's counters.)
 */
#ifndef DUET_ENGINE_NG_BOUNCE_H
#define DUET_ENGINE_NG_BOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/config.h"

/* The classes that are watched: below, groups are nested; above, cells are too large to keep. */
#define BOUNCE_FIRST_CLASS 7
#define BOUNCE_CLASSES 32

#define BOUNCE_WINDOW 10 /* steps */
#define BOUNCE_LIMIT (DUET_TINY ? 5 : 100)
#define BOUNCE_JUMP (DUET_TINY ? 8 : 150)
#define BOUNCE_LAST_SEQUENCE (DUET_TINY ? 31 : 255)

struct bounce {
    uint8_t sequence;
    uint8_t unmapped_at[BOUNCE_CLASSES]; /* the sequence at its last unmapping; 0: none of late */
    uint8_t count[BOUNCE_CLASSES];
};

static inline bool bounce_is_watched(size_t class)
{
    return class - BOUNCE_FIRST_CLASS < BOUNCE_CLASSES;
}

static inline bool bounce_is_on(const struct bounce *bounce, size_t class)
{
    return bounce_is_watched(class) && bounce->count[class - BOUNCE_FIRST_CLASS] >= BOUNCE_LIMIT;
}

/* Something was mapped or unmapped. */
static inline void bounce_step(struct bounce *bounce)
{
    if (bounce->sequence < BOUNCE_LAST_SEQUENCE) {
        bounce->sequence++;
        return;
    }
    memset(bounce->unmapped_at, 0, sizeof bounce->unmapped_at);
    bounce->sequence = 1;
}

/* A group of the class is being mapped; before the step that this is. */
static inline void bounce_account(struct bounce *bounce, size_t class)
{
    if (!bounce_is_watched(class))
        return;
    uint8_t *count = &bounce->count[class - BOUNCE_FIRST_CLASS];
    uint8_t unmapped_at = bounce->unmapped_at[class - BOUNCE_FIRST_CLASS];
    if (unmapped_at == 0 || bounce->sequence - unmapped_at >= BOUNCE_WINDOW)
        return;
    *count = *count + 1 < BOUNCE_LIMIT ? (uint8_t)(*count + 1) : BOUNCE_JUMP;
}

/* A group of the class is being unmapped; after the step that this is. */
static inline void bounce_record(struct bounce *bounce, size_t class)
{
    if (bounce_is_watched(class))
        bounce->unmapped_at[class - BOUNCE_FIRST_CLASS] = bounce->sequence;
}

/* Freed cells of the class were used again: one off. */
static inline void bounce_decay(struct bounce *bounce, size_t class)
{
    if (bounce_is_watched(class) && bounce->count[class - BOUNCE_FIRST_CLASS] > 0)
        bounce->count[class - BOUNCE_FIRST_CLASS]--;
}

#endif
