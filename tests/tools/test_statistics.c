/*
 * Medians and their intervals. The confidence that an interval claims is checked against a count of
 * all ways in which so many figures can fall on the two sides of the true median.
 */
#include <math.h>
#include <stdint.h>

#include "cmocka_tests.h"
#include "measure/statistics.h"

#define FIGURES_MOST 18

static void medians_are_in_the_middle(void **state)
{
    (void)state;
    const double odd[] = {9, 1, 5};
    const double even[] = {4, 1, 3, 2};
    const double one[] = {7};

    assert_float_equal(estimate_median(odd, 3).median, 5, 0);
    assert_float_equal(estimate_median(even, 4).median, 2.5, 0);
    struct estimate single = estimate_median(one, 1);
    assert_float_equal(single.median, 7, 0);
    assert_float_equal(single.low, 7, 0);
    assert_float_equal(single.high, 7, 0);
    assert_float_equal(single.confidence, 0, 0);
    assert_int_equal(estimate_median(one, 0).count, 0);
    /* What was given stays as it was. */
    assert_float_equal(odd[0], 9, 0);
}

/* Of the 2^count equally likely ways, the share in which at least `rank` figures lie on each
 * side. */
static double counted_coverage(unsigned count, unsigned rank)
{
    uint32_t within = 0;

    for (uint32_t sides = 0; sides < UINT32_C(1) << count; sides++) {
        unsigned above = (unsigned)__builtin_popcount(sides);
        within += above >= rank && count - above >= rank;
    }
    return within / (double)(UINT32_C(1) << count);
}

static void intervals_hold_what_they_claim(void **state)
{
    (void)state;
    double figures[FIGURES_MOST];

    for (unsigned count = 1; count <= FIGURES_MOST; count++) {
        for (unsigned i = 0; i < count; i++)
            figures[i] = (double)((i * 7) % count) + (count % 7 == 0 ? i * 1e-3 : 0);
        struct estimate made = estimate_median(figures, count);
        unsigned below = 0;
        unsigned above = 0;
        for (unsigned i = 0; i < count; i++) {
            below += figures[i] <= made.low;
            above += figures[i] >= made.high;
        }
        assert_int_equal(below, above);
        assert_float_equal(made.confidence, counted_coverage(count, below), 1e-12);
        assert_true(count < 8 || made.confidence >= 0.99);
        /* No narrower one would do. */
        if (2 * (below + 1) <= count)
            assert_true(counted_coverage(count, below + 1) < 0.99);
        assert_true(made.low <= made.median && made.median <= made.high);
    }
}

static struct estimate around(double low, double median, double high, double confidence)
{
    return (struct estimate){
        .count = 5, .median = median, .low = low, .high = high, .confidence = confidence};
}

static void verdicts_need_the_whole_interval(void **state)
{
    (void)state;
    struct estimate less = around(0.9, 0.95, 0.99, 0.94);
    struct estimate more = around(1.02, 1.1, 1.2, 0.94);
    struct estimate touching = around(0.9, 0.95, 1, 0.94);
    struct estimate small = around(0.992, 0.995, 0.998, 0.99);
    struct estimate unsure = around(0.5, 0.6, 0.7, 0.875);
    struct estimate none = {0};

    assert_int_equal(verdict_on(&less), VERDICT_LESS);
    assert_int_equal(verdict_on(&more), VERDICT_MORE);
    assert_int_equal(verdict_on(&touching), VERDICT_SAME);
    assert_int_equal(verdict_on(&small), VERDICT_SAME);
    assert_int_equal(verdict_on(&unsure), VERDICT_SAME);
    assert_int_equal(verdict_on(&none), VERDICT_SAME);
}

static void noise_is_half_the_interval(void **state)
{
    (void)state;
    struct estimate wide = around(0.8, 1, 1.2, 0.99);
    struct estimate narrow = around(1, 1, 1, 0.99);

    assert_float_equal(noise_of(&wide), 0.2, 1e-12);
    assert_float_equal(noise_of(&narrow), LEAST_DIFFERENCE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_are_in_the_middle),
        cmocka_unit_test(intervals_hold_what_they_claim),
        cmocka_unit_test(verdicts_need_the_whole_interval),
        cmocka_unit_test(noise_is_half_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
