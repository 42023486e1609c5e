/*
 * The interface with lengths, SmpAllocator's own: only under the duet_ names. Boundaries between
 * small and large are found by asking, since they differ from build to build.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "cmocka_tests.h"
#include "engine_facts.h"

#define LARGE ((size_t)8 << 20) /* large in every build */
#define ERRNO_MARK 4242

static size_t page;

static int read_page(void **state)
{
    (void)state;
    page = (size_t)sysconf(_SC_PAGESIZE);
    return page == 0;
}

static void fill_and_free(void *block, size_t length, size_t align)
{
    assert_non_null(block);
    assert_true(is_aligned(block, align));
    memset(block, 0x2b, length);
    assert_true(is_filled(block, 0x2b, length));
    duet_free(block, length, align);
}

static void every_length_and_alignment_is_served(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)16 << 20; align *= 2) {
        for (size_t length = 1; length <= (size_t)1 << 20; length = length * 3 + 1)
            fill_and_free(duet_alloc(length, align), length, align);
        fill_and_free(duet_alloc(align, align), align, align);
        fill_and_free(duet_alloc(align + 1, align), align + 1, align);
    }
}

static void length_zero_counts_as_one(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2) {
        unsigned char *block = duet_alloc(opaque_size(0), align);
        unsigned char *other = duet_alloc(opaque_size(0), align);
        assert_non_null(block);
        assert_non_null(other);
        assert_ptr_not_equal(block, other);
        block[0] = 1;
        assert_true(duet_resize(block, 0, align, 1));
        duet_free(block, 1, align);
        assert_true(duet_resize(other, 0, align, 0));
        duet_free(other, 0, align);
    }
}

static void too_long_is_enomem(void **state)
{
    (void)state;
    const size_t lengths[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 65535, SIZE_MAX};
    for (size_t i = 0; i < 4; i++) {
        for (size_t align = 1; align <= (size_t)1 << 30; align *= 8) {
            errno = 0;
            assert_null(opaque(duet_alloc(opaque_size(lengths[i]), align)));
            assert_int_equal(errno, ENOMEM);
        }
    }
}

static void alignment_that_is_no_power_of_two_is_einval(void **state)
{
    (void)state;
    const size_t aligns[] = {0, 3, 24, 48, SIZE_MAX};
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        errno = 0;
        assert_null(opaque(duet_alloc(opaque_size(100), aligns[i])));
        assert_int_equal(errno, EINVAL);
    }
}

/* Grows a block byte by byte, with content, for as long as it can stay where it is. */
static size_t grow_to_the_end_of_the_cell(unsigned char *block, size_t length)
{
    while (duet_resize(block, length, 16, length + 1)) {
        block[length++] = 0x19;
        assert_true(length < LARGE);
    }
    return length;
}

static size_t shrink_to_the_least(unsigned char *block, size_t length)
{
    while (length > 1 && duet_resize(block, length, 16, length - 1))
        length--;
    return length;
}

/* Usable bytes of what malloc gives. With alignments of at most 16, cells of the C family and these
 * are the same. */
static size_t usable_bytes(size_t size)
{
    void *block = duet_malloc(size);
    assert_non_null(block);
    size_t usable = duet_usable_size(block);
    duet_mfree(block);
    return usable;
}

/* Within a class, or what else its cell and the engine allow, resize succeeds and changes nothing
 * else. */
static void resize_within_a_class_succeeds(void **state)
{
    (void)state;
    for (size_t length = 16; length < 2000; length *= 2) {
        unsigned char *block = duet_alloc(length, 16);
        assert_non_null(block);
        memset(block, 0x19, length);
        errno = ERRNO_MARK;
        size_t most = grow_to_the_end_of_the_cell(block, length);
        assert_true(is_filled(block, 0x19, most));
        size_t least = shrink_to_the_least(block, most);
        assert_true(least <= length);
        assert_true(is_filled(block, 0x19, least));
        if (least > 1)
            assert_null(duet_remap(block, least, 16, least - 1));
        assert_ptr_equal(duet_remap(block, least, 16, most), block);
        assert_true(is_filled(block, 0x19, least));
        memset(block, 0x19, most);
        assert_false(duet_resize(block, most, 16, most + 1));
        assert_null(duet_remap(block, most, 16, most + 1));
        if (engine_facts()->whole_cells_are_usable) {
            assert_int_equal(most, usable_bytes(length));
            bool may_be_less = engine_facts()->stays_for_three_quarters && least == most / 4 * 3;
            assert_true(may_be_less || usable_bytes(least) == most);
            assert_true(least == 1 || usable_bytes(least - 1) < most);
            assert_true(!engine_facts()->stays_for_three_quarters || least <= most / 4 * 3);
        }
        assert_int_equal(errno, ERRNO_MARK);
        assert_true(is_filled(block, 0x19, most));
        duet_free(block, most, 16);
    }
}

