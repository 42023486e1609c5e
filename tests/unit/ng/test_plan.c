/*
 * Plans of groups over their whole domain, against a model of mallocng's alloc_group that was made
 * from its conditions, in units and rows of a table and not in the engine's terms.
 */
#include "ng_tests.h"

static const size_t page_sizes[] = {4096, 16384, 65536};
#define PAGE_SIZES (sizeof page_sizes / sizeof *page_sizes)

/* With this usage the largest count there is may be chosen, so nothing changes above. */
#define LEAST_FULL_USAGE (4 * NG_MOST_CELLS)

/* ---- The model ---------------------------------------------------------------------------- */

/* Counts from the largest to the least; of each class the first one that the usage allows, or the
 * last. 0: the row's end. */
static const unsigned char small_rows[9][4] = {
    {30},        {31, 15},   {20, 10},    {31, 15, 7}, {25, 12, 6},
    {21, 10, 5}, {18, 8, 4}, {31, 15, 7}, {28, 14, 6},
};
static const unsigned char medium_rows[4][7] = {
    {28, 14, 7},
    {24, 12, 6, 3},
    {20, 10, 5},
    {32, 16, 8, 4, 2, 1},
};

static size_t model_count(size_t class, size_t usage)
{
    const unsigned char *row = class < 9 ? small_rows[class] : medium_rows[class & 3];
    size_t units = ng_class_units[class];
    while (row[1] != 0 && row[0] * (size_t)4 > usage)
        row++;
    size_t count = row[0];
    while (class >= 9 && units * count >= 65536)
        count = count / 2;
    return count;
}

static size_t pages_for(size_t bytes, size_t page)
{
    return bytes / page + (bytes % page != 0);
}

/* Where four times the count is above the usage: by class modulo 4, if the cells have more pages
 * than so many, the count becomes this. The first row that fits. */
static const struct {
    size_t remainder, pages, count;
} reductions[] = {{1, 8, 2}, {2, 4, 3}, {0, 8, 3}, {0, 2, 5}};

static size_t model_reduced(size_t class, size_t count, size_t page)
{
    size_t cells = count * ng_class_units[class] * 16;
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        if (class % 4 == reductions[i].remainder && cells > reductions[i].pages * page)
            return reductions[i].count;
    return count;
}

static struct ng_plan model_plan(const struct ng_demand *demand)
{
    size_t cell = ng_class_units[demand->class] * (size_t)16, page = demand->page_bytes;
    size_t count = model_count(demand->class, demand->usage);
    if (count == 1 && 2 * (cell + 16) <= page)
        count = 2;
    if (2 * (count * cell + 16) <= page)
        return (struct ng_plan){(unsigned)count, (unsigned)count, 0};

    size_t usage = demand->usage;
    if (demand->class < 32 && demand->class % 2 == 0)
        usage += demand->coarse_usage;
    if (!demand->bouncing && 4 * count > usage)
        count = model_reduced(demand->class, count, page);
    size_t pages = pages_for(count * cell + 16, page);
    size_t alone = pages_for(demand->request + 20, page);
    bool saves_memory = alone * page < cell + 16;
    bool saves_cells = alone >= 4 && 2 * count > usage;
    if (!demand->bouncing && count < 8 && (saves_memory || saves_cells)) {
        count = 1;
        pages = alone;
    }
    unsigned active = 1; /* those whose ends lie in the first 4 KiB */
    while (active < count && 16 + (active + 1) * cell <= 4096)
        active++;
    return (struct ng_plan){(unsigned)count, active, pages * page};
}

/* ---- Over all demands ---------------------------------------------------------------------- */

static void assert_is_planned_as_in_the_model(const struct ng_demand *demand)
{
    struct ng_plan plan = ng_plan_group(demand), model = model_plan(demand);
    if (plan.count == model.count && plan.active == model.active &&
        plan.mapped_bytes == model.mapped_bytes)
        return;
    fail_msg("class %zu, request %zu, usage %zu + %zu, bouncing %d, pages of %zu: "
             "%u cells, %u active, %zu mapped; and not %u, %u, %zu",
             demand->class, demand->request, demand->usage, demand->coarse_usage, demand->bouncing,
             demand->page_bytes, plan.count, plan.active, plan.mapped_bytes, model.count,
             model.active, model.mapped_bytes);
}

