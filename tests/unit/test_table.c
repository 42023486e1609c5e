/*
 * The address table. Entries may be written for any address, mapped or not.
 */
#include "unit.h"

#include "spans/table.h"

#define LEAF_SPAN ((uintptr_t)1 << (TABLE_LEAF_BITS + BLOCK_SHIFT))

static void addresses_that_are_not_ours(void **state)
{
    (void)state;
    int local = 0;
    const void *addresses[] = {
        NULL,
        (void *)1,
        (void *)(uintptr_t)getpid,
        &local,
        (void *)(((uintptr_t)1 << ADDRESS_BITS) - 1),
        (void *)((uintptr_t)1 << ADDRESS_BITS),
        (void *)((uintptr_t)1 << 56),
        (void *)UINTPTR_MAX,
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        assert_int_equal(table_class(addresses[i]), TABLE_FOREIGN);
}

static void entries_hold_from_the_first_to_the_last_byte_of_a_block(void **state)
{
    (void)state;
    char *start = (char *)(LEAF_SPAN * 5 + 7 * BLOCK_BYTES);
    assert_true(table_cover(start, BLOCK_BYTES));
    assert_int_equal(table_class(start), TABLE_FOREIGN);
    table_set(start, 1, 9, 1234567);
    assert_int_equal(table_class(start), 9);
    assert_int_equal(table_class(start + BLOCK_BYTES - 1), 9);
    assert_int_equal(table_meta(start + BLOCK_BYTES / 2), 1234567);
    assert_int_equal(table_class(start - 1), TABLE_FOREIGN);
    assert_int_equal(table_class(start + BLOCK_BYTES), TABLE_FOREIGN);
    table_clear(start, 1);
    assert_int_equal(table_class(start), TABLE_FOREIGN);
}

static void runs_cross_from_leaf_to_leaf(void **state)
{
    (void)state;
    const size_t blocks = 6;
    char *start = (char *)(LEAF_SPAN * 9 - 3 * BLOCK_BYTES);
    assert_true(table_cover(start, blocks * BLOCK_BYTES));
    table_set(start, blocks, TABLE_LARGE, 77);
    for (size_t block = 0; block < blocks; block++) {
        assert_int_equal(table_class(start + block * BLOCK_BYTES), TABLE_LARGE);
        assert_int_equal(table_meta(start + block * BLOCK_BYTES), 77);
    }
    assert_int_equal(table_class(start - 1), TABLE_FOREIGN);
    assert_int_equal(table_class(start + blocks * BLOCK_BYTES), TABLE_FOREIGN);
    table_clear(start, blocks);
}

static void the_ends_of_the_address_space(void **state)
{
    (void)state;
    char *last = (char *)(((uintptr_t)1 << ADDRESS_BITS) - BLOCK_BYTES);
    assert_true(table_cover(last, BLOCK_BYTES));
    assert_false(table_cover(last, BLOCK_BYTES + 1));
    table_set(last, 1, 3, 4);
    assert_int_equal(table_class(last + BLOCK_BYTES - 1), 3);
    assert_int_equal(table_class(last + BLOCK_BYTES), TABLE_FOREIGN);
    table_clear(last, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_are_not_ours),
        cmocka_unit_test(entries_hold_from_the_first_to_the_last_byte_of_a_block),
        cmocka_unit_test(runs_cross_from_leaf_to_leaf),
        cmocka_unit_test(the_ends_of_the_address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
