/*
 * The masks of groups: which cell is taken next, over all states of small groups and over patterns
 * of larger ones; and the order in which the groups of a ring serve.
 */
#include "ng_tests.h"

/* Of this class a group has 32 cells, once there is usage enough. */
#define CLASS ((size_t)11)

/* Counts up to this are gone through in full: each cell in use, ready or freed. */
#define MOST_IN_FULL (DUET_CHECKED ? 6 : 8)
#define RANDOM_STATES 200

static struct context context;

/* Groups that a test makes and unmakes in quick turn are no sign of anything. */
static void forget_bounces(void)
{
    context.bounce = (struct bounce){0};
}

static struct group *make_group(void)
{
    context.usage[CLASS] += 1000; /* so that all cells there can be are wanted */
    struct group *head = context.active[CLASS];
    context.active[CLASS] = NULL; /* so that the others do not serve */
    assert_int_equal(group_take_cell(&context, CLASS, 1), 0);
    context.usage[CLASS] -= 1000;
    struct group *group = context.active[CLASS];
    assert_int_equal(count_of_cells(group), NG_MOST_CELLS);
    group_dequeue(&context.active[CLASS], group);
    context.active[CLASS] = head;
    group->freed = group->avail = 0;
    reshape(group, NG_MOST_CELLS, NG_MOST_CELLS, SHAPE_STAYS);
    forget_bounces();
    return group;
}

static void unmake_group(struct group *group)
{
    if (group_is_queued(group))
        group_dequeue(&context.active[CLASS], group);
    reshape(group, NG_MOST_CELLS, NG_MOST_CELLS, 0);
    group->avail = 0;
    group->freed = mask_to(NG_MOST_CELLS - 1) - 1;
    forget_bounces();
    free_cell(group, 0);
    assert_null(group->base);
}

/* Cells: which of them are ready, which freed. Those that are not active are freed. */
struct cells {
    unsigned count, active;
    uint32_t avail, freed;
};

static void set_cells(struct group *group, const struct cells *cells)
{
    if (group_is_queued(group))
        group_dequeue(&context.active[CLASS], group);
    reshape(group, cells->count, cells->active, SHAPE_STAYS);
    group->avail = cells->avail;
    group->freed = cells->freed;
    group_queue(&context.active[CLASS], group);
}

static uint32_t lowest(uint32_t mask)
{
    return mask & -mask;
}

/* Takes all there is, in the order of the model: the lowest of the ready ones; when there is none,
 * the freed ones become ready that are active; and when none of these is freed, more are active. */
static void assert_all_are_taken_in_order(struct group *group, struct cells cells)
{
    uint32_t taken = 0, all = cells.avail | cells.freed;
    while ((cells.avail | cells.freed) != 0) {
        if (cells.avail == 0) {
            if ((cells.freed & mask_to(cells.active - 1)) == 0)
                cells.active = ng_plan_activation(CLASS, cells.active, cells.count);
            cells.avail = cells.freed & mask_to(cells.active - 1);
            cells.freed -= cells.avail;
        }
        int index = group_take_present_cell(&context, CLASS);
        assert_true(index >= 0);
        uint32_t self = (uint32_t)1 << index;
        assert_int_equal(self, lowest(cells.avail));
        assert_int_equal(taken & self, 0);
        taken |= self;
        cells.avail -= self;
        assert_int_equal(group->avail, cells.avail);
        assert_int_equal(group->freed, cells.freed);
        assert_int_equal(count_of_active(group), cells.active);
    }
    assert_int_equal(taken, all);
    assert_int_equal(group_take_present_cell(&context, CLASS), -1);
    assert_false(group_is_queued(group));
    assert_null(context.active[CLASS]);
}

static void judge(struct group *group, const struct cells *cells)
{
    set_cells(group, cells);
    assert_all_are_taken_in_order(group, *cells);
}

/* The number's digits to base 3 say what each active cell is. */
static struct cells cells_of_number(unsigned count, unsigned active, unsigned number)
{
    struct cells cells = {count, active, 0, mask_to(count - 1) & ~mask_to(active - 1)};
    for (unsigned index = 0; index < active; index++, number /= 3) {
        cells.avail |= (uint32_t)(number % 3 == 1) << index;
        cells.freed |= (uint32_t)(number % 3 == 2) << index;
    }
    return cells;
}

