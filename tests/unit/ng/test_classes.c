/*
 * The class functions over their whole domain.
 */
#include "ng_tests.h"

/* As many cells as fill a power of two, by class modulo 4. */
static const size_t full_counts[4] = {28, 24, 20, 32};

static void there_are_48_and_each_is_larger(void **state)
{
    (void)state;
    assert_int_equal(NG_CLASSES, 48);
    assert_int_equal(sizeof ng_class_units / sizeof *ng_class_units, 48);
    assert_int_equal(ENGINE_CLASSES, 48);
    for (size_t class = 0; class < NG_CLASSES; class++) {
        assert_int_equal(engine_class_bytes(class), 16 * (size_t)ng_class_units[class]);
        if (class > 0)
            assert_true(ng_class_units[class] > ng_class_units[class - 1]);
    }
    assert_int_equal(ng_class_units[NG_CLASSES - 1], 8191);
}

static void first_each_number_of_units_and_then_four_to_a_doubling(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_LINEAR_UNITS; class++)
        assert_int_equal(ng_class_units[class], class + 1);
    for (size_t class = 8; class < NG_CLASSES; class++) {
        size_t units = ng_class_units[class];
        assert_int_equal(highest_bit(units), class / 4 + 1);
        assert_true(4 * units <= 5 * (ng_class_units[class - 1] + (size_t)1));
    }
}

/* With the unit of the group's head they fit, and little is left; so do the halves. */
static void full_counts_and_their_halves_fill_powers_of_two(void **state)
{
    (void)state;
    for (size_t class = 8; class < NG_CLASSES; class++) {
        size_t count = full_counts[class % 4];
        size_t power = (size_t)1 << bit_width(count * ng_class_units[class]);
        for (;; count /= 2, power /= 2) {
            size_t units = count * ng_class_units[class];
            assert_true(units + 1 <= power);
            assert_true(16 * units >= 15 * power);
            if (count % 2 != 0)
                break;
        }
    }
}

static void every_length_gets_the_least_class_that_holds_it(void **state)
{
    (void)state;
    size_t least = 0;
    for (size_t length = 0; length < NG_LARGE_BYTES; length++) {
        while (ng_class_bytes(least) < length + 4)
            least++;
        assert_int_equal(ng_class_for(length), least);
        assert_false(engine_is_large(length, 1));
        assert_false(engine_is_large(length, 16));
    }
    assert_int_equal(least, NG_CLASSES - 1);
}

static void from_131052_bytes_all_are_large(void **state)
{
    (void)state;
    assert_int_equal(NG_LARGE_BYTES, 131052);
    for (size_t length = NG_LARGE_BYTES; length < 2 * NG_LARGE_BYTES; length++)
        assert_true(engine_is_large(length, 1));
    assert_true(engine_is_large(PTRDIFF_MAX, 16));
}

/* A request with an alignment is one for so many bytes more as moving the pointer can take. */
static void alignment_counts_as_length(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 16; align *= 2)
        for (size_t length = 0; length < 4096; length++)
            assert_int_equal(ng_bytes_for(length, align), length);
    for (size_t align = 32; align <= (size_t)1 << 20; align *= 2) {
        size_t more = align - 16;
        assert_int_equal(ng_bytes_for(100, align), 100 + more);
        size_t most = more < NG_LARGE_BYTES ? NG_LARGE_BYTES - more : 0;
        if (most > 0)
            assert_false(engine_is_large(most - 1, align));
        assert_true(engine_is_large(most, align));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_48_and_each_is_larger),
        cmocka_unit_test(first_each_number_of_units_and_then_four_to_a_doubling),
        cmocka_unit_test(full_counts_and_their_halves_fill_powers_of_two),
        cmocka_unit_test(every_length_gets_the_least_class_that_holds_it),
        cmocka_unit_test(from_131052_bytes_all_are_large),
        cmocka_unit_test(alignment_counts_as_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