static void assert_can_be_a_group(const struct ng_demand *demand)
{
    struct ng_plan plan = ng_plan_group(demand);
    size_t page = demand->page_bytes;
    assert_in_range(plan.count, 1, NG_MOST_CELLS);
    assert_in_range(plan.active, 1, plan.count);
    assert_true(plan.count * ng_class_bytes(demand->class) < (size_t)1 << 20);
    if (plan.mapped_bytes == 0) {
        assert_true(plan.count > 1 && plan.active == plan.count);
        assert_true(ng_group_bytes(demand->class, plan.count) <= page / 2);
        return;
    }
    assert_true(plan.mapped_bytes % page == 0);
    assert_true(plan.mapped_bytes >= NG_UNIT + demand->request + NG_HEADER_BYTES);
    size_t unreduced = ng_plan_count(demand->class, demand->usage);
    assert_true(ng_group_bytes(demand->class, (unsigned)max_size(unreduced, 2)) > page / 2);
    if (plan.count > 1)
        assert_true(plan.mapped_bytes >= ng_group_bytes(demand->class, plan.count));
}

/* Calls judge() of every demand that could make a difference: requests at the edges of the class
 * and of pages inside it, usages up to where nothing changes any more and some huge ones. */
static void for_all_demands(void (*judge)(const struct ng_demand *), size_t class)
{
    static const size_t coarse_usages[] = {0, 1, 3, 7, 12, 15, 28, 64, 127, 128, 1000000};
    static const size_t huge_usages[] = {4095, 65536, (size_t)1 << 32, SIZE_MAX / 4};
    const size_t usages = LEAST_FULL_USAGE + 2 + sizeof huge_usages / sizeof *huge_usages;
    size_t least = class == 0 ? 0 : ng_class_bytes(class - 1) - NG_HEADER_BYTES + 1;
    size_t most = min_size(ng_class_bytes(class) - NG_HEADER_BYTES, NG_LARGE_BYTES - 1);
    /* An even class below may be served by this one, with requests of its own. */
    size_t coarse_least = class < 2 ? 0 : ng_class_bytes(class - 2) - NG_HEADER_BYTES + 1;
    for (size_t i = 0; i < PAGE_SIZES * 2 * usages; i++) {
        struct ng_demand demand = {.class = class, .page_bytes = page_sizes[i % PAGE_SIZES]};
        demand.bouncing = i / PAGE_SIZES % 2 != 0;
        size_t n = i / PAGE_SIZES / 2;
        demand.usage = n < LEAST_FULL_USAGE + 2 ? n : huge_usages[n - LEAST_FULL_USAGE - 2];
        size_t page_edge = round_down(most + 20, demand.page_bytes) - 20;
        const size_t requests[] = {least,        (least + most) / 2, most - 1,     most,
                                   coarse_least, page_edge,          page_edge + 1};
        for (size_t j = 0; j < sizeof requests / sizeof *requests; j++) {
            if (requests[j] < coarse_least || requests[j] > most)
                continue; /* no page's edge is in the class */
            demand.request = requests[j];
            for (size_t k = 0; k < sizeof coarse_usages / sizeof *coarse_usages; k++) {
                demand.coarse_usage = coarse_usages[k];
                judge(&demand);
            }
        }
    }
}

static void plans_are_those_of_the_model(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++)
        for_all_demands(assert_is_planned_as_in_the_model, class);
}

static void every_plan_can_be_a_group(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++)
        for_all_demands(assert_can_be_a_group, class);
}

/* Each request of a class, one usage of each kind: the mapping of its exact size is larger by a
 * page where the request is by a byte. */
static void every_request_is_planned_as_in_the_model(void **state)
{
    (void)state;
    static const size_t usages[] = {0, 3, 10};
    for (size_t request = 0; request < NG_LARGE_BYTES; request++) {
        for (size_t i = 0; i < 3 * PAGE_SIZES; i++) {
            const struct ng_demand demand = {
                .class = ng_class_for(request),
                .request = request,
                .usage = usages[i / PAGE_SIZES],
                .page_bytes = page_sizes[i % PAGE_SIZES],
            };
            assert_is_planned_as_in_the_model(&demand);
        }
    }
}

/* ---- Parts of it --------------------------------------------------------------------------- */

static void counts_are_those_of_the_model(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        for (size_t usage = 0; usage < 2 * LEAST_FULL_USAGE; usage++)
            assert_int_equal(ng_plan_count(class, usage), model_count(class, usage));
        assert_int_equal(ng_plan_count(class, SIZE_MAX), model_count(class, SIZE_MAX));
    }
}

