/*
 * Spans against a model: a list of what is taken. Other spans of the process (the engine's slabs)
 * live in the same segments, so nothing is assumed of addresses but that they are apart.
 */
#include "unit.h"

#include "base/bits.h"
#include "spans/spans.h"
#include "spans/table.h"

#define SPANS 400
#define OPERATIONS 20000
#define CLASS_MARK 200
#define SECOND_NS ((uint64_t)1000000000)
#define DIRTY_FLOOR 32 /* blocks that may be dirty whatever is in use */

static uint64_t random_state = 88172645463325252u;

static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

static struct span taken[SPANS];
static size_t taken_count;

static bool overlap(const struct span *a, const struct span *b)
{
    return a->start < b->start + b->blocks * BLOCK_BYTES &&
           b->start < a->start + a->blocks * BLOCK_BYTES;
}

/* What whoever has a block has written at either end of it. */
#define ENDS_BYTES 16

static void fill_ends(char *block)
{
    memset(block, 0x5a, ENDS_BYTES);
    memset(block + BLOCK_BYTES - ENDS_BYTES, 0x5a, ENDS_BYTES);
}

static void assert_ends_are_filled(const char *block)
{
    for (size_t byte = 0; byte < ENDS_BYTES; byte++) {
        assert_int_equal(block[byte], 0x5a);
        assert_int_equal(block[BLOCK_BYTES - 1 - byte], 0x5a);
    }
}

static void take_one(size_t blocks, uint32_t meta)
{
    struct span *span = &taken[taken_count];
    assert_true(span_take(span, blocks, CLASS_MARK, meta));
    assert_int_equal(span->blocks, blocks);
    assert_true(is_aligned((uintptr_t)span->start, BLOCK_BYTES));
    for (size_t block = 0; block < blocks; block++) {
        char *start = span->start + block * BLOCK_BYTES;
        assert_int_equal(table_class(start), CLASS_MARK);
        assert_int_equal(table_meta(start), meta);
        for (size_t byte = 0; span->zeroed && byte < BLOCK_BYTES; byte += 512)
            assert_int_equal(start[byte], 0);
        fill_ends(start);
    }
    for (size_t i = 0; i < taken_count; i++)
        assert_false(overlap(span, &taken[i]));
    taken_count++;
}

static void give_one(size_t i)
{
    char *start = taken[i].start;
    for (size_t block = 0; block < taken[i].blocks; block++)
        assert_ends_are_filled(start + block * BLOCK_BYTES);
    span_give(&taken[i]);
    assert_int_equal(table_class(start), TABLE_FOREIGN);
    taken[i] = taken[--taken_count];
}

static void give_all(void)
{
    while (taken_count > 0)
        give_one(taken_count - 1);
}

/* Calls the tick so often in so many seconds of a clock of our own. */
static void pass(unsigned seconds, unsigned calls_per_second)
{
    static uint64_t now_ns = 1;
    for (unsigned i = 0; i < seconds * calls_per_second; i++) {
        now_ns += SECOND_NS / calls_per_second;
        spans_tick(now_ns);
    }
}

static size_t mostly_small(void)
{
    return 1 + random_below(random_below(8) == 0 ? SPAN_MAX_BLOCKS : min_size(4, SPAN_MAX_BLOCKS));
}

static void random_takes_and_gives_stay_apart(void **state)
{
    (void)state;
    for (size_t operation = 0; operation < OPERATIONS; operation++) {
        if (taken_count < SPANS && (taken_count == 0 || random_below(2) == 0))
            take_one(mostly_small(), (uint32_t)operation);
        else
            give_one(random_below(taken_count));
        if (operation % 1000 == 500)
            pass(1, 1 + (unsigned)random_below(20));
        if (operation % 1000 == 0)
            spans_trim();
        if (operation % 500 == 0)
            spans_check();
    }
    give_all();
    spans_check();
}

static void counts_are_those_of_the_model(void **state)
{
    (void)state;
    struct spans_count before = spans_count();
    size_t blocks = 0;
    for (size_t i = 0; i < 50; i++) {
        size_t length = 1 + i % SPAN_MAX_BLOCKS;
        take_one(length, 1);
        blocks += length;
    }
    struct spans_count now = spans_count();
    assert_int_equal(now.blocks - now.free_blocks, before.blocks - before.free_blocks + blocks);
    give_all();
    now = spans_count();
    assert_int_equal(now.blocks - now.free_blocks, before.blocks - before.free_blocks);
}

static void trim_returns_whole_segments_and_purges_the_rest(void **state)
{
    (void)state;
    spans_trim();
    size_t before = spans_count().blocks;
    for (size_t i = 0; i < 20; i++)
        take_one(SPAN_MAX_BLOCKS, 1);
    assert_true(spans_count().blocks >= before + 19 * SPAN_MAX_BLOCKS);
    give_all();
    assert_true(spans_trim());
    assert_true(spans_count().blocks <= before + SPAN_MAX_BLOCKS);
    assert_false(spans_trim()); /* nothing was dirtied since */
    take_one(1, 1);
    assert_true(taken[0].zeroed);
    give_all();
}

