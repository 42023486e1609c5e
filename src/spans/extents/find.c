#include "spans/extents/find.h"

#include "base/bits.h"
#include "os/os.h"
#include "spans/extents/bins.h"
#include "spans/extents/neighbours.h"
#include "spans/extents/segments.h"

/* How many of a bin are looked at, and how many in all where the room behind counts: enough to
 * find a good one, few enough to be nothing to what a block of this length costs its user. */
#define LOOKS_MOST 32

/* A block that grows gets this many times its length of room, so that copying it when the room
 * is used up costs less than what was written since. */
#define ROOM_TIMES 2

/* A free extent, and where in it the taken one is to start. */
struct place {
    struct extent *run; /* NULL: nowhere */
    char *start;
};

static const struct place nowhere;

static char *align_up(char *address, size_t align)
{
    return address + (-(uintptr_t)address & (align - 1));
}

/* How much a run holds from a multiple of `align` on. */
static size_t room_from(const char *start, const char *end, size_t align)
{
    size_t skipped = -(uintptr_t)start & (align - 1);
    size_t length = (size_t)(end - start);
    return length > skipped ? length - skipped : 0;
}

/* Whether what lies before the run may want it: through other free ones, if there are any. */
static bool is_wanted(const struct extent *run)
{
    const struct extent *before = run->before;
    while (extent_is_free(before))
        before = before->before;
    return before != NULL && before->grows;
}

static struct place place_in(struct extent *run, size_t length, size_t align)
{
    char *start = align_up(run->start, align);
    if (is_wanted(run)) {
        char *far_end = extent_end(run) - length;
        start = far_end - ((uintptr_t)far_end & (align - 1));
    }
    return (struct place){run, start};
}

/* ---- In one extent ----------------------------------------------------------------------- */

static bool is_better(const struct extent *run, const struct extent *best)
{
    return best == NULL || run->length < best->length ||
           (run->length == best->length && run->start < best->start);
}

static struct place find_fit(const struct bins *kind, size_t length, size_t align)
{
    for (size_t bin = bin_filled_from(kind, bin_of(length)); bin < BINS;
         bin = bin_filled_from(kind, bin + 1)) {
        struct extent *best = NULL;
        size_t looks = LOOKS_MOST;
        for (struct extent *run = kind->first[bin]; run != NULL && looks > 0; looks--) {
            if (room_from(run->start, extent_end(run), align) >= length && is_better(run, best))
                best = run;
            run = run->next;
        }
        if (best != NULL)
            return place_in(best, length, align);
    }
    return nowhere;
}

/* The largest run's start; or its middle, where its start is left to what lies before. */
static struct place find_room(const struct bins *kind, size_t length, size_t align)
{
    struct place best = nowhere;
    size_t most = length * ROOM_TIMES - 1;
    size_t looks = LOOKS_MOST;
    for (size_t bin = bin_filled_below(kind, BINS); bin < BINS && looks > 0;
         bin = bin_filled_below(kind, bin)) {
        for (struct extent *run = kind->first[bin]; run != NULL && looks > 0; looks--) {
            char *half = run->start + (is_wanted(run) ? run->length / 2 : 0);
            char *start = align_up(half, max_size(align, os_page_bytes()));
            if (start < extent_end(run) && (size_t)(extent_end(run) - start) > most) {
                most = (size_t)(extent_end(run) - start);
                best = (struct place){run, start};
            }
            run = run->next;
        }
    }
    return best;
}

/* ---- In several that are joined ---------------------------------------------------------- */

/* The free extents of both kinds that lie in a row with this one. */
static struct extent_row row_of(struct extent *extent)
{
    struct extent_row row = {extent, extent_end(extent)};
    while (extent_is_free(row.first->before))
        row.first = row.first->before;
    for (struct extent *at = extent->after; extent_is_free(at); at = at->after)
        row.end = extent_end(at);
    return row;
}

/* Makes a row one extent, which is dirty. */
static struct extent *join(struct extent_row row)
{
    struct extent *all = row.first;
    bins_remove(all);
    while (extent_is_free(all->after)) {
        bins_remove(all->after);
        extent_absorb(all);
    }
    all->dirty = true;
    bins_add(all);
    return all;
}

/* The longest extents of each kind are looked at, since a row that holds the request has a long
 * one. */
static struct place find_joined(const struct bins *kind, size_t length, size_t align)
{
    size_t looks = LOOKS_MOST;
    for (size_t bin = bin_filled_below(kind, BINS); bin < BINS && looks > 0;
         bin = bin_filled_below(kind, bin)) {
        for (struct extent *at = kind->first[bin]; at != NULL && looks > 0; looks--) {
            struct extent_row row = row_of(at);
            if (room_from(row.first->start, row.end, align) >= length)
                return place_in(join(row), length, align);
            at = at->next;
        }
    }
    return nowhere;
}

/* ---- Anywhere ---------------------------------------------------------------------------- */

static struct place find_in_new(size_t length, size_t align, bool growing)
{
    size_t least = round_up(length, BLOCK_BYTES);
    size_t wish = growing ? min_size(least * ROOM_TIMES, EXTENT_MAX_BYTES) : least;
    struct extent *segment = segment_add(least, wish, align);
    return segment == NULL ? nowhere : (struct place){segment, segment->start};
}

static struct place find_place(size_t length, size_t align, bool growing)
{
    const struct bins *dirty = &extent_bins[DIRTY], *clean = &extent_bins[CLEAN];
    struct place place = nowhere;
    if (growing) {
        place = find_room(dirty, length, align);
        if (place.run == NULL)
            place = find_room(clean, length, align);
        if (place.run == NULL)
            place = find_in_new(length, align, true);
    }
    if (place.run == NULL)
        place = find_fit(dirty, length, align);
    if (place.run == NULL)
        place = find_fit(clean, length, align);
    if (place.run == NULL)
        place = find_joined(clean, length, align);
    if (place.run == NULL)
        place = find_joined(dirty, length, align);
    if (place.run == NULL && !growing)
        place = find_in_new(length, align, false);
    return place;
}

/* Cuts it out of its run; what is left of that stays free. NULL: no memory for a record. */
static struct extent *carve(struct place place, size_t length)
{
    struct extent *extent = place.run;
    bins_remove(extent);
    if (place.start > extent->start) {
        struct extent *rest = extent_split(extent, (size_t)(place.start - extent->start));
        bins_add(extent);
        if (rest == NULL)
            return NULL;
        extent = rest;
    }
    struct extent *rest = extent->length > length ? extent_split(extent, length) : NULL;
    if (extent->length > length) {
        extent_put_free(extent);
        return NULL;
    }
    if (rest != NULL)
        bins_add(rest);
    return extent;
}

struct extent *extent_find(size_t length, size_t align, bool growing)
{
    struct place place = find_place(length, align, growing);
    return place.run == NULL ? NULL : carve(place, length);
}
