/*
 * Blocks of no bytes: addresses of their own that nobody can touch.
 */
#include "unit.h"

#include <pthread.h>

#include "duet.h"
#include "heap/heap.h"
#include "heap/large/empty.h"
#include "sanitizers.h"

#define UNIT 16
#define MANY ((size_t)1 << 17) /* more than there are addresses for */

static void *blocks[MANY];

static void take_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = duet_malloc(0);
        assert_non_null(blocks[i]);
    }
}

static void free_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        duet_mfree(blocks[i]);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t first = (uintptr_t) * (void *const *)a, second = (uintptr_t) * (void *const *)b;
    return (first > second) - (first < second);
}

static void each_is_another(void **state)
{
    (void)state;
    size_t empty = 0;
    take_many(MANY);
    for (size_t i = 0; i < MANY; i++) {
        empty += empty_is(blocks[i]);
        assert_int_equal(duet_usable_size(blocks[i]) == 0, empty_is(blocks[i]));
    }
    assert_int_equal(empty, DUET_TINY ? BLOCK_BYTES / UNIT : 65536); /* the others are cells */
    qsort(blocks, MANY, sizeof blocks[0], by_address);
    for (size_t i = 1; i < MANY; i++)
        assert_true((char *)blocks[i] - (char *)blocks[i - 1] >= UNIT);
    for (size_t i = 0; i < MANY; i += 2)
        duet_free_sized(blocks[i], 0);
    for (size_t i = 1; i < MANY; i += 2)
        duet_mfree(blocks[i]);
    void *again = duet_malloc(0);
    assert_true(empty_is(again));
    duet_mfree(again);
}

static void they_take_no_memory(void **state)
{
    (void)state;
    const size_t count = 100;
    struct heap_count before, after;
    take_many(count);
    free_many(count);
    heap_count(&before);
    take_many(count);
    heap_count(&after);
    assert_int_equal(after.cells, before.cells);
    assert_int_equal(after.large_blocks, before.large_blocks + count);
    assert_int_equal(after.large_bytes, before.large_bytes);
    assert_int_equal(after.held_bytes, before.held_bytes);
    free_many(count);
    heap_count(&after);
    assert_int_equal(after.large_blocks, before.large_blocks);
}

/* As late as it can. */
static void an_address_comes_again_late(void **state)
{
    (void)state;
    void *first = duet_malloc(0);
    assert_true(empty_is(first));
    duet_mfree(first);
    size_t others = 0;
    for (void *block; (block = duet_malloc(0)) != first && others < MANY; others++)
        duet_mfree(block);
    duet_mfree(first);
    assert_in_range(others, DUET_TINY ? 200 : 60000, MANY - 1);
}

static void they_are_aligned(void **state)
{
    (void)state;
    for (size_t align = 16; align <= 65536; align *= 2)
        for (size_t i = 0; i < 100; i++) {
            blocks[i] = duet_aligned_alloc(align, 0);
            assert_non_null(blocks[i]);
            assert_true(is_aligned((uintptr_t)blocks[i], align));
            assert_true(align > 1024 || empty_is(blocks[i]));
            duet_free_aligned_sized(blocks[i], align, 0);
        }
}

static void they_become_blocks(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 100, 5000, 300000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *block = duet_realloc(duet_malloc(0), lengths[i]);
        assert_non_null(block);
        assert_false(empty_is(block));
        memset(block, 1, lengths[i]);
        duet_mfree(block);
        block = duet_calloc(0, lengths[i]);
        assert_true(empty_is(block));
        duet_mfree(block);
    }
}

static void read_block(void *block)
{
    _exit(*(volatile char *)block);
}

static void write_block(void *block)
{
    *(volatile char *)block = 1;
}

static void free_block(void *block)
{
    duet_mfree(block);
}

static void free_inside(void *block)
{
    duet_mfree((char *)block + 1);
}

static void usable_of_freed(void *block)
{
    duet_mfree(block);
    _exit((int)duet_usable_size(block));
}

static void realloc_of_freed(void *block)
{
    duet_mfree(block);
    duet_mfree(duet_realloc(block, 10));
}

static void free_with_a_size(void *block)
{
    duet_free_sized(block, 1);
}

static void free_twice(void *block)
{
    duet_mfree(block);
    duet_mfree(block);
}

static void misuse_is_found(void **state)
{
    (void)state;
    static const struct {
        void (*misuse)(void *block);
        int signal;
        const char *said;
    } cases[] = {
        {free_block, 0, ""},
        {read_block, SIGSEGV, ""},
        {write_block, SIGSEGV, ""},
        {free_inside, SIGABRT, "is not the start of a block"},
        {free_twice, SIGABRT, "was freed twice"},
        {usable_of_freed, SIGABRT, "was freed already"},
        {realloc_of_freed, SIGABRT, "was freed already"},
        {free_with_a_size, SIGABRT, "was allocated with another size"},
    };
    void *block = duet_malloc(0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        assert_int_equal(signal_of(cases[i].misuse, block, text, sizeof text), cases[i].signal);
        assert_non_null(strstr(text, cases[i].said));
    }
    duet_mfree(block);
}

/* So many rounds that two meet where it can go wrong; under a sanitizer each takes far longer. */
enum { THREADS = 4, HELD = 50, ROUNDS = UNDER_SANITIZER || DUET_CHECKED ? 20000 : 3000000 };

/* Who has which, by a map beside them. */
static unsigned char owners[MANY];
static char *lowest;
static unsigned mistakes;

static void change_owner(void *block, unsigned char from, unsigned char to)
{
    unsigned char *owner = &owners[(size_t)((char *)block - lowest) / UNIT];
    if (!empty_is(block) || __atomic_exchange_n(owner, to, __ATOMIC_RELAXED) != from)
        __atomic_fetch_add(&mistakes, 1, __ATOMIC_RELAXED);
}

static void *take_and_give(void *argument)
{
    unsigned char me = (unsigned char)(uintptr_t)argument;
    void *held[HELD] = {NULL};
    for (size_t round = 0; round < ROUNDS + HELD; round++) {
        void **place = &held[round % HELD];
        if (*place != NULL) {
            change_owner(*place, me, 0);
            duet_mfree(*place);
        }
        if (round < ROUNDS) {
            *place = duet_malloc(0);
            change_owner(*place, 0, me);
        }
    }
    return NULL;
}

static void threads_have_others(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    lowest = duet_malloc(0);
    assert_true(empty_is(lowest));
    duet_mfree(lowest);
    while (empty_is(lowest - UNIT))
        lowest -= UNIT;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(mistakes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_another),
        cmocka_unit_test(they_take_no_memory),
        cmocka_unit_test(an_address_comes_again_late),
        cmocka_unit_test(they_are_aligned),
        cmocka_unit_test(they_become_blocks),
        cmocka_unit_test(misuse_is_found),
        cmocka_unit_test(threads_have_others),
    };
    return cmocka_run_group_tests_name("empty", tests, NULL, NULL);
}