static void all_states_of_small_groups(void **state)
{
    (void)state;
    struct group *group = make_group();
    for (unsigned count = 1; count <= MOST_IN_FULL; count++) {
        unsigned numbers = 3;
        for (unsigned active = 1; active <= count; active++, numbers *= 3) {
            for (unsigned number = 0; number < numbers; number++) {
                struct cells cells = cells_of_number(count, active, number);
                judge(group, &cells);
            }
        }
    }
    unmake_group(group);
}

/* As set_cells expects them, from any two masks. */
static struct cells cells_of_masks(unsigned count, unsigned active, uint32_t avail, uint32_t freed)
{
    uint32_t in_use_or_free = mask_to(active - 1);
    avail &= in_use_or_free;
    freed &= in_use_or_free & ~avail;
    return (struct cells){count, active, avail, freed | (mask_to(count - 1) & ~in_use_or_free)};
}

/* Each pattern as ready cells, as freed ones, and split between the two. */
static void judge_pattern(struct group *group, unsigned count, unsigned active, uint32_t pattern)
{
    const uint32_t ready[] = {pattern, 0, pattern & 0x55555555, pattern & 0xffff};
    for (size_t i = 0; i < sizeof ready / sizeof *ready; i++) {
        struct cells cells = cells_of_masks(count, active, ready[i], pattern);
        judge(group, &cells);
    }
}

static void single_cells_and_runs_of_every_count(void **state)
{
    (void)state;
    struct group *group = make_group();
    for (unsigned count = 1; count <= NG_MOST_CELLS; count++) {
        const unsigned actives[] = {1, (count + 1) / 2, count};
        for (unsigned first = 0; first < count; first++)
            for (unsigned last = first; last < count; last++)
                for (size_t i = 0; i < 3; i++) {
                    uint32_t run = mask_to(last) & ~(mask_to(first) >> 1);
                    judge_pattern(group, count, actives[i], run);
                    judge_pattern(group, count, actives[i], ~run);
                }
    }
    unmake_group(group);
}

static void random_states_of_every_count(void **state)
{
    (void)state;
    struct group *group = make_group();
    uint64_t random = 1;
    for (unsigned count = 1; count <= NG_MOST_CELLS; count++) {
        for (unsigned i = 0; i < RANDOM_STATES; i++) {
            unsigned active = 1 + (unsigned)random_below(&random, count);
            uint64_t masks = next_random(&random);
            struct cells cells =
                cells_of_masks(count, active, (uint32_t)masks, (uint32_t)(masks >> 32));
            judge(group, &cells);
        }
    }
    unmake_group(group);
}

/* ---- Without the slow paths ---------------------------------------------------------------- */

static void a_bit_is_taken_from_every_mask(void **state)
{
    (void)state;
    for (uint32_t mask = 0; mask < 1u << 16; mask++) {
        for (unsigned shift = 0; shift <= 16; shift += 16) {
            uint32_t bits = mask << shift, expected = bits;
            unsigned index;
            while (context_take_bit(&bits, &index)) {
                assert_int_equal((uint32_t)1 << index, lowest(expected));
                expected &= expected - 1;
                assert_int_equal(bits, expected);
            }
            assert_int_equal(expected, 0);
            assert_int_equal(bits, 0);
        }
    }
}

static void frees_are_trivial_but_for_a_groups_first_and_last(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= MOST_IN_FULL; count++) {
        for (uint32_t free = 0; free <= mask_to(count - 1); free++) {
            for (uint32_t avail = free;; avail = (avail - 1) & free) {
                struct group group = {.shape = SHAPE_OF(CLASS, count - 1, 0), .avail = avail};
                uint32_t freed = free & ~avail;
                for (uint32_t others = mask_to(count - 1) & ~free; others != 0;
                     others &= others - 1) {
                    bool is_first = freed == 0;
                    bool is_last =
                        others == lowest(others) && free == (mask_to(count - 1) - others);
                    assert_int_equal(ng_is_trivial(&group, freed, lowest(others)),
                                     !is_first && !is_last);
                }
                if (avail == 0)
                    break;
            }
        }
    }
}

