#include "spans/extents/segments.h"

#include "base/bits.h"
#include "os/os.h"
#include "spans/extents/bins.h"
#include "spans/extents/neighbours.h"

/* Segments double as those of spans do (base/config.h), in blocks; here in the tiny build too, so
 * that neighbours meet in it. */
#define SEGMENT_FIRST_BYTES ((size_t)(DUET_TINY ? 64 << 10 : 1 << 20))
#define SEGMENT_LAST_BYTES ((size_t)(DUET_TINY ? 1 : 16) << 20)

static_assert(SEGMENT_LAST_BYTES <= EXTENT_MAX_BYTES, "a bin is there for the longest free run");

static size_t next_segment_bytes = SEGMENT_FIRST_BYTES;

static char *map_segment(size_t *length, size_t least, size_t align)
{
    size_t unit = max_size(BLOCK_BYTES, os_page_bytes());
    for (;; *length = max_size(round_up(*length / 2, unit), least)) {
        char *start = os_map(*length, max_size(align, BLOCK_BYTES));
        if (start != NULL || *length == least)
            return start;
    }
}

struct extent *segment_add(size_t least, size_t wish, size_t align)
{
    struct extent *segment = (struct extent *)meta_take(&extents_pool);
    if (segment == NULL)
        return NULL;
    segment->length = max_size(next_segment_bytes, wish);
    segment->start = map_segment(&segment->length, least, align);
    if (segment->start == NULL) {
        meta_give(&extents_pool, &segment->head);
        return NULL;
    }
    next_segment_bytes = min_size(segment->length * 2, SEGMENT_LAST_BYTES);
    extents_now.mapped_bytes += segment->length;
    bins_add(segment);
    return segment;
}

/* Unmaps what is one free extent after the other from a segment's start to its end. */
static bool unmap_segment(struct extent_row row)
{
    char *start = row.first->start;
    size_t length = (size_t)(row.end - start);
    if (!os_unmap(start, length))
        return false;
    extents_now.mapped_bytes -= length;
    for (struct extent *at = row.first; at != NULL; at = at->after)
        bins_remove(at);
    for (struct extent *at = row.first, *next; at != NULL; at = next) {
        next = at->after;
        meta_give(&extents_pool, &at->head);
    }
    return true;
}

bool segments_unmap_free(void)
{
    bool unmapped = false;
    for (uint32_t index = 1; index <= meta_last(&extents_pool); index++) {
        struct extent *first = (struct extent *)meta_at(&extents_pool, index);
        if (first == NULL || !extent_is_free(first) || first->before != NULL)
            continue;
        const struct extent *last = first;
        while (extent_is_free(last->after))
            last = last->after;
        if (last->after == NULL)
            unmapped |= unmap_segment((struct extent_row){first, extent_end(last)});
    }
    return unmapped;
}

void segments_unmap_clean(void)
{
    const struct bins *clean = &extent_bins[CLEAN];
    for (size_t bin = bin_filled_below(clean, BINS); extents_clean_segments > 1 && bin < BINS;
         bin = bin_filled_below(clean, bin)) {
        struct extent *next;
        for (struct extent *at = clean->first[bin]; extents_clean_segments > 1 && at; at = next) {
            next = at->next;
            if (extent_is_whole_segment(at) &&
                !unmap_segment((struct extent_row){at, extent_end(at)}))
                return; /* too many mappings; the next tick tries again */
        }
    }
}
