/*
 * Seals: over all kinds and, for short cells, all lengths: what was asked for can be read again,
 * and no byte of pattern and word can change without being noticed.
 */
#include "random.h"
#include "unit.h"

#include <stdlib.h>

#include "engine.h"

static uint64_t seed = 1;

static char *cell_of(size_t kind)
{
    static alignas(BLOCK_BYTES) char memory[DUET_MOST_BYTES];
    memset(memory, 0, duet_kind_bytes(kind));
    return memory;
}

static bool is_whole(char *cell, size_t kind, struct seal *found)
{
    uint64_t word = *seal_word(cell, kind);
    return seal_read(word, cell, kind, found) && seal_pattern_is_whole(cell, kind, found, word);
}

/* Every byte that belongs to the seal, one bit of it, and all of it to zero, which no byte is that
 * is next to the user's. */
static void look_at_each_byte(char *cell, size_t kind, size_t length)
{
    struct seal found;
    size_t word_at = duet_kind_bytes(kind) - SEAL_BYTES;
    for (size_t i = length; i < duet_kind_bytes(kind); i++) {
        if (i == length + SEAL_PATTERN_BYTES && i < word_at)
            i = word_at; /* what lies between is no part of it */
        char before = cell[i];
        cell[i] = (char)(before ^ 1 << random_below(&seed, 8));
        assert_false(is_whole(cell, kind, &found));
        cell[i] = 0;
        if (i == length || i < word_at)
            assert_int_not_equal(before, 0);
        if (before != 0)
            assert_false(is_whole(cell, kind, &found));
        cell[i] = before;
    }
    assert_true(is_whole(cell, kind, &found));
}

static void seal_and_read(size_t kind, size_t length, size_t align)
{
    char *cell = cell_of(kind);
    memset(cell, 'u', length);
    bool sparse = random_below(&seed, 2) != 0;
    seal_write(cell, kind, &(struct seal){.length = length, .align = align, .sparse = sparse});
    struct seal found = {0, 0, false};
    assert_true(is_whole(cell, kind, &found));
    assert_int_equal(found.length, length);
    assert_int_equal(found.align, align);
    assert_int_equal(found.sparse, sparse);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(cell[i], 'u');
    look_at_each_byte(cell, kind, length);
    assert_true(seal_covered_bytes(kind, &found) <= duet_kind_bytes(kind) - SEAL_BYTES);
}

static void a_seal_says_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t most = duet_kind_bytes(kind) - SEAL_BYTES;
        for (size_t length = most < 200 ? 0 : most - 200; length <= most; length++)
            seal_and_read(kind, length, (size_t)16 << random_below(&seed, BLOCK_SHIFT - 3));
        seal_and_read(kind, 0, 16);
    }
}

/* A byte that leaves out the pattern, as far as the gap is looked at. */
static void a_byte_in_the_gap_is_found(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t bytes = duet_kind_bytes(kind);
        if (bytes < 2 * SEAL_BYTES + SEAL_GAP_BYTES)
            continue;
        struct seal seal = {.length = bytes - 2 * SEAL_BYTES - SEAL_GAP_BYTES, .align = 16};
        char *cell = cell_of(kind);
        seal_write(cell, kind, &seal);
        assert_true(seal_gap_is_zero(cell, kind, &seal));
        for (size_t i = 0; i < SEAL_GAP_BYTES; i++) {
            char *at = cell + seal.length + SEAL_PATTERN_BYTES + i;
            *at = 1;
            assert_false(seal_gap_is_zero(cell, kind, &seal));
            *at = 0;
        }
    }
}

/* What is free, and what was sealed elsewhere or with another secret. */
static void nothing_else_is_a_seal(void **state)
{
    (void)state;
    size_t kind = duet_kind_for(100);
    char *cell = cell_of(kind), *other = cell + duet_kind_bytes(kind);
    struct seal seal = {.length = 100, .align = 16}, found;
    assert_false(is_whole(cell, kind, &found));
    seal_write(cell, kind, &seal);
    memcpy(other, cell, duet_kind_bytes(kind));
    assert_false(is_whole(other, kind, &found));
    for (size_t bit = 0; bit < 48; bit += 7) {
        seal_secret ^= (uint64_t)1 << bit;
        assert_false(is_whole(cell, kind, &found));
        seal_secret ^= (uint64_t)1 << bit;
        if (bit == 0)
            continue; /* it is odd */
        seal_multiplier ^= (uint64_t)1 << bit;
        assert_false(is_whole(cell, kind, &found));
        seal_multiplier ^= (uint64_t)1 << bit;
    }
    size_t fit = 0;
    for (size_t i = 0; i < 1000000; i++) {
        uint64_t word = next_random(&seed);
        fit += seal_read(word, cell, kind, &found);
    }
    assert_int_equal(fit, 0);
}

static int begin(void **state)
{
    (void)state;
    seal_begin();
    assert_int_not_equal(seal_secret, 0);
    assert_int_equal(seal_multiplier & 1, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seal_says_what_was_asked_for),
        cmocka_unit_test(a_byte_in_the_gap_is_found),
        cmocka_unit_test(nothing_else_is_a_seal),
    };
    return cmocka_run_group_tests_name("seal", tests, begin, NULL);
}