/* ---- Freeing ------------------------------------------------------------------------------- */

/* All cells, in a random order: each leaves its bit, the first brings the group into the ring. */
static void freed_cells_are_free_and_ready_in_the_end(void **state)
{
    (void)state;
    struct group *group = make_group();
    uint64_t random = 2;
    for (unsigned count = 1; count <= NG_MOST_CELLS; count++) {
        reshape(group, count, count, SHAPE_STAYS);
        uint32_t freed = 0;
        for (unsigned left = count; left > 0; left--) {
            unsigned index = (unsigned)random_below(&random, count);
            while (freed >> index & 1)
                index = (index + 1) % count;
            free_cell(group, index);
            freed |= (uint32_t)1 << index;
            assert_int_equal(group->freed, freed);
            assert_int_equal(group->avail, 0);
            assert_ptr_equal(context.active[CLASS], group);
        }
        struct cells cells = {count, count, 0, freed};
        assert_all_are_taken_in_order(group, cells);
    }
    unmake_group(group);
}

static void a_group_goes_with_its_last_cell(void **state)
{
    (void)state;
    for (unsigned last_one = 0; last_one < NG_MOST_CELLS; last_one++) {
        struct group *group = make_group();
        reshape(group, NG_MOST_CELLS, NG_MOST_CELLS, 0);
        for (unsigned index = 0; index < NG_MOST_CELLS; index++)
            if (index != last_one)
                free_cell(group, index);
        assert_ptr_equal(context.active[CLASS], group);
        assert_int_equal(context.usage[CLASS], NG_MOST_CELLS);
        free_cell(group, last_one);
        assert_null(context.active[CLASS]);
        assert_int_equal(context.usage[CLASS], 0);
        assert_int_equal(count_groups(&context), 0);
    }
}

static void a_group_is_kept_while_its_class_bounces_unless_it_is_outgrown(void **state)
{
    (void)state;
    uint8_t *bounces = &context.bounce.count[CLASS - BOUNCE_FIRST_CLASS];
    for (uint32_t usage = 1; usage < 400; usage += 7) {
        for (unsigned count = 1; count <= NG_MOST_CELLS; count++) {
            struct group *group = make_group();
            *bounces = BOUNCE_LIMIT;
            struct cells cells = {count, count, 0, mask_to(count - 1) & ~(uint32_t)1};
            set_cells(group, &cells);
            reshape(group, count, count, 0);
            uint32_t other_usage = usage > count ? usage - count : 0;
            context.usage[CLASS] = other_usage + count;
            free_cell(group, 0);
            bool outgrown =
                9 * count <= context.usage[CLASS] + (group->base == NULL ? count : 0) && count < 20;
            assert_int_equal(group->base == NULL, outgrown);
            *bounces = 0;
            if (group->base != NULL) {
                assert_int_equal(group->freed, mask_to(count - 1));
                context.usage[CLASS] = NG_MOST_CELLS;
                unmake_group(group);
            }
            context.usage[CLASS] = 0;
        }
    }
}

/* The counters of bounce.h, called where they should be. */
static void groups_made_and_freed_in_turn_bounce(void **state)
{
    (void)state;
    const uint8_t *bounces = &context.bounce.count[CLASS - BOUNCE_FIRST_CLASS];
    forget_bounces();
    context.usage[CLASS] = 1000; /* so that the group has a mapping of its own */
    for (unsigned turn = 0; turn < BOUNCE_LIMIT; turn++) {
        int index = group_take_cell(&context, CLASS, 1);
        assert_int_equal(*bounces, turn);
        free_cell(context.active[CLASS], (unsigned)index);
        assert_null(context.active[CLASS]);
        assert_true(context.bounce.unmapped_at[CLASS - BOUNCE_FIRST_CLASS] > 0);
    }
    context.usage[CLASS] = 1000 - NG_MOST_CELLS;
    int index = group_take_cell(&context, CLASS, 1);
    assert_int_equal(*bounces, BOUNCE_JUMP);
    struct group *group = context.active[CLASS];
    group->avail = 0; /* all cells are out */
    free_cell(group, (unsigned)index);
    for (unsigned left = BOUNCE_JUMP; left > 0; left--) { /* each time the one cell is activated */
        assert_int_equal(*bounces, left);
        assert_int_equal(group_take_present_cell(&context, CLASS), index);
        free_cell(group, (unsigned)index);
    }
    assert_int_equal(*bounces, 0);
    context.usage[CLASS] = NG_MOST_CELLS;
    unmake_group(group);
    assert_int_equal(count_groups(&context), 0);
}

