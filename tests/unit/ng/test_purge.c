/*
 * The option `purge`: whole pages of a cell go back as it is freed, and only with it. And what a
 * trim purges.
 */
#include "unit.h"

#include <string.h>

#include "duet.h"
#include "engine/ng/engine.h"
#include "os/os.h"

#define CELLS 64 /* so many that groups of several cells are made */

/* Frees a cell, filled, of a group that has others in use; says whether a page in its middle reads
 * as zero then. That the page is read after the free is what this is about. */
static bool middle_is_gone(size_t bytes)
{
    unsigned char *cells[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        cells[i] = duet_malloc(bytes);
        assert_non_null(cells[i]);
        memset(cells[i], 0xa5, bytes);
    }
    struct cell cell;
    size_t chosen = 0;
    while (cell_require(cells[chosen], "test", &cell) == bytes && group_last(cell.group) == 0)
        assert_true(++chosen < CELLS);
    const unsigned char *middle = cells[chosen] + bytes / 2;
    duet_mfree(cells[chosen]);
    bool gone = *(const volatile unsigned char *)middle == 0;
    for (size_t i = 0; i < CELLS; i++)
        if (i != chosen)
            duet_mfree(cells[i]);
    return gone;
}

static void only_with_the_option(void **state)
{
    (void)state;
    size_t bytes = 4 * os_page_bytes();
    if (bytes >= NG_LARGE_BYTES)
        skip(); /* no cell has whole pages in its middle */
    assert_false(middle_is_gone(bytes));
    ng_purge = true;
    assert_true(middle_is_gone(bytes));
    ng_purge = false;
}

/* Of every length that fills a cell: the pages of one that is free end before the header of the
 * next, which lies in its last bytes. */
static void a_trim_spares_what_lies_behind_free_cells(void **state)
{
    (void)state;
    unsigned char *cells[CELLS];
    for (size_t class = 0; class < NG_CLASSES; class++) {
        size_t bytes = min_size(ng_class_bytes(class) - NG_HEADER_BYTES, NG_LARGE_BYTES - 1);
        for (size_t i = 0; i < CELLS; i++) {
            cells[i] = duet_malloc(bytes);
            assert_non_null(cells[i]);
            memset(cells[i], 0xa5, bytes);
        }
        for (size_t i = 0; i < CELLS; i += 2)
            duet_mfree(cells[i]);
        duet_trim();
        for (size_t i = 1; i < CELLS; i += 2) {
            assert_int_equal(duet_usable_size(cells[i]), bytes);
            assert_true(cells[i][0] == 0xa5 && memcmp(cells[i], cells[i] + 1, bytes - 1) == 0);
            duet_mfree(cells[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_with_the_option),
        cmocka_unit_test(a_trim_spares_what_lies_behind_free_cells),
    };
    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
