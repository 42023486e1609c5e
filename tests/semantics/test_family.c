/*
 * The functions one by one, as design.md's Semantics promise them: alignment, zero sizes, limits,
 * overflow, refusals and what an error must leave alone.
 */
#include "cmocka_tests.h"

#define TOO_MUCH ((size_t)PTRDIFF_MAX + 1)
#define ERRNO_MARK 4242

/* For all `ptr`: a refusal is NULL with that errno. */
#define assert_refused(expected_errno, call)                                                       \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_null(opaque(call));                                                                 \
        assert_int_equal(errno, expected_errno);                                                   \
    } while (0)

static void alignment_is_16_at_least(void **state)
{
    (void)state;
    for (size_t size = 0; size < 4096; size++) {
        void *plain = malloc(opaque_size(size));
        void *zeroed = calloc(1, opaque_size(size));
        void *grown = realloc(NULL, opaque_size(size));
        assert_non_null(plain);
        assert_non_null(zeroed);
        assert_non_null(grown);
        assert_true(is_aligned(plain, 16));
        assert_true(is_aligned(zeroed, 16));
        assert_true(is_aligned(grown, 16));
        grown = realloc(grown, size * 3 + 1);
        assert_non_null(grown);
        assert_true(is_aligned(grown, 16));
        free(plain);
        free(zeroed);
        free(grown);
    }
    void *small_aligned = aligned_alloc(1, opaque_size(1));
    assert_non_null(small_aligned);
    assert_true(is_aligned(small_aligned, 16));
    free(small_aligned);
}

static void malloc_of_zero_is_unique_and_freeable(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = i % 3 == 0   ? malloc(opaque_size(0))
                    : i % 3 == 1 ? calloc(opaque_size(0), 8)
                                 : realloc(NULL, opaque_size(0));
        assert_non_null(blocks[i]);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(blocks[i], blocks[k]);
    }
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    void *aligned = aligned_alloc(64, opaque_size(0));
    assert_non_null(aligned);
    assert_true(is_aligned(aligned, 64));
    free(aligned);
}

static void more_than_ptrdiff_max_is_enomem(void **state)
{
    (void)state;
    const size_t sizes[] = {TOO_MUCH, TOO_MUCH + 1, SIZE_MAX - 65536, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = opaque_size(sizes[i]);
        assert_refused(ENOMEM, malloc(size));
        assert_refused(ENOMEM, calloc(1, size));
        assert_refused(ENOMEM, calloc(size, 1));
        assert_refused(ENOMEM, realloc(NULL, size));
        assert_refused(ENOMEM, reallocarray(NULL, 1, size));
        assert_refused(ENOMEM, reallocarray(NULL, size, 1));
        assert_refused(ENOMEM, aligned_alloc(16, size));
        assert_refused(ENOMEM, aligned_alloc(4096, size));
        assert_refused(ENOMEM, aligned_alloc((size_t)1 << 20, size));
        assert_refused(ENOMEM, memalign(64, size));
        assert_refused(ENOMEM, valloc(size));
        assert_refused(ENOMEM, pvalloc(size));
        void *out = &out;
        errno = ERRNO_MARK;
        assert_int_equal(posix_memalign(&out, 64, size), ENOMEM);
        assert_ptr_equal(out, &out);
        assert_int_equal(errno, ERRNO_MARK);
    }
    /* The largest sizes that are no overflow in themselves fit in no address space either. */
    assert_refused(ENOMEM, malloc(opaque_size(PTRDIFF_MAX)));
    assert_refused(ENOMEM, aligned_alloc(4096, opaque_size(PTRDIFF_MAX)));
}