/* Takes that many blocks, one by one, and gives every n-th. */
static void leave_dirty(size_t blocks, size_t n)
{
    while (taken_count < blocks)
        take_one(1, 1);
    for (size_t i = blocks; i-- > 0;)
        if (i % n == 0)
            give_one(i);
}

static void dirty_blocks_halve_in_a_second(void **state)
{
    (void)state;
    static const unsigned calls_per_second[] = {1, 2, 7, 100, 5000};
    for (size_t i = 0; i < sizeof calls_per_second / sizeof *calls_per_second; i++) {
        spans_trim();
        leave_dirty(SPANS, 8);
        assert_int_equal(spans_count().dirty_blocks, SPANS / 8);
        pass(1, 8); /* so far they were not unused the whole time; now they are */
        size_t before = spans_count().dirty_blocks;
        pass(1, calls_per_second[i]);
        size_t after = spans_count().dirty_blocks;
        assert_in_range(after, before * 35 / 100, before * 65 / 100);
        pass(30, calls_per_second[i]);
        assert_int_equal(spans_count().dirty_blocks, 0);
        spans_check();
        give_all();
    }
}

static void dirty_blocks_are_bounded_by_what_is_in_use(void **state)
{
    (void)state;
    spans_trim();
    pass(1, 8);
    leave_dirty(SPANS, 2);
    size_t in_use = spans_count().blocks - spans_count().free_blocks;
    assert_int_equal(spans_count().dirty_blocks, SPANS / 2);
    pass(1, 8);
    assert_true(spans_count().dirty_blocks <= max_size(in_use / 4, DIRTY_FLOOR));
    take_one(1, 1); /* the lowest address is the last to go */
    assert_false(taken[taken_count - 1].zeroed);
    give_all();
}

static void free_segments_are_unmapped_when_they_are_clean(void **state)
{
    (void)state;
    while (taken_count < 20)
        take_one(SPAN_MAX_BLOCKS, 1);
    give_all();
    pass(20, 100);
    assert_int_equal(spans_count().dirty_blocks, 0);
    assert_true(spans_count().blocks <= SPAN_MAX_BLOCKS);
    spans_check();
    take_one(SPAN_MAX_BLOCKS, 1);
    give_all();
}

/* Some blocks, 64 that are taken, and some more: the search looks at 64 at once, too. */
static void a_run_ends_at_what_is_taken(void **state)
{
    (void)state;
    const size_t word = 64, few = 4;
    if (SPAN_MAX_BLOCKS < 3 * word)
        skip();
    spans_trim();
    take_one(SPAN_MAX_BLOCKS, 1); /* a segment, which is then taken block by block */
    char *start = taken[0].start;
    give_one(0);
    while (taken_count < SPAN_MAX_BLOCKS && taken_count < SPANS)
        take_one(1, 1);
    for (size_t i = 2 * word + few; i-- > 2 * word;)
        give_one(i);
    for (size_t i = word; i-- > word - few;) {
        assert_ptr_equal(taken[i].start, start + i * BLOCK_BYTES);
        give_one(i);
    }
    take_one(few + 1, 1); /* which take_one compares with all others */
    give_all();
}

static void a_block_that_was_used_is_not_taken_for_zero(void **state)
{
    (void)state;
    take_one(1, 1);
    char *start = taken[0].start;
    give_one(0);
    take_one(1, 1);
    if (taken[0].start == start)
        assert_false(taken[0].zeroed);
    give_all();
}

static void give_twice(void *unused)
{
    (void)unused;
    struct span span;
    span_take(&span, 1, CLASS_MARK, 1);
    span_give(&span);
    span_give(&span);
}

static void giving_twice_stops_the_program(void **state)
{
    (void)state;
    char text[256];
    assert_int_equal(signal_of(give_twice, NULL, text, sizeof text), SIGABRT);
    assert_non_null(strstr(text, "duet: invariant broken at spans.c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_takes_and_gives_stay_apart),
        cmocka_unit_test(counts_are_those_of_the_model),
        cmocka_unit_test(trim_returns_whole_segments_and_purges_the_rest),
        cmocka_unit_test(dirty_blocks_halve_in_a_second),
        cmocka_unit_test(dirty_blocks_are_bounded_by_what_is_in_use),
        cmocka_unit_test(free_segments_are_unmapped_when_they_are_clean),
        cmocka_unit_test(a_run_ends_at_what_is_taken),
        cmocka_unit_test(a_block_that_was_used_is_not_taken_for_zero),
        cmocka_unit_test(giving_twice_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
