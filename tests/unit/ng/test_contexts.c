/*
 * Contexts: whose cells are whose, frees that have to wait, what a fork in the middle leaves
 * behind, and mappings that the kernel does not take back.
 */
#include "ng_tests.h"

#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#include "os/fault.h"
#include "os/os.h"

#define CELL_BYTES 100 /* of a class that is never served by another */
#define CLASS (ng_class_for(CELL_BYTES))

/* ---- Threads ------------------------------------------------------------------------------- */

static void a_process_of_one_thread_has_one_context(void **state)
{
    (void)state;
    struct duet_heap_stats stats;
    duet_mfree(duet_malloc(1));
    duet_stats(&stats);
    assert_int_equal(stats.slots, 1);
    assert_false(slots_are_shared(&ng_contexts));
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        const struct group *group = group_at(index);
        if (group != NULL && group->base != NULL && group_class(group) != NG_CLASS_LARGE)
            assert_ptr_equal(group_context(group), (struct context *)slot_thread.current);
    }
}

/* Such blocks take what they need from a context, and let it go. */
static void large_blocks_leave_no_context_held(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        void *block = duet_malloc(3 * NG_LARGE_BYTES);
        assert_false(slots_is_inside(&ng_contexts));
        duet_mfree(block);
        assert_false(slots_is_inside(&ng_contexts));
    }
}

#define CELLS 500

static struct guest {
    pthread_barrier_t barrier; /* the two threads take turns by it */
    char *cells[CELLS];
    struct context *context;
} guest;

static void allocate_all(void)
{
    for (size_t i = 0; i < CELLS; i++) {
        guest.cells[i] = duet_malloc(CELL_BYTES);
        memset(guest.cells[i], 0xaa, CELL_BYTES);
    }
    guest.context = (struct context *)slot_thread.current;
}

static void *allocate_twice(void *unused)
{
    (void)unused;
    allocate_all();
    pthread_barrier_wait(&guest.barrier); /* now the cells are the other thread's */
    pthread_barrier_wait(&guest.barrier); /* and freed */
    struct context *context = guest.context;
    allocate_all();
    assert_ptr_equal(guest.context, context);
    pthread_barrier_wait(&guest.barrier);
    return NULL;
}

static void assert_cells_are_of(const struct context *context)
{
    for (size_t i = 0; i < CELLS; i++)
        assert_ptr_equal(group_context(group_of(guest.cells[i])), context);
    assert_true(context->usage[CLASS] >= CELLS);
}

/* Nobody but the context that made a cell has it again. */
static void free_all(const struct context *own)
{
    uint32_t usage = own->usage[CLASS];
    for (size_t i = 0; i < CELLS; i++)
        duet_mfree(guest.cells[i]);
    assert_int_equal(own->usage[CLASS], usage);
    check_all_contexts();
}

static void cells_go_back_to_the_context_that_made_them(void **state)
{
    (void)state;
    pthread_t thread;
    struct context *own = (struct context *)slot_thread.current;
    assert_int_equal(pthread_barrier_init(&guest.barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, allocate_twice, NULL), 0);
    pthread_barrier_wait(&guest.barrier);
    assert_ptr_not_equal(guest.context, own);
    assert_cells_are_of(guest.context);
    uint32_t usage = guest.context->usage[CLASS];
    free_all(own);
    assert_true(guest.context->usage[CLASS] <= usage - CELLS + NG_MOST_CELLS);
    pthread_barrier_wait(&guest.barrier);
    pthread_barrier_wait(&guest.barrier);
    assert_cells_are_of(guest.context);
    assert_int_equal(pthread_join(thread, NULL), 0);
    free_all(own);
    pthread_barrier_destroy(&guest.barrier);
}

/* ---- Frees that have to wait ----------------------------------------------------------------- */

static struct context context;

/* Whether the cell is handed out, as far as its group knows. */
static bool is_out(const struct group *group, unsigned index)
{
    return (free_mask(group) >> index & 1) == 0;
}

static void allocate_slowly(void)
{
    duet_mfree(duet_aligned_alloc(64, CELL_BYTES));
}