static void products_that_overflow_are_enomem(void **state)
{
    (void)state;
    const size_t half = (size_t)1 << 32;
    const size_t pairs[][2] = {
        {half, half},            /* 2^64: wraps to 0 */
        {half, half + 1},        /* wraps to 2^32 */
        {SIZE_MAX, 2},           /* wraps to SIZE_MAX - 1 */
        {SIZE_MAX / 16 + 1, 16}, /* wraps to 0 */
        {SIZE_MAX / 16 + 2, 16}, /* wraps to 16 */
        {16, SIZE_MAX / 16 + 2},
        {(size_t)3 << 62, 4},
        {half, half / 2}, /* 2^63: above PTRDIFF_MAX, no wrap */
    };
    void *block = malloc(100);
    assert_non_null(block);
    memset(block, 0x5a, 100);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        size_t count = opaque_size(pairs[i][0]);
        size_t size = opaque_size(pairs[i][1]);
        assert_refused(ENOMEM, calloc(count, size));
        assert_refused(ENOMEM, reallocarray(NULL, count, size));
        assert_refused(ENOMEM, reallocarray(opaque(block), count, size));
        assert_true(is_filled(block, 0x5a, 100));
    }
    free(block);
}

static void rounding_that_overflows_is_enomem(void **state)
{
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_refused(ENOMEM, pvalloc(opaque_size(SIZE_MAX)));
    assert_refused(ENOMEM, pvalloc(opaque_size(SIZE_MAX - page + 2)));
    assert_refused(ENOMEM, pvalloc(opaque_size(SIZE_MAX - page + 1)));
    assert_refused(ENOMEM, memalign(opaque_size((size_t)1 << 62), opaque_size((size_t)1 << 62)));
    assert_refused(ENOMEM, memalign(opaque_size((size_t)1 << 63), opaque_size(1)));
    assert_refused(ENOMEM, memalign(opaque_size(TOO_MUCH + 1), opaque_size(1)));
    assert_refused(ENOMEM, memalign(opaque_size(SIZE_MAX), opaque_size(1)));
    assert_refused(ENOMEM, memalign(opaque_size((size_t)1 << 63), opaque_size((size_t)1 << 63)));
    assert_refused(ENOMEM, memalign(opaque_size((size_t)1 << 40), opaque_size(SIZE_MAX - 4096)));
    assert_refused(ENOMEM, aligned_alloc(opaque_size((size_t)1 << 63), opaque_size(SIZE_MAX / 2)));
    assert_refused(ENOMEM, aligned_alloc(opaque_size((size_t)1 << 47), opaque_size(1)));
}

static void alignment_that_is_no_power_of_two_is_einval(void **state)
{
    (void)state;
    const size_t bad[] = {0, 3, 5, 6, 7, 12, 24, 48, 100, 4095, 4097, SIZE_MAX, TOO_MUCH + 1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t align = opaque_size(bad[i]);
        assert_refused(EINVAL, aligned_alloc(align, 64));
        void *out = &out;
        errno = ERRNO_MARK;
        assert_int_equal(posix_memalign(&out, align, 64), EINVAL);
        assert_ptr_equal(out, &out);
        assert_int_equal(errno, ERRNO_MARK);
    }
}

/* As the C library's: an alignment is rounded up to a power of two, 16 at least. */
static void memalign_rounds_its_alignment_up(void **state)
{
    (void)state;
    const size_t aligns[][2] = {{0, 16},         {1, 16},           {3, 16},      {8, 16},
                                {15, 16},        {17, 32},          {24, 32},     {48, 64},
                                {100, 128},      {1000, 1024},      {4095, 4096}, {4097, 8192},
                                {65537, 131072}, {1000000, 1048576}};
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        for (size_t size = 0; size < 100000; size = size * 3 + 1) {
            unsigned char *block = memalign(opaque_size(aligns[i][0]), opaque_size(size));
            assert_non_null(block);
            assert_true(is_aligned(block, aligns[i][1]));
            assert_true(malloc_usable_size(block) >= size);
            memset(block, 0x29, size);
            free(block);
        }
    }
}

static void posix_memalign_wants_a_multiple_of_a_pointer(void **state)
{
    (void)state;
    for (size_t align = 1; align < sizeof(void *); align *= 2) {
        void *out = &out;
        errno = ERRNO_MARK;
        assert_int_equal(posix_memalign(&out, opaque_size(align), 64), EINVAL);
        assert_ptr_equal(out, &out);
        assert_int_equal(errno, ERRNO_MARK);
    }
    for (size_t align = sizeof(void *); align <= 65536; align *= 2) {
        void *out = NULL;
        errno = ERRNO_MARK;
        assert_int_equal(posix_memalign(&out, opaque_size(align), 24), 0);
        assert_int_equal(errno, ERRNO_MARK);
        assert_non_null(out);
        assert_true(is_aligned(out, align));
        free(out);
    }
}

