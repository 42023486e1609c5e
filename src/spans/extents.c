/*
 * Extents. Free ones lie in bins by length, some eight for each doubling, dirty and clean apart,
 * with a bit for each bin that has one: so a search is a look at a few. It takes the shortest that
 * holds the request, of equals the one at the lowest address, as far as it looks into a bin; any
 * dirty one before a clean one, since its pages are there already.
 *
 *   take    dirty bins, clean bins, free neighbours of both kinds joined, a new segment
 *   give    join neighbours of the same kind; purge what is dirty above the allowance, oldest first
 *   grow    from the free neighbours behind
 *
 * A block that realloc had to move, since it could not grow, will grow again. It gets the start of
 * the largest free run, twice as long at least, or of a new segment; and what is taken from the run
 * behind it later is taken from that run's far end. So a block that grows step by step is moved
 * each time it has doubled, not at each step.
 *
 * Dirty memory is allowed up to what is live, since programs that free much soon want much; and up
 * to what was live shortly ago, which they had then. Beyond, it goes at once; and what lies unused
 * goes by and by, at the tick.
 *
 * Concurrency: all is under one lock, but for the purge itself, which may take milliseconds. What
 * is to be purged is claimed under the lock, and belongs to its purger until it is put back. The
 * child of a fork puts back what other threads were purging.
 *
 * The lock is a word that is only ever tried. Its holder may have been interrupted by a signal
 * handler that is long in returning, or that is this very operation; so nobody waits for ever, and
 * no signals need be blocked, which would cost more than all else here. Who does not get it takes
 * no extent, and leaves one to be given, or put back, on a stack for the next holder.
 *
 * What it gives up: purged memory beside dirty memory is used together only where nothing else
 * fits; and pages inside a segment are never unmapped, which bounds the number of mappings.
 */
#include "spans/extents.h"

#include "base/atomics.h"
#include "base/bits.h"
#include "base/fatal.h"
#include "base/thread.h"
#include "os/os.h"
#include "spans/decay.h"

#define EXTENT_RECORD_BYTES 128
static_assert(sizeof(struct extent) <= EXTENT_RECORD_BYTES, "an extent fits its record");

/* Segments double as those of spans do (base/config.h), in blocks; here in the tiny build too, so
 * that neighbours meet in it. */
#define SEGMENT_FIRST_BYTES ((size_t)(DUET_TINY ? 64 << 10 : 1 << 20))
#define SEGMENT_LAST_BYTES ((size_t)(DUET_TINY ? 1 : 16) << 20)

/* Dirty memory that is kept whatever is live: 2 MiB are nothing to a process that has had extents
 * at all, and a program that has one block of some 100 KiB at a time stays below. */
#define DIRTY_FLOOR_BYTES ((size_t)(DUET_TINY ? 128 << 10 : 2 << 20))

/* The least that is purged, if an extent has it: a system call is then little to its pages, and
 * extents are not cut into crumbs. */
#define PURGE_LEAST_BYTES ((size_t)(DUET_TINY ? 16 : 256) << 10)

/* How many extents are claimed at a time for a purge. */
#define CLAIMS_MOST 16

/* How many of a bin are looked at, and how many in all where the room behind counts: enough to
 * find a good one, few enough to be nothing to what a block of this length costs its user. */
#define LOOKS_MOST 32

/* A block that grows gets this many times its length of room, so that copying it when the room
 * is used up costs less than what was written since. */
#define ROOM_TIMES 2

/* Bins are by units of the smallest page, whatever the page is: each unit up to 8, then 8 for each
 * doubling. The last has the longest segment that there can be. */
#define UNIT_SHIFT 12
#define BIN_BITS 3
#define BINS_PER_DOUBLING ((size_t)1 << BIN_BITS)
#define UNITS_MOST (EXTENT_MAX_BYTES >> UNIT_SHIFT)
#define BINS ((size_t)(__builtin_ctzl(UNITS_MOST) - BIN_BITS + 1) * BINS_PER_DOUBLING + 1)
#define WORD_BITS 64
#define BIN_WORDS ((BINS + WORD_BITS - 1) / WORD_BITS)

