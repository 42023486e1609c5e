/*
 * The bins of extents over their whole domain: which bin a length has, and which filled bin comes
 * next, of all pairs of bins.
 */
#include "unit.h"

#include "spans/extents/bins.h"

#define UNIT ((size_t)1 << BIN_UNIT_SHIFT)

/* Each length of a bin is shorter than all of the next one; up to 8 units a bin has one length, and
 * then an eighth of the doubling that it is in. */
static void every_length_has_the_bin_of_its_eighth(void **state)
{
    (void)state;
    size_t bin = bin_of(UNIT), first = 1;
    for (size_t units = 1; units <= (EXTENT_MAX_BYTES >> BIN_UNIT_SHIFT); units++) {
        size_t now = bin_of(units * UNIT);
        size_t doubling = (size_t)1 << highest_bit(units);
        size_t of_a_bin = max_size(doubling / BINS_PER_DOUBLING, 1);
        if (units > 1 && units % of_a_bin == 0) {
            assert_int_equal(now, bin + 1);
            first = units;
        }
        bin = now;
        assert_true(bin < BINS);
        assert_int_equal(units / of_a_bin, first / of_a_bin);
        assert_int_equal(bin_of(units * UNIT + UNIT - 1), now);
    }
    assert_int_equal(bin, BINS - 1);
}

static void set_filled(struct bins *bins, size_t bin)
{
    static struct extent extent;
    bins->first[bin] = &extent;
    bins->filled[bin / BIN_WORD_BITS] |= (uint64_t)1 << (bin % BIN_WORD_BITS);
}

static void assert_found(const struct bins *bins, size_t lower, size_t upper)
{
    for (size_t bin = 0; bin <= BINS; bin++) {
        size_t from = bin <= lower ? lower : bin <= upper ? upper : BINS;
        size_t below = bin > upper ? upper : bin > lower ? lower : BINS;
        if (bin < BINS)
            assert_int_equal(bin_filled_from(bins, bin), from);
        assert_int_equal(bin_filled_below(bins, bin), below);
    }
}

static void the_next_filled_bin_is_found(void **state)
{
    (void)state;
    struct bins none = {0};
    for (size_t bin = 0; bin < BINS; bin++) {
        assert_int_equal(bin_filled_from(&none, bin), BINS);
        assert_int_equal(bin_filled_below(&none, bin), BINS);
    }
    for (size_t lower = 0; lower < BINS; lower++)
        for (size_t upper = lower; upper < BINS; upper++) {
            struct bins bins = {0};
            set_filled(&bins, lower);
            set_filled(&bins, upper);
            assert_found(&bins, lower, upper);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_has_the_bin_of_its_eighth),
        cmocka_unit_test(the_next_filled_bin_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
