/*
 * What is done to the masks of a group, against the obvious, slow way: all states of groups of few
 * cells, and in the longest masks each cell and each run around the ends of words. The groups are
 * made up here: no depot knows of them, and none of their cells is touched.
 */
#include "duet_tests.h"

#define MOST_IN_FULL 8 /* cells of a group, each of which is taken, in avail or in freed */

/* Taken beyond those that a test looks at: so that returning never finds the group wholly back, and
 * puts it on no stack. */
#define TAKEN_BESIDES 3

static union {
    struct group group;
    char room[sizeof(struct group) + 3 * GROUP_MOST_WORDS * sizeof(uint64_t)];
} made;
static struct group *const group = &made.group;

/* By cell. */
struct model {
    bool avail[DUET_MOST_CELLS], freed[DUET_MOST_CELLS];
};
static struct model model;

static void make(size_t kind)
{
    memset(&made, 0, sizeof made);
    group->kind = (uint8_t)kind;
    group->cells = duet_tables.kinds[kind].cells;
    group->words = (uint8_t)group_words(kind);
    group->base = (char *)(16 * BLOCK_BYTES);
    memset(&model, 0, sizeof model);
}

static void *cell_at(size_t number)
{
    return group->base + number * duet_kind_bytes(group->kind);
}

/* The masks and the state as the model has them. */
static void set(void)
{
    uint64_t taken = TAKEN_BESIDES, returned = 0;
    memset(group->masks, 0, 2 * (size_t)group->words * sizeof group->masks[0]);
    group->first = group->words;
    for (size_t number = 0; number < group->cells; number++) {
        uint64_t bit = (uint64_t)1 << (number % MASK_BITS);
        size_t word = number / MASK_BITS;
        taken += !model.avail[number];
        returned += model.freed[number];
        if (model.avail[number]) {
            group_avail(group)[word] |= bit;
            group->first = (uint8_t)min_size(group->first, word);
        }
        if (model.freed[number])
            group_freed(group)[word] |= bit;
    }
    group->state = taken * GROUP_TAKEN + returned * GROUP_RETURNED;
}

static void assert_is_as_modelled(void)
{
    size_t taken = TAKEN_BESIDES, returned = 0;
    bool any_avail = false, any_freed = false;
    for (size_t number = 0; number < group->cells; number++) {
        size_t word = number / MASK_BITS, bit = number % MASK_BITS;
        assert_int_equal(group_avail(group)[word] >> bit & 1, model.avail[number]);
        assert_int_equal(group_freed(group)[word] >> bit & 1, model.freed[number]);
        assert_true(!model.avail[number] || word >= group->first);
        taken += !model.avail[number];
        returned += model.freed[number];
        any_avail |= model.avail[number];
        any_freed |= model.freed[number];
    }
    assert_int_equal(group_taken(group->state), taken);
    assert_int_equal(group_returned(group->state), returned);
    assert_int_equal(group->state & (GROUP_FULL | GROUP_QUEUED), 0);
    assert_int_equal(group_has_cells(group), any_avail);
    assert_int_equal(group_has_returned_cells(group), any_freed);
}

/* ---- The operations ---------------------------------------------------------------------- */

static void merge(void)
{
    set();
    group_merge(group);
    for (size_t number = 0; number < group->cells; number++) {
        model.avail[number] |= model.freed[number];
        model.freed[number] = false;
    }
    assert_is_as_modelled();
}

/* The lowest addresses, downwards from the end. */
static void take(size_t want)
{
    void *cells[DUET_MOST_CELLS + 1];
    size_t expected = 0;
    set();
    size_t taken = group_take_cells(group, cells + want, want);
    for (size_t number = 0; number < group->cells && expected < want; number++)
        if (model.avail[number]) {
            assert_true(expected < taken);
            assert_ptr_equal(cells[want - 1 - expected++], cell_at(number));
            model.avail[number] = false;
        }
    assert_int_equal(taken, expected);
    assert_is_as_modelled();
}