static_assert(SEGMENT_LAST_BYTES <= EXTENT_MAX_BYTES, "a bin is there for the longest free run");

struct bins {
    uint64_t filled[BIN_WORDS];
    struct extent *first[BINS];
};

enum { CLEAN, DIRTY, KINDS };

/* Some 10 ms for an operation, the most of it asleep: a holder that runs is done by then, even one
 * that maps or unmaps a segment. Ten times as much for what has no other way. */
#define ROUNDS_OF_PATIENCE 150
#define ROUNDS_OF_MORE_PATIENCE (10 * ROUNDS_OF_PATIENCE)

/* As the holder: in the child of a fork that came while another thread held the lock. What that
 * left half done is not used any more. */
#define ABANDONED ((uintptr_t)1)

static uintptr_t holder;         /* thread_self() of whoever has the lock, or 0 */
static struct extent *left_over; /* for the next holder; pushed by anybody, taken whole */
static bool fork_holds;          /* whether it was to be had for the fork that is under way */

static struct meta_pool pool = META_POOL_INITIAL(EXTENT_RECORD_BYTES, LOCK_RANK_EXTENT_METAS);

/* All that follows is the holder's. */
static struct bins bins[KINDS];
static struct extent *oldest_dirty;
static struct extent *newest_dirty;
static struct extent *purging;
static size_t clean_segments; /* that are one free, clean extent */
static size_t next_segment_bytes = SEGMENT_FIRST_BYTES;
static struct extents_count count;
static size_t recent_taken_bytes; /* the most that was taken; decays */
static struct decay decay;        /* of dirty bytes; its clock is anybody's */
static bool purge_refused;        /* since the last tick: the program's pages are locked */

/* ---- Bins -------------------------------------------------------------------------------- */

static size_t bin_of(size_t length)
{
    size_t units = length >> UNIT_SHIFT;
    if (units < BINS_PER_DOUBLING)
        return units;
    size_t top = highest_bit(units);
    return (top - BIN_BITS + 1) * BINS_PER_DOUBLING +
           ((units >> (top - BIN_BITS)) & (BINS_PER_DOUBLING - 1));
}

/* The first bin from `bin` on that has an extent, or BINS. */
static size_t filled_from(const struct bins *kind, size_t bin)
{
    for (size_t word = bin / WORD_BITS; word < BIN_WORDS; word++) {
        uint64_t bits = kind->filled[word];
        if (word == bin / WORD_BITS)
            bits &= ~(uint64_t)0 << bin % WORD_BITS;
        if (bits != 0)
            return word * WORD_BITS + (size_t)__builtin_ctzl(bits);
    }
    return BINS;
}

/* The last bin below `bin` that has one, or BINS. */
static size_t filled_below(const struct bins *kind, size_t bin)
{
    while (bin-- > 0)
        if (kind->first[bin] != NULL)
            return bin;
    return BINS;
}

static bool is_whole_segment(const struct extent *extent)
{
    return extent->before == NULL && extent->after == NULL;
}

static void age_add(struct extent *extent)
{
    extent->older = newest_dirty;
    extent->newer = NULL;
    *(newest_dirty == NULL ? &oldest_dirty : &newest_dirty->newer) = extent;
    newest_dirty = extent;
}

static void age_remove(struct extent *extent)
{
    *(extent->older == NULL ? &oldest_dirty : &extent->older->newer) = extent->newer;
    *(extent->newer == NULL ? &newest_dirty : &extent->newer->older) = extent->older;
    extent->older = extent->newer = NULL;
}

static void list_add(struct extent **list, struct extent *extent)
{
    extent->previous = NULL;
    extent->next = *list;
    if (*list != NULL)
        (*list)->previous = extent;
    *list = extent;
}

static void list_remove(struct extent **list, struct extent *extent)
{
    *(extent->previous == NULL ? list : &extent->previous->next) = extent->next;
    if (extent->next != NULL)
        extent->next->previous = extent->previous;
    extent->next = extent->previous = NULL;
}

