/*
 * Frees for which there is no slot: a signal handler finds all of them taken, and no memory for
 * another. What was freed waits, and is had again, each cell once.
 */
#include "unit.h"

#include <errno.h>

#include "duet.h"
#include "engine.h"
#include "os/fault.h"

#define CELL_BYTES 1024 /* of a class that nobody uses beside us, and few to a slab */
#define DEFERRED 20
#define CELLS (2 * SMP_SLAB_BYTES / CELL_BYTES + DEFERRED)
#define NESTING 64 /* more than there are slots, and as many reserves as may come to be */

static char *freed[DEFERRED];
static char *cells[CELLS];

/* As an operation that was interrupted in each slot. Returns how many there are. */
static size_t take_all_slots(struct slot *held[NESTING])
{
    size_t count = 0;
    for (struct slot *slot; (slot = slot_take(&smp_slots)) != NULL; count++) {
        assert_true(count < NESTING);
        held[count] = slot;
    }
    return count;
}

static void free_without_a_slot(void)
{
    struct slot *held[NESTING];
    fault_set(FAULT_MAP, (struct fault_plan){.every = 1});
    size_t count = take_all_slots(held);
    for (size_t i = 0; i < DEFERRED; i++)
        duet_mfree(freed[i]);
    errno = 0;
    void *none = duet_malloc(CELL_BYTES);
    int error = errno;
    while (count > 0)
        slot_release(held[--count]);
    fault_set(FAULT_MAP, (struct fault_plan){0});
    assert_null(none);
    assert_int_equal(error, ENOMEM);
}

/* After what the slot has itself. */
static void what_found_no_slot_is_had_again_once(void **state)
{
    (void)state;
    size_t again = 0;
    if (!DUET_CHECKED)
        skip(); /* there nothing can be made to fail */
    for (size_t i = 0; i < DEFERRED; i++) {
        freed[i] = duet_malloc(CELL_BYTES);
        assert_non_null(freed[i]);
    }
    free_without_a_slot();
    for (size_t i = 0; i < CELLS; i++) {
        cells[i] = duet_malloc(CELL_BYTES);
        assert_non_null(cells[i]);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(cells[i], cells[j]);
        for (size_t j = 0; j < DEFERRED; j++)
            again += cells[i] == freed[j];
    }
    assert_int_equal(again, DEFERRED);
    for (size_t i = 0; i < CELLS; i++)
        duet_mfree(cells[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_found_no_slot_is_had_again_once),
    };
    return cmocka_run_group_tests_name("deferred", tests, NULL, NULL);
}
