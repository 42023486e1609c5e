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
        memset(start, 0x5a, 16);
        memset(start + BLOCK_BYTES - 16, 0x5a, 16);
    }
    for (size_t i = 0; i < taken_count; i++)
        assert_false(overlap(span, &taken[i]));
    taken_count++;
}

static void give_one(size_t i)
{
    char *start = taken[i].start;
    span_give(&taken[i]);
    assert_int_equal(table_class(start), TABLE_FOREIGN);
    taken[i] = taken[--taken_count];
}

static void give_all(void)
{
    while (taken_count > 0)
        give_one(taken_count - 1);
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
        if (operation % 500 == 0) {
            spans_trim();
            spans_check();
        }
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
        cmocka_unit_test(a_block_that_was_used_is_not_taken_for_zero),
        cmocka_unit_test(giving_twice_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
