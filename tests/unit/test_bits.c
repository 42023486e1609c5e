/*
 * Arithmetic against the obvious, slow way.
 */
#include "unit.h"

#include "base/bits.h"

static unsigned slow_width(size_t n)
{
    unsigned width = 0;
    for (; n != 0; n >>= 1)
        width++;
    return width;
}

static void widths_and_powers(void **state)
{
    (void)state;
    for (size_t n = 0; n < 70000; n++) {
        assert_int_equal(bit_width(n), slow_width(n));
        assert_int_equal(is_power_of_two(n), n != 0 && (size_t)1 << (slow_width(n) - 1) == n);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        size_t power = (size_t)1 << bit;
        assert_int_equal(bit_width(power), bit + 1);
        assert_int_equal(bit_width(power - 1), bit);
        assert_true(is_power_of_two(power));
        assert_int_equal(is_power_of_two(power + 1), bit == 0);
    }
    assert_int_equal(bit_width(SIZE_MAX), 64);
}

static void rounding(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t n = 0; n < 10000; n++) {
            assert_int_equal(round_down(n, align), n / align * align);
            assert_int_equal(round_up(n, align), (n + align - 1) / align * align);
            assert_int_equal(is_aligned(n, align), n % align == 0);
        }
    }
}

static void products_that_do_not_fit(void **state)
{
    (void)state;
    size_t product;
    assert_false(multiply_overflows(SIZE_MAX, 1, &product));
    assert_true(product == SIZE_MAX);
    assert_false(multiply_overflows(0, SIZE_MAX, &product));
    assert_true(product == 0);
    assert_true(multiply_overflows(SIZE_MAX, 2, &product));
    assert_true(multiply_overflows((size_t)1 << 32, (size_t)1 << 32, &product));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_and_powers),
        cmocka_unit_test(rounding),
        cmocka_unit_test(products_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
