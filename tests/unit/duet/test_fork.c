/*
 * What a forked child finds of groups that other threads were changing at that moment: each test
 * leaves a step half done, as a thread that was stopped there would, forks, and finishes the step
 * in the parent. All in kinds that nobody else uses (duet_tests.h).
 */
#include "duet_tests.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/fatal.h"
#include "engine/duet/caches.h"
#include "heap/heap.h"
#include "os/latch.h"
#include "os/os.h"
#include "spans/spans.h"

/* Not that of cmocka's own cells, so that the others stay usable. */
#define HOME 3

static void *cells[DUET_MOST_CELLS], *others[DUET_MOST_CELLS];

/* ---- Groups, and children ------------------------------------------------------------------ */

static bool is_live(const struct group *group)
{
    return meta_at(group_pool(group->kind), group->head.index) != NULL;
}

/* A new group, all of it taken. */
static struct group *take_group(size_t kind, void **into)
{
    size_t count = cells_of_group(kind);
    assert_int_equal(take_cells(HOME, kind, into, count), count);
    struct group *group = group_of(into[0], kind, "test");
    assert_int_equal(group->home, HOME);
    for (size_t i = 0; i < count / 2; i++) { /* the lowest first */
        void *cell = into[i];
        into[i] = into[count - 1 - i];
        into[count - 1 - i] = cell;
    }
    return group;
}

static void put_group(size_t kind, void **from)
{
    depot_return(kind, from, cells_of_group(kind));
    assert_true(is_unused(kind));
}

/* Runs code(argument) in a child, which stops where something does not hold. */
static void in_child(void (*code)(void *), void *argument)
{
    char text[600];
    int number = signal_of(code, argument, text, sizeof text);
    if (number != 0)
        print_error("the child: %s", text);
    assert_int_equal(number, 0);
}

/* ---- Cells on their way back ----------------------------------------------------------------- */

struct returning {
    struct group *group;
    size_t count; /* cells of `cells` that were on their way, the first ones */
};

static uint64_t bit_of(const struct group *group, const void *cell)
{
    size_t number = group_cell_number(group, cell);
    assert_true(number < MASK_BITS && number < group->cells);
    return (uint64_t)1 << number;
}

/* The first half of group_return: their bits are in `freed`, and not counted. */
static void return_without_counting(const struct returning *returning)
{
    struct group *group = returning->group;
    for (size_t i = 0; i < returning->count; i++)
        or_release(&group_freed(group)[0], bit_of(group, cells[i]));
}

/* They are had again, before there is a new group; and once all are back, the group goes. */
static void have_them(void *argument)
{
    struct returning *returning = argument;
    struct group *group = returning->group;
    size_t kind = group->kind, had = 0;
    depots_check();
    while (had < returning->count) {
        size_t more = take_cells(HOME, kind, others + had, returning->count - had);
        require(more > 0);
        for (; more > 0; more--)
            require(group_of(others[had++], kind, "test") == group);
    }
    depots_check();
    depot_return(kind, others, had);
    depot_return(kind, cells + had, group->cells - had);
    depots_trim();
    require(!is_live(group));
}

static size_t kind_of_one_word(void)
{
    size_t kind = unused_kind(1, 4);
    while (cells_of_group(kind) > MASK_BITS)
        kind = unused_kind(kind + 1, 4);
    return kind;
}

static void cells_of_a_full_group_that_were_not_counted_yet_are_had(void **state)
{
    (void)state;
    size_t kind = kind_of_one_word();
    struct returning returning = {take_group(kind, cells), 2};
    return_without_counting(&returning);
    in_child(have_them, &returning);
    group_count_returned(returning.group, returning.count);
    depot_return(kind, cells + returning.count, cells_of_group(kind) - returning.count);
    assert_true(is_unused(kind));
}

/* A group that is listed again, since all of it has come back; of the first two cells that has not
 * been counted yet. */
static struct returning return_last_ones(size_t kind)
{
    struct returning returning = {take_group(kind, cells), 2};
    depot_return(kind, cells + 2, cells_of_group(kind) - 2);
    return_without_counting(&returning);
    return returning;
}

/* In the child all are had; here they are, once these are counted. */
static void all_are_had(size_t kind, const struct returning *returning)
{
    struct returning all = {returning->group, cells_of_group(kind)};
    in_child(have_them, &all);
    group_count_returned(returning->group, returning->count);
    assert_true(is_unused(kind));
}

static void the_last_cells_that_were_not_counted_yet_are_had(void **state)
{
    (void)state;
    size_t kind = kind_of_one_word();
    struct returning returning = return_last_ones(kind);
    all_are_had(kind, &returning);
}

