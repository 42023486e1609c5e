/*
 * Seals: what lies behind the bytes of a cell's user, to its end, while the cell is handed out.
 *
 *      | the user's bytes | pattern, up to 8 bytes | ... | word |
 *
 * The word is in the last 8 bytes: a keyed number of the cell's address and of the length and the
 * alignment that were asked for, which stand in it, too, and with them a bit, `sparse`. The
 * pattern, made of the word, lies right behind the user's bytes, so that a single byte too many
 * meets it. No byte of either that an overflow meets first is zero or a letter, so that neither
 * text nor the terminator of a string that is too long goes unseen; any other byte is what stands
 * there one time in 128.
 *
 * While a cell is free all of it is zero, the word too, and a word of zero fits no cell. So the
 * state of each cell is known, from a word in the same lines that its user has just touched: a
 * second free finds zeros.
 */
#ifndef DUET_ENGINE_DUET_SECURE_SEAL_H
#define DUET_ENGINE_DUET_SECURE_SEAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "engine/duet/classes.h"

/* What a seal takes of a cell at least. */
#define SEAL_BYTES sizeof(uint64_t)

#define SEAL_PATTERN_BYTES sizeof(uint64_t)

/* The word's lowest byte is never zero or a letter. Above it lies what the seal says: the length
 * that is not used, the alignment, as a power, and a bit for `sparse`. The rest is the key's:
 * forged or overwritten, it fits one time in 2^33. */
#define SEAL_SAYS_SHIFT 8
#define SEAL_SPARE_BITS 17
#define SEAL_ALIGN_BITS 5
#define SEAL_SPARSE_SHIFT (SEAL_SPARE_BITS + SEAL_ALIGN_BITS)
#define SEAL_SAYS_BITS (SEAL_SPARSE_SHIFT + 1)
static_assert(DUET_MOST_BYTES < (size_t)1 << SEAL_SPARE_BITS, "the unused length fits");
static_assert(BLOCK_SHIFT < 1 << SEAL_ALIGN_BITS, "the alignment fits");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest byte comes first");

/* Random, and not 0 once seal_begin has been called, which is before anything is sealed. The second
 * comes from the first, and is odd. */
extern HIDDEN uint64_t seal_secret, seal_multiplier;
void seal_begin(void);

struct seal {
    size_t length; /* that was asked for */
    size_t align;
    bool sparse; /* a page of the cell was not there yet when it was handed out */
};

ALWAYS_INLINE uint64_t *seal_word(void *cell, size_t kind)
{
    return (uint64_t *)((char *)cell + duet_kind_bytes(kind) - SEAL_BYTES);
}

/* Bytes that are not used, between the user's and the word. */
ALWAYS_INLINE size_t seal_spare(size_t length, size_t kind)
{
    return duet_kind_bytes(kind) - SEAL_BYTES - length;
}

/* Of a word, the bits that say something; the others are the key's. They say a multiple of the
 * step, and an unused length below it. */
#define SEAL_SAYS_MASK (((uint64_t)1 << SEAL_SAYS_BITS) - 1)
#define SEAL_SAYS_STEP ((uint64_t)1 << SEAL_SPARE_BITS)
#define SEAL_OPEN (SEAL_SAYS_MASK << SEAL_SAYS_SHIFT)

/* Every bit of the cell's address and of what is said changes it, by a secret multiplier. */
ALWAYS_INLINE uint64_t seal_key(const void *cell, uint64_t says)
{
    uint64_t mixed = (uintptr_t)cell ^ says << (64 - SEAL_SAYS_BITS) ^ seal_secret;
    mixed *= seal_multiplier;
    return mixed ^ mixed >> 32;
}

/* The word of a cell that says this. */
ALWAYS_INLINE uint64_t seal_word_saying(const void *cell, uint64_t says)
{
    return (seal_key(cell, says) & ~SEAL_OPEN) | says << SEAL_SAYS_SHIFT | 0x80;
}

ALWAYS_INLINE uint64_t seal_word_for(const void *cell, const struct seal *seal, size_t kind)
{
    uint64_t spare = seal_spare(seal->length, kind);
    uint64_t align = (uint64_t)highest_bit(seal->align) << SEAL_SPARE_BITS;
    return seal_word_saying(cell, spare | align | (uint64_t)seal->sparse << SEAL_SPARSE_SHIFT);
}