static void counts_grow_with_usage(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++)
        for (size_t usage = 0; usage < 2 * LEAST_FULL_USAGE; usage++)
            assert_true(ng_plan_count(class, usage) <= ng_plan_count(class, usage + 1));
}

/* Up to the cell behind which the next one crosses 4 KiB, counted from the group's start. */
static unsigned model_activation(size_t class, unsigned active, unsigned count)
{
    size_t cell = ng_class_bytes(class);
    for (unsigned more = active + 1; more < count; more++) {
        size_t first_byte = 16 + more * cell;
        if (first_byte / 4096 != (first_byte + cell - 1) / 4096)
            return more;
    }
    return count;
}

static void cells_are_activated_up_to_the_next_4_kib(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        for (unsigned count = 2; count <= NG_MOST_CELLS; count++) {
            for (unsigned active = 1; active < count; active++) {
                unsigned more = ng_plan_activation(class, active, count);
                assert_in_range(more, active + 1, count);
                assert_int_equal(more, model_activation(class, active, count));
            }
        }
    }
}

static void activation_comes_to_all_cells(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        unsigned active = 1, steps = 0;
        for (; active < NG_MOST_CELLS; steps++)
            active = ng_plan_activation(class, active, NG_MOST_CELLS);
        assert_int_equal(active, NG_MOST_CELLS);
        /* A step is a page of cells, or a cell. */
        size_t bytes = ng_group_bytes(class, NG_MOST_CELLS);
        assert_true(steps <= bytes / NG_STEP_BYTES + 1);
    }
}

/* ---- Coarse classes ------------------------------------------------------------------------ */

static const size_t coarse_classes[] = {4, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};

static bool has_a_coarse_class(size_t class)
{
    for (size_t i = 0; i < sizeof coarse_classes / sizeof *coarse_classes; i++)
        if (coarse_classes[i] == class)
            return true;
    return false;
}

static void even_classes_from_4_to_30_but_6_are_coarse_at_first(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        for (size_t usage = 0; usage <= 40; usage++) {
            bool may_be = has_a_coarse_class(class);
            assert_int_equal(ng_plan_is_coarse(class, usage, false), may_be && usage <= 12);
            assert_int_equal(ng_plan_is_coarse(class, usage, true), may_be && usage <= 9);
        }
    }
}

/* Of the class behind: whether it has a group, and one with free cells. */
enum next_class { NO_GROUP, A_FULL_GROUP, FREED_CELLS, READY_CELLS, NEXT_CLASSES };

static void prepare_next_class(struct context *context, struct group *group, size_t next,
                               enum next_class kind)
{
    group->avail = kind == READY_CELLS;
    group->freed = kind == FREED_CELLS;
    context->active[next] = kind == NO_GROUP ? NULL : group;
}

static void a_context_serves_by_the_next_class_while_it_has_none_of_its_own(void **state)
{
    (void)state;
    static struct context context;
    static struct group own, others;
    for (size_t class = 0; class + 1 < NG_CLASSES; class++) {
        size_t request = ng_class_bytes(class) - NG_HEADER_BYTES;
        for (size_t usage = 0; usage <= 40; usage++) {
            for (enum next_class kind = NO_GROUP; kind < NEXT_CLASSES; kind++) {
                context = (struct context){0};
                prepare_next_class(&context, &others, class + 1, kind);
                context.usage[class + 1] = (uint32_t)usage;
                size_t counted = kind < FREED_CELLS ? usage + 3 : usage;
                bool coarse = has_a_coarse_class(class) && counted <= 12;
                assert_int_equal(ng_serving_class(&context, request), class + coarse);
                context.usage[class] = 1; /* though its groups have no free cell */
                assert_int_equal(ng_serving_class(&context, request), class);
                context.usage[class] = 0;
                context.active[class] = &own;
                assert_int_equal(ng_serving_class(&context, request), class);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_those_of_the_model),
        cmocka_unit_test(every_plan_can_be_a_group),
        cmocka_unit_test(every_request_is_planned_as_in_the_model),
        cmocka_unit_test(counts_are_those_of_the_model),
        cmocka_unit_test(counts_grow_with_usage),
        cmocka_unit_test(cells_are_activated_up_to_the_next_4_kib),
        cmocka_unit_test(activation_comes_to_all_cells),
        cmocka_unit_test(even_classes_from_4_to_30_but_6_are_coarse_at_first),
        cmocka_unit_test(a_context_serves_by_the_next_class_while_it_has_none_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
