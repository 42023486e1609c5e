/*
 * Extents as duet has them, whose blocks may be shorter than pages. unit.extents has all else.
 */
#include "unit.h"

#include "base/bits.h"
#include "base/config.h"
#include "os/os.h"
#include "sanitizers.h"
#include "spans/extents.h"

#define A_SEGMENT ((size_t)1 << 20)

/* The second segment is of 5 units, since there is no room for more; the third begins with twice
 * that, and would be half of 5 if it were not for pages. */
static void take_where_space_is_short(void *unused)
{
    (void)unused;
    const size_t unit = max_size(BLOCK_BYTES, os_page_bytes());
    bool zeroed;
    struct extent *first = extent_take(A_SEGMENT, 1, false, &zeroed);
    leave_room(7 * unit);
    struct extent *second = extent_take(5 * unit, 1, false, &zeroed);
    struct extent *third = extent_take(unit, 1, false, &zeroed);
    if (first == NULL || second == NULL || third == NULL)
        abort();
    extent_give(third);
    extent_give(second);
    extent_give(first);
    extents_check();
}

static void segments_made_shorter_are_whole_pages(void **state)
{
    (void)state;
    if (UNDER_SANITIZER)
        skip();
    char text[256];
    assert_int_equal(signal_of(take_where_space_is_short, NULL, text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_made_shorter_are_whole_pages),
    };
    return cmocka_run_group_tests_name("extents", tests, NULL, NULL);
}
