/*
 * The restartable sequences of slots/cpus.h on a machine that has none: with a registration that no
 * kernel knows of, nothing restarts them, but what they do is seen. unit.cpus does the same, and
 * more, where there is a cmocka.
 */
#include "slots/cpus.h"

#include <stdio.h>

#include "check.h"

#define NUMBER 3
#define PLACES 5

#if CPUS_POSSIBLE

struct cpus_table cpus_table;

static void *const none[2] = {NULL, (void *)1};
#define NONE_TOP ((void **)&none[1])

static __thread volatile struct {
    alignas(32) int32_t cpu_id_start;
    int32_t cpu_id;
    uint64_t rseq_cs;
    uint32_t flags;
    uint32_t node_id;
    uint32_t mm_cid;
    uint32_t unused;
} registration = {.mm_cid = NUMBER};

static void *item(size_t number)
{
    return (void *)(2 * number + 2);
}

static void use_a_stack(void **stack, void ***tops)
{
    void *popped, *slot;
    CHECK(cpus_pop(1, &popped) == RSEQ_UNDONE);
    CHECK(cpus_push(1, item(0)) == RSEQ_UNDONE);
    CHECK(rseq_exchange(cpus_table.area, cpus_table.slots, 1, stack, NULL, &slot) == NONE_TOP &&
          slot == tops);
    for (size_t i = 0; i < PLACES; i++) {
        CHECK(cpus_push(1, item(i)) == RSEQ_DONE);
        CHECK(cpus_push(1, item(i)) == RSEQ_UNDONE); /* it is on top */
        CHECK(i == 0 || cpus_push(1, item(i - 1)) == RSEQ_UNDONE);
    }
    CHECK(cpus_push(1, item(PLACES)) == RSEQ_UNDONE);
    for (size_t i = PLACES; i-- > 1;)
        CHECK(cpus_pop(1, &popped) == RSEQ_DONE && popped == item(i));
    CHECK(rseq_exchange(cpus_table.area, cpus_table.slots, 1, NONE_TOP, tops, &slot) == NULL &&
          slot == NULL); /* as if it were stopped */
    CHECK(rseq_exchange(cpus_table.area, cpus_table.slots, 1, NONE_TOP, NULL, &slot) == stack + 1);
}

int main(void)
{
    void **tops[2] = {NONE_TOP, NONE_TOP};
    void *stack[2 + PLACES + 1] = {NULL}, *popped;
    stack[2 + PLACES] = (void *)1;
    cpus_table.area = (char *)&registration - (char *)__builtin_thread_pointer();
    cpus_table.slots[NUMBER] = tops;
    use_a_stack(stack + 2, tops);
    CHECK(registration.rseq_cs != 0);
    registration.cpu_id = -1;
    CHECK(cpus_pop(1, &popped) == RSEQ_NONE && cpus_push(1, item(0)) == RSEQ_NONE);
    puts("the sequences do what they say");
    return 0;
}

#else

int main(void)
{
    puts("no sequences here");
    return 0;
}

#endif
