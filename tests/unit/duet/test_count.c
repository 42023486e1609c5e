/*
 * A thread's counting shard (heap/count/on), where a signal handler allocates while its thread is
 * taking one. The file is part of this test: the library that it is linked with counts nothing.
 *
 * The handler comes as the thread touches a page of the record that it may not.
 */
#include "unit.h"

#include <sys/mman.h>

#include "heap/count/on/count.c"

static uintptr_t page; /* that must not be touched */

static void protect(int protection)
{
    require(mprotect((void *)page, os_page_bytes(), protection) == 0);
}

static void allocate_inside(int number)
{
    (void)number;
    protect(PROT_READ | PROT_WRITE);
    count_bind();
}

static size_t owned_shards(void)
{
    size_t owned = 0;
    for (size_t i = 0; i < COUNT_SHARDS; i++)
        owned += record->shards[i].owned == SHARD_OWNED;
    return owned;
}

/* As the record of a thread that has not allocated yet; it touches this place while it takes a
 * shard. */
static void take_one_interrupted_at(const void *place)
{
    struct sigaction action = {.sa_handler = allocate_inside}, before;
    page = round_down((uintptr_t)place, os_page_bytes());
    slot_thread.companion = NULL;
    sigaction(SIGSEGV, &action, &before);
    protect(PROT_NONE);
    count_bind();
    sigaction(SIGSEGV, &before, NULL);
}

static void assert_one_is_owned(void)
{
    struct count_shard *own = slot_thread.companion;
    assert_int_equal(owned_shards(), 1);
    assert_int_equal(own->owned, SHARD_OWNED);
    thread_exits(own);
    assert_int_equal(owned_shards(), 0);
}

static void a_handler_that_comes_before_one_is_taken_leaves_none_behind(void **state)
{
    (void)state;
    take_one_interrupted_at(&record->shards[1].owned);
    assert_one_is_owned();
}

static void a_handler_that_comes_after_one_is_taken_leaves_none_behind(void **state)
{
    (void)state;
    take_one_interrupted_at(&record->shards_used);
    assert_one_is_owned();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_that_comes_before_one_is_taken_leaves_none_behind),
        cmocka_unit_test(a_handler_that_comes_after_one_is_taken_leaves_none_behind),
    };
    record = os_map(COUNT_RECORD_STRIDE, os_page_bytes());
    require(record != NULL);
    return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