/* Its neighbours are other than it: see put_free. */
static void free_add(struct extent *extent)
{
    extent->state = EXTENT_FREE;
    struct bins *kind = &bins[extent->dirty];
    size_t bin = bin_of(extent->length);
    list_add(&kind->first[bin], extent);
    kind->filled[bin / WORD_BITS] |= (uint64_t)1 << bin % WORD_BITS;
    if (extent->dirty) {
        age_add(extent);
        count.dirty_bytes += extent->length;
    } else {
        count.clean_bytes += extent->length;
        clean_segments += is_whole_segment(extent);
    }
}

static void free_remove(struct extent *extent)
{
    struct bins *kind = &bins[extent->dirty];
    size_t bin = bin_of(extent->length);
    list_remove(&kind->first[bin], extent);
    if (kind->first[bin] == NULL)
        kind->filled[bin / WORD_BITS] &= ~((uint64_t)1 << bin % WORD_BITS);
    if (extent->dirty) {
        age_remove(extent);
        count.dirty_bytes -= extent->length;
    } else {
        count.clean_bytes -= extent->length;
        clean_segments -= is_whole_segment(extent);
    }
}

/* ---- Neighbours -------------------------------------------------------------------------- */

static bool is_free(const struct extent *extent)
{
    return extent != NULL && extent->state == EXTENT_FREE;
}

/* What two neighbours must be to each other. */
static bool are_in_order(const struct extent *before, const struct extent *after)
{
    if (before == NULL || after == NULL)
        return true;
    bool same_kind = is_free(before) && is_free(after) && before->dirty == after->dirty;
    return before->after == after && after->before == before &&
           before->start + before->length == after->start && !same_kind;
}

static bool extent_is_valid(const struct extent *extent)
{
    size_t page = os_page_bytes();
    return meta_is_valid(&pool, &extent->head) && extent->length > 0 &&
           is_aligned((uintptr_t)extent->start, page) && is_aligned(extent->length, page) &&
           extent->state >= EXTENT_TAKEN && extent->state <= EXTENT_PURGING &&
           (extent->state != EXTENT_TAKEN || extent->length >= BLOCK_BYTES) &&
           (extent->state != EXTENT_TAKEN || extent->dirty) &&
           are_in_order(extent->before, extent) && are_in_order(extent, extent->after);
}

/* In the checked build, after each operation: what it was about, and a few others in turn, since
 * all of them would be too many. */
static void check_around(const struct extent *extent)
{
    static uint32_t turn;
    const uint32_t others = 4;
    if (!DUET_CHECKED)
        return;
    check(extent == NULL || extent_is_valid(extent));
    for (uint32_t i = 0; i < others; i++) {
        const struct extent *other =
            (const struct extent *)meta_at(&pool, turn++ % (meta_last(&pool) + 1));
        check(other == NULL || extent_is_valid(other));
    }
}

/* The first takes its neighbour behind into itself. Neither is in a bin. */
static void absorb(struct extent *extent)
{
    struct extent *next = extent->after;
    extent->length += next->length;
    extent->after = next->after;
    if (extent->after != NULL)
        extent->after->before = extent;
    meta_give(&pool, &next->head);
}

/* Cuts off what is behind `length`, as an extent that is in no bin, of the same kind. NULL: there
 * is no memory for a record, and nothing has changed. */