static void small_and_large_do_not_become_each_other(void **state)
{
    (void)state;
    unsigned char *small = duet_alloc(100, 8);
    unsigned char *large = duet_alloc(LARGE, 8);
    assert_non_null(small);
    assert_non_null(large);
    memset(small, 1, 100);
    memset(large, 2, LARGE);
    errno = ERRNO_MARK;
    assert_false(duet_resize(small, 100, 8, LARGE));
    assert_null(duet_remap(small, 100, 8, LARGE));
    assert_false(duet_resize(large, LARGE, 8, 100));
    assert_null(duet_remap(large, LARGE, 8, 100));
    assert_int_equal(errno, ERRNO_MARK);
    assert_true(is_filled(small, 1, 100));
    assert_true(is_filled(large, 2, LARGE));
    duet_free(small, 100, 8);
    duet_free(large, LARGE, 8);
}

static void large_shrinks_in_place(void **state)
{
    (void)state;
    unsigned char *block = duet_alloc(LARGE, 16);
    assert_non_null(block);
    memset(block, 0x61, LARGE);
    size_t length = LARGE;
    errno = ERRNO_MARK;
    while (length > LARGE / 8) {
        size_t shorter = length - length / 3 - 1;
        assert_true(duet_resize(block, length, 16, shorter));
        length = shorter;
        assert_true(is_filled(block, 0x61, length));
    }
    assert_int_equal(errno, ERRNO_MARK);
    duet_free(block, length, 16);
}

/* Whether there is room behind is up to the address space: both answers are right, if they are
 * true. */
static void large_grows_in_place_or_refuses(void **state)
{
    (void)state;
    size_t length = LARGE;
    unsigned char *block = duet_alloc(length, 16);
    assert_non_null(block);
    memset(block, 0x62, length);
    for (int step = 0; step < 8; step++) {
        size_t longer = length + LARGE / 2;
        errno = ERRNO_MARK;
        bool grown = duet_resize(block, length, 16, longer);
        assert_int_equal(errno, ERRNO_MARK);
        assert_true(is_filled(block, 0x62, length));
        if (grown) {
            memset(block, 0x62, longer);
            length = longer;
        }
    }
    assert_false(duet_resize(block, length, 16, (size_t)PTRDIFF_MAX + 1));
    assert_false(duet_resize(block, length, 16, SIZE_MAX));
    assert_null(duet_remap(block, length, 16, SIZE_MAX));
    assert_true(is_filled(block, 0x62, length));
    duet_free(block, length, 16);
}

/* What was cut off lies free behind: nothing is in the way. */
static void large_grows_back_after_shrinking_within_its_pages(void **state)
{
    (void)state;
    unsigned char *block = duet_alloc(LARGE + page, 16);
    assert_non_null(block);
    memset(block, 3, LARGE + page);
    assert_true(duet_resize(block, LARGE + page, 16, LARGE + 1)); /* one byte on the last page */
    assert_true(duet_resize(block, LARGE + 1, 16, LARGE + page));
    assert_true(is_filled(block, 3, LARGE + 1));
    memset(block, 3, LARGE + page);
    duet_free(block, LARGE + page, 16);
}

static void remap_keeps_content_and_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)16 << 20; align *= 16) {
        size_t length = LARGE;
        unsigned char *block = duet_alloc(length, align);
        assert_non_null(block);
        memset(block, 0x63, length);
        for (int step = 0; step < 4; step++) {
            /* A block right behind now and then, so that it cannot always grow in place. */
            void *fence = duet_alloc(LARGE, 1);
            assert_non_null(fence);
            errno = ERRNO_MARK;
            unsigned char *moved = duet_remap(block, length, align, length * 2);
            assert_int_equal(errno, ERRNO_MARK);
            duet_free(fence, LARGE, 1);
            if (moved == NULL)
                moved = block;
            else
                length *= 2;
            block = moved;
            assert_true(is_aligned(block, align));
            assert_true(is_filled(block, 0x63, length / 2));
            memset(block, 0x63, length);
        }
        duet_free(block, length, align);
    }
}

/* So much of a block with a mapping of its own is written to. */
#define WRITTEN_BYTES ((size_t)16 << 20)

