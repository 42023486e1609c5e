/*
 * What is in memory: zero after calloc however dirty the cell was, everything usable kept by
 * realloc, and every size and alignment really there, from one end to the other.
 */
#include <sys/mman.h>

#include "cmocka_tests.h"
#include "engine_facts.h"
#include "trim.h"

#define LARGEST_STEP ((size_t)64 << 20)
#define EVERY_SIZE_TO ((size_t)8192)
#define EVERY_EDGE_TO ((size_t)70000) /* beyond a block of 64 KiB: all classes, the first larges */
#define EDGES_APART ((size_t)16)      /* where a class ends is a multiple of it */

/* ---- calloc ------------------------------------------------------------------------------- */

/* Leaves freed cells of `size` full of 0xff behind. */
static void dirty_cells(size_t size, size_t count)
{
    static void *blocks[256];
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(opaque_size(size));
        assert_non_null(blocks[i]);
        memset(blocks[i], 0xff, malloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

static void calloc_is_zero_after_reuse(void **state)
{
    (void)state;
    static unsigned char *blocks[256];
    for (size_t size = 1; size < (size_t)16 << 20; size += size / 4 + 1) {
        size_t count = size < 100000 ? 256 : 4;
        dirty_cells(size, count);
        for (size_t i = 0; i < count; i++) {
            blocks[i] = i % 2 == 0 ? calloc(1, opaque_size(size)) : calloc(opaque_size(size), 1);
            assert_non_null(blocks[i]);
            assert_true(is_filled(blocks[i], 0, size));
        }
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
    }
}

static void calloc_is_zero_after_growth_and_free(void **state)
{
    (void)state;
    for (size_t size = 16; size < (size_t)8 << 20; size = size * 2 + 24) {
        unsigned char *block = calloc(1, opaque_size(size));
        assert_non_null(block);
        for (int step = 0; step < 3; step++) {
            block = realloc(block, opaque_size(size << step));
            assert_non_null(block);
            memset(block, 0xee, malloc_usable_size(block));
        }
        free(block);
        for (int step = 0; step < 3; step++) {
            unsigned char *zeroed = calloc(1, opaque_size(size << step));
            assert_non_null(zeroed);
            assert_true(is_filled(zeroed, 0, size << step));
            memset(zeroed, 0xee, malloc_usable_size(zeroed));
            free(zeroed);
        }
    }
}

/* A program may return pages of its own to the kernel, which takes whole ones: so with the last one
 * what lies behind the block. To ng and secure that is an overflow. */
static void pages_that_the_program_returned_are_no_overflow(void **state)
{
    (void)state;
    static const size_t sizes[] = {100000, 1000001, ((size_t)2 << 20) - 5,
                                   ((size_t)2 << 20) + 4090};
    const char *engine = engine_facts()->name;
    if (strcmp(engine, "ng") == 0 || strcmp(engine, "secure") == 0 || DUET_LONG_PAGE_BYTES != 0)
        skip();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *block;
        assert_int_equal(posix_memalign(&block, 4096, opaque_size(sizes[i])), 0);
        memset(block, 0xee, sizes[i]);
        if (madvise(block, sizes[i], MADV_DONTNEED) != 0)
            skip(); /* pages are longer */
        assert_true(is_filled(block, 0, sizes[i]));
        block = realloc(block, opaque_size(sizes[i] + 1));
        assert_non_null(block);
        assert_true(is_filled(block, 0, sizes[i]));
        assert_int_equal(madvise(block, sizes[i], MADV_DONTNEED), 0);
        free(block);
    }
}

/* Blocks that are aligned to more than a page and fill their last one take no more than that. */
static void aligned_blocks_lie_side_by_side(void **state)
{
    (void)state;
    enum { COUNT = 16 };
    const size_t size = (size_t)1 << 20;
    unsigned char *blocks[COUNT];
    size_t neighbours = 0;
    if (strcmp(engine_facts()->name, "duet") != 0)
        skip(); /* others have a header, a guard, or a mapping for each */
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = aligned_alloc(size, opaque_size(size));
        assert_non_null(blocks[i]);
        memset(blocks[i], 0xee, size);
        for (size_t other = 0; other < i; other++)
            neighbours += blocks[i] == blocks[other] + size || blocks[other] == blocks[i] + size;
    }
    assert_true(neighbours >= COUNT / 2);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = realloc(blocks[i], opaque_size(size)); /* as it is */
        blocks[i] = realloc(blocks[i], opaque_size(size + 1));
        assert_non_null(blocks[i]);
        assert_true(is_filled(blocks[i], 0xee, size));
        free(blocks[i]);
    }
}