/* The length that a word says was asked for, whosever word it is. */
ALWAYS_INLINE size_t seal_length(uint64_t word, size_t kind)
{
    size_t spare = word >> SEAL_SAYS_SHIFT & (((uint64_t)1 << SEAL_SPARE_BITS) - 1);
    return duet_kind_bytes(kind) - SEAL_BYTES - spare;
}

/* What the word says. False: it is no seal of this cell. */
ALWAYS_INLINE bool seal_read(uint64_t word, const void *cell, size_t kind, struct seal *seal)
{
    const uint64_t says = word >> SEAL_SAYS_SHIFT & SEAL_SAYS_MASK;
    seal->length = seal_length(word, kind);
    seal->align = (size_t)1 << (says >> SEAL_SPARE_BITS & (((uint64_t)1 << SEAL_ALIGN_BITS) - 1));
    seal->sparse = says >> SEAL_SPARSE_SHIFT;
    return ((seal_word_saying(cell, says) ^ word) & ~SEAL_OPEN) == 0; /* the rest is what it says */
}

/* The pattern is made of the word. */
ALWAYS_INLINE uint64_t seal_pattern(uint64_t word)
{
    return word | 0x8080808080808080u;
}

/* Of the pattern too much is written where there is little room; the word comes over it. */
ALWAYS_INLINE void seal_write(void *cell, size_t kind, const struct seal *seal)
{
    uint64_t word = seal_word_for(cell, seal, kind), pattern = seal_pattern(word);
    memcpy((char *)cell + seal->length, &pattern, sizeof pattern);
    fence_signal();
    store_relaxed(seal_word(cell, kind), word);
}

/* The seal of a cell whose length is being changed has for its length what stays of the user's
 * bytes, and an alignment that there is not; there is no pattern. */
#define SEAL_CHANGING ((size_t)1 << ((1 << SEAL_ALIGN_BITS) - 1))

/* Bytes of the pattern for which there is room. */
ALWAYS_INLINE size_t seal_pattern_room(size_t kind, const struct seal *seal)
{
    return min_size(seal_spare(seal->length, kind), SEAL_PATTERN_BYTES);
}

/* As seal_write, of a cell whose word others may read: it is changed all at once. */
ALWAYS_INLINE void seal_rewrite(void *cell, size_t kind, const struct seal *seal)
{
    uint64_t word = seal_word_for(cell, seal, kind), pattern = seal_pattern(word);
    for (size_t i = 0; i < seal_pattern_room(kind, seal); i++)
        ((char *)cell)[seal->length + i] = (char)(pattern >> i * CHAR_BIT);
    fence_signal();
    store_relaxed(seal_word(cell, kind), word);
}

/* Of a word, so many bytes: the lowest, which are the first. */
extern HIDDEN const uint64_t seal_first_bytes[SEAL_PATTERN_BYTES + 1];

/* Of a cell with this word. */
ALWAYS_INLINE bool seal_pattern_is_whole(const void *cell, size_t kind, const struct seal *seal,
                                         uint64_t word)
{
    uint64_t found;
    memcpy(&found, (const char *)cell + seal->length, sizeof found);
    return ((found ^ seal_pattern(word)) & seal_first_bytes[seal_pattern_room(kind, seal)]) == 0;
}

/* Between pattern and word, as far as who leaves out the pattern would come first; what lies behind
 * is looked at before the cell is handed out again, as all of it is. */
#define SEAL_GAP_BYTES 32

ALWAYS_INLINE bool seal_gap_is_zero(const void *cell, size_t kind, const struct seal *seal)
{
    if (likely(seal_spare(seal->length, kind) < SEAL_PATTERN_BYTES + SEAL_GAP_BYTES))
        return true;
    const char *gap = (const char *)cell + seal->length + SEAL_PATTERN_BYTES;
    uint64_t found = 0;
    for (size_t i = 0; i < SEAL_GAP_BYTES; i += sizeof found) {
        uint64_t word;
        memcpy(&word, gap + i, sizeof word);
        found |= word;
    }
    return found == 0;
}

/* Of user's bytes and pattern. */
ALWAYS_INLINE size_t seal_covered_bytes(size_t kind, const struct seal *seal)
{
    return seal->length + seal_pattern_room(kind, seal);
}

#endif