static void remap_moves_pages_rather_than_refuse(void **state)
{
    (void)state;
    size_t length = engine_facts()->mapped_bytes;
    unsigned char *block = duet_alloc(length, length);
    assert_non_null(block);
    memset(block, 0x64, WRITTEN_BYTES);
    unsigned char *moved = duet_remap(block, length, length, length * 2);
    if (!engine_facts()->moves_at_any_alignment && moved == NULL) {
        assert_true(is_filled(block, 0x64, WRITTEN_BYTES));
        duet_free(block, length, length);
        return;
    }
    assert_non_null(moved); /* no address space is short of so much here */
    assert_true(is_aligned(moved, length));
    assert_true(is_filled(moved, 0x64, WRITTEN_BYTES));
    assert_true(is_filled(moved + length, 0, WRITTEN_BYTES));
    duet_free(moved, length * 2, length);
}

/* Makes sure that nothing can grow far beyond `address`: takes the page there, or finds it taken,
 * and so with the next one, since the first may be the last of the block itself. */
static void put_fence(unsigned char *address, void *taken[2])
{
    unsigned char *next = (unsigned char *)(((uintptr_t)address + page - 1) & -(uintptr_t)page);
    for (size_t i = 0; i < 2; i++)
        taken[i] = mmap(next + i * page, page, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

static void remove_fence(void *const taken[2])
{
    for (size_t i = 0; i < 2; i++)
        if (taken[i] != MAP_FAILED)
            munmap(taken[i], page);
}

static size_t page_faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)(usage.ru_minflt + usage.ru_majflt);
}

/* A copy would write to every page of the new place, and each would fault. */
static void remap_never_copies(void **state)
{
    (void)state;
    size_t length = engine_facts()->mapped_bytes;
    unsigned char *block = duet_alloc(length, 16);
    assert_non_null(block);
    memset(block, 0x65, WRITTEN_BYTES);
    void *behind[2];
    put_fence(block + length, behind);
    size_t before = page_faults();
    unsigned char *moved = duet_remap(block, length, 16, 2 * length);
    assert_non_null(moved);
    assert_ptr_not_equal(moved, block);
    assert_true(is_filled(moved, 0x65, WRITTEN_BYTES));
    size_t faults = page_faults() - before;
    if (!UNDER_SANITIZER) /* whose shadows fault as well */
        assert_true(faults < WRITTEN_BYTES / page / 16);
    remove_fence(behind);
    duet_free(moved, 2 * length, 16);
}

/* A block of a large alignment may be large whatever its length: resized, it stays aligned. */
static void short_blocks_of_large_alignment(void **state)
{
    (void)state;
    size_t align = (size_t)1 << 20;
    unsigned char *block = duet_alloc(10, align);
    assert_non_null(block);
    assert_true(is_aligned(block, align));
    memset(block, 5, 10);
    size_t length = 10;
    if (duet_resize(block, 10, align, page))
        length = page;
    assert_true(is_filled(block, 5, 10));
    memset(block, 5, length);
    unsigned char *moved = duet_remap(block, length, align, LARGE);
    if (moved != NULL) {
        block = moved;
        assert_true(is_filled(block, 5, length));
        length = LARGE;
    }
    assert_true(is_aligned(block, align));
    duet_free(block, length, align);
}

static void memory_is_reused(void **state)
{
    (void)state;
    size_t before = resident_bytes();
    for (int i = 0; i < 2000; i++) {
        fill_and_free(duet_alloc(100000, 16), 100000, 16);
        fill_and_free(duet_alloc(3000, 2048), 3000, 2048);
        fill_and_free(duet_alloc(24, 1), 24, 1);
    }
    if (!UNDER_SANITIZER)
        assert_true(resident_bytes() < before + ((size_t)32 << 20));
}

int main(void)
{
    require_duet();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_and_alignment_is_served),
        cmocka_unit_test(length_zero_counts_as_one),
        cmocka_unit_test(too_long_is_enomem),
        cmocka_unit_test(alignment_that_is_no_power_of_two_is_einval),
        cmocka_unit_test(resize_within_a_class_succeeds),
        cmocka_unit_test(small_and_large_do_not_become_each_other),
        cmocka_unit_test(large_shrinks_in_place),
        cmocka_unit_test(large_grows_in_place_or_refuses),
        cmocka_unit_test(large_grows_back_after_shrinking_within_its_pages),
        cmocka_unit_test(remap_keeps_content_and_alignment),
        cmocka_unit_test(remap_moves_pages_rather_than_refuse),
        cmocka_unit_test(remap_never_copies),
        cmocka_unit_test(short_blocks_of_large_alignment),
        cmocka_unit_test(memory_is_reused),
    };
    return cmocka_run_group_tests_name("lengths", tests, read_page, NULL);
}