/* Cells of the model's `coming`, rising or falling, by who has the lock or by who has not. */
static void bring(const bool *coming, bool rising, bool held)
{
    void *cells[DUET_MOST_CELLS];
    size_t count = 0;
    for (size_t i = 0; i < group->cells; i++) {
        size_t number = rising ? i : group->cells - 1 - i;
        if (coming[number])
            cells[count++] = cell_at(number);
    }
    if (count == 0)
        return;
    set();
    size_t run = held ? group_put_back(group, cells, count) : group_return(group, cells, count);
    assert_int_equal(run, count);
    bool merged = false;
    for (size_t number = 0; number < group->cells; number++)
        merged |= held && model.freed[number];
    for (size_t number = 0; number < group->cells; number++) {
        bool comes = coming[number] || (merged && model.freed[number]);
        if (held)
            model.avail[number] |= comes;
        else
            model.freed[number] |= comes;
        model.freed[number] &= !merged;
    }
    assert_is_as_modelled();
}

/* ---- All states of few cells ------------------------------------------------------------- */

/* The number's digits to base 3 say what each cell is. Returns whether there are so many states. */
static bool set_model(size_t number)
{
    memset(&model, 0, sizeof model);
    for (size_t cell = 0; cell < group->cells; cell++, number /= 3) {
        model.avail[cell] = number % 3 == 1;
        model.freed[cell] = number % 3 == 2;
    }
    return number == 0;
}

static void judge_state(size_t number)
{
    for (size_t want = 0; want <= group->cells + (size_t)1; want++) {
        set_model(number);
        take(want);
    }
    set_model(number);
    merge();
}

/* Each set of the cells that are taken comes back, in either order, in either way. */
static void judge_returns(size_t number)
{
    bool coming[MOST_IN_FULL];
    for (unsigned bits = 1; bits < 1u << group->cells; bits++) {
        bool possible = true;
        set_model(number);
        for (size_t cell = 0; cell < group->cells; cell++) {
            coming[cell] = (bits >> cell & 1) != 0;
            possible &= !coming[cell] || (!model.avail[cell] && !model.freed[cell]);
        }
        for (unsigned way = 0; way < 4 && possible; way++) {
            set_model(number);
            bring(coming, (way & 1) != 0, (way & 2) != 0);
        }
    }
}

static void all_states_of_small_groups(void **state)
{
    (void)state;
    size_t kinds = 0;
    bool done[MOST_IN_FULL + 1] = {false};
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t cells = cells_of_group(kind);
        if (cells > MOST_IN_FULL || done[cells])
            continue;
        make(kind);
        for (size_t number = 0; set_model(number); number++) {
            judge_state(number);
            judge_returns(number);
        }
        done[cells] = true;
        kinds++;
    }
    assert_true(kinds > 0);
}

/* ---- The longest masks ------------------------------------------------------------------- */

static void every_cell_alone(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        make(kind);
        bool coming[DUET_MOST_CELLS] = {false};
        for (size_t number = 0; number < group->cells; number++) {
            memset(&model, 0, sizeof model);
            model.avail[number] = true;
            take(1);
            memset(&model, 0, sizeof model);
            model.freed[number] = true;
            merge();
            take(2);
            coming[number] = true;
            for (unsigned held = 0; held < 2; held++) {
                memset(&model, 0, sizeof model);
                bring(coming, true, held != 0);
            }
            coming[number] = false;
        }
    }
}

/* From a cell at the end or the beginning of a word to another one. */
static bool is_edge(size_t number)
{
    return number % MASK_BITS <= 1 || number % MASK_BITS == MASK_BITS - 1;
}

static void judge_run(size_t from, size_t to)
{
    bool coming[DUET_MOST_CELLS] = {false};
    memset(&model, 0, sizeof model);
    for (size_t number = from; number < to; number++)
        model.avail[number] = coming[number] = true;
    take((to - from + 1) / 2);
    take(to - from);
    for (unsigned way = 0; way < 4; way++) {
        memset(&model, 0, sizeof model);
        bring(coming, (way & 1) != 0, (way & 2) != 0);
        merge();
    }
}

static void every_run_around_the_ends_of_words(void **state)
{
    (void)state;
    make(1);
    for (size_t from = 0; from < group->cells; from++)
        for (size_t to = from + 1; to <= group->cells && is_edge(from); to++)
            if (is_edge(to))
                judge_run(from, to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_states_of_small_groups),
        cmocka_unit_test(every_cell_alone),
        cmocka_unit_test(every_run_around_the_ends_of_words),
    };
    return cmocka_run_group_tests_name("masks", tests, NULL, NULL);
}
