/*
 * Taking, giving and resizing: each holds the latch once, and then purges what has become too much.
 *
 *   take    find.c: a free extent, or a part of one, or of a new segment
 *   give    neighbours.c: joined with neighbours of the same kind; purge.c: what is dirty above the
 *           allowance goes, oldest first
 *   grow    from the free neighbours behind
 *
 * extents/ has a file for each concern, and says there what it gives up: bins.c, what is free;
 * neighbours.c, what lies beside what; segments.c, where it comes from; find.c, which one serves;
 * purge.c, what goes back to the OS; holder.c, the latch, under which all of this is, and fork.
 */
#include "spans/extents.h"

#include "base/bits.h"
#include "base/fatal.h"
#include "os/os.h"
#include "spans/extents/bins.h"
#include "spans/extents/find.h"
#include "spans/extents/holder.h"
#include "spans/extents/neighbours.h"
#include "spans/extents/purge.h"

/* Whole pages, and long enough that two of them cannot start in one block. */
static size_t whole(size_t length)
{
    return max_size(round_up(length, os_page_bytes()), BLOCK_BYTES);
}

/* Written by us alone, so a false one is not the program's misuse. */
static void require_taken(const struct extent *extent)
{
    require(meta_is_valid(&extents_pool, &extent->head) && extent->state == EXTENT_TAKEN);
}

/* ---- Taking, giving ---------------------------------------------------------------------- */

struct extent *extent_take(size_t length, size_t align, bool growing, bool *zeroed)
{
    check(length > 0 && is_power_of_two(align));
    if (length > EXTENT_MAX_BYTES || !extents_hold())
        return NULL;
    length = whole(length);
    struct extent *extent = extent_find(length, align, growing);
    if (extent != NULL) {
        *zeroed = !extent->dirty;
        extent->state = EXTENT_TAKEN;
        extent->dirty = true;
        extent->grows = growing;
        extents_count_taken(1, length);
    }
    purge_note();
    extents_check_around(extent);
    extents_let_go();
    return extent;
}

void extent_give(struct extent *extent)
{
    require_taken(extent);
    if (!extents_hold()) {
        extent_leave(extent);
        return;
    }
    struct claims claims = {0};
    extent_give_held(extent);
    purge_claim_excess(&claims);
    extents_let_go();
    purge_claimed(&claims);
}

/* ---- Resizing ---------------------------------------------------------------------------- */

/* Cuts the end off; where there is no memory for a record, it stays. */
static void shrink(struct extent *extent, size_t new_length)
{
    struct extent *rest = extent_split(extent, new_length);
    if (rest == NULL)
        return;
    extents_count_taken(0, -rest->length);
    extent_put_free(rest);
}

static bool grow(struct extent *extent, size_t new_length)
{
    size_t there = extent->length;
    for (const struct extent *at = extent->after; there < new_length && extent_is_free(at);
         at = at->after)
        there += at->length;
    if (there < new_length)
        return false;
    size_t old_length = extent->length;
    bool dirty = false;
    while (extent->length < new_length) {
        dirty = extent->after->dirty;
        bins_remove(extent->after);
        extent_absorb(extent);
    }
    struct extent *rest = extent->length > new_length ? extent_split(extent, new_length) : NULL;
    if (rest != NULL) {
        rest->dirty = dirty;
        extent_put_free(rest);
    }
    extent->grows = true;
    extents_count_taken(0, extent->length - old_length);
    purge_note();
    return true;
}

bool extent_resize(struct extent *extent, size_t new_length)
{
    check(new_length > 0);
    if (new_length > EXTENT_MAX_BYTES)
        return false;
    require_taken(extent);
    new_length = whole(new_length);
    if (!extents_hold())
        return new_length <= extent->length;
    struct claims claims = {0};
    bool resized = true;
    if (new_length > extent->length) {
        resized = grow(extent, new_length);
    } else if (new_length < extent->length) {
        shrink(extent, new_length);
        purge_claim_excess(&claims);
    }
    extents_check_around(extent);
    extents_let_go();
    purge_claimed(&claims);
    return resized;
}

/* ---- The whole --------------------------------------------------------------------------- */

struct extents_count extents_count(void)
{
    bool held = extents_hold();
    struct extents_count now = extents_now; /* not held: of this very moment, or nearly so */
    if (held)
        extents_let_go();
    return now;
}

void extents_check(void)
{
    if (!extents_hold_for(EXTENTS_MORE_PATIENCE))
        return; /* its holder is in the middle of something, and checks that */
    size_t bytes[EXTENT_PURGING + 1] = {0}, number[EXTENT_PURGING + 1] = {0}, segments = 0;
    for (uint32_t index = 1; index <= meta_last(&extents_pool); index++) {
        const struct extent *extent = (const struct extent *)meta_at(&extents_pool, index);
        if (extent == NULL)
            continue;
        require(extent_is_valid(extent));
        number[extent->state]++;
        bytes[extent->state] += extent->length;
        segments += extent_is_free(extent) && !extent->dirty && extent_is_whole_segment(extent);
    }
    const struct extents_count *now = &extents_now;
    require(bins_check() == number[EXTENT_FREE] && segments == extents_clean_segments);
    require(bytes[EXTENT_FREE] == now->clean_bytes + now->dirty_bytes);
    require(number[EXTENT_TAKEN] == now->taken && bytes[EXTENT_TAKEN] == now->taken_bytes);
    require(bytes[EXTENT_PURGING] == now->purging_bytes);
    require(bytes[EXTENT_TAKEN] + bytes[EXTENT_FREE] + bytes[EXTENT_PURGING] == now->mapped_bytes);
    require(now->taken_bytes <= extents_recently_taken);
    extents_let_go();
}