static void calloc_is_zero_after_shrinking_and_trim(void **state)
{
    (void)state;
    for (size_t size = (size_t)8 << 20; size >= 1000; size /= 2) {
        unsigned char *block = malloc(opaque_size(size));
        assert_non_null(block);
        memset(block, 0xdd, size);
        block = realloc(block, opaque_size(size / 3));
        assert_non_null(block);
        assert_true(is_filled(block, 0xdd, size / 3));
        unsigned char *other = calloc(1, opaque_size(size / 2));
        assert_non_null(other);
        assert_true(is_filled(other, 0, size / 2));
        memset(other, 0xdd, size / 2);
        free(block);
        free(other);
        trim();
        unsigned char *zeroed = calloc(1, opaque_size(size));
        assert_non_null(zeroed);
        assert_true(is_filled(zeroed, 0, size));
        memset(zeroed, 0xdd, size);
        free(zeroed);
    }
}

/* ---- realloc ------------------------------------------------------------------------------ */

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Content that differs from byte to byte, with a period that no size class shares. */
static void write_pattern(unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i % 251);
}

static bool has_pattern(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != (unsigned char)(i % 251))
            return false;
    }
    return true;
}

/* A fortified program may write all that malloc_usable_size reports; realloc must carry it. */
static void realloc_keeps_every_usable_byte(void **state)
{
    (void)state;
    for (size_t from = 1; from < (size_t)2 << 20; from += from / 2 + 1) {
        for (size_t to = 1; to < (size_t)2 << 20; to += to / 2 + 3) {
            unsigned char *block = malloc(opaque_size(from));
            assert_non_null(block);
            size_t usable = malloc_usable_size(block);
            write_pattern(block, usable);
            block = realloc(block, opaque_size(to));
            assert_non_null(block);
            assert_true(has_pattern(block, min(usable, to)));
            free(block);
        }
    }
}

static void realloc_keeps_content_of_aligned_blocks(void **state)
{
    (void)state;
    for (size_t align = 16; align <= (size_t)1 << 20; align *= 4) {
        for (size_t size = 100; size < (size_t)1 << 20; size *= 7) {
            unsigned char *block = aligned_alloc(opaque_size(align), opaque_size(size));
            assert_non_null(block);
            size_t usable = malloc_usable_size(block);
            write_pattern(block, usable);
            block = realloc(block, opaque_size(size * 5));
            assert_non_null(block);
            assert_true(has_pattern(block, min(usable, size * 5)));
            free(block);
        }
    }
}

static void realloc_grows_byte_by_byte(void **state)
{
    (void)state;
    unsigned char *block = NULL;
    for (size_t size = 1; size < 20000; size++) {
        block = reallocarray(block, opaque_size(size), 7);
        assert_non_null(block);
        memset(block + (size - 1) * 7, (int)(size % 251), 7);
    }
    for (size_t size = 1; size < 20000; size++)
        assert_true(is_filled(block + (size - 1) * 7, (unsigned char)(size % 251), 7));
    free(block);
}

/* ---- every size --------------------------------------------------------------------------- */

/* A ring of live blocks: each is checked when its place is needed again, by when its neighbours
 * have long been written. */
enum { RING = 64 };

struct ring {
    unsigned char *blocks[RING];
    size_t sizes[RING];
    size_t next;
};

static void ring_clear(struct ring *ring, size_t at)
{
    if (ring->blocks[at] == NULL)
        return;
    assert_true(is_filled(ring->blocks[at], (unsigned char)ring->sizes[at], ring->sizes[at]));
    free(ring->blocks[at]);
    ring->blocks[at] = NULL;
}