/* Whoever had the lock has taken them into avail; only then does who returned them count. */
static void cells_that_were_merged_before_they_were_counted_are_had(void **state)
{
    (void)state;
    size_t kind = kind_of_one_word(), count = cells_of_group(kind);
    struct returning returning = return_last_ones(kind);
    assert_int_equal(take_cells(HOME, kind, others, count), count - 2);
    depot_return(kind, others, count - 2);
    struct home *home = &home_array[returning.group->home];
    assert_true(home_try(home));
    group_merge(returning.group);
    home_release(home);
    all_are_had(kind, &returning);
}

/* QUEUED is set by who counts, and the group is not on the stack yet. */
static void a_group_that_was_to_be_pushed_is_found(void **state)
{
    (void)state;
    size_t kind = kind_of_one_word();
    struct returning returning = {take_group(kind, cells), 2};
    struct group *group = returning.group;
    return_without_counting(&returning);
    add_relaxed(&group->state, 2 * GROUP_RETURNED + GROUP_QUEUED);
    in_child(have_them, &returning);
    group_push_returned(group);
    depot_return(kind, cells + returning.count, cells_of_group(kind) - returning.count);
    assert_true(is_unused(kind));
}

static void a_group_on_the_stack_stays_there_once(void **state)
{
    (void)state;
    size_t kind = kind_of_one_word();
    struct returning returning = {take_group(kind, cells), 2};
    assert_int_equal(group_return(returning.group, cells, 2), 2);
    in_child(have_them, &returning);
    depot_return(kind, cells + returning.count, cells_of_group(kind) - returning.count);
    assert_true(is_unused(kind));
}

/* ---- A home that fork could not have --------------------------------------------------------- */

#define FREE_CELLS (DUET_TINY ? 1 : 3)

/* What a thread that has the home's lock was in the middle of. */
struct half_done {
    size_t kind;
    struct group *sparse; /* the first FREE_CELLS of `cells` are in it, free */
    struct group *full;   /* `others` are its cells */
    struct group *made;   /* a record that leads to memory which does not lead back */
    struct span span;     /* that memory */
    unsigned stage;
    struct depot depot;  /* as it was before */
    struct group record; /* and that of the sparse one */
};

enum { HELD_AND_BROKEN = 1, FORKED };

/* As list_remove, list_add and group_take_cells leave it somewhere on their way. */
static void break_lists(struct half_done *half)
{
    struct group *sparse = half->sparse;
    struct depot *depot = depot_of(sparse);
    half->depot = *depot;
    half->record = *sparse;
    depot->groups += 5;
    depot->lists[1] = sparse->head.index;
    depot->lists[2] = half->full->head.index;
    depot->returned = half->full->head.index;
    sparse->list = 1;
    sparse->next = half->full->head.index;
    sparse->previous = UINT32_MAX;
    sparse->first = sparse->words;
    sub_relaxed(&sparse->state, GROUP_TAKEN);
}

/* As make_group leaves it before the table has the last block, or depot_release_group behind
 * that. */
static void make_half(struct half_done *half)
{
    size_t blocks = duet_tables.kinds[half->kind].blocks;
    require(blocks > 1 && span_take(&half->span, blocks, TABLE_FOREIGN, 0));
    struct group *made = (struct group *)meta_take(group_pool(half->kind));
    require(made != NULL);
    made->kind = (uint8_t)half->kind;
    made->home = HOME;
    made->cells = half->full->cells;
    made->words = half->full->words;
    made->list = GROUP_UNLISTED;
    made->segment = half->span.segment;
    made->base = half->span.start;
    table_set(made->base, 1, made->kind, made->head.index);
    half->made = made;
}

static void finish(struct half_done *half)
{
    *depot_of(half->sparse) = half->depot;
    *half->sparse = half->record;
    table_clear(half->made->base, 1);
    meta_give(group_pool(half->kind), &half->made->head);
    span_give(&half->span);
}

static void *hold_half_done(void *argument)
{
    struct half_done *half = argument;
    struct home *home = &home_array[HOME];
    require(home_try(home));
    break_lists(half);
    make_half(half);
    store_release(&half->stage, HELD_AND_BROKEN);
    while (load_acquire(&half->stage) != FORKED)
        sched_yield();
    finish(half);
    home_release(home);
    return NULL;
}

