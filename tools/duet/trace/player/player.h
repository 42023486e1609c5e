/*
 * duet-player: what its files share.
 */
#ifndef DUET_PLAYER_H
#define DUET_PLAYER_H

#include <stddef.h>
#include <stdint.h>

#include "play_file.h"
#include "status.h"

/* How much there is to do, or was done. */
struct amount {
    uint64_t operations;
    uint64_t allocations;
};

/* What is played, in memory of the player's own. */
struct play {
    const struct play_head *head;
    const struct play_thread *threads;
    const struct play_entry **entries; /* of each thread, its first */
    struct amount amount;              /* as it stands in the entries */
};

/* What came of it. */
struct result {
    double seconds;
    struct amount amount; /* counted while it was played */
    uint64_t peak_live_bytes;
};

/* One line on stderr, and the end. Any thread may; of several the first is heard. */
_Noreturn void fail(enum player_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Zeroed memory that no malloc knows of, with all its pages there, kept to the end. */
void *table_make(uint64_t count, size_t bytes_each);

/* Makes all that playing needs. */
void stage_build(const struct play *play);

/* Plays all of it once, and then frees what it left, which is not timed. Fails if not all was
 * played. */
struct result stage_play(void);

#endif