static void ring_put(struct ring *ring, unsigned char *block, size_t size)
{
    size_t at = ring->next++ % RING;
    assert_non_null(block);
    assert_true(is_aligned(block, 16));
    assert_true(malloc_usable_size(block) >= size);
    ring_clear(ring, at);
    memset(block, (int)(size & 0xff), size);
    ring->blocks[at] = block;
    ring->sizes[at] = size;
}

/* And where that would take long, every size at which a class may end, with one to both sides. */
static void every_size_is_usable_and_keeps_its_content(void **state)
{
    (void)state;
    static struct ring ring;
    size_t step = UNDER_SANITIZER ? 7 : 1; /* memory accesses cost ten times as much there */
    for (size_t size = 0; size <= EVERY_SIZE_TO; size += step)
        ring_put(&ring, malloc(opaque_size(size)), size);
    for (size_t edge = EVERY_SIZE_TO; edge <= EVERY_EDGE_TO; edge += EDGES_APART * step) {
        for (size_t size = edge - 1; size <= edge + 1; size++)
            ring_put(&ring, malloc(opaque_size(size)), size);
    }
    for (size_t at = 0; at < RING; at++)
        ring_clear(&ring, at);

    for (size_t size = EVERY_EDGE_TO; size <= LARGEST_STEP; size += size / 8 + 1) {
        unsigned char *block = malloc(opaque_size(size));
        assert_non_null(block);
        assert_true(malloc_usable_size(block) >= size);
        memset(block, 0x11, size);
        assert_true(is_filled(block, 0x11, size));
        free(block);
    }
}

/* At each power of two and one byte to both sides, where classes begin and end. */
static void powers_of_two_and_their_neighbours(void **state)
{
    (void)state;
    static struct ring ring;
    for (size_t power = 2; power <= (size_t)1 << 22; power *= 2) {
        for (int i = 0; i < 12; i++)
            ring_put(&ring, malloc(opaque_size(power - 1 + (size_t)i % 3)),
                     power - 1 + (size_t)i % 3);
    }
    for (size_t at = 0; at < RING; at++)
        ring_clear(&ring, at);
}

static void every_alignment_up_to_64_mib(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        const size_t sizes[] = {1, 16, 100, 4096, 40000, 200000};
        unsigned char *blocks[6];
        for (size_t i = 0; i < 6; i++) {
            blocks[i] = aligned_alloc(opaque_size(align), sizes[i]);
            assert_non_null(blocks[i]);
            assert_true(is_aligned(blocks[i], align));
            assert_true(malloc_usable_size(blocks[i]) >= sizes[i]);
            memset(blocks[i], (int)i + 1, sizes[i]);
        }
        void *by_posix = NULL;
        assert_int_equal(posix_memalign(&by_posix, align < 8 ? 8 : align, 333), 0);
        assert_true(is_aligned(by_posix, align));
        unsigned char *by_memalign = memalign(opaque_size(align), 333);
        assert_non_null(by_memalign);
        assert_true(is_aligned(by_memalign, align));
        for (size_t i = 0; i < 6; i++) {
            assert_true(is_filled(blocks[i], (unsigned char)(i + 1), sizes[i]));
            free(blocks[i]);
        }
        free(by_posix);
        free(by_memalign);
    }
}

int main(void)
{
    require_duet();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc_is_zero_after_reuse),
        cmocka_unit_test(calloc_is_zero_after_growth_and_free),
        cmocka_unit_test(pages_that_the_program_returned_are_no_overflow),
        cmocka_unit_test(aligned_blocks_lie_side_by_side),
        cmocka_unit_test(calloc_is_zero_after_shrinking_and_trim),
        cmocka_unit_test(realloc_keeps_every_usable_byte),
        cmocka_unit_test(realloc_keeps_content_of_aligned_blocks),
        cmocka_unit_test(realloc_grows_byte_by_byte),
        cmocka_unit_test(every_size_is_usable_and_keeps_its_content),
        cmocka_unit_test(powers_of_two_and_their_neighbours),
        cmocka_unit_test(every_alignment_up_to_64_mib),
    };
    return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
