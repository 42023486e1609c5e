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

static void marks_hold_for_the_pages_they_were_set_for(void **state)
{
    (void)state;
    const size_t pages = 3 * TABLE_MARKS;
    char *start = (char *)(LEAF_SPAN * 12 - TABLE_MARKS / 2 * TABLE_MARK_BYTES);
    assert_true(table_cover(start, pages * TABLE_MARK_BYTES));
    for (size_t first = 0; first < pages; first++) {
        for (size_t last = first; last < pages; last++) {
            /* From the last byte of the first one to the first byte of the last one. */
            const char *from = start + (first + 1) * TABLE_MARK_BYTES - 1;
            const char *to = first == last ? from : start + last * TABLE_MARK_BYTES;
            size_t length = (size_t)(to - from) + 1;
            table_mark(from, length);
            for (size_t page = 0; page < pages; page++) {
                bool within = page >= first && page <= last;
                const char *address = start + page * TABLE_MARK_BYTES;
                assert_int_equal(table_is_marked(address), within);
                assert_int_equal(table_is_marked(address + TABLE_MARK_BYTES - 1), within);
            }
            table_unmark(from, length);
        }
    }
    for (size_t page = 0; page < pages; page++)
        assert_false(table_is_marked(start + page * TABLE_MARK_BYTES));
}

static void marks_of_neighbours_stay(void **state)
{
    (void)state;
    char *start = (char *)(LEAF_SPAN * 14);
    assert_true(table_cover(start, 4 * BLOCK_BYTES));
    table_mark(start, 4 * BLOCK_BYTES);
    table_unmark(start + TABLE_MARK_BYTES, 2 * BLOCK_BYTES);
    assert_true(table_is_marked(start));
    assert_false(table_is_marked(start + TABLE_MARK_BYTES));
    assert_false(table_is_marked(start + 2 * BLOCK_BYTES));
    assert_true(table_is_marked(start + 2 * BLOCK_BYTES + TABLE_MARK_BYTES));
    table_unmark(start, 4 * BLOCK_BYTES);
}

static void addresses_that_are_not_ours_have_no_marks(void **state)
{
    (void)state;
    assert_false(table_is_marked(NULL));
    assert_false(table_is_marked((void *)(uintptr_t)getpid));
    assert_false(table_is_marked((void *)((uintptr_t)1 << ADDRESS_BITS)));
    assert_false(table_is_marked((void *)UINTPTR_MAX));
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
        cmocka_unit_test(marks_hold_for_the_pages_they_were_set_for),
        cmocka_unit_test(marks_of_neighbours_stay),
        cmocka_unit_test(addresses_that_are_not_ours_have_no_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
