#include "spans/extents/bins.h"

#include "base/fatal.h"

struct bins extent_bins[KINDS];
struct extent *extents_oldest_dirty;
size_t extents_clean_segments;
struct extents_count extents_now;

static struct extent *newest_dirty;

size_t bin_of(size_t length)
{
    size_t units = length >> BIN_UNIT_SHIFT;
    if (units < BINS_PER_DOUBLING)
        return units;
    size_t top = highest_bit(units);
    return (top - BIN_BITS + 1) * BINS_PER_DOUBLING +
           ((units >> (top - BIN_BITS)) & (BINS_PER_DOUBLING - 1));
}

size_t bin_filled_from(const struct bins *kind, size_t bin)
{
    for (size_t word = bin / BIN_WORD_BITS; word < BIN_WORDS; word++) {
        uint64_t bits = kind->filled[word];
        if (word == bin / BIN_WORD_BITS)
            bits &= ~(uint64_t)0 << bin % BIN_WORD_BITS;
        if (bits != 0)
            return word * BIN_WORD_BITS + (size_t)__builtin_ctzl(bits);
    }
    return BINS;
}

size_t bin_filled_below(const struct bins *kind, size_t bin)
{
    while (bin-- > 0)
        if (kind->first[bin] != NULL)
            return bin;
    return BINS;
}

/* ---- Ages -------------------------------------------------------------------------------- */

static void age_add(struct extent *extent)
{
    extent->older = newest_dirty;
    extent->newer = NULL;
    *(newest_dirty == NULL ? &extents_oldest_dirty : &newest_dirty->newer) = extent;
    newest_dirty = extent;
}

static void age_remove(struct extent *extent)
{
    *(extent->older == NULL ? &extents_oldest_dirty : &extent->older->newer) = extent->newer;
    *(extent->newer == NULL ? &newest_dirty : &extent->newer->older) = extent->older;
    extent->older = extent->newer = NULL;
}

/* ---- Adding, removing -------------------------------------------------------------------- */

void bins_add(struct extent *extent)
{
    extent->state = EXTENT_FREE;
    struct bins *kind = &extent_bins[extent->dirty];
    size_t bin = bin_of(extent->length);
    extent_list_add(&kind->first[bin], extent);
    kind->filled[bin / BIN_WORD_BITS] |= (uint64_t)1 << bin % BIN_WORD_BITS;
    if (extent->dirty) {
        age_add(extent);
        extents_now.dirty_bytes += extent->length;
    } else {
        extents_now.clean_bytes += extent->length;
        extents_clean_segments += extent_is_whole_segment(extent);
    }
}

void bins_remove(struct extent *extent)
{
    struct bins *kind = &extent_bins[extent->dirty];
    size_t bin = bin_of(extent->length);
    extent_list_remove(&kind->first[bin], extent);
    if (kind->first[bin] == NULL)
        kind->filled[bin / BIN_WORD_BITS] &= ~((uint64_t)1 << bin % BIN_WORD_BITS);
    if (extent->dirty) {
        age_remove(extent);
        extents_now.dirty_bytes -= extent->length;
    } else {
        extents_now.clean_bytes -= extent->length;
        extents_clean_segments -= extent_is_whole_segment(extent);
    }
}

/* ---- Checking ---------------------------------------------------------------------------- */

static size_t check_kind(size_t kind, size_t *bytes)
{
    size_t number = 0;
    for (size_t bin = 0; bin < BINS; bin++) {
        const struct extent *first = extent_bins[kind].first[bin];
        uint64_t bit = extent_bins[kind].filled[bin / BIN_WORD_BITS] >> bin % BIN_WORD_BITS & 1;
        require((bit != 0) == (first != NULL));
        require(first == NULL || first->previous == NULL);
        for (const struct extent *at = first; at != NULL; at = at->next) {
            require(at->state == EXTENT_FREE && at->dirty == (kind == DIRTY));
            require(bin_of(at->length) == bin);
            require(at->next == NULL || at->next->previous == at);
            number++;
            *bytes += at->length;
        }
    }
    return number;
}

static void check_ages(void)
{
    size_t bytes = 0;
    for (const struct extent *at = extents_oldest_dirty; at != NULL; at = at->newer) {
        require(at->dirty && at->state == EXTENT_FREE);
        require(at->newer == NULL ? newest_dirty == at : at->newer->older == at);
        bytes += at->length;
    }
    require(bytes == extents_now.dirty_bytes);
}

size_t bins_check(void)
{
    size_t bytes[KINDS] = {0};
    size_t number = check_kind(CLEAN, &bytes[CLEAN]) + check_kind(DIRTY, &bytes[DIRTY]);
    check_ages();
    require(bytes[CLEAN] == extents_now.clean_bytes && bytes[DIRTY] == extents_now.dirty_bytes);
    return number;
}
