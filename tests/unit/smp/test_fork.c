/*
 * What a forked child finds of a slot in which another thread was at that moment: that thread is
 * not there, and what its lists led to is not used any more.
 */
#include "unit.h"

#include "base/fatal.h"
#include "duet.h"
#include "engine.h"
#include "heap/heap.h"

#define CELL_BYTES 100

static struct smp_slot *slot_of_number(uint32_t number)
{
    return (struct smp_slot *)(smp_slots.first + number * smp_slots.stride);
}

static void use_all_slots(void *number)
{
    struct smp_slot *left = slot_of_number(*(uint32_t *)number);
    for (uint32_t other = 0; other < SLOTS_STATIC; other++)
        require(load_relaxed(&slot_of_number(other)->head.owner) == 0);
    for (size_t class = 0; class < ENGINE_CLASSES; class++)
        require(left->classes[class].free == NULL && left->classes[class].next == NULL);
    require(slot_try(&left->head));
    slot_release(&left->head);
    void *cell = duet_malloc(CELL_BYTES);
    require(cell != NULL);
    duet_mfree(cell);
}

static void a_slot_that_a_thread_did_not_leave_is_begun_anew(void **state)
{
    (void)state;
    char text[256];
    duet_mfree(duet_malloc(CELL_BYTES)); /* so that there is a slot of ours */
    uint32_t number = slot_thread.current == &slot_of_number(0)->head;
    struct smp_slot *slot = slot_of_number(number);
    void *half_done;
    slot->classes[0].free = &half_done;
    store_relaxed(&slot->head.owner, (uintptr_t)&half_done); /* another thread is in it */
    int signal = signal_of(use_all_slots, &number, text, sizeof text);
    assert_true(load_relaxed(&slot->head.owner) == (uintptr_t)&half_done);
    slot->classes[0].free = NULL;
    store_release(&slot->head.owner, 0);
    if (signal != 0)
        print_error("the child: %s", text);
    assert_int_equal(signal, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_that_a_thread_did_not_leave_is_begun_anew),
    };
    heap_start(
        &(struct heap_options){.program = "test_fork"}); /* so that there are fork handlers */
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