static void use_home(void *argument)
{
    struct half_done *half = argument;
    struct home *home = &home_array[HOME];
    void *more[FREE_CELLS], *one;
    depots_check();
    require(home_try(home));
    home_release(home);
    require(table_class(half->span.start) == TABLE_FOREIGN && !is_live(half->made));
    require(home->depots[half->kind].groups == 2 && home->blank_count == 0);
    for (size_t had = 0; had < FREE_CELLS; had++) {
        require(take_cells(HOME, half->kind, &more[had], 1) == 1);
        require(group_of(more[had], half->kind, "test") == half->sparse);
    }
    depots_check();
    require(take_cells(HOME, half->kind, &one, 1) == 1); /* of a new one */
    require(home->depots[half->kind].groups == 3);
    depot_return(half->kind, &one, 1);
    depot_return(half->kind, more, FREE_CELLS);
    depot_return(half->kind, cells + FREE_CELLS, half->sparse->cells - FREE_CELLS);
    depot_return(half->kind, others, half->full->cells);
    depots_check();
    depots_trim();
    require(!is_live(half->sparse) && !is_live(half->full));
    require(home->depots[half->kind].groups == 0);
}

static size_t kind_of_blocks(void)
{
    size_t kind = unused_kind(1, FREE_CELLS + 1);
    while (duet_tables.kinds[kind].blocks < 2)
        kind = unused_kind(kind + 1, FREE_CELLS + 1);
    return kind;
}

static void a_home_that_another_thread_held_is_made_anew(void **state)
{
    (void)state;
    struct half_done half = {.kind = kind_of_blocks()};
    half.sparse = take_group(half.kind, cells);
    half.full = take_group(half.kind, others);
    depot_return(half.kind, cells, FREE_CELLS);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_half_done, &half), 0);
    while (load_acquire(&half.stage) != HELD_AND_BROKEN)
        sched_yield();
    in_child(use_home, &half);
    store_release(&half.stage, FORKED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    depots_check();
    depot_return(half.kind, cells + FREE_CELLS, half.sparse->cells - FREE_CELLS);
    put_group(half.kind, others);
}

static void homes_rest_with_nobody(void *unused)
{
    (void)unused;
    for (size_t number = 0; number < DUET_HOMES; number++)
        require(load_relaxed(&home_array[number].latch.owner) == 0);
}

/* In both, once it is over. */
static void a_fork_lets_go_of_all_homes(void **state)
{
    (void)state;
    in_child(homes_rest_with_nobody, NULL);
    homes_rest_with_nobody(NULL);
}

/* ---- A fork inside an operation -------------------------------------------------------------- */

/* A signal handler that interrupts the engine as it touches the record of a new group, with the
 * lock of a home held. */
static struct interrupted {
    void *record;
    struct home *own;
    struct home *lost;       /* a home that another thread has */
    struct group *uncounted; /* another thread was about to count a cell of it */
    uint64_t state;          /* its, then */
    bool is_child;
    pid_t child;
} interrupted;

static void protect_record(int protection)
{
    char *page = (char *)round_down((uintptr_t)interrupted.record, os_page_bytes());
    require(mprotect(page, os_page_bytes(), protection) == 0);
}

static void fork_inside(int number)
{
    (void)number;
    protect_record(PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < DUET_HOMES; i++)
        if (latch_is_own(&home_array[i].latch))
            interrupted.own = &home_array[i];
    require(interrupted.own != NULL);
    interrupted.child = fork();
    interrupted.is_child = interrupted.child == 0;
    require(latch_is_own(&interrupted.own->latch)); /* it goes on in both */
    require(load_relaxed(&interrupted.uncounted->state) == interrupted.state);
}

/* The thread that has a home, and is about to count. */
static void *hold_home(void *argument)
{
    unsigned *stage = argument;
    require(home_try(interrupted.lost));
    store_release(stage, HELD_AND_BROKEN);
    while (load_acquire(stage) != FORKED)
        sched_yield();
    home_release(interrupted.lost);
    group_count_returned(interrupted.uncounted, 1);
    return NULL;
}

/* In the child of that child, which was not forked in the middle of anything. */
static void use_all_homes(void *unused)
{
    (void)unused;
    for (size_t number = 0; number < DUET_HOMES; number++) {
        require(home_try(&home_array[number]));
        home_release(&home_array[number]);
    }
    require(load_relaxed(&interrupted.uncounted->state) != interrupted.state);
    depots_check();
}

/* In the child, behind the operation that went on: it has let go of its home, the lost one is not
 * waited for, and there is what is needed. */
static void live_on(size_t kind)
{
    void *more[DUET_MOST_CELLS];
    require(latch_try(&interrupted.own->latch));
    latch_release(&interrupted.own->latch);
    require(latch_never_comes(&interrupted.lost->latch));
    for (size_t number = 0; number < DUET_HOMES; number++) {
        size_t had = take_cells(number, kind, more, cells_of_group(kind));
        require(had > 0);
        depot_return(kind, more, had);
        engine_trim();
    }
    depots_check();
    in_child(use_all_homes, NULL);
}

/* That of the next group of its pool; not among the first ones, beside which lies other data of the
 * library's. */
