/*
 * Guards: memory behind groups and large blocks that nobody can touch, nor what was freed; by
 * marks, and by split mappings where the kernel has no marks. For the second the program runs once
 * more, in a process to which madvise is refused.
 */
#include "unit.h"

#include <stdio.h>

#include "duet.h"
#include "engine.h"
#include "engine/duet/group.h"
#include "heap/heap.h"
#include "os/os.h"
#include "refused_calls.h"

#ifdef __SANITIZE_THREAD__ /* which begins with madvise itself */
#define NEEDS_MADVISE true
#else
#define NEEDS_MADVISE false
#endif

static void touch(void *address)
{
    *(volatile char *)address = 1;
}

static bool faults(void *address)
{
    char text[256];
    return signal_of(touch, address, text, sizeof text) == SIGSEGV;
}

/* The block behind the group of a cell, at both ends. */
static bool is_guarded(void *cell)
{
    size_t kind = table_class(cell);
    char *end = group_of(cell, kind, "test")->base + group_span_bytes(kind);
    return faults(end) && faults(end + BLOCK_BYTES - 1);
}

static void skip_without_guards(void)
{
    if (os_page_bytes() > BLOCK_BYTES)
        skip();
}

static void a_block_behind_each_group_is_inaccessible(void **state)
{
    (void)state;
    skip_without_guards();
    static const size_t lengths[] = {24, 1000, DUET_MOST_BYTES / 2};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *cell = duet_malloc(lengths[i]);
        assert_non_null(cell);
        assert_true(is_guarded(cell));
        assert_false(faults(cell + lengths[i] - 1));
        duet_mfree(cell);
    }
}

static void a_page_behind_a_large_block_is_inaccessible(void **state)
{
    (void)state;
    if (!os_has_guards())
        skip();
    size_t page = os_page_bytes(), length = 2 * DUET_MOST_BYTES + page / 2;
    char *block = duet_malloc(length);
    for (size_t round = 0; round < 3; round++) {
        char *end = (char *)round_up((uintptr_t)block + length, page);
        assert_false(faults(end - 1));
        assert_true(faults(end));
        assert_true(faults(end + page - 1));
        length = round == 0 ? 3 * length : length / 2; /* longer, and shorter */
        block = duet_realloc(block, length);
        assert_non_null(block);
    }
    assert_false(faults(block));
    duet_mfree(block);
    assert_true(faults(block));
    assert_true(faults(block + length / 2));
}

/* ---- Without marks ------------------------------------------------------------------------- */

static size_t mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    size_t count = 0;
    assert_non_null(maps);
    for (int c; (c = fgetc(maps)) != EOF;)
        count += c == '\n';
    fclose(maps);
    return count;
}

/* The fewer new ones the more there are, and never more than a process may have. */
#define GROUPS 12000

static void guards_take_a_bounded_number_of_mappings(void **state)
{
    (void)state;
    if (os_has_guards())
        skip();
    skip_without_guards();
    size_t cell_bytes = BLOCK_BYTES / 4, count = GROUPS * 4 / (DUET_TINY ? 4 : 1), guarded = 0;
    void **cells = duet_malloc(count * sizeof cells[0]);
    assert_non_null(cells);
    size_t before = mappings();
    for (size_t i = 0; i < count; i++) {
        cells[i] = duet_malloc(cell_bytes - SEAL_BYTES);
        assert_non_null(cells[i]);
        guarded += i % 997 == 0 && is_guarded(cells[i]);
    }
    size_t now = mappings();
    assert_true(guarded > 0);
    assert_true(now > before + 1000);
    assert_true(now < 16000);
    for (size_t i = 0; i < count; i++)
        duet_mfree(cells[i]);
    duet_mfree(cells);
    heap_trim();
    assert_true(mappings() < now);
}

static const char *own_path;

static void it_is_the_same_where_the_kernel_has_no_marks(void **state)
{
    (void)state;
    if (!os_has_guards() || NEEDS_MADVISE)
        skip(); /* it is so here, or cannot be shown */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int calls[] = {SYS_madvise};
        refuse_system_calls(calls, 1);
        execl(own_path, own_path, (char *)NULL);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(int count, char **arguments)
{
    (void)count;
    own_path = arguments[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_behind_each_group_is_inaccessible),
        cmocka_unit_test(a_page_behind_a_large_block_is_inaccessible),
        cmocka_unit_test(guards_take_a_bounded_number_of_mappings),
        cmocka_unit_test(it_is_the_same_where_the_kernel_has_no_marks),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