/* ---- Rings --------------------------------------------------------------------------------- */

#define RING 3

static struct group *ring[RING];

static void make_ring(const struct cells cells[RING])
{
    for (size_t i = 0; i < RING; i++)
        ring[i] = make_group();
    for (size_t i = 0; i < RING; i++) {
        set_cells(ring[i], &cells[i]);
        reshape(ring[i], cells[i].count, cells[i].active, 0);
    }
    assert_ptr_equal(context.active[CLASS], ring[0]);
}

static void unmake_ring(void)
{
    for (size_t i = 0; i < RING; i++)
        unmake_group(ring[i]);
    assert_int_equal(context.usage[CLASS], 0);
}

static void the_head_serves_until_it_has_run_out(void **state)
{
    (void)state;
    const struct cells cells[RING] = {{4, 4, 0x6, 0}, {4, 4, 0, 0x1}, {4, 4, 0, 0x8}};
    static const int order[] = {1, 2, 0, 3, -1};
    make_ring(cells);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        assert_int_equal(group_take_present_cell(&context, CLASS), order[i]);
    assert_null(context.active[CLASS]);
    unmake_ring();
}

static void an_exhausted_head_leaves_and_one_with_freed_cells_goes_behind(void **state)
{
    (void)state;
    const struct cells exhausted[RING] = {{4, 4, 0, 0}, {4, 4, 0, 0x3}, {4, 4, 0, 0x8}};
    make_ring(exhausted);
    assert_int_equal(group_take_present_cell(&context, CLASS), 0);
    assert_ptr_equal(context.active[CLASS], ring[1]);
    assert_false(group_is_queued(ring[0]));
    unmake_ring();

    const struct cells with_freed[RING] = {{4, 4, 0, 0x4}, {4, 4, 0, 0x3}, {4, 4, 0, 0x8}};
    make_ring(with_freed);
    assert_int_equal(group_take_present_cell(&context, CLASS), 0);
    assert_ptr_equal(context.active[CLASS], ring[1]);
    assert_ptr_equal(group_next(ring[2]), ring[0]);
    assert_int_equal(ring[0]->freed, 0x4);
    unmake_ring();
}

/* So that it can be returned; but it serves before a group is made, or if it cannot be returned. */
static void a_wholly_free_group_is_skipped(void **state)
{
    (void)state;
    const struct cells cells[RING] = {{4, 4, 0, 0}, {4, 4, 0, 0xf}, {4, 4, 0, 0x8}};
    make_ring(cells);
    assert_int_equal(group_take_present_cell(&context, CLASS), 3);
    assert_ptr_equal(context.active[CLASS], ring[2]);
    assert_int_equal(ring[1]->freed, 0xf);
    assert_int_equal(group_take_present_cell(&context, CLASS), 0); /* the only one */
    assert_ptr_equal(context.active[CLASS], ring[1]);
    unmake_ring();

    make_ring(cells);
    reshape(ring[1], 4, 4, SHAPE_STAYS);
    assert_int_equal(group_take_present_cell(&context, CLASS), 0);
    assert_ptr_equal(context.active[CLASS], ring[1]);
    unmake_ring();
}

static void when_the_head_goes_the_next_one_is_ready(void **state)
{
    (void)state;
    const struct cells cells[RING] = {{4, 4, 0x7, 0}, {32, 8, 0, ~0x3fu}, {4, 4, 0, 0x8}};
    make_ring(cells);
    reshape(ring[0], 4, 4, 0);
    free_cell(ring[0], 3);
    assert_null(ring[0]->base);
    context.usage[CLASS] -= NG_MOST_CELLS - 4; /* which it had when it was made */
    assert_ptr_equal(context.active[CLASS], ring[1]);
    assert_int_equal(ring[1]->avail, 0xc0);
    assert_int_equal(ring[1]->freed, ~0xffu);
    assert_int_equal(ring[2]->avail, 0);
    unmake_group(ring[1]);
    unmake_group(ring[2]);
    assert_int_equal(context.usage[CLASS], 0);
}

