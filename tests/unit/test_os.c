/*
 * The OS layer: memory that the kernel would not unmap goes another time. Refusals need the seam of
 * the checked builds.
 */
#include "unit.h"

#include <sys/mman.h>

#include "base/config.h"
#include "os/fault.h"
#include "os/os.h"

#define LENGTH ((size_t)1 << 20)
#define MOST 16 /* are remembered */

static bool is_mapped(char *page)
{
    unsigned char resident;
    return mincore(page, 1, &resident) == 0;
}

static size_t count_mapped(char **starts, size_t count)
{
    size_t mapped = 0;
    for (size_t i = 0; i < count; i++)
        mapped += is_mapped(starts[i]);
    return mapped;
}

static void refuse_to_unmap(bool refuse)
{
    fault_set(FAULT_UNMAP, (struct fault_plan){.every = refuse ? 1 : 0});
}

/* Aligned beyond its length, so that nothing but itself is where it was. */
static char *map(void)
{
    char *start = os_map(LENGTH, LENGTH);
    assert_non_null(start);
    return start;
}

static void what_cannot_be_discarded_goes_before_more_is_mapped(void **state)
{
    (void)state;
    if (!DUET_CHECKED)
        skip();
    char *starts[MOST];
    size_t held = os_held_bytes();
    for (size_t i = 0; i < MOST; i++)
        starts[i] = map();
    refuse_to_unmap(true);
    for (size_t i = 0; i < MOST; i++)
        os_discard(starts[i], LENGTH);
    assert_int_equal(os_held_bytes(), held);
    assert_int_equal(count_mapped(starts, MOST), MOST);
    refuse_to_unmap(false);
    char *more = os_map_sparse(LENGTH); /* asks for no alignment, and so for nothing else */
    assert_int_equal(count_mapped(starts, MOST), MOST);
    os_unmap_sparse(more, LENGTH);
    more = os_reserve(LENGTH, LENGTH);
    assert_true(count_mapped(starts, MOST) <= 1); /* `more` may be where one was */
    os_unreserve(more, LENGTH);
    assert_int_equal(count_mapped(starts, MOST), 0);
}

/* Refused again and again, they are neither lost nor counted twice. */
static void it_is_tried_until_it_goes(void **state)
{
    (void)state;
    if (!DUET_CHECKED)
        skip();
    char *stray = map(), *others[3];
    size_t held = os_held_bytes();
    refuse_to_unmap(true);
    os_discard(stray, LENGTH);
    for (size_t i = 0; i < 3; i++)
        others[i] = map();
    assert_true(is_mapped(stray));
    refuse_to_unmap(false);
    for (size_t i = 0; i < 3; i++)
        assert_true(os_unmap(others[i], LENGTH));
    assert_true(os_unmap(map(), LENGTH));
    assert_false(is_mapped(stray));
    assert_int_equal(os_held_bytes(), held - LENGTH);
}

/* Of more than are remembered, the rest stays, and counts as held. */
static void what_is_not_remembered_counts(void **state)
{
    (void)state;
    if (!DUET_CHECKED)
        skip();
    char *starts[MOST + 2];
    size_t held = os_held_bytes();
    for (size_t i = 0; i < MOST + 2; i++)
        starts[i] = map();
    refuse_to_unmap(true);
    for (size_t i = 0; i < MOST + 2; i++)
        os_discard(starts[i], LENGTH);
    refuse_to_unmap(false);
    assert_int_equal(os_held_bytes(), held + 2 * LENGTH);
    assert_true(os_unmap(map(), LENGTH));
    assert_int_equal(count_mapped(starts, MOST + 2), 2);
    for (size_t i = 0; i < MOST + 2; i++)
        if (is_mapped(starts[i]))
            assert_true(os_unmap(starts[i], LENGTH));
    assert_int_equal(os_held_bytes(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_discarded_goes_before_more_is_mapped),
        cmocka_unit_test(it_is_tried_until_it_goes),
        cmocka_unit_test(what_is_not_remembered_counts),
    };
    return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}
