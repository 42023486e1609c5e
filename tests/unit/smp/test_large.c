/*
 * More large blocks than the kernel allows mappings in a process: neighbours have to be one mapping
 * to it; and when freeing every other block takes them apart again, up to the limit and beyond, the
 * heap goes on.
 */
#include "unit.h"

#include <fcntl.h>

#include "duet.h"
#include "large.h"
#include "memory.h"

/* ThreadSanitizer makes two mappings of its own for each of our blocks, and dies at the kernel's
 * limit; there we stay below it, and count none. */
#define BLOCKS (UNDER_TSAN ? 8192 : 150000)
#define LEAST_BYTES 33000 /* large in every build */
#define MAPPINGS_OF_THE_BLOCKS 2000

static char *blocks[BLOCKS];

/* What there was before: the C library and cmocka may hold large blocks of their own. */
static struct large_count others;

static int count_others(void **state)
{
    (void)state;
    others = large_count();
    return 0;
}

static size_t count_blocks(void)
{
    return large_count().blocks - others.blocks;
}

/* Lines of /proc/self/maps, read without allocating. */
static size_t count_mappings(void)
{
    static char text[1 << 16];
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    size_t lines = 0;
    for (ssize_t n; (n = read(file, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    close(file);
    return lines;
}

static size_t length_of(size_t i)
{
    return LEAST_BYTES + i * 97 % 30000;
}

static void many_blocks_are_few_mappings(void **state)
{
    (void)state;
    size_t before = count_mappings();
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = duet_malloc(length_of(i));
        assert_non_null(blocks[i]);
        assert_true(duet_usable_size(blocks[i]) >= length_of(i));
    }
    assert_int_equal(count_blocks(), BLOCKS);
    assert_true(UNDER_TSAN || count_mappings() < before + MAPPINGS_OF_THE_BLOCKS);
}

static void freeing_every_other_one_goes_on_at_the_kernels_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLOCKS; i += 2) {
        memset(blocks[i], 0xee, 64);
        duet_mfree(blocks[i]);
        blocks[i] = NULL;
    }
    assert_int_equal(count_blocks(), BLOCKS / 2);
    for (size_t i = 0; i < BLOCKS; i += 64) { /* some of what could not be unmapped comes back */
        blocks[i] = duet_calloc(1, length_of(i));
        assert_non_null(blocks[i]);
        for (size_t byte = 0; byte < 64; byte++)
            assert_int_equal(blocks[i][byte], 0);
    }
}

static void nothing_is_left_mapped_in_the_end(void **state)
{
    (void)state;
    size_t before = count_mappings();
    for (size_t i = 0; i < BLOCKS; i++)
        duet_mfree(blocks[i]);
    duet_trim();
    assert_int_equal(count_blocks(), 0);
    assert_int_equal(large_count().bytes, others.bytes);
    assert_true(UNDER_TSAN || count_mappings() < before / 2);
    assert_false(large_trim());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_blocks_are_few_mappings),
        cmocka_unit_test(freeing_every_other_one_goes_on_at_the_kernels_limit),
        cmocka_unit_test(nothing_is_left_mapped_in_the_end),
    };
    return cmocka_run_group_tests(tests, count_others, NULL);
}
