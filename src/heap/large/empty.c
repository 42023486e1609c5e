#include "heap/large/empty.h"

#include "base/atomics.h"
#include "base/fatal.h"
#include "os/os.h"

/* Multiples of what malloc aligns to. */
#define EMPTY_UNIT ((size_t)16)

#define WORD_BITS 64
#define RANGE_BYTES (DUET_TINY ? BLOCK_BYTES : (size_t)1 << 20)
#define EMPTY_MOST (RANGE_BYTES / EMPTY_UNIT)
#define EMPTY_WORDS (EMPTY_MOST / WORD_BITS)
static_assert(RANGE_BYTES % BLOCK_BYTES == 0, "the range has blocks of its own in the table");

static char *range;
static uint64_t in_use[EMPTY_WORDS]; /* a bit each */
static size_t next;                  /* where the next search begins; two may begin at one */

/* Threads that meet here come to the same range. */
static char *reserve_range(void)
{
    char *reserved = os_reserve(RANGE_BYTES, BLOCK_BYTES);
    if (reserved == NULL)
        return NULL;
    if (!table_cover(reserved, RANGE_BYTES)) {
        os_unreserve(reserved, RANGE_BYTES);
        return NULL;
    }
    table_set(reserved, RANGE_BYTES / BLOCK_BYTES, TABLE_EMPTY, 0);
    if (cas_acquire_release(&range, (char *)NULL, reserved))
        return reserved;
    table_clear(reserved, RANGE_BYTES / BLOCK_BYTES);
    os_unreserve(reserved, RANGE_BYTES);
    return load_acquire(&range);
}

/* Of a word, the blocks that are aligned. */
static uint64_t aligned_bits(size_t align)
{
    size_t step = align / EMPTY_UNIT;
    uint64_t bits = 0;
    for (size_t bit = 0; bit < WORD_BITS; bit += step)
        bits |= (uint64_t)1 << bit;
    return bits;
}

/* One of these, with the lowest number first. EMPTY_MOST: none is free. */
static size_t take_of_word(size_t word, uint64_t wanted)
{
    uint64_t taken = load_relaxed(&in_use[word]), found;
    while ((found = wanted & ~taken) != 0) {
        uint64_t bit = found & -found;
        taken = or_relaxed(&in_use[word], bit);
        if ((taken & bit) == 0)
            return word * WORD_BITS + (size_t)__builtin_ctzll(bit);
    }
    return EMPTY_MOST;
}

void *empty_take(size_t align)
{
    char *start = load_acquire(&range);
    if (align > EMPTY_UNIT * WORD_BITS || (start == NULL && (start = reserve_range()) == NULL))
        return NULL;
    uint64_t aligned = align <= EMPTY_UNIT ? UINT64_MAX : aligned_bits(align);
    size_t from = load_relaxed(&next) % EMPTY_MOST, word = from / WORD_BITS;
    uint64_t wanted = aligned & (UINT64_MAX << from % WORD_BITS);
    for (size_t looks = 0; looks <= EMPTY_WORDS; looks++) {
        size_t number = take_of_word(word, wanted);
        if (number != EMPTY_MOST) {
            store_relaxed(&next, number + 1);
            return start + number * EMPTY_UNIT;
        }
        word = (word + 1) % EMPTY_WORDS;
        wanted = aligned;
    }
    return NULL;
}

static size_t number_of(const void *ptr, const char *call)
{
    const char *start = load_acquire(&range);
    size_t offset = (size_t)((const char *)ptr - start);
    if (start == NULL || offset >= RANGE_BYTES) /* a range that another thread was reserving */
        fatal_pointer(call, ptr, "is not from this heap, or was freed already");
    if (offset % EMPTY_UNIT != 0)
        fatal_pointer(call, ptr, "is not the start of a block");
    return offset / EMPTY_UNIT;
}

static bool has_bit(uint64_t bits, size_t number)
{
    return (bits >> number % WORD_BITS & 1) != 0;
}

void empty_give(const void *ptr, const char *call)
{
    size_t number = number_of(ptr, call);
    uint64_t bit = (uint64_t)1 << number % WORD_BITS;
    if (!has_bit(and_relaxed(&in_use[number / WORD_BITS], ~bit), number))
        fatal_pointer(call, ptr, "was freed twice");
}

void empty_verify(const void *ptr, const char *call)
{
    size_t number = number_of(ptr, call);
    if (!has_bit(load_relaxed(&in_use[number / WORD_BITS]), number))
        fatal_pointer(call, ptr, "is not from this heap, or was freed already");
}
