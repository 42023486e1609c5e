/*
 * What may be read and written, over all kinds: all of a block and nothing beside it; and what is
 * in no cell is not looked at.
 */
#include "random.h"
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "duet.h"
#include "engine.h"
#include "engine/duet/group.h"
#include "engine/duet/secure/access.h"
#include "heap/heap.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define UNDER_A_SANITIZER true
#else
#define UNDER_A_SANITIZER false
#endif

static uint64_t seed = 1;

static void look(const void *start, size_t length)
{
    access_check(start, length, ACCESS_READ, "look");
    access_check(start, length, ACCESS_WRITE, "look");
}

struct asked {
    const char *start;
    size_t length;
    enum access access;
};

static void ask(void *argument)
{
    const struct asked *asked = argument;
    access_check(asked->start, asked->length, asked->access, "ask");
}

/* In the name of the block at `cell`. */
static void expect_refusal(const char *start, size_t length, enum access access, const char *cell,
                           const char *what)
{
    char text[200], expected[200];
    struct asked asked = {start, length, access};
    snprintf(expected, sizeof expected, "duet: ask: 0x%zx %s\n", (size_t)cell, what);
    assert_int_equal(signal_of(ask, &asked, text, sizeof text), SIGABRT);
    assert_string_equal(text, expected);
}

#define NO_WRITING "was to be written to behind its end"
#define NO_READING "was to be read behind its end"

/* All that begins in the block and ends in it. */
static void look_inside(const char *block, size_t length)
{
    look(block, length);
    look(block + length, 0);
    for (int i = 0; i < 50; i++) {
        size_t from = random_below(&seed, length + 1);
        look(block + from, random_below(&seed, length - from + 1));
    }
}

static void look_beside(const char *block, size_t length)
{
    size_t within = random_below(&seed, length + 1);
    expect_refusal(block, length + 1, ACCESS_WRITE, block, NO_WRITING);
    expect_refusal(block + within, length - within + 1, ACCESS_READ, block, NO_READING);
    expect_refusal(block + length, 1, ACCESS_WRITE, block, NO_WRITING);
    expect_refusal(block, SIZE_MAX, ACCESS_READ, block, NO_READING);
}

static void a_block_is_its_users(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t most = duet_kind_bytes(kind) - SEAL_BYTES;
        for (int i = 0; i < 4; i++) {
            size_t length = most - random_below(&seed, min_size(most, DUET_UNIT));
            char *block = duet_malloc(length);
            assert_non_null(block);
            look_inside(block, length);
            look_beside(block, length); /* and it stays, beside the next ones */
        }
    }
}

/* Cells side by side: before one lies another. */
#define BLOCKS 50

static size_t look_before(char *const blocks[BLOCKS], size_t kind)
{
    size_t bytes = duet_kind_bytes(kind), pairs = 0;
    for (size_t i = 0; i < BLOCKS * BLOCKS && pairs < 2; i++) {
        char *before = blocks[i / BLOCKS];
        if (blocks[i % BLOCKS] != before + bytes || table_class(before) != kind)
            continue;
        expect_refusal(before + bytes - 1, 2, ACCESS_WRITE, before, NO_WRITING);
        pairs++;
    }
    return pairs;
}

static void before_a_block_is_the_one_before(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        char *blocks[BLOCKS];
        for (size_t i = 0; i < BLOCKS; i++)
            blocks[i] = duet_malloc(duet_kind_bytes(kind) - SEAL_BYTES);
        assert_true(look_before(blocks, kind) > 0 || duet_tables.kinds[kind].cells == 1);
        for (size_t i = 0; i < BLOCKS; i++)
            duet_mfree(blocks[i]);
    }
}

/* Where a group's blocks are no multiple of its cells' length. */
static void behind_the_last_cell_is_its_end(void **state)
{
    (void)state;
    size_t tails = 0;
    for (size_t least = 1; least < DUET_KINDS; least++) {
        char *block = duet_malloc(duet_kind_bytes(least) - SEAL_BYTES);
        size_t kind = table_class(block), bytes = duet_kind_bytes(kind);
        const struct group *group = group_of(block, kind, "test");
        size_t tail = group_span_bytes(kind) - group->cells * bytes;
        char *last = group->base + (group->cells - (size_t)1) * bytes;
        struct seal found;
        if (tail == 0)
            continue;
        bool used = seal_read(*seal_word(last, kind), last, kind, &found);
        expect_refusal(last + bytes + tail - 1, 1, ACCESS_READ, last,
                       used ? NO_READING : "was freed already");
        tails++;
    }
    assert_true(tails > 0);
}

static void what_is_free_is_nobodys(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t length = duet_kind_bytes(kind) - SEAL_BYTES;
        char *block = duet_malloc(length);
        duet_mfree(block);
        look(block, 0);
        expect_refusal(block, 1, ACCESS_WRITE, block, "was freed already");
        expect_refusal(block + length, 8, ACCESS_READ, block, "was freed already");
    }
}

static char global[100];

static void other_memory_is_not_looked_at(void **state)
{
    (void)state;
    char local[100];
    char *large = duet_malloc((size_t)1 << 20);
    void *none = duet_malloc(0);
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    look(local, sizeof local);
    look(global, 1000);
    look(large, (size_t)1 << 20);
    look(large + 70000, (size_t)1 << 20);
    look(none, 1);
    look(page, 10000);
    look(NULL, 1);
    look((void *)UINTPTR_MAX, SIZE_MAX);
    duet_mfree(large);
    duet_mfree(none);
    munmap(page, 4096);
}

static void a_changed_length_counts(void **state)
{
    (void)state;
    char *block = duet_malloc(100);
    assert_ptr_equal(duet_realloc(block, 103), block);
    look_inside(block, 103);
    look_beside(block, 103);
    duet_mfree(block);
}

/* What stays of a block can be copied while its length changes. */
#define CHANGES (UNDER_A_SANITIZER ? 20000 : 500000)

static char *changing;
static bool changed;

static void *change_lengths(void *unused)
{
    for (size_t i = 0; i < CHANGES; i++)
        if (!duet_resize(changing, 100 + i % 5, HEAP_ALIGN, 100 + (i + 1) % 5))
            abort();
    store_release(&changed, true);
    return unused;
}

static void a_length_that_changes_is_never_none(void **state)
{
    (void)state;
    pthread_t thread;
    changing = duet_malloc(100);
    assert_int_equal(pthread_create(&thread, NULL, change_lengths, NULL), 0);
    while (!load_acquire(&changed))
        look(changing, 100);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_its_users),
        cmocka_unit_test(before_a_block_is_the_one_before),
        cmocka_unit_test(behind_the_last_cell_is_its_end),
        cmocka_unit_test(what_is_free_is_nobodys),
        cmocka_unit_test(other_memory_is_not_looked_at),
        cmocka_unit_test(a_changed_length_counts),
        cmocka_unit_test(a_length_that_changes_is_never_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
