#include "spans/extents/purge.h"

#include "base/bits.h"
#include "os/os.h"
#include "spans/decay.h"
#include "spans/extents/bins.h"
#include "spans/extents/holder.h"
#include "spans/extents/neighbours.h"
#include "spans/extents/segments.h"

/* Dirty memory that is kept whatever is live: 2 MiB are nothing to a process that has had extents
 * at all, and a program that has one block of some 100 KiB at a time stays below. */
#define DIRTY_FLOOR_BYTES ((size_t)(DUET_TINY ? 128 << 10 : 2 << 20))

/* The least that is purged, if an extent has it: a system call is then little to its pages, and
 * extents are not cut into crumbs. */
#define PURGE_LEAST_BYTES ((size_t)(DUET_TINY ? 16 : 256) << 10)

static struct decay decay; /* of dirty bytes */
static bool purge_refused; /* since the last tick: the program's pages are locked. The holder's */

/* ---- How much ---------------------------------------------------------------------------- */

static size_t allowance(void)
{
    size_t was_taken = extents_recently_taken - extents_now.taken_bytes;
    return max_size(max_size(extents_now.taken_bytes, min_size(was_taken, EXTENT_MAX_BYTES)),
                    DIRTY_FLOOR_BYTES);
}

static size_t excess(void)
{
    size_t allowed = allowance();
    return extents_now.dirty_bytes > allowed ? extents_now.dirty_bytes - allowed : 0;
}

void purge_note(void)
{
    decay_note(&decay, extents_now.dirty_bytes);
}

/* ---- Claiming ---------------------------------------------------------------------------- */

/* The oldest dirty extent; its far end, where that is enough: it is used from its start. */
static struct extent *claim_one(size_t bytes)
{
    struct extent *extent = extents_oldest_dirty;
    bins_remove(extent);
    bytes = round_up(max_size(bytes, PURGE_LEAST_BYTES), os_page_bytes());
    if (extent->length > bytes) {
        struct extent *rest = extent_split(extent, extent->length - bytes);
        if (rest != NULL) {
            bins_add(extent);
            extent = rest;
        }
    }
    extent_claim(extent);
    return extent;
}

static void claim(struct claims *claims, size_t bytes)
{
    while (bytes > 0 && extents_oldest_dirty != NULL && claims->count < CLAIMS_MOST) {
        struct extent *extent = claim_one(bytes);
        claims->extents[claims->count++] = extent;
        bytes -= min_size(bytes, extent->length);
    }
    purge_note();
}

void purge_claim_excess(struct claims *claims)
{
    if (!purge_refused)
        claim(claims, excess());
}

/* ---- Purging ----------------------------------------------------------------------------- */

struct purged purge_claimed(struct claims *claims)
{
    struct purged sum = {0};
    for (size_t i = 0; i < claims->count; i++) {
        struct extent *extent = claims->extents[i];
        extent->dirty = !os_purge(extent->start, extent->length);
        *(extent->dirty ? &sum.refused : &sum.returned) += extent->length;
    }
    if (claims->count == 0)
        return sum;
    bool held = extents_hold();
    for (size_t i = 0; i < claims->count; i++)
        if (held)
            extent_put_back(claims->extents[i]);
        else
            extent_leave(claims->extents[i]);
    if (held) {
        decay_paid(&decay, sum.returned);
        purge_refused |= sum.refused > 0;
        extents_let_go();
    }
    return sum;
}

/* Purges so many bytes, if there are as many. `stubborn`: what is refused does not end it. */
static size_t purge_bytes(size_t bytes, bool stubborn)
{
    size_t returned = 0;
    while (bytes > 0) {
        struct claims claims = {0};
        if (!extents_hold())
            break;
        claim(&claims, bytes);
        extents_let_go();
        struct purged purged = purge_claimed(&claims);
        returned += purged.returned;
        if (claims.count == 0 || (purged.refused > 0 && !stubborn))
            break;
        bytes -= min_size(bytes, purged.returned + purged.refused);
    }
    return returned;
}

/* ---- By time, and when asked ------------------------------------------------------------- */

void extents_tick(uint64_t now_ns)
{
    uint64_t ticks = decay_ticks(&decay, now_ns);
    if (ticks == 0 || !extents_hold())
        return;
    purge_refused = false;
    size_t taken = extents_now.taken_bytes;
    extents_recently_taken = taken + decay_left(extents_recently_taken - taken, ticks);
    decay_owe(&decay, extents_now.dirty_bytes, ticks);
    size_t due = max_size(load_relaxed(&decay.owed), excess());
    if (due < min_size(PURGE_LEAST_BYTES, extents_now.dirty_bytes))
        due = 0; /* until it is worth a call */
    segments_unmap_clean();
    extents_let_go();
    purge_bytes(due, false);
}

bool extents_trim(void)
{
    if (!extents_hold_for(EXTENTS_MORE_PATIENCE))
        return false;
    bool unmapped = segments_unmap_free();
    purge_refused = false;
    size_t dirty = extents_now.dirty_bytes;
    extents_let_go();
    bool purged = purge_bytes(dirty, true) > 0;
    return unmapped || purged;
}