static void a_size_that_is_no_multiple_of_the_alignment_is_served(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)1 << 20; align *= 2) {
        const size_t sizes[] = {0, 1, align - 1, align + 1, align * 3 / 2 + 1};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            unsigned char *block = aligned_alloc(opaque_size(align), opaque_size(sizes[i]));
            assert_non_null(block);
            assert_true(is_aligned(block, align));
            assert_true(malloc_usable_size(block) >= sizes[i]);
            memset(block, 0x77, sizes[i]);
            assert_true(is_filled(block, 0x77, sizes[i]));
            free(block);
        }
    }
}

static void valloc_and_pvalloc_align_to_pages(void **state)
{
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 5 * page; size += 509) {
        void *aligned = valloc(opaque_size(size));
        void *rounded = pvalloc(opaque_size(size));
        assert_non_null(aligned);
        assert_non_null(rounded);
        assert_true(is_aligned(aligned, page));
        assert_true(is_aligned(rounded, page));
        size_t whole_pages = (size + page - 1) / page * page;
        assert_true(malloc_usable_size(aligned) >= size);
        assert_true(malloc_usable_size(rounded) >= whole_pages);
        memset(rounded, 1, whole_pages);
        free(aligned);
        free(rounded);
    }
}

/* Freed at once or not, half a GiB of blocks that are written to shows in the resident set. */
static void realloc_to_zero_does_as_the_c_library(void **state)
{
    (void)state;
    size_t before = resident_bytes();
    for (int i = 0; i < 20000; i++) {
        size_t size = i % 2 == 0 ? 1000 : 50000;
        unsigned char *block = malloc(opaque_size(size));
        assert_non_null(block);
        memset(block, 1, size);
        errno = ERRNO_MARK;
        void *rest = opaque(realloc(block, opaque_size(0)));
        assert_int_equal(errno, ERRNO_MARK);
#ifdef __GLIBC__
        assert_null(rest); /* freed */
#else
        assert_non_null(rest); /* musl: a block as malloc(0) makes them */
        free(rest);
#endif
    }
    assert_true(resident_bytes() < before + ((size_t)64 << 20));
}

static void reallocarray_to_zero_does_as_realloc(void **state)
{
    (void)state;
    void *rest = opaque(reallocarray(malloc(100), opaque_size(0), 16));
#ifdef __GLIBC__
    assert_null(rest);
#else
    assert_non_null(rest);
    free(rest);
#endif
}

static void failed_realloc_leaves_the_old_block_whole(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 100, 5000, 40000, 300000, (size_t)5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = malloc(opaque_size(sizes[i]));
        assert_non_null(block);
        size_t usable = malloc_usable_size(block);
        memset(block, 0x3c, usable);
        assert_refused(ENOMEM, realloc(opaque(block), opaque_size(PTRDIFF_MAX)));
        assert_refused(ENOMEM, realloc(opaque(block), opaque_size(TOO_MUCH)));
        assert_refused(ENOMEM, realloc(opaque(block), opaque_size(SIZE_MAX)));
        /* No overflow, and more than any x86-64 or aarch64 address space has */
        assert_refused(ENOMEM, realloc(opaque(block), opaque_size((size_t)1 << 56)));
        assert_int_equal(malloc_usable_size(block), usable);
        assert_true(is_filled(block, 0x3c, usable));
        unsigned char *grown = realloc(block, sizes[i] * 2);
        assert_non_null(grown);
        assert_true(is_filled(grown, 0x3c, sizes[i]));
        free(grown);
    }
}

