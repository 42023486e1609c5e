/*
 * Meta pools: records come zeroed, stay where they are, and lie between pages that fault.
 */
#include "unit.h"

#include "spans/metas.h"

#define RECORD_BYTES 64
#define RECORDS 20000 /* several areas */

static struct meta_pool pool = META_POOL_INITIAL(RECORD_BYTES, LOCK_RANK_ENGINE_METAS);
static struct meta *taken[RECORDS];

static void take_all(void)
{
    for (uint32_t i = 0; i < RECORDS; i++) {
        taken[i] = meta_take(&pool);
        assert_non_null(taken[i]);
    }
}

static void give_all(void)
{
    for (uint32_t i = 0; i < RECORDS; i++)
        meta_give(&pool, taken[i]);
}

static void records_are_zero_and_apart(void **state)
{
    (void)state;
    static const char zeros[RECORD_BYTES];
    take_all();
    for (uint32_t i = 0; i < RECORDS; i++) {
        assert_true(meta_is_valid(&pool, taken[i]));
        assert_ptr_equal(meta_at(&pool, taken[i]->index), taken[i]);
        assert_memory_equal(taken[i] + 1, zeros, RECORD_BYTES - sizeof(struct meta));
        memset(taken[i] + 1, 0xa5, RECORD_BYTES - sizeof(struct meta));
    }
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_true(meta_is_valid(&pool, taken[i])); /* nobody's fill reached another's head */
    give_all();
}

static void records_come_back_zero_and_no_new_ones_are_made(void **state)
{
    (void)state;
    uint32_t opened = meta_last(&pool);
    for (int round = 0; round < 3; round++) {
        take_all();
        for (uint32_t i = 0; i < RECORDS; i++) {
            const char *content = (const char *)(taken[i] + 1);
            for (size_t byte = 0; byte < RECORD_BYTES - sizeof(struct meta); byte++)
                assert_int_equal(content[byte], 0);
        }
        give_all();
    }
    assert_int_equal(meta_last(&pool), opened);
}

static void indices_that_name_nothing(void **state)
{
    (void)state;
    struct meta *meta = meta_take(&pool);
    uint32_t index = meta->index;
    meta_give(&pool, meta);
    assert_null(meta_at(&pool, index));
    assert_null(meta_at(&pool, 0));
    assert_null(meta_at(&pool, meta_last(&pool) + 1));
    assert_null(meta_at(&pool, UINT32_MAX));
}

static void give_twice(void *meta)
{
    meta_give(&pool, meta);
    meta_give(&pool, meta);
}

static void forge(void *meta)
{
    ((struct meta *)meta)->check ^= 1;
    meta_give(&pool, meta);
}

static void misuse_stops_the_program(void **state)
{
    (void)state;
    char text[256];
    struct meta *meta = meta_take(&pool);
    assert_int_equal(signal_of(give_twice, meta, text, sizeof text), SIGABRT);
    assert_non_null(strstr(text, "duet: invariant broken at metas.c"));
    assert_int_equal(signal_of(forge, meta, text, sizeof text), SIGABRT);
    meta_give(&pool, meta);
}

static void touch(void *address)
{
    *(volatile char *)address = 1;
}

static void areas_lie_between_guards(void **state)
{
    (void)state;
    take_all();
    give_all();
    char text[256];
    for (unsigned area = 0; area < META_AREAS && pool.areas[area] != NULL; area++) {
        char *start = pool.areas[area];
        char *end = start + (META_STEP_BYTES << area);
        assert_int_equal(signal_of(touch, start, text, sizeof text), 0);
        assert_int_not_equal(signal_of(touch, start - 1, text, sizeof text), 0);
        assert_int_not_equal(signal_of(touch, end, text, sizeof text), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_zero_and_apart),
        cmocka_unit_test(records_come_back_zero_and_no_new_ones_are_made),
        cmocka_unit_test(indices_that_name_nothing),
        cmocka_unit_test(misuse_stops_the_program),
        cmocka_unit_test(areas_lie_between_guards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
