/*
 * What a program may ask about the heap: glibc's questions answered sanely, and duet's own.
 */
#include "cmocka_tests.h"
#include "engine_facts.h"
#include "trim.h"

enum { COUNT = 1000, BYTES = 10000 };

static void *blocks[COUNT];

static void take_blocks(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(opaque_size(BYTES));
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BYTES);
    }
}

static void give_blocks_back(void)
{
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
}

#ifndef DUET_NAMES

static void mallinfo2_follows_the_heap(void **state)
{
    (void)state;
    struct mallinfo2 before = mallinfo2();
    take_blocks();
    struct mallinfo2 during = mallinfo2();
    give_blocks_back();
    struct mallinfo2 after = mallinfo2();
    size_t used_before = before.uordblks + before.hblkhd;
    size_t used_during = during.uordblks + during.hblkhd;
    size_t used_after = after.uordblks + after.hblkhd;
    assert_true(used_during >= used_before + (size_t)COUNT * BYTES);
    assert_true(used_during < used_before + (size_t)COUNT * BYTES * 3);
    assert_true(during.arena + during.hblkhd >= used_during);
    assert_true(used_after < used_before + BYTES);
}

static void mallinfo_agrees_with_mallinfo2(void **state)
{
    (void)state;
    take_blocks();
    struct mallinfo2 wide = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop
    give_blocks_back();
    assert_int_equal((size_t)narrow.uordblks, wide.uordblks);
    assert_int_equal((size_t)narrow.hblkhd, wide.hblkhd);
    assert_int_equal((size_t)narrow.arena, wide.arena);
}

static void mallopt_is_harmless(void **state)
{
    (void)state;
    const int parameters[] = {M_TRIM_THRESHOLD, M_TOP_PAD,   M_MMAP_THRESHOLD, M_MMAP_MAX,
                              M_CHECK_ACTION,   M_ARENA_MAX, M_ARENA_TEST,     M_MXFAST};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        int answer = mallopt(parameters[i], 1);
        assert_true(answer == 0 || answer == 1);
    }
    assert_int_equal(mallopt(-100, 1), 0); /* no parameter of anybody's */
    take_blocks();
    give_blocks_back();
}

static void malloc_stats_writes_to_stderr(void **state)
{
    (void)state;
    int saved = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    assert_true(saved >= 0);
    assert_non_null(file);
    fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    malloc_stats();
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_true(lseek(fileno(file), 0, SEEK_END) > 10);
    fclose(file);
}

static void malloc_info_writes_xml(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    assert_int_equal(malloc_info(0, stream), 0);
    fclose(stream);
    assert_true(length > 0);
    assert_ptr_equal(strstr(text, "<malloc"), text);
    assert_non_null(strstr(text, "</malloc>"));
    free(text);
    assert_int_not_equal(malloc_info(1, stdout), 0); /* no options are defined */
}

#endif

static void trim_leaves_live_blocks_alone(void **state)
{
    (void)state;
    take_blocks();
    for (size_t i = 0; i < COUNT; i += 2)
        free(blocks[i]);
    trim();
    for (size_t i = 1; i < COUNT; i += 2) {
        assert_true(is_filled(blocks[i], 1, BYTES));
        free(blocks[i]);
    }
    trim();
    take_blocks();
    give_blocks_back();
}

#ifdef DUET_NAMES

static void stats_count_cells_and_large_blocks(void **state)
{
    (void)state;
    enum { SMALL = 100, LARGE_BYTES = 5 << 20 };
    const struct engine_facts *engine = engine_facts();
    struct duet_heap_stats before, during, after;
    duet_stats(&before);
    void *large = duet_malloc(LARGE_BYTES);
    void *cells[300];
    assert_non_null(large);
    for (size_t i = 0; i < 300; i++) {
        cells[i] = duet_malloc(SMALL);
        assert_non_null(cells[i]);
    }
    duet_stats(&during);
    duet_mfree(large);
    for (size_t i = 0; i < 300; i++)
        duet_mfree(cells[i]);
    duet_stats(&after);

    assert_int_equal(during.cells, before.cells + 300);
    assert_int_equal(during.cell_bytes, before.cell_bytes + 300 * engine->cell_of_100);
    assert_int_equal(during.large_blocks, before.large_blocks + 1);
    assert_true(during.large_bytes >= before.large_bytes + LARGE_BYTES);
    assert_true(during.held_bytes >= during.cell_bytes + during.large_bytes);
    assert_true(during.held_peak_bytes >= during.held_bytes);
    assert_int_equal(after.cells, before.cells);
    assert_int_equal(after.cell_bytes, before.cell_bytes);
    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_int_equal(after.large_bytes, before.large_bytes);
    assert_true(after.free_bytes >= before.free_bytes || !engine->keeps_small_memory);
    assert_true(after.held_peak_bytes >= during.held_bytes);
    assert_true(during.slots >= 1);
}

/* Of a block with a mapping of its own, which shrinks where it is. */
static void held_bytes_are_those_of_the_mappings(void **state)
{
    (void)state;
    size_t length = engine_facts()->mapped_bytes, half = length / 2;
    struct duet_heap_stats before, during, shrunk, after;
    duet_stats(&before);
    void *block = duet_alloc(length, 16);
    assert_non_null(block);
    duet_stats(&during);
    assert_true(duet_resize(block, length, 16, half));
    duet_stats(&shrunk);
    duet_free(block, half, 16);
    duet_stats(&after);
    assert_true(during.held_bytes >= before.held_bytes + length);
    assert_int_equal(shrunk.held_bytes, during.held_bytes - half);
    assert_true(after.held_bytes <= shrunk.held_bytes - half);
}

static void version_and_engine_have_names(void **state)
{
    (void)state;
    int major = -1, minor = -1, patch = -1;
    assert_int_equal(sscanf(duet_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    assert_true(strlen(duet_engine()) > 0);
}

#endif

int main(void)
{
    require_duet();
    const struct CMUnitTest tests[] = {
#ifndef DUET_NAMES
        cmocka_unit_test(mallinfo2_follows_the_heap),
        cmocka_unit_test(mallinfo_agrees_with_mallinfo2),
        cmocka_unit_test(mallopt_is_harmless),
        cmocka_unit_test(malloc_stats_writes_to_stderr),
        cmocka_unit_test(malloc_info_writes_xml),
#else
        cmocka_unit_test(stats_count_cells_and_large_blocks),
        cmocka_unit_test(held_bytes_are_those_of_the_mappings),
        cmocka_unit_test(version_and_engine_have_names),
#endif
        cmocka_unit_test(trim_leaves_live_blocks_alone),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
