/*
 * Pages that are not there: neither the look for zeros nor the clearing brings one, and a write to
 * one of a freed cell is found all the same. Then the same where the kernel does not tell which
 * pages are there. And what is in swap space, which the kernel says is not there, is cleared.
 */
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "duet.h"
#include "engine.h"
#include "heap/heap.h"
#include "os/os.h"

#define LENGTH (DUET_MOST_BYTES - SEAL_BYTES)
#define ROUNDS 1000

static bool tells, refuses, all_is_in_swap_space;

/* In place of the C library's. */
int mincore(void *start, size_t length, unsigned char *pages)
{
    if (refuses) {
        errno = ENOMEM;
        return -1;
    }
    int result = (int)syscall(SYS_mincore, start, length, pages);
    if (result == 0 && all_is_in_swap_space)
        memset(pages, 0, (length + os_page_bytes() - 1) / os_page_bytes());
    return result;
}

static void skip_where_cells_have_few_pages(void)
{
    if (LENGTH < 8 * os_page_bytes())
        skip();
}

/* Of those that lie wholly in the cell. */
static size_t count_pages(char *cell)
{
    size_t page = os_page_bytes(), count = 0;
    char *at = (char *)round_up((uintptr_t)cell, page);
    for (; at + page <= cell + LENGTH; at += page) {
        unsigned char there;
        assert_int_equal(syscall(SYS_mincore, at, 1, &there), 0);
        count += there & 1;
    }
    return count;
}

static char *new_cell(void)
{
    char *cell = duet_malloc(LENGTH);
    assert_non_null(cell);
    return cell;
}

/* The seal is in the last one. */
static void what_nobody_touches_gets_no_pages(void **state)
{
    (void)state;
    skip_where_cells_have_few_pages();
    heap_trim();
    for (size_t i = 0; i < ROUNDS; i++) {
        char *cell = new_cell();
        if (tells)
            assert_true(count_pages(cell) <= 1);
        duet_mfree(cell);
        if (tells)
            assert_true(count_pages(cell) <= 1);
        cell = duet_calloc(1, LENGTH);
        assert_int_equal(cell[LENGTH / 2], 0);
        duet_mfree(cell);
        if (i == ROUNDS / 2)
            heap_trim();
    }
}

/* Every byte of pages that were touched here and there. */
static void what_was_touched_is_cleared(void **state)
{
    (void)state;
    skip_where_cells_have_few_pages();
    size_t page = os_page_bytes();
    heap_trim();
    for (size_t i = 0; i < ROUNDS; i++) {
        char *cell = new_cell();
        for (size_t at = i % page; at < LENGTH; at += (1 + i % 5) * page)
            cell[at] = 'x';
        duet_mfree(cell);
        for (size_t at = 0; at < LENGTH; at++)
            if (cell[at] != 0)
                fail_msg("byte %zu was not cleared", at);
    }
}

static void what_is_in_swap_space_is_cleared(void **state)
{
    (void)state;
    skip_where_cells_have_few_pages();
    all_is_in_swap_space = true;
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t length = LENGTH - i * (LENGTH / 2 / ROUNDS);
        char *cell = duet_calloc(1, length);
        assert_non_null(cell);
        assert_int_equal(cell[length / 3], 0);
        memset(cell, 'x', length);
        duet_mfree(cell);
        for (size_t at = 0; at < length; at++)
            if (cell[at] != 0)
                fail_msg("byte %zu of %zu was not cleared", at, length);
        if (i % 100 == 0)
            heap_trim();
    }
    all_is_in_swap_space = false;
}

/* Of one among others, so that its group stays when all that is free goes back. */
static void write_to_a_freed_cell(void *context)
{
    char *cells[20];
    for (size_t i = 0; i < 20; i++)
        cells[i] = new_cell();
    duet_mfree(cells[10]);
    heap_trim();
    cells[10][*(const size_t *)context] = 'x';
    for (size_t i = 0; i < ROUNDS; i++)
        new_cell();
}

static void a_write_to_what_was_not_there_is_found(void **state)
{
    (void)state;
    skip_where_cells_have_few_pages();
    for (size_t at = 0; at < DUET_MOST_BYTES; at += DUET_MOST_BYTES / 64) {
        char text[256];
        assert_int_equal(signal_of(write_to_a_freed_cell, &at, text, sizeof text), SIGABRT);
        assert_non_null(strstr(text, "was written to after it was freed"));
    }
}

static int the_kernel_tells(void **state)
{
    (void)state;
    tells = !DUET_LONG_PAGE_BYTES;
    return 0;
}

static int the_kernel_does_not_tell(void **state)
{
    (void)state;
    tells = false;
    refuses = true;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_touches_gets_no_pages),
        cmocka_unit_test(what_was_touched_is_cleared),
        cmocka_unit_test(what_is_in_swap_space_is_cleared),
        cmocka_unit_test(a_write_to_what_was_not_there_is_found),
    };
    int failures = cmocka_run_group_tests_name("pages", tests, the_kernel_tells, NULL);
    failures += cmocka_run_group_tests_name("no word", tests, the_kernel_does_not_tell, NULL);
    return failures;
}