static void assert_nothing_is_left(void)
{
    group_trim(&context);
    ng_check_context(&context);
    assert_int_equal(count_groups(&context), 0);
}

#define FEW 8

/* Of these cells, one whose free takes the context, and that lies where it is wanted. */
static size_t choose(char *cells[FEW], bool farther_on)
{
    for (size_t i = 0; i < FEW; i++) {
        struct cell cell = cell_of(cells[i]);
        if (cell.group->freed == 0 && (cell.ptr != cell.start) == farther_on)
            return i;
    }
    fail_msg("there is no such cell");
    return FEW;
}

/* As in a signal handler that interrupted this thread in the context. */
static void free_in_the_middle(size_t bytes, bool farther_on)
{
    struct slot *before = work_in(&context);
    char *cells[FEW];
    for (size_t i = 0; i < FEW; i++)
        cells[i] = duet_malloc(bytes);
    size_t chosen = choose(cells, farther_on);
    struct cell cell = cell_of(cells[chosen]);

    assert_true(slot_try(&context.slot));
    duet_mfree(cells[chosen]);
    ng_check_context(&context);
    slot_release(&context.slot);
    assert_non_null(context.deferred);
    assert_true(is_out(cell.group, cell.index));

    allocate_slowly();
    assert_null(context.deferred);
    assert_false(is_out(cell.group, cell.index));
    ng_check_context(&context);
    for (size_t i = 0; i < FEW; i++)
        if (i != chosen)
            duet_mfree(cells[i]);
    go_back_to(before);
    assert_nothing_is_left();
}

static void a_free_in_the_middle_of_an_operation_is_deferred(void **state)
{
    (void)state;
    free_in_the_middle(CELL_BYTES, false);
}

/* The pointer is not the cell's start, which tells where it is. */
static void so_is_that_of_a_cell_handed_out_farther_on(void **state)
{
    (void)state;
    context.mappings = 1;
    free_in_the_middle(2 * CELL_BYTES, true);
}

/* Every cell of several groups: whatever is not trivial waits, and groups go when it is done. */
static void many_deferred_frees_are_all_done(void **state)
{
    (void)state;
    struct slot *before = work_in(&context);
    allocate_all();
    uint32_t usage = context.usage[CLASS];
    assert_true(slot_try(&context.slot));
    for (size_t i = 0; i < CELLS; i++)
        duet_mfree(guest.cells[i]);
    slot_release(&context.slot);
    assert_int_equal(context.usage[CLASS], usage);
    assert_non_null(context.deferred);
    allocate_slowly();
    assert_null(context.deferred);
    go_back_to(before);
    assert_nothing_is_left();
}

static void *hold_the_context(void *unused)
{
    (void)unused;
    assert_true(slot_try(&context.slot));
    pthread_barrier_wait(&guest.barrier);
    pthread_barrier_wait(&guest.barrier);
    slot_release(&context.slot);
    return NULL;
}

static void a_free_while_another_thread_stays_in_the_context_is_deferred(void **state)
{
    (void)state;
    struct slot *before = work_in(&context);
    void *kept = duet_malloc(CELL_BYTES);
    void *freed = duet_malloc(CELL_BYTES);
    struct cell cell = cell_of(freed);
    go_back_to(before);

    pthread_t thread;
    assert_int_equal(pthread_barrier_init(&guest.barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, hold_the_context, NULL), 0);
    pthread_barrier_wait(&guest.barrier);
    duet_mfree(freed); /* comes back, though the holder stays */
    assert_non_null(load_relaxed(&context.deferred));
    assert_true(is_out(cell.group, cell.index));
    pthread_barrier_wait(&guest.barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&guest.barrier);

    work_in(&context);
    duet_mfree(kept); /* as slow an operation as any */
    assert_null(context.deferred);
    assert_int_equal(context.usage[CLASS], 0);
    go_back_to(before);
    assert_nothing_is_left();
}

#define KEPT 128
#define ALARMS 3000
#define ALARMS_APART 100 /* us */

static char *for_handler; /* a cell; NULL: it is freed */
static volatile sig_atomic_t alarms;

static char *take_from_handler(void)
{
    return __atomic_exchange_n(&for_handler, NULL, __ATOMIC_ACQ_REL);
}