static struct meta *next_record(struct meta_pool *pool)
{
    struct meta *before[64], *record;
    size_t count = 0;
    while ((record = meta_take(pool)) != NULL && record->index <= pool->first_count) {
        assert_true(count < sizeof before / sizeof before[0]);
        before[count++] = record;
    }
    assert_non_null(record);
    while (count > 0)
        meta_give(pool, before[--count]);
    meta_give(pool, record);
    return record;
}

static void interrupt_an_allocation(size_t kind)
{
    struct sigaction action = {.sa_handler = fork_inside}, before;
    size_t class;
    bool zeroed;
    struct meta *record = next_record(group_pool(kind));
    interrupted.record = record;
    sigaction(SIGSEGV, &action, &before);
    protect_record(PROT_NONE);
    void *cell = engine_alloc_slow(duet_kind_bytes(kind), DUET_UNIT, &class, &zeroed);
    sigaction(SIGSEGV, &before, NULL);
    require(cell != NULL && &group_of(cell, kind, "test")->head == record);
    if (interrupted.is_child) {
        live_on(kind);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(interrupted.child, &status, 0), interrupted.child);
    assert_int_equal(status, 0);
    engine_free_slow(cell, "free");
    engine_trim();
}

static void an_operation_that_goes_on_in_the_child_finds_groups_as_they_were(void **state)
{
    (void)state;
    size_t first = kind_of_one_word(), kind = unused_kind(first + 1, 1);
    unsigned stage = 0;
    pthread_t thread;
    interrupted.uncounted = take_group(first, cells);
    interrupted.lost = &home_array[HOME];
    or_release(&group_freed(interrupted.uncounted)[0], bit_of(interrupted.uncounted, cells[0]));
    interrupted.state = load_relaxed(&interrupted.uncounted->state);
    assert_int_equal(pthread_create(&thread, NULL, hold_home, &stage), 0);
    while (load_acquire(&stage) != HELD_AND_BROKEN)
        sched_yield();
    interrupt_an_allocation(kind);
    store_release(&stage, FORKED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    depot_return(first, cells + 1, cells_of_group(first) - 1);
    assert_true(is_unused(first) && is_unused(kind));
}

/* ---- A sweep under way ----------------------------------------------------------------------- */

static struct slot *shared_slot(size_t number)
{
    return (struct slot *)(duet_shared.first + number * duet_shared.stride);
}

/* A cell in its magazine, which a sweep passes on. */
static void fill_shared_slot(struct slot *slot, size_t kind)
{
    bool zeroed;
    assert_true(slot_try(slot));
    const struct cache_use use = {.cache = cache_of_shared(slot)};
    void *cell = cache_alloc_slow(&use, 0, &kind, &zeroed);
    assert_non_null(cell);
    cache_free_slow(&use, cell, kind);
    slot_release(slot);
    assert_false(cache_is_empty(use.cache));
}

static void *trim(void *unused)
{
    engine_trim();
    return unused;
}

static void trim_in_child(void *group)
{
    engine_trim();
    require(!is_live(group));
}

/* That thread will never say that it has ended. */
static void a_sweep_of_another_thread_is_not_waited_for(void **state)
{
    (void)state;
    size_t kind = kind_of_one_word();
    pthread_t thread;
    struct slot *awaited = shared_slot(1);
    fill_shared_slot(shared_slot(0), kind);
    store_relaxed(&awaited->owner, (uintptr_t)&kind); /* another thread is in it */
    assert_int_equal(pthread_create(&thread, NULL, trim, NULL), 0);
    while (!cache_is_empty(cache_in_shared(shared_slot(0))))
        sched_yield();
    struct group *group = take_group(kind, cells);
    depot_return(kind, cells, cells_of_group(kind));
    in_child(trim_in_child, group);
    store_release(&awaited->owner, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(is_unused(kind));
}

static void *sleep_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_a_full_group_that_were_not_counted_yet_are_had),
        cmocka_unit_test(the_last_cells_that_were_not_counted_yet_are_had),
        cmocka_unit_test(cells_that_were_merged_before_they_were_counted_are_had),
        cmocka_unit_test(a_group_that_was_to_be_pushed_is_found),
        cmocka_unit_test(a_group_on_the_stack_stays_there_once),
        cmocka_unit_test(a_home_that_another_thread_held_is_made_anew),
        cmocka_unit_test(a_fork_lets_go_of_all_homes),
        cmocka_unit_test(an_operation_that_goes_on_in_the_child_finds_groups_as_they_were),
        cmocka_unit_test(a_sweep_of_another_thread_is_not_waited_for),
    };
    heap_start(
        &(struct heap_options){.program = "test_fork"}); /* so that there are fork handlers */
    pthread_t thread; /* since a process of one thread has left nothing half done */
    require(pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0);
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
