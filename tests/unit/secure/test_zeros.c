/*
 * Zeros: over all lengths of cells up to some KiB, each byte that is none is found; what is cleared
 * is just what was asked for, to the next multiple of 16.
 */
#include "unit.h"

#include "engine.h"

#define MOST ((size_t)3000 / DUET_UNIT * DUET_UNIT)

/* A cell between two bytes that are never zero, and must not be looked at. */
static alignas(DUET_UNIT) char memory[DUET_UNIT + MOST + DUET_UNIT];

static char *cell_of(size_t bytes)
{
    memset(memory, 'x', sizeof memory);
    memset(memory + DUET_UNIT, 0, bytes);
    return memory + DUET_UNIT;
}

static void look_for_each_byte(bool (*are_all)(const void *cell, size_t bytes), size_t bytes)
{
    char *cell = cell_of(bytes);
    assert_true(are_all(cell, bytes));
    for (size_t i = 0; i < bytes; i++) {
        cell[i] = (char)(1 << i % 8);
        assert_false(are_all(cell, bytes));
        cell[i] = 0;
    }
}

static bool are_all_short(const void *cell, size_t bytes)
{
    return zeros_are_all(cell, bytes);
}

static void no_byte_goes_unseen(void **state)
{
    (void)state;
    for (size_t bytes = DUET_UNIT; bytes <= ZEROS_SHORT_BYTES; bytes += DUET_UNIT)
        look_for_each_byte(are_all_short, bytes);
    for (size_t bytes = 0; bytes <= MOST; bytes += DUET_UNIT)
        look_for_each_byte(zeros_are_all_long, bytes);
}

static void what_is_cleared_is_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= ZEROS_SHORT_BYTES; bytes++) {
        size_t cleared = round_up(bytes, DUET_UNIT);
        char *cell = cell_of(0);
        zeros_put(cell, bytes);
        for (size_t i = 0; i < cleared; i++)
            assert_int_equal(cell[i], 0);
        assert_int_equal(cell[-1], 'x');
        assert_int_equal(cell[cleared], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_goes_unseen),
        cmocka_unit_test(what_is_cleared_is_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