static void free_in_a_handler(int signal)
{
    (void)signal;
    duet_mfree(take_from_handler());
    alarms++;
}

static void *wait_for_the_end(void *unused)
{
    pthread_barrier_wait(&guest.barrier);
    return unused;
}

/* One of the thread, and one of a handler that interrupts it: as by two threads, but far oftener
 * between two instructions. */
static void free_both(char *one, char *other)
{
    struct cell first = cell_of(one), second = cell_of(other);
    store_release(&for_handler, other);
    duet_mfree(one);
    duet_mfree(take_from_handler());
    allocate_slowly(); /* does what was deferred */
    assert_false(is_out(first.group, first.index));
    assert_false(is_out(second.group, second.index));
}

/* Cells of groups that stay, since others of theirs are in use. */
static void no_free_is_lost_to_one_that_interrupts_it(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = free_in_a_handler, .sa_flags = SA_RESTART}, kept;
    struct itimerval often = {{0, ALARMS_APART}, {0, ALARMS_APART}}, never = {{0, 0}, {0, 0}};
    struct slot *before = work_in(&context);
    char *cells[KEPT];
    pthread_t thread; /* since a process of one thread frees in another way; it gets no signals */
    sigset_t all, before_it;
    assert_int_equal(pthread_barrier_init(&guest.barrier, NULL, 2), 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_it);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_the_end, NULL), 0);
    pthread_sigmask(SIG_SETMASK, &before_it, NULL);
    for (size_t i = 0; i < KEPT; i++)
        cells[i] = duet_malloc(CELL_BYTES);
    for (size_t i = 0; i < KEPT; i += 2)
        duet_mfree(cells[i]);
    sigaction(SIGALRM, &action, &kept);
    setitimer(ITIMER_REAL, &often, NULL);
    for (size_t round = 0; alarms < ALARMS; round++) {
        char *one = duet_malloc(CELL_BYTES);
        free_both(one, duet_malloc(CELL_BYTES));
        if (round % 64 == 0)
            sched_yield(); /* ThreadSanitizer hands signals on at calls like this */
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &kept, NULL);
    pthread_barrier_wait(&guest.barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&guest.barrier);
    for (size_t i = 1; i < KEPT; i += 2)
        duet_mfree(cells[i]);
    go_back_to(before);
    assert_nothing_is_left();
}

/* ---- After a fork ---------------------------------------------------------------------------- */

#define BLOCKS 2000
#define MOST_GROUPS 4096

static void *blocks[BLOCKS];

static struct free_cells {
    struct group *group;
    uint32_t before, taken;
} free_cells[MOST_GROUPS];