static void free_and_success_leave_errno_alone(void **state)
{
    (void)state;
    for (size_t size = 1; size <= (size_t)128 << 20; size *= 3) {
        errno = ERRNO_MARK;
        void *block = malloc(opaque_size(size));
        assert_non_null(block);
        void *grown = realloc(block, size + size / 2);
        assert_non_null(grown);
        assert_int_equal(errno, ERRNO_MARK);
        free(grown);
        assert_int_equal(errno, ERRNO_MARK);
        void *zeroed = calloc(1, opaque_size(size));
        assert_non_null(zeroed);
        free(zeroed);
        assert_int_equal(errno, ERRNO_MARK);
        void *aligned = aligned_alloc(65536, opaque_size(size));
        assert_non_null(aligned);
        free(aligned);
        assert_int_equal(errno, ERRNO_MARK);
    }
    free(NULL);
    assert_int_equal(errno, ERRNO_MARK);
}

static void null_is_freeable_and_has_no_size(void **state)
{
    (void)state;
    free(NULL);
    assert_int_equal(malloc_usable_size(NULL), 0);
    if (has_sized_free()) {
        free_sized(NULL, 0);
        free_sized(NULL, 100);
        free_aligned_sized(NULL, 64, 100);
    }
}

static void sized_frees_free(void **state)
{
    (void)state;
    if (!has_sized_free())
        skip();
    size_t before = resident_bytes();
    for (int round = 0; round < 40; round++) {
        for (size_t size = 0; size < 3000000; size += size / 3 + 1) {
            unsigned char *block = malloc(opaque_size(size));
            assert_non_null(block);
            memset(block, 1, size);
            errno = ERRNO_MARK;
            free_sized(block, size);
            assert_int_equal(errno, ERRNO_MARK);

            block = realloc(malloc(opaque_size(size * 2)), opaque_size(size | 1));
            assert_non_null(block);
            free_sized(block, size | 1);

            block = calloc(opaque_size(size), 2);
            assert_non_null(block);
            free_sized(block, size * 2);
        }
        for (size_t align = 1; align <= (size_t)1 << 21; align *= 2) {
            unsigned char *block = aligned_alloc(opaque_size(align), opaque_size(align * 2));
            assert_non_null(block);
            memset(block, 1, align * 2);
            free_aligned_sized(block, align, align * 2);
        }
    }
    assert_true(resident_bytes() < before + ((size_t)200 << 20));
}

/* realloc may keep a block in place only where a sized free with the new size still finds it. */
static void sized_free_after_any_realloc(void **state)
{
    (void)state;
    if (!has_sized_free())
        skip();
    for (size_t from = 1; from < 300000; from += from / 2 + 1) {
        for (size_t to = 1; to < 300000; to += to / 2 + 1) {
            unsigned char *block = malloc(opaque_size(from));
            assert_non_null(block);
            block[from - 1] = 1;
            block = realloc(block, opaque_size(to));
            assert_non_null(block);
            assert_true(malloc_usable_size(block) >= to);
            memset(block, 2, to);
            free_sized(block, to);
        }
    }
}

int main(void)
{
    require_duet();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alignment_is_16_at_least),
        cmocka_unit_test(malloc_of_zero_is_unique_and_freeable),
        cmocka_unit_test(more_than_ptrdiff_max_is_enomem),
        cmocka_unit_test(products_that_overflow_are_enomem),
        cmocka_unit_test(rounding_that_overflows_is_enomem),
        cmocka_unit_test(alignment_that_is_no_power_of_two_is_einval),
        cmocka_unit_test(memalign_rounds_its_alignment_up),
        cmocka_unit_test(posix_memalign_wants_a_multiple_of_a_pointer),
        cmocka_unit_test(a_size_that_is_no_multiple_of_the_alignment_is_served),
        cmocka_unit_test(valloc_and_pvalloc_align_to_pages),
        cmocka_unit_test(realloc_to_zero_does_as_the_c_library),
        cmocka_unit_test(reallocarray_to_zero_does_as_realloc),
        cmocka_unit_test(failed_realloc_leaves_the_old_block_whole),
        cmocka_unit_test(free_and_success_leave_errno_alone),
        cmocka_unit_test(null_is_freeable_and_has_no_size),
        cmocka_unit_test(sized_frees_free),
        cmocka_unit_test(sized_free_after_any_realloc),
    };
    return cmocka_run_group_tests_name("family", tests, NULL, NULL);
}
