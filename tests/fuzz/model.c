/* Blocks lie in a table of their own. Two kinds of lists lead to them: in the order in which they
 * came, to pick from, which is the same in each run; and by address, for overlaps. */
#include "model.h"

#include <stdint.h>
#include <string.h>

#include "duet.h"
#include "fuzz.h"

/* A block up to this length is filled as a whole. */
#define WHOLE_MOST ((size_t)4 << 10)

/* Of a longer one, as much at each end, and a few bytes at each of so many places between: what
 * costs time is to touch its pages. */
#define EDGE_BYTES ((size_t)512)
#define PROBE_BYTES ((size_t)16)
#define PROBES 13

/* As much of a block is looked at by model_verify_ends, at each end. */
#define END_BYTES ((size_t)48)

/* Content repeats after so many bytes, a prime: no two cells of a class are at the same place in
 * it. */
#define PERIOD 251
#define PIECE_BYTES ((size_t)16 * PERIOD)

/* The next block's seed is so much further. */
#define SEED_STEP 97

const char *model_call = "";
unsigned model_operation;

static struct block table[BLOCKS_MOST];
static unsigned unused[BLOCKS_MOST]; /* places in the table */
static unsigned unused_count;
static struct block *listed[FAMILIES][BLOCKS_MOST];
static unsigned listed_count[FAMILIES];
static struct block *sorted[BLOCKS_MOST]; /* by address */
static unsigned sorted_count;
static size_t live_bytes;
static unsigned next_seed;
static unsigned next_to_verify;
static unsigned char pattern[PERIOD + PIECE_BYTES];

void model_begin(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(1 + i % PERIOD); /* never 0, which fresh memory is */
    for (unsigned i = 0; i < BLOCKS_MOST; i++)
        unused[i] = BLOCKS_MOST - 1 - i;
    unused_count = BLOCKS_MOST;
    memset(listed_count, 0, sizeof listed_count);
    sorted_count = 0;
    live_bytes = 0;
    next_seed = 0;
    next_to_verify = 0;
}

size_t model_count(void)
{
    return sorted_count;
}

size_t model_bytes(void)
{
    return live_bytes;
}

struct block *model_pick(enum family family, unsigned number)
{
    unsigned count = listed_count[family];
    return count == 0 ? NULL : listed[family][number % count];
}

/* ---- Messages ------------------------------------------------------------------------------- */

static _Noreturn void find(const struct block *block, const char *what)
{
    FINDING("operation %u, %s: %s: block %p of %zu bytes, aligned to %zu, extent %zu, %s, "
            "resized %u times",
            model_operation, model_call, what, (void *)block->start, block->length, block->align,
            block->extent, block->family == FAMILY_C ? "C family" : "with lengths", block->changes);
}

/* ---- Content -------------------------------------------------------------------------------- */

enum look { LOOK_FILL, LOOK_VERIFY, LOOK_ZERO };