/* Blocks of all classes, of which a third is in use. */
static void use_context(uint64_t random)
{
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = duet_malloc(random_below(&random, i % 8 == 0 ? 20000 : 600));
    for (size_t i = 1; i < BLOCKS; i++) {
        if (random_below(&random, 3) != 0) {
            duet_mfree(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

static size_t note_free_cells(void)
{
    size_t count = 0;
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        struct group *group = group_at(index);
        if (!is_group_of(&context, group) || free_mask(group) == 0)
            continue;
        assert_true(count < MOST_GROUPS);
        free_cells[count++] = (struct free_cells){group, free_mask(group), 0};
    }
    return count;
}

/* What a thread leaves behind that vanishes in the middle: links that lead anywhere, wrong sums. */
static void scramble(uint64_t random)
{
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        struct group *group = group_at(index);
        if (!is_group_of(&context, group))
            continue;
        group->next = (uint32_t)next_random(&random);
        group->previous = (uint32_t)next_random(&random);
    }
    for (size_t class = 0; class < NG_CLASSES; class++) {
        context.usage[class] = (uint32_t)next_random(&random);
        context.active[class] = random_below(&random, 2) == 0 ? NULL : group_of(blocks[0]);
    }
    context.spares = (uint32_t)next_random(&random);
}

/* Takes cells until there is none: all that were free, and each of them once. */
static void take_all_free_cells(size_t groups)
{
    for (size_t class = 0; class < NG_CLASSES; class++) {
        int index;
        while ((index = group_take_present_cell(&context, class)) >= 0) {
            size_t i = 0;
            while (i < groups && free_cells[i].group != context.active[class])
                i++;
            uint32_t self = (uint32_t)1 << index;
            assert_true(i < groups && (free_cells[i].taken & self) == 0);
            free_cells[i].taken |= self;
        }
    }
    for (size_t i = 0; i < groups; i++)
        assert_int_equal(free_cells[i].taken, free_cells[i].before);
}

static void give_all_back(size_t groups)
{
    for (size_t i = 0; i < groups; i++)
        for (uint32_t left = free_cells[i].taken; left != 0; left &= left - 1)
            free_cell(free_cells[i].group, (unsigned)__builtin_ctz(left));
}

static void a_context_is_made_anew_from_its_metas(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct slot *before = work_in(&context);
        use_context(seed);
        go_back_to(before);
        group_trim(&context); /* mappings that are kept would be lost */
        size_t groups = note_free_cells();
        assert_true(groups > 50);
        scramble(seed);
        group_rebuild(&context);
        ng_check_context(&context);
        take_all_free_cells(groups);
        give_all_back(groups);
        ng_check_context(&context);
        for (size_t i = 0; i < BLOCKS; i++)
            duet_mfree(blocks[i]);
        assert_nothing_is_left();
    }
}

#define ONE_REQUEST 60000 /* bytes that have a mapping of their own, too short for their class */

/* The thread that it was made for vanished before it took the cell. */
static void what_was_made_for_one_request_serves_no_other(void **state)
{
    (void)state;
    size_t class = ng_class_for(ONE_REQUEST);
    assert_int_equal(group_take_cell(&context, class, ONE_REQUEST), 0);
    struct group *group = context.active[class];
    assert_true(group_is_for_one_use(group));
    store_relaxed(&group->avail, 1);
    group_rebuild(&context);
    assert_int_equal(group_take_present_cell(&context, class), -1);
    ng_check_context(&context);
    free_cell(group, 0);
    assert_nothing_is_left();
}

/* ---- Mappings that stay ---------------------------------------------------------------------- */

enum refusal { UNMAPPING, UNMAPPING_AND_PURGING };

static void refuse(enum refusal refusal)
{
    const struct fault_plan all = {.every = 1};
    fault_set(FAULT_UNMAP, all);
    if (refusal == UNMAPPING_AND_PURGING)
        fault_set(FAULT_ADVISE, all);
}

static void refuse_nothing(void)
{
    fault_set_all((struct fault_plan){0});
}

/* The group that a mapping has become; NULL: there is none. */
static struct group *find_donated(const char *base)
{
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        struct group *group = group_at(index);
        if (group != NULL && (char *)group->base == base && (group_shape(group) & SHAPE_STAYS) != 0)
            return group;
    }
    return NULL;
}

