/*
 * Meta pools: records come zeroed, stay where they are, and lie between pages that fault.
 */
#include "unit.h"

#include <pthread.h>
#include <sys/time.h>

#include "os/os.h"
#include "spans/metas.h"

#define RECORD_BYTES 64
#define RECORDS 20000 /* several areas */

#define FIRST_RECORDS 10

static struct meta_pool pool =
    META_POOL_WITH_FIRST(RECORD_BYTES, LOCK_RANK_ENGINE_METAS, FIRST_RECORDS);
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

static void first_records_come_first(void **state)
{
    (void)state;
    metas_trim(&pool);
    assert_int_equal(meta_last(&pool), 0);
    for (uint32_t i = 0; i < FIRST_RECORDS; i++) {
        taken[i] = meta_take(&pool);
        assert_ptr_equal(taken[i], pool.first + i * RECORD_BYTES);
    }
    struct meta *next = meta_take(&pool);
    assert_ptr_equal(next, pool.areas[0]);
    meta_give(&pool, next);
    for (uint32_t i = 0; i < FIRST_RECORDS; i++)
        meta_give(&pool, taken[i]);
}

/* Of what is free the highest indices go, with their pages, but never the first records' pages. */
static void a_trim_leaves_what_is_in_use(void **state)
{
    (void)state;
    take_all();
    uint32_t kept = RECORDS / 3;
    for (uint32_t i = 0; i < RECORDS; i++)
        if (i != 3 && i != kept)
            meta_give(&pool, taken[i]);
    uint32_t highest = (uint32_t)max_size(taken[3]->index, taken[kept]->index);
    assert_true(metas_trim(&pool));
    assert_int_equal(meta_last(&pool), highest);
    assert_ptr_equal(meta_at(&pool, taken[3]->index), taken[3]);
    assert_ptr_equal(meta_at(&pool, taken[kept]->index), taken[kept]);
    meta_give(&pool, taken[3]);
    meta_give(&pool, taken[kept]);
    records_are_zero_and_apart(state);
}

/* The one that is in use lies right before the pages that go, whichever it is. */
static void a_trim_comes_up_to_what_is_in_use(void **state)
{
    (void)state;
    const size_t length = RECORD_BYTES - sizeof(struct meta);
    char filling[RECORD_BYTES];
    memset(filling, 0xa5, sizeof filling);
    const size_t from_pages[] = {0, RECORD_BYTES, os_page_bytes() - RECORD_BYTES};
    for (size_t i = 0; i < sizeof from_pages / sizeof *from_pages; i++) {
        uint32_t kept = RECORDS / 2;
        take_all();
        while ((uintptr_t)taken[kept] % os_page_bytes() != from_pages[i])
            kept++;
        memset(taken[kept] + 1, 0xa5, length);
        for (uint32_t other = 0; other < RECORDS; other++)
            if (other != kept)
                meta_give(&pool, taken[other]);
        metas_trim(&pool);
        assert_ptr_equal(meta_at(&pool, taken[kept]->index), taken[kept]);
        assert_memory_equal(taken[kept] + 1, filling, length);
        meta_give(&pool, taken[kept]);
    }
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

/* ---- Others in the middle of it ------------------------------------------------------------- */

#define INTERRUPTED_ROUNDS 1000000
#define ALARMS_APART 100 /* us */

static struct meta_pool interrupted_pool =
    META_POOL_INITIAL(RECORD_BYTES, LOCK_RANK_ENGINE_METAS + 2);
static struct meta *held_by_handler;

/* The top record comes back, and the one below it does not. */
static void keep_the_second(int signal)
{
    (void)signal;
    struct meta *first = meta_take(&interrupted_pool), *second = meta_take(&interrupted_pool);
    if (held_by_handler != NULL)
        meta_give(&interrupted_pool, held_by_handler);
    held_by_handler = second;
    meta_give(&interrupted_pool, first);
}

/* As by another thread, but far oftener between two instructions of ours. */
static void a_record_that_comes_back_meanwhile_is_not_taken_for_the_same(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = keep_the_second, .sa_flags = SA_RESTART}, before;
    struct itimerval often = {{0, ALARMS_APART}, {0, ALARMS_APART}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    for (size_t round = 0; round < INTERRUPTED_ROUNDS; round++) {
        struct meta *one = meta_take(&interrupted_pool), *other = meta_take(&interrupted_pool);
        if (one == NULL || other == NULL || one == other)
            fail_msg("round %zu: %p and %p", round, (void *)one, (void *)other);
        meta_give(&interrupted_pool, one);
        meta_give(&interrupted_pool, other);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_in_range(meta_last(&interrupted_pool), 2, 5); /* none was lost */
}

#define THREADS 4
#define HELD 3 /* by a thread at most: the top one comes back while those below it are taken */
#define THREAD_ROUNDS 100000

static struct meta_pool shared_pool = META_POOL_INITIAL(RECORD_BYTES, LOCK_RANK_ENGINE_METAS + 1);

/* Who has a record writes to it, plainly. */
static void *take_and_give(void *number)
{
    for (size_t round = 0; round < THREAD_ROUNDS; round++) {
        struct meta *held[HELD];
        for (size_t i = 0; i < HELD; i++) {
            held[i] = meta_take(&shared_pool);
            assert_non_null(held[i]);
            uintptr_t *owner = (uintptr_t *)(held[i] + 1);
            assert_int_equal(*owner, 0);
            *owner = (uintptr_t)number;
        }
        for (size_t i = 0; i < HELD; i++) {
            assert_int_equal(*(uintptr_t *)(held[i] + 1), (uintptr_t)number);
            meta_give(&shared_pool, held[i]);
        }
    }
    return NULL;
}

static void threads_have_no_record_twice(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(meta_last(&shared_pool) <= THREADS * HELD); /* and none was lost */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_zero_and_apart),
        cmocka_unit_test(records_come_back_zero_and_no_new_ones_are_made),
        cmocka_unit_test(first_records_come_first),
        cmocka_unit_test(a_trim_leaves_what_is_in_use),
        cmocka_unit_test(a_trim_comes_up_to_what_is_in_use),
        cmocka_unit_test(indices_that_name_nothing),
        cmocka_unit_test(misuse_stops_the_program),
        cmocka_unit_test(areas_lie_between_guards),
        cmocka_unit_test(a_record_that_comes_back_meanwhile_is_not_taken_for_the_same),
        cmocka_unit_test(threads_have_no_record_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
