/*
 * The last look: what it must find, and what it must pass over, since a process may end in the
 * middle of anything.
 */
#include "unit.h"

#include <pthread.h>

#include "duet.h"
#include "engine.h"
#include "engine/duet/caches.h"
#include "heap/heap.h"
#include "slots/slots.h"

#ifdef __SANITIZE_THREAD__ /* which has a thread of its own */
#define NEVER_ALONE true
#else
#define NEVER_ALONE false
#endif

static const size_t lengths[] = {1, 17, 21, 24, 40, 41, 100, 1000, DUET_TINY ? 2000 : 5000};
#define LENGTHS (sizeof lengths / sizeof lengths[0])

struct half {
    char *cell;
    size_t kind, length;
};

/* A cell in use whose word is zero: as it is handed out or freed. */
static void take_word_away(struct half *half, size_t length)
{
    half->cell = duet_malloc(length);
    half->length = length;
    half->kind = table_class(half->cell);
    *seal_word(half->cell, half->kind) = 0;
}

static void end_it(void *unused)
{
    (void)unused;
    engine_end();
}

static void end_with_half_a_seal(void *argument)
{
    const struct half *half = argument;
    const struct seal seal = {.length = half->length, .align = HEAP_ALIGN};
    uint64_t pattern = seal_pattern(seal_word_for(half->cell, &seal, half->kind));
    memcpy(half->cell + half->length, &pattern, sizeof pattern);
    engine_end();
}

static void end_with_a_changing_seal(void *argument)
{
    const struct half *half = argument;
    const struct seal seal = {.length = half->length, .align = SEAL_CHANGING};
    half->cell[half->length] = 'x';
    *seal_word(half->cell, half->kind) = seal_word_for(half->cell, &seal, half->kind);
    engine_end();
}

static void end_with_another_word(void *argument)
{
    const struct half *half = argument;
    *seal_word(half->cell, half->kind) = 0x123456789abcdef0;
    engine_end();
}

static void give_back(const struct half *half)
{
    seal_write(half->cell, half->kind, &(struct seal){.length = half->length, .align = HEAP_ALIGN});
    duet_mfree(half->cell);
}

static void an_operation_may_be_under_way(void **state)
{
    (void)state;
    char text[200];
    if (NEVER_ALONE)
        skip();
    for (size_t i = 0; i < LENGTHS; i++) {
        struct half half;
        take_word_away(&half, lengths[i]);
        assert_int_equal(signal_of(end_it, NULL, text, sizeof text), 0);
        assert_int_equal(signal_of(end_with_half_a_seal, &half, text, sizeof text), 0);
        assert_int_equal(signal_of(end_with_a_changing_seal, &half, text, sizeof text), 0);
        assert_int_equal(signal_of(end_with_another_word, &half, text, sizeof text), SIGABRT);
        assert_non_null(strstr(text, "exit: 0x"));
        give_back(&half);
    }
}

static void write_after_free_and_end(void *argument)
{
    char *cell = duet_malloc(*(const size_t *)argument);
    duet_mfree(cell);
    cell[*(const size_t *)argument / 2] = 1;
    engine_end();
}

/* Of a cell that lies in no magazine any more, while its group has others in use. */
static void write_after_trim_and_end(void *argument)
{
    enum { CELLS = 40 };
    char *cells[CELLS];
    for (size_t i = 0; i < CELLS; i++)
        cells[i] = duet_malloc(*(const size_t *)argument);
    duet_mfree(cells[CELLS / 2]);
    engine_trim();
    cells[CELLS / 2][*(const size_t *)argument / 2] = 1;
    engine_end();
}

static void writes_to_free_cells_are_found(void **state)
{
    (void)state;
    char text[200];
    for (size_t i = 0; i < LENGTHS; i++) {
        size_t length = lengths[i];
        assert_int_equal(signal_of(write_after_free_and_end, &length, text, sizeof text), SIGABRT);
        assert_non_null(strstr(text, "was written to after it was freed"));
        if (DUET_TINY) /* groups of a cell or two, which are gone then */
            continue;
        assert_int_equal(signal_of(write_after_trim_and_end, &length, text, sizeof text), SIGABRT);
        assert_non_null(strstr(text, "was written to after it was freed"));
    }
}

static int ends[2];

static void *stay_in_a_slot(void *unused)
{
    struct slot *slot = slot_take(&duet_shared);
    if (slot == NULL || write(ends[1], "", 1) != 1)
        abort();
    pause();
    return unused;
}

static void end_beside_one_in_a_slot(void *unused)
{
    char byte;
    pthread_t thread;
    (void)unused;
    alarm(10);
    if (pipe(ends) != 0 || pthread_create(&thread, NULL, stay_in_a_slot, NULL) != 0 ||
        read(ends[0], &byte, 1) != 1)
        abort();
    engine_end();
}

/* Somebody may stay in a shared slot for ever. */
static void nobody_is_waited_for(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(signal_of(end_beside_one_in_a_slot, NULL, text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_may_be_under_way),
        cmocka_unit_test(writes_to_free_cells_are_found),
        cmocka_unit_test(nobody_is_waited_for),
    };
    return cmocka_run_group_tests_name("end", tests, NULL, NULL);
}