static bool is_zero(const char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

static size_t largest_class_in(size_t mapped)
{
    size_t class = NG_CLASSES - 1;
    while (NG_UNIT + ng_class_bytes(class) > mapped)
        class--;
    return class;
}

/* Frees a block with refusals, and returns the group of one cell that its mapping is then. */
static struct group *free_refused(char *block, size_t bytes, enum refusal refusal)
{
    char *base = (char *)group_of(block)->base;
    size_t mapped = group_mapped_bytes(group_of(block));
    memset(block, 0xff, bytes);
    refuse(refusal);
    duet_mfree(block);
    refuse_nothing();
    struct group *group = find_donated(base);
    assert_non_null(group);
    assert_int_equal(group_mapped_bytes(group), mapped);
    assert_int_equal(group_class(group), largest_class_in(mapped));
    assert_int_equal(group_last(group), 0);
    assert_int_equal(free_mask(group), 1);
    assert_int_equal((group_shape(group) & SHAPE_DIRTY) != 0, refusal == UNMAPPING_AND_PURGING);
    if (refusal == UNMAPPING) /* but for head, header, and what the test may not look at */
        assert_true(is_zero(base + NG_UNIT, mapped - NG_UNIT));
    check_all_contexts();
    return group;
}

static void assert_serves_again(struct group *group)
{
    size_t class = group_class(group);
    size_t bytes = min_size(ng_class_bytes(class) - NG_HEADER_BYTES, NG_LARGE_BYTES - 1);
    char *base = (char *)group->base;
    for (unsigned use = 0; use < 3; use++) {
        char *block = duet_calloc(1, bytes);
        assert_ptr_equal(group_of(block), group);
        assert_int_equal(duet_usable_size(block), bytes);
        assert_true(is_zero(block, bytes));
        memset(block, 0xff, bytes);
        check_all_contexts();
        duet_mfree(block);
        assert_ptr_equal(find_donated(base), group); /* it stays */
        assert_int_equal(free_mask(group), 1);
    }
}

/* All lengths have a mapping that is not kept for the next group. */
static const size_t lengths[] = {30000, 60000, 131051, 131052, 300000, 5000000};

static void what_is_not_unmapped_serves_until_it_is(void **state)
{
    (void)state;
    if (!DUET_CHECKED)
        skip();                        /* there nothing can be made to fail */
    char *first = duet_malloc(300000); /* so that all metas are there that will be */
    duet_mfree(first);
    duet_trim();
    size_t held = os_held_bytes();
    for (enum refusal refusal = UNMAPPING; refusal <= UNMAPPING_AND_PURGING; refusal++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            char *block = duet_malloc(lengths[i]);
            char *base = (char *)group_of(block)->base;
            struct group *group = free_refused(block, lengths[i], refusal);
            assert_serves_again(group);
            assert_true(os_held_bytes() > held);

            refuse(UNMAPPING_AND_PURGING);
            duet_trim();
            refuse_nothing();
            assert_non_null(find_donated(base)); /* refused once more */
            check_all_contexts();

            assert_true(duet_trim());
            assert_null(find_donated(base));
            assert_false(table_is_marked(base)); /* and is foreign now */
            check_all_contexts();
            assert_int_equal(os_held_bytes(), held);
        }
    }
}

/* Mappings that were kept for the next group, and that a trim cannot unmap. */
static void what_a_trim_cannot_unmap_is_not_lost(void **state)
{
    (void)state;
    if (!DUET_CHECKED)
        skip();
    static void *cells[CELLS];
    duet_trim();
    size_t held = os_held_bytes();
    for (size_t i = 0; i < CELLS; i++)
        cells[i] = duet_malloc(CELL_BYTES);
    for (size_t i = 0; i < CELLS; i++)
        duet_mfree(cells[i]);
    assert_true(os_held_bytes() > held);
    refuse(UNMAPPING);
    duet_trim();
    refuse_nothing();
    check_all_contexts();
    duet_trim();
    check_all_contexts();
    assert_int_equal(os_held_bytes(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_of_one_thread_has_one_context),
        cmocka_unit_test(large_blocks_leave_no_context_held),
        /* While there is one thread: the contexts are verified down to every header. */
        cmocka_unit_test(a_free_in_the_middle_of_an_operation_is_deferred),
        cmocka_unit_test(so_is_that_of_a_cell_handed_out_farther_on),
        cmocka_unit_test(many_deferred_frees_are_all_done),
        cmocka_unit_test(a_context_is_made_anew_from_its_metas),
        cmocka_unit_test(what_was_made_for_one_request_serves_no_other),
        cmocka_unit_test(what_is_not_unmapped_serves_until_it_is),
        cmocka_unit_test(what_a_trim_cannot_unmap_is_not_lost),
        cmocka_unit_test(cells_go_back_to_the_context_that_made_them),
        cmocka_unit_test(a_free_while_another_thread_stays_in_the_context_is_deferred),
        cmocka_unit_test(no_free_is_lost_to_one_that_interrupts_it),
        /* Again, since with locks the ways are others. */
        cmocka_unit_test(a_free_in_the_middle_of_an_operation_is_deferred),
        cmocka_unit_test(many_deferred_frees_are_all_done),
        cmocka_unit_test(a_context_is_made_anew_from_its_metas),
        cmocka_unit_test(what_is_not_unmapped_serves_until_it_is),
        cmocka_unit_test(what_a_trim_cannot_unmap_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