static bool is_zero(const unsigned char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* From byte `from` of the block to byte `to`. */
static void look_at_part(const struct block *block, size_t from, size_t to, enum look look)
{
    while (from < to) {
        size_t length = to - from < PIECE_BYTES ? to - from : PIECE_BYTES;
        const unsigned char *content = pattern + (block->seed + from) % PERIOD;
        unsigned char *bytes = block->start + from;
        if (look == LOOK_FILL)
            memcpy(bytes, content, length);
        else if (look == LOOK_VERIFY && memcmp(bytes, content, length) != 0)
            find(block, "its content has changed");
        else if (look == LOOK_ZERO && !is_zero(bytes, length))
            find(block, "it is not zero");
        from += length;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* All that is filled of a block, as far as byte `limit`. */
static void look_at(const struct block *block, size_t limit, enum look look)
{
    size_t extent = block->extent;
    if (extent <= WHOLE_MOST) {
        look_at_part(block, 0, least(extent, limit), look);
        return;
    }
    size_t step = (extent - EDGE_BYTES) / PROBES;
    look_at_part(block, 0, least(EDGE_BYTES, limit), look);
    for (size_t at = EDGE_BYTES; at < extent - EDGE_BYTES; at += step)
        look_at_part(block, at, least(least(at + PROBE_BYTES, extent - EDGE_BYTES), limit), look);
    look_at_part(block, extent - EDGE_BYTES, least(extent, limit), look);
}

static void give_content(struct block *block)
{
    next_seed = (next_seed + SEED_STEP) % PERIOD;
    block->seed = next_seed;
    look_at(block, block->extent, LOOK_FILL);
}

static void verify_ends(const struct block *block)
{
    size_t end = least(block->extent, END_BYTES);
    look_at_part(block, 0, end, LOOK_VERIFY);
    look_at_part(block, block->extent - end, block->extent, LOOK_VERIFY);
}

void model_verify(const struct block *block)
{
    look_at(block, block->extent, LOOK_VERIFY);
}

void model_rewrite(struct block *block)
{
    model_verify(block);
    give_content(block);
}

void model_verify_all(void)
{
    for (unsigned i = 0; i < sorted_count; i++)
        model_verify(sorted[i]);
}

/* Two each time: the one that is next by address, and the one that came last. */
void model_verify_ends(bool all)
{
    if (all) {
        for (unsigned i = 0; i < sorted_count; i++)
            verify_ends(sorted[i]);
        return;
    }
    if (sorted_count == 0)
        return;
    next_to_verify = (next_to_verify + 1) % sorted_count;
    verify_ends(sorted[next_to_verify]);
    for (unsigned family = 0; family < FAMILIES; family++)
        if (listed_count[family] > 0)
            verify_ends(listed[family][listed_count[family] - 1]);
}

/* ---- Places --------------------------------------------------------------------------------- */

/* How many blocks begin below. */
static unsigned blocks_below(const unsigned char *start)
{
    unsigned low = 0;
    unsigned high = sorted_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if ((uintptr_t)sorted[middle]->start < (uintptr_t)start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A block of no bytes has an address at least, which nobody else may have. */
static bool overlaps(const struct block *lower, const struct block *upper)
{
    size_t apart = (size_t)((uintptr_t)upper->start - (uintptr_t)lower->start);
    return apart < lower->extent || apart == 0;
}

/* Puts the block among the others, of which none may have a byte of it. Both neighbours are looked
 * at, since whoever wrote too far wrote there. */
static void place(struct block *block)
{
    unsigned at = blocks_below(block->start);
    if (at > 0) {
        if (overlaps(sorted[at - 1], block))
            find(block, "it overlaps the live one before");
        verify_ends(sorted[at - 1]);
    }
    if (at < sorted_count) {
        if (overlaps(block, sorted[at]))
            find(block, "it overlaps the live one behind");
        verify_ends(sorted[at]);
    }
    memmove(sorted + at + 1, sorted + at, (sorted_count - at) * sizeof *sorted);
    sorted[at] = block;
    sorted_count++;
    live_bytes += block->extent;
}

static void displace(const struct block *block)
{
    unsigned at = blocks_below(block->start);
    sorted_count--;
    memmove(sorted + at, sorted + at + 1, (sorted_count - at) * sizeof *sorted);
    live_bytes -= block->extent;
}

/* The block is where it is to be, and as long: how much of that is the owner's? */
static void measure(struct block *block)
{
    if ((uintptr_t)block->start % block->align != 0)
        find(block, "it is not aligned");
    if (block->family == FAMILY_LENGTHS) {
        block->extent = block->length > 0 ? block->length : 1;
        return;
    }
    block->extent = duet_usable_size(block->start);
    if (block->extent < block->length)
        find(block, "less can be used of it than was asked for");
    if (block->extent > PTRDIFF_MAX)
        find(block, "more can be used of it than there is");
}

/* The compiler must not take the block for one of as many bytes as were asked for. */
static unsigned char *opaque(void *start)
{
    __asm__ volatile("" : "+r"(start) : : "memory");
    return start;
}

/* ---- Blocks --------------------------------------------------------------------------------- */

void model_add(void *start, size_t length, size_t align, enum family family, bool zeroed)
{
    struct block *block = &table[unused[--unused_count]];
    *block = (struct block){.start = opaque(start),
                            .length = length,
                            .align = align,
                            .family = family,
                            .listed = listed_count[family]};
    measure(block);
    place(block);
    if (zeroed) {
        size_t extent = block->extent;
        block->extent = length; /* what lies behind was not promised */
        look_at(block, length, LOOK_ZERO);
        block->extent = extent;
    }
    listed[family][listed_count[family]++] = block;
    give_content(block);
}

void model_remove(struct block *block)
{
    model_verify(block);
    displace(block);
    enum family family = block->family;
    struct block *last = listed[family][--listed_count[family]];
    listed[family][block->listed] = last;
    last->listed = block->listed;
    unused[unused_count++] = (unsigned)(block - table);
}

void model_change(struct block *block, void *start, size_t length, size_t align)
{
    displace(block);
    block->start = opaque(start);
    block->changes++;
    look_at(block, length, LOOK_VERIFY); /* by the places of the old extent */
    block->length = length;
    block->align = align;
    measure(block);
    place(block);
    give_content(block);
}
