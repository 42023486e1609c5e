/*
 * The class functions over their whole domain, against plain division and search.
 */
#include "duet_tests.h"

#include "spans/spans.h"

/* What the table promises of a cell, in thousandths. */
#define LEAST_OF_BOUNDS 128 /* a class every 16 bytes below */
#define MOST_OF_TIGHT 2048
#define TIGHT_LOSS 125
#define LOSS 142
#define TAIL 50

static void every_class_rises(void **state)
{
    (void)state;
    assert_int_equal(duet_kind_bytes(1), DUET_UNIT);
    assert_int_equal(duet_kind_bytes(DUET_KINDS - 1), DUET_MOST_BYTES);
    assert_int_equal(DUET_CLASSES, DUET_KINDS - 1);
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        const struct duet_kind *row = &duet_tables.kinds[kind];
        assert_int_equal(engine_class_bytes(kind - 1), row->bytes);
        assert_int_equal(row->bytes % DUET_UNIT, 0);
        assert_true(kind == 1 || row->bytes > duet_kind_bytes(kind - 1));
        size_t blocks = row->blocks;
        assert_true(blocks >= 1 && blocks <= SPAN_MAX_BLOCKS);
        assert_int_equal(row->cells, blocks * BLOCK_BYTES / row->bytes);
        assert_true(row->cells >= 1 && row->cells <= DUET_MOST_CELLS);
    }
}

static void every_length_gets_the_least_class_that_holds_it(void **state)
{
    (void)state;
    size_t least = 1;
    assert_int_equal(duet_kind_for(0), 0);
    for (size_t length = 1; length <= DUET_MOST_BYTES; length++) {
        while (duet_kind_bytes(least) < length)
            least++;
        assert_int_equal(duet_kind_for(length), least);
    }
    assert_int_equal(least, DUET_KINDS - 1);
}

static void little_of_a_cell_is_lost(void **state)
{
    (void)state;
    if (DUET_TINY)
        skip(); /* which has a few classes of each sort */
    for (size_t length = LEAST_OF_BOUNDS; length <= DUET_MOST_BYTES; length++) {
        size_t bytes = duet_kind_bytes(duet_kind_for(length));
        size_t most = length <= MOST_OF_TIGHT ? TIGHT_LOSS : LOSS;
        assert_true((bytes - length) * 1000 <= bytes * most);
    }
}

static void little_of_a_group_is_lost(void **state)
{
    (void)state;
    if (DUET_TINY)
        skip();
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t tail = bytes_of_group(kind) - cells_of_group(kind) * duet_kind_bytes(kind);
        assert_true(tail * 1000 < bytes_of_group(kind) * TAIL);
    }
}

static void every_byte_is_in_its_cell(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        for (size_t offset = 0; offset < bytes_of_group(kind); offset++)
            assert_int_equal(duet_cell_at(kind, offset), offset / duet_kind_bytes(kind));
}

/* Not what lies behind a group's last cell, where a tail begins. */
static void only_multiples_in_single_blocks_are_cells(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t bytes = duet_kind_bytes(kind);
        bool single = duet_tables.kinds[kind].blocks == 1;
        for (size_t offset = 0; offset < BLOCK_BYTES; offset++) {
            bool begins = offset % bytes == 0 && offset / bytes < cells_of_group(kind);
            assert_int_equal(duet_is_cell((char *)(16 * BLOCK_BYTES) + offset, kind),
                             single && begins);
        }
    }
}

/* Wherever in its group the block is that the table's entry names. */
static void only_multiples_in_groups_of_several_blocks_are_long_cells(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t bytes = duet_kind_bytes(kind), blocks = duet_tables.kinds[kind].blocks;
        assert_true(blocks <= DUET_MOST_BLOCKS);
        for (size_t offset = 0; offset < blocks * BLOCK_BYTES; offset++) {
            bool begins = offset % bytes == 0 && offset / bytes < cells_of_group(kind);
            const char *ptr = (char *)(16 * BLOCK_BYTES) + offset;
            uint32_t entry = (uint32_t)(offset / BLOCK_BYTES) << DUET_PLACE_SHIFT | 3;
            assert_int_equal(duet_is_long_cell(ptr, kind, entry), blocks > 1 && begins);
            assert_int_equal(duet_table_index(kind, entry), blocks > 1 ? 3 : entry);
        }
    }
}

static void bytes_of_the_table_that_are_no_kind_have_no_cells(void **state)
{
    (void)state;
    for (size_t byte = 0; byte <= UINT8_MAX; byte++) {
        if (byte >= 1 && byte < DUET_KINDS)
            continue;
        for (size_t offset = 0; offset < BLOCK_BYTES; offset++)
            assert_false(duet_is_cell((char *)(16 * BLOCK_BYTES) + offset, byte));
    }
}

/* Groups begin at blocks, and no more is promised. */
static size_t least_aligned(size_t length, size_t align)
{
    if (align > BLOCK_BYTES || length == 0)
        return 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        if (duet_kind_bytes(kind) >= length && duet_kind_bytes(kind) % align == 0)
            return kind;
    return 0;
}

static void aligned_lengths_get_the_least_class_of_multiples(void **state)
{
    (void)state;
    size_t none = 0;
    for (size_t align = 1; align <= 4 * BLOCK_BYTES; align *= 2) {
        for (size_t length = 0; length <= DUET_MOST_BYTES + DUET_UNIT; length++) {
            size_t expected = least_aligned(length, align);
            none += expected == 0;
            assert_int_equal(duet_kind_for_aligned(length, align), expected);
            assert_int_equal(engine_is_large(length, align), expected == 0);
        }
    }
    assert_true(none > 0);
}

static void impossible_lengths_are_no_class(void **state)
{
    (void)state;
    const size_t lengths[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - DUET_UNIT, SIZE_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_int_equal(duet_kind_for_aligned(lengths[i], 1), 0);
    for (size_t align = 2 * BLOCK_BYTES; align != 0; align *= 2)
        assert_int_equal(duet_kind_for_aligned(1, align), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_rises),
        cmocka_unit_test(every_length_gets_the_least_class_that_holds_it),
        cmocka_unit_test(little_of_a_cell_is_lost),
        cmocka_unit_test(little_of_a_group_is_lost),
        cmocka_unit_test(every_byte_is_in_its_cell),
        cmocka_unit_test(only_multiples_in_single_blocks_are_cells),
        cmocka_unit_test(only_multiples_in_groups_of_several_blocks_are_long_cells),
        cmocka_unit_test(bytes_of_the_table_that_are_no_kind_have_no_cells),
        cmocka_unit_test(aligned_lengths_get_the_least_class_of_multiples),
        cmocka_unit_test(impossible_lengths_are_no_class),
    };
    return cmocka_run_group_tests_name("classes", tests, NULL, NULL);
}