static struct extent *split(struct extent *extent, size_t length)
{
    struct extent *rest = (struct extent *)meta_take(&pool);
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

/* Makes it free, and one with its free neighbours of the same kind. */
static void put_free(struct extent *extent)
{
    extent->grows = false;
    struct extent *before = extent->before;
    if (is_free(before) && before->dirty == extent->dirty) {
        free_remove(before);
        absorb(before);
        extent = before;
    }
    if (is_free(extent->after) && extent->after->dirty == extent->dirty) {
        free_remove(extent->after);
        absorb(extent);
    }
    free_add(extent);
    check_around(extent);
}

/* ---- The lock ---------------------------------------------------------------------------- */

static void count_taken(size_t number, size_t bytes)
{
    count.taken += number;
    count.taken_bytes += bytes;
    recent_taken_bytes = max_size(recent_taken_bytes, count.taken_bytes);
}

static void give_held(struct extent *extent)
{
    count_taken((size_t)-1, -extent->length);
    put_free(extent);
}

/* After its purge, or without one; `dirty` says what came of it. */
static void put_back_held(struct extent *extent)
{
    list_remove(&purging, extent);
    count.purging_bytes -= extent->length;
    extent->purger = 0;
    put_free(extent);
}

static void leave(struct extent *extent)
{
    do
        extent->older = load_relaxed(&left_over);
    while (!cas_release(&left_over, extent->older, extent));
}

static void settle_left_over(void)
{
    if (likely(load_relaxed(&left_over) == NULL))
        return;
    for (struct extent *at = exchange_acquire(&left_over, NULL), *next; at != NULL; at = next) {
        next = at->older;
        at->older = NULL;
        if (at->state == EXTENT_PURGING)
            put_back_held(at);
        else
            give_held(at);
    }
}

static bool is_own(void)
{
    return load_relaxed(&holder) == thread_self();
}

static bool try_to_hold(void)
{
    if (thread_is_alone()) {
        if (load_relaxed(&holder) != 0)
            return false;
        store_relaxed(&holder, thread_self());
        fence_signal();
        return true;
    }
    return load_relaxed(&holder) == 0 && cas_acquire(&holder, (uintptr_t)0, thread_self());
}

/* False: it was not to be had, or is this thread's already, in an operation that a signal handler
 * interrupted or in a fork. */
static bool hold_for(unsigned rounds)
{
    for (unsigned round = 0; !try_to_hold(); round++) {
        if (round >= rounds || is_own() || load_relaxed(&holder) == ABANDONED)
            return false;
        os_back_off(round);
    }
    settle_left_over();
    return true;
}

static bool hold(void)
{
    return hold_for(ROUNDS_OF_PATIENCE);
}

static void let_go(void)
{
    check(is_own());
    store_release(&holder, 0);
}

/* ---- Finding ----------------------------------------------------------------------------- */

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

static char *end_of(const struct extent *extent)
{
    return extent->start + extent->length;
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
    while (is_free(before))
        before = before->before;
    return before != NULL && before->grows;
}

static struct place place_in(struct extent *run, size_t length, size_t align)
{
    char *start = align_up(run->start, align);
    if (is_wanted(run)) {
        char *far_end = end_of(run) - length;
        start = far_end - ((uintptr_t)far_end & (align - 1));
    }
    return (struct place){run, start};
}

static bool is_better(const struct extent *run, const struct extent *best)
{
    return best == NULL || run->length < best->length ||
           (run->length == best->length && run->start < best->start);
}

static struct place find_fit(const struct bins *kind, size_t length, size_t align)
{
    for (size_t bin = filled_from(kind, bin_of(length)); bin < BINS;
         bin = filled_from(kind, bin + 1)) {
        struct extent *best = NULL;
        size_t looks = LOOKS_MOST;
        for (struct extent *run = kind->first[bin]; run != NULL && looks > 0; looks--) {
            if (room_from(run->start, end_of(run), align) >= length && is_better(run, best))
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
    for (size_t bin = filled_below(kind, BINS); bin < BINS && looks > 0;
         bin = filled_below(kind, bin)) {
        for (struct extent *run = kind->first[bin]; run != NULL && looks > 0; looks--) {
            char *half = run->start + (is_wanted(run) ? run->length / 2 : 0);
            char *start = align_up(half, max_size(align, os_page_bytes()));
            if (start < end_of(run) && (size_t)(end_of(run) - start) > most) {
                most = (size_t)(end_of(run) - start);
                best = (struct place){run, start};
            }
            run = run->next;
        }
    }
    return best;
}

/* The free extents of both kinds that lie in a row with this one. */
struct row {
    struct extent *first;
    char *end;
};

static struct row row_of(struct extent *extent)
{
    struct row row = {extent, end_of(extent)};
    while (is_free(row.first->before))
        row.first = row.first->before;
    for (struct extent *at = extent->after; is_free(at); at = at->after)
        row.end = end_of(at);
    return row;
}

/* Makes a row one extent, which is dirty. */
static struct extent *join(struct row row)
{
    struct extent *all = row.first;
    free_remove(all);
    while (is_free(all->after)) {
        free_remove(all->after);
        absorb(all);
    }
    all->dirty = true;
    free_add(all);
    return all;
}

/* The longest extents of each kind are looked at, since a row that holds the request has a long
 * one. */
static struct place find_joined(size_t length, size_t align)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        size_t looks = LOOKS_MOST;
        for (size_t bin = filled_below(&bins[kind], BINS); bin < BINS && looks > 0;
             bin = filled_below(&bins[kind], bin)) {
            for (struct extent *at = bins[kind].first[bin]; at != NULL && looks > 0; looks--) {
                struct row row = row_of(at);
                if (room_from(row.first->start, row.end, align) >= length)
                    return place_in(join(row), length, align);
                at = at->next;
            }
        }
    }
    return nowhere;
}

/* ---- Segments ---------------------------------------------------------------------------- */

/* The length that is wished for if the kernel gives it, else as much as it gives. */
static char *map_segment(size_t *length, size_t least, size_t align)
{
    for (;; *length = max_size(round_up(*length / 2, BLOCK_BYTES), least)) {
        char *start = os_map(*length, max_size(align, BLOCK_BYTES));
        if (start != NULL || *length == least)
            return start;
    }
}

static struct place add_segment(size_t length, size_t align, bool growing)
{
    struct extent *segment = (struct extent *)meta_take(&pool);
    if (segment == NULL)
        return nowhere;
    size_t least = round_up(length, BLOCK_BYTES);
    size_t wish = growing ? min_size(least * ROOM_TIMES, EXTENT_MAX_BYTES) : least;
    segment->length = max_size(next_segment_bytes, wish);
    segment->start = map_segment(&segment->length, least, align);
    if (segment->start == NULL) {
        meta_give(&pool, &segment->head);
        return nowhere;
    }
    next_segment_bytes = min_size(segment->length * 2, SEGMENT_LAST_BYTES);
    count.mapped_bytes += segment->length;
    free_add(segment);
    return (struct place){segment, segment->start};
}

/* Unmaps what is one free extent after the other from a segment's start to its end. */
static bool unmap_segment(struct row row)
{
    char *start = row.first->start;
    size_t length = (size_t)(row.end - start);
    if (!os_unmap(start, length))
        return false;
    count.mapped_bytes -= length;
    for (struct extent *at = row.first; at != NULL; at = at->after)
        free_remove(at);
    for (struct extent *at = row.first, *next; at != NULL; at = next) {
        next = at->after;
        meta_give(&pool, &at->head);
    }
    return true;
}

static bool unmap_free_segments(void)
{
    bool unmapped = false;
    for (uint32_t index = 1; index <= meta_last(&pool); index++) {
        struct extent *first = (struct extent *)meta_at(&pool, index);
        if (first == NULL || !is_free(first) || first->before != NULL)
            continue;
        const struct extent *last = first;
        while (is_free(last->after))
            last = last->after;
        if (last->after == NULL)
            unmapped |= unmap_segment((struct row){first, end_of(last)});
    }
    return unmapped;
}

/* Those that are clean cost address space alone; one is kept, for the next program phase. */
static void unmap_clean_segments(void)
{
    const struct bins *clean = &bins[CLEAN];
    for (size_t bin = filled_below(clean, BINS); clean_segments > 1 && bin < BINS;
         bin = filled_below(clean, bin)) {
        for (struct extent *at = clean->first[bin], *next; clean_segments > 1 && at; at = next) {
            next = at->next;
            if (is_whole_segment(at) && !unmap_segment((struct row){at, end_of(at)}))
                return; /* too many mappings; the next tick tries again */
        }
    }
}

/* ---- Purging ----------------------------------------------------------------------------- */

static size_t allowance(void)
{
    size_t was_taken = recent_taken_bytes - count.taken_bytes;
    return max_size(max_size(count.taken_bytes, min_size(was_taken, EXTENT_MAX_BYTES)),
                    DIRTY_FLOOR_BYTES);
}

static size_t excess(void)
{
    size_t allowed = allowance();
    return count.dirty_bytes > allowed ? count.dirty_bytes - allowed : 0;
}

/* Extents that this thread purges. */
struct claims {
    size_t count;
    struct extent *extents[CLAIMS_MOST];
};

/* The oldest dirty extent; its far end, where that is enough: it is used from its start. */
static struct extent *claim_one(size_t bytes)
{
    struct extent *extent = oldest_dirty;
    free_remove(extent);
    bytes = round_up(max_size(bytes, PURGE_LEAST_BYTES), os_page_bytes());
    if (extent->length > bytes) {
        struct extent *rest = split(extent, extent->length - bytes);
        if (rest != NULL) {
            free_add(extent);
            extent = rest;
        }
    }
    extent->state = EXTENT_PURGING;
    extent->purger = thread_self();
    list_add(&purging, extent);
    count.purging_bytes += extent->length;
    return extent;
}

static void claim(struct claims *claims, size_t bytes)
{
    while (bytes > 0 && oldest_dirty != NULL && claims->count < CLAIMS_MOST) {
        struct extent *extent = claim_one(bytes);
        claims->extents[claims->count++] = extent;
        bytes -= min_size(bytes, extent->length);
    }
    decay_note(&decay, count.dirty_bytes);
}

/* What came of a purge, in bytes. */
struct purged {
    size_t returned;
    size_t refused;
};

/* Purges what was claimed, without the lock, and puts it back. */
static struct purged purge(struct claims *claims)
{
    struct purged sum = {0};
    for (size_t i = 0; i < claims->count; i++) {
        struct extent *extent = claims->extents[i];
        extent->dirty = !os_purge(extent->start, extent->length);
        *(extent->dirty ? &sum.refused : &sum.returned) += extent->length;
    }
    if (claims->count == 0)
        return sum;
    bool held = hold();
    for (size_t i = 0; i < claims->count; i++)
        if (held)
            put_back_held(claims->extents[i]);
        else
            leave(claims->extents[i]);
    if (held) {
        decay_paid(&decay, sum.returned);
        purge_refused |= sum.refused > 0;
        let_go();
    }
    return sum;
}

/* Purges so many bytes, if there are as many. `stubborn`: what is refused does not end it. */
static size_t purge_bytes(size_t bytes, bool stubborn)
{
    size_t returned = 0;
    while (bytes > 0) {
        struct claims claims = {0};
        if (!hold())
            break;
        claim(&claims, bytes);
        let_go();
        struct purged purged = purge(&claims);
        returned += purged.returned;
        if (claims.count == 0 || (purged.refused > 0 && !stubborn))
            break;
        bytes -= min_size(bytes, purged.returned + purged.refused);
    }
    return returned;
}

static void claim_excess(struct claims *claims)
{
    if (!purge_refused)
        claim(claims, excess());
}

/* ---- Taking, giving, resizing ------------------------------------------------------------ */

/* Whole pages, and long enough that two of them cannot start in one block. */
static size_t whole(size_t length)
{
    return max_size(round_up(length, os_page_bytes()), BLOCK_BYTES);
}

static struct place find_place(size_t length, size_t align, bool growing)
{
    struct place place = nowhere;
    if (growing) {
        place = find_room(&bins[DIRTY], length, align);
        if (place.run == NULL)
            place = find_room(&bins[CLEAN], length, align);
        if (place.run == NULL)
            place = add_segment(length, align, true);
    }
    if (place.run == NULL)
        place = find_fit(&bins[DIRTY], length, align);
    if (place.run == NULL)
        place = find_fit(&bins[CLEAN], length, align);
    if (place.run == NULL)
        place = find_joined(length, align);
    if (place.run == NULL && !growing)
        place = add_segment(length, align, false);
    return place;
}

/* Cuts it out of its run; what is left of that stays free. NULL: no memory for a record. */
static struct extent *carve(struct place place, size_t length)
{
    struct extent *extent = place.run;
    free_remove(extent);
    if (place.start > extent->start) {
        struct extent *rest = split(extent, (size_t)(place.start - extent->start));
        free_add(extent);
        if (rest == NULL)
            return NULL;
        extent = rest;
    }
    struct extent *rest = extent->length > length ? split(extent, length) : NULL;
    if (extent->length > length) {
        put_free(extent);
        return NULL;
    }
    if (rest != NULL)
        free_add(rest);
    return extent;
}

struct extent *extent_take(size_t length, size_t align, bool growing, bool *zeroed)
{
    check(length > 0 && is_power_of_two(align));
    if (length > EXTENT_MAX_BYTES || !hold())
        return NULL;
    length = whole(length);
    struct place place = find_place(length, align, growing);
    struct extent *extent = place.run == NULL ? NULL : carve(place, length);
    if (extent != NULL) {
        *zeroed = !extent->dirty;
        extent->state = EXTENT_TAKEN;
        extent->dirty = true;
        extent->grows = growing;
        count_taken(1, length);
    }
    decay_note(&decay, count.dirty_bytes);
    check_around(extent);
    let_go();
    return extent;
}

/* Written by us alone, so a false one is not the program's misuse. */
static void require_taken(const struct extent *extent)
{
    require(meta_is_valid(&pool, &extent->head) && extent->state == EXTENT_TAKEN);
}

void extent_give(struct extent *extent)
{
    require_taken(extent);
    if (!hold()) {
        leave(extent);
        return;
    }
    struct claims claims = {0};
    give_held(extent);
    claim_excess(&claims);
    let_go();
    purge(&claims);
}

/* Cuts the end off; where there is no memory for a record, it stays. */
static void shrink(struct extent *extent, size_t new_length)
{
    struct extent *rest = split(extent, new_length);
    if (rest == NULL)
        return;
    count_taken(0, -rest->length);
    put_free(rest);
}

static bool grow(struct extent *extent, size_t new_length)
{
    size_t there = extent->length;
    for (const struct extent *at = extent->after; there < new_length && is_free(at); at = at->after)
        there += at->length;
    if (there < new_length)
        return false;
    size_t old_length = extent->length;
    bool dirty = false;
    while (extent->length < new_length) {
        dirty = extent->after->dirty;
        free_remove(extent->after);
        absorb(extent);
    }
    struct extent *rest = extent->length > new_length ? split(extent, new_length) : NULL;
    if (rest != NULL) {
        rest->dirty = dirty;
        put_free(rest);
    }
    extent->grows = true;
    count_taken(0, extent->length - old_length);
    decay_note(&decay, count.dirty_bytes);
    return true;
}

bool extent_resize(struct extent *extent, size_t new_length)
{
    check(new_length > 0);
    if (new_length > EXTENT_MAX_BYTES)
        return false;
    require_taken(extent);
    new_length = whole(new_length);
    if (!hold())
        return new_length <= extent->length;
    struct claims claims = {0};
    bool resized = true;
    if (new_length > extent->length) {
        resized = grow(extent, new_length);
    } else if (new_length < extent->length) {
        shrink(extent, new_length);
        claim_excess(&claims);
    }
    check_around(extent);
    let_go();
    purge(&claims);
    return resized;
}

/* ---- The whole --------------------------------------------------------------------------- */

void extents_tick(uint64_t now_ns)
{
    uint64_t ticks = decay_ticks(&decay, now_ns);
    if (ticks == 0 || !hold())
        return;
    purge_refused = false;
    recent_taken_bytes =
        count.taken_bytes + decay_left(recent_taken_bytes - count.taken_bytes, ticks);
    decay_owe(&decay, count.dirty_bytes, ticks);
    size_t due = max_size(load_relaxed(&decay.owed), excess());
    if (due < min_size(PURGE_LEAST_BYTES, count.dirty_bytes))
        due = 0; /* until it is worth a call */
    unmap_clean_segments();
    let_go();
    purge_bytes(due, false);
}

bool extents_trim(void)
{
    if (!hold_for(ROUNDS_OF_MORE_PATIENCE))
        return false;
    bool unmapped = unmap_free_segments();
    purge_refused = false;
    size_t dirty = count.dirty_bytes;
    let_go();
    bool purged = purge_bytes(dirty, true) > 0;
    return unmapped || purged;
}

struct extents_count extents_count(void)
{
    bool held = hold();
    struct extents_count now = count; /* not held: of this very moment, or nearly so */
    if (held)
        let_go();
    return now;
}

static void check_kind(size_t kind, size_t *number, size_t *bytes)
{
    for (size_t bin = 0; bin < BINS; bin++) {
        const struct extent *first = bins[kind].first[bin];
        require((bins[kind].filled[bin / WORD_BITS] >> bin % WORD_BITS & 1) == (first != NULL));
        require(first == NULL || first->previous == NULL);
        for (const struct extent *at = first; at != NULL; at = at->next) {
            require(at->state == EXTENT_FREE && at->dirty == (kind == DIRTY));
            require(bin_of(at->length) == bin);
            require(at->next == NULL || at->next->previous == at);
            ++*number;
            *bytes += at->length;
        }
    }
}

static void check_ages(void)
{
    size_t bytes = 0;
    for (const struct extent *at = oldest_dirty; at != NULL; at = at->newer) {
        require(at->dirty && at->state == EXTENT_FREE);
        require(at->newer == NULL ? newest_dirty == at : at->newer->older == at);
        bytes += at->length;
    }
    require(bytes == count.dirty_bytes);
}

void extents_check(void)
{
    if (!hold_for(ROUNDS_OF_MORE_PATIENCE))
        return; /* its holder is in the middle of something, and checks that */
    size_t bytes[EXTENT_PURGING + 1] = {0}, number[EXTENT_PURGING + 1] = {0}, segments = 0;
    for (uint32_t index = 1; index <= meta_last(&pool); index++) {
        const struct extent *extent = (const struct extent *)meta_at(&pool, index);
        if (extent == NULL)
            continue;
        require(extent_is_valid(extent));
        number[extent->state]++;
        bytes[extent->state] += extent->length;
        segments += is_free(extent) && !extent->dirty && is_whole_segment(extent);
    }
    size_t free_number = 0, clean_bytes = 0, dirty_bytes = 0;
    check_kind(CLEAN, &free_number, &clean_bytes);
    check_kind(DIRTY, &free_number, &dirty_bytes);
    check_ages();
    require(free_number == number[EXTENT_FREE]);
    require(clean_bytes == count.clean_bytes && dirty_bytes == count.dirty_bytes);
    require(clean_bytes + dirty_bytes == bytes[EXTENT_FREE]);
    require(number[EXTENT_TAKEN] == count.taken && bytes[EXTENT_TAKEN] == count.taken_bytes);
    require(bytes[EXTENT_PURGING] == count.purging_bytes && segments == clean_segments);
    require(bytes[EXTENT_TAKEN] + bytes[EXTENT_FREE] + bytes[EXTENT_PURGING] == count.mapped_bytes);
    require(count.taken_bytes <= recent_taken_bytes);
    let_go();
}

void extents_fork_prepare(void)
{
    fork_holds = hold_for(ROUNDS_OF_MORE_PATIENCE);
    lock_take(&pool.lock);
}

/* The child's only thread may itself be inside a purge, if a signal handler forked. */
static void adopt_purging(void)
{
    for (struct extent *at = purging, *next; at != NULL; at = next) {
        next = at->next;
        if (at->purger != thread_self())
            put_back_held(at);
    }
}

/* Where the lock was not to be had: if this is the thread that has it, it goes on with what the
 * handler that forked has interrupted, in the child too. */
void extents_fork_end(bool child)
{
    if (child && fork_holds) {
        settle_left_over();
        adopt_purging();
    } else if (child && !is_own()) {
        store_relaxed(&holder, ABANDONED);
    }
    lock_release(&pool.lock);
    if (fork_holds)
        let_go();
}