static void more_cells_are_activated_only_when_no_other_group_has_any(void **state)
{
    (void)state;
    const struct cells cells[RING] = {{32, 4, 0, ~0xfu}, {32, 8, 0, ~0xffu}, {4, 4, 0, 0x8}};
    make_ring(cells);
    group_dequeue(&context.active[CLASS], ring[0]);
    group_queue(&context.active[CLASS], ring[0]); /* now 1, 2, 0 */
    context.active[CLASS] = ring[0];              /* whose next is 1, with none either */
    assert_int_equal(group_take_present_cell(&context, CLASS), 3);
    assert_ptr_equal(context.active[CLASS], ring[2]);
    assert_int_equal(count_of_active(ring[0]), 4);
    assert_int_equal(count_of_active(ring[1]), 8);
    unmake_ring();

    const struct cells alone[RING] = {{32, 4, 0, ~0xfu}, {4, 4, 0, 0}, {4, 4, 0, 0}};
    make_ring(alone);
    group_dequeue(&context.active[CLASS], ring[1]);
    group_dequeue(&context.active[CLASS], ring[2]);
    assert_int_equal(group_take_present_cell(&context, CLASS), 4);
    assert_int_equal(count_of_active(ring[0]), ng_plan_activation(CLASS, 4, 32));
    unmake_ring();
}

/* ---- No cell is ever handed out twice ------------------------------------------------------- */

#define OPERATIONS (DUET_CHECKED ? 20000 : 200000)
#define MOST_CELLS 700

struct held {
    struct group *group;
    unsigned index;
};

static struct held held[MOST_CELLS];

static void assert_is_not_held(size_t count, struct group *group, unsigned index)
{
    for (size_t i = 0; i < count; i++)
        assert_false(held[i].group == group && held[i].index == index);
}

static void taken_cells_are_nobodys_else_until_freed(void **state)
{
    (void)state;
    uint64_t random = 3;
    size_t count = 0;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        bool grows = i / 2000 % 2 == 0;
        bool takes = count == 0 || random_below(&random, 8) < (grows ? 6 : 2);
        if (takes && count < MOST_CELLS) {
            int index = group_take_cell(&context, CLASS, 1);
            assert_true(index >= 0);
            struct group *group = context.active[CLASS];
            if (count < 64 || i % 16 == 0)
                assert_is_not_held(count, group, (unsigned)index);
            assert_int_equal(free_mask(group) >> index & 1, 0);
            held[count++] = (struct held){group, (unsigned)index};
        } else if (count > 0) {
            size_t which = random_below(&random, count);
            free_cell(held[which].group, held[which].index);
            held[which] = held[--count];
        }
    }
    while (count > 0) {
        count--;
        free_cell(held[count].group, held[count].index);
    }
    group_trim(&context); /* what was kept since the class bounces */
    assert_int_equal(context.usage[CLASS], 0);
    assert_int_equal(count_groups(&context), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_states_of_small_groups),
        cmocka_unit_test(single_cells_and_runs_of_every_count),
        cmocka_unit_test(random_states_of_every_count),
        cmocka_unit_test(a_bit_is_taken_from_every_mask),
        cmocka_unit_test(frees_are_trivial_but_for_a_groups_first_and_last),
        cmocka_unit_test(freed_cells_are_free_and_ready_in_the_end),
        cmocka_unit_test(a_group_goes_with_its_last_cell),
        cmocka_unit_test(a_group_is_kept_while_its_class_bounces_unless_it_is_outgrown),
        cmocka_unit_test(groups_made_and_freed_in_turn_bounce),
        cmocka_unit_test(the_head_serves_until_it_has_run_out),
        cmocka_unit_test(an_exhausted_head_leaves_and_one_with_freed_cells_goes_behind),
        cmocka_unit_test(a_wholly_free_group_is_skipped),
        cmocka_unit_test(when_the_head_goes_the_next_one_is_ready),
        cmocka_unit_test(more_cells_are_activated_only_when_no_other_group_has_any),
        cmocka_unit_test(taken_cells_are_nobodys_else_until_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
