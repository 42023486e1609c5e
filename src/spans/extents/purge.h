/*
 * What of the dirty memory goes back to the OS, and when.
 *
 * Dirty memory is allowed up to what is live, since programs that free much soon want much; and up
 * to what was live shortly ago, which they had then. Beyond, it goes at once, the oldest first; and
 * what lies unused goes by and by, at the tick (spans/decay.h).
 *
 * Concurrency: what to purge is claimed by the holder (holder.h); the purge goes on without the
 * latch. The decay's clock is anybody's.
 */
#ifndef DUET_SPANS_EXTENTS_PURGE_H
#define DUET_SPANS_EXTENTS_PURGE_H

#include <stddef.h>

#include "spans/extents.h"

/* How many extents are claimed at a time for a purge. */
#define CLAIMS_MOST 16

/* Extents that this thread purges. */
struct claims {
    size_t count;
    struct extent *extents[CLAIMS_MOST];
};

/* What came of a purge, in bytes. */
struct purged {
    size_t returned;
    size_t refused;
};

/* For the holder, after an operation: there may be less dirty memory than there was. */
void purge_note(void);

/* For the holder: claims what is above the allowance; nothing, if the kernel refused a purge since
 * the last tick. */
void purge_claim_excess(struct claims *claims);

/* For who is not the holder: purges what was claimed, and puts it back. */
struct purged purge_claimed(struct claims *claims);

#endif
