#include "spans/extents/neighbours.h"

#include "base/bits.h"
#include "base/fatal.h"
#include "os/os.h"
#include "spans/extents/bins.h"

#define EXTENT_RECORD_BYTES 128
static_assert(sizeof(struct extent) <= EXTENT_RECORD_BYTES, "an extent fits its record");

struct meta_pool extents_pool =
    META_POOL_WITH_FIRST(EXTENT_RECORD_BYTES, LOCK_RANK_EXTENT_METAS, 8);

/* What two neighbours must be to each other. */
static bool are_in_order(const struct extent *before, const struct extent *after)
{
    if (before == NULL || after == NULL)
        return true;
    bool same_kind =
        extent_is_free(before) && extent_is_free(after) && before->dirty == after->dirty;
    return before->after == after && after->before == before &&
           extent_end(before) == after->start && !same_kind;
}

bool extent_is_valid(const struct extent *extent)
{
    size_t page = os_page_bytes();
    return meta_is_valid(&extents_pool, &extent->head) && extent->length > 0 &&
           is_aligned((uintptr_t)extent->start, page) && is_aligned(extent->length, page) &&
           extent->state >= EXTENT_TAKEN && extent->state <= EXTENT_PURGING &&
           (extent->state != EXTENT_TAKEN || extent->length >= BLOCK_BYTES) &&
           (extent->state != EXTENT_TAKEN || extent->dirty) &&
           are_in_order(extent->before, extent) && are_in_order(extent, extent->after);
}

void extents_check_around(const struct extent *extent)
{
    static uint32_t turn;
    const uint32_t others = 4;
    if (!DUET_CHECKED)
        return;
    check(extent == NULL || extent_is_valid(extent));
    for (uint32_t i = 0; i < others; i++) {
        uint32_t index = turn++ % (meta_last(&extents_pool) + 1);
        const struct extent *other = (const struct extent *)meta_at(&extents_pool, index);
        check(other == NULL || extent_is_valid(other));
    }
}

void extent_absorb(struct extent *extent)
{
    struct extent *next = extent->after;
    extent->length += next->length;
    extent->after = next->after;
    if (extent->after != NULL)
        extent->after->before = extent;
    meta_give(&extents_pool, &next->head);
}

struct extent *extent_split(struct extent *extent, size_t length)
{
    struct extent *rest = (struct extent *)meta_take(&extents_pool);
    if (rest == NULL)
        return NULL;
    rest->start = extent->start + length;
    rest->length = extent->length - length;
    rest->state = extent->state;
    rest->dirty = extent->dirty;
    rest->before = extent;
    rest->after = extent->after;
    if (rest->after != NULL)
        rest->after->before = rest;
    extent->after = rest;
    extent->length = length;
    return rest;
}

void extent_put_free(struct extent *extent)
{
    extent->grows = false;
    struct extent *before = extent->before;
    if (extent_is_free(before) && before->dirty == extent->dirty) {
        bins_remove(before);
        extent_absorb(before);
        extent = before;
    }
    if (extent_is_free(extent->after) && extent->after->dirty == extent->dirty) {
        bins_remove(extent->after);
        extent_absorb(extent);
    }
    bins_add(extent);
    extents_check_around(extent);
}
