/*
 * Curves: what runs write is taken in as it is or refused, and steps are found where they are.
 */
#include <jansson.h>
#include <string.h>

#include "made_results.h"
#include "measure/curves.h"
#include "measure/curves_json.h"

#define RUNS 5

static struct curves *make_curves(void)
{
    struct curves *curves = calloc(1, sizeof *curves);

    assert_non_null(curves);
    curves->results.command = "curves";
    curves->results.runs = RUNS;
    machine_look(&curves->results.machine);
    make_allocator(&curves->results, ALLOCATOR_LIBC, "glibc");
    make_allocator(&curves->results, ALLOCATOR_DUET, "duet");
    return curves;
}

static void drop_curves(struct curves *curves)
{
    curves_free(curves);
    free(curves);
}

/* As many good runs as there are reports. */
static void make_run(struct curves *curves, unsigned curve, unsigned allocator, const char *report)
{
    struct series *series = &curves->results.trials[curve].series[allocator];

    series->outcome = OUTCOME_FINE;
    assert_true(curve_take(curves, curve, allocator, series->count, report));
    series->count++;
}

static void steps_are_found(void **state)
{
    (void)state;
    struct curves *curves = make_curves();

    assert_true(curves_add(curves, "sizes", CURVE_BYTES, 0, "Some sizes."));
    /* All of a run is slower in another one, and the step is the same. */
    make_run(curves, 0, 0, "point 8 10\npoint 16 11\npoint 32 44\npoint 64 40\n");
    make_run(curves, 0, 0, "point 8 100\npoint 16 110\npoint 32 440\npoint 64 400\n");
    make_run(curves, 0, 0, "allocator x\npoint 8 1\npoint 16 1.1\npoint 32 4.4\npoint 64 4");

    struct curve_change step = curve_greatest_step(curves, 0, 0);
    assert_int_equal(step.of, 2);
    assert_int_equal(step.over, 1);
    assert_int_equal(step.ratio.count, 3);
    assert_float_equal(step.ratio.median, 4, 1e-9);
    assert_float_equal(step.ratio.high, 4, 1e-9);
    assert_int_equal(curve_cliffs(curves, 0, 0), 1);
    assert_float_equal(curve_cost(curves, 0, 0, 3).median, 40, 0);
    assert_int_equal(curve_most_over_reference(curves, 0, 0).ratio.count, 0);
    /* Nothing of who was not run. */
    assert_int_equal(curve_greatest_step(curves, 0, 1).ratio.count, 0);
    assert_int_equal(curve_cliffs(curves, 0, 1), 0);
    drop_curves(curves);
}

static void steps_down_count_as_well(void **state)
{
    (void)state;
    struct curves *curves = make_curves();

    assert_true(curves_add(curves, "sizes", CURVE_BYTES, 0, "Some sizes."));
    make_run(curves, 0, 1, "point 8 90\npoint 16 30\npoint 32 60\npoint 64 61\n");
    struct curve_change step = curve_greatest_step(curves, 0, 1);
    assert_int_equal(step.of, 0);
    assert_int_equal(step.over, 1);
    assert_float_equal(step.ratio.median, 3, 1e-9);
    assert_int_equal(curve_cliffs(curves, 0, 1), 1); /* exactly twice is none */
    drop_curves(curves);
}

static void the_reference_is_a_point(void **state)
{
    (void)state;
    struct curves *curves = make_curves();

    assert_true(curves_add(curves, "batches", CURVE_CELLS, 100, "Batches."));
    make_run(curves, 0, 0, "point 1 50\npoint 100 10\npoint 1000 12\npoint 10000 11\n");
    struct curve_change most = curve_most_over_reference(curves, 0, 0);
    assert_int_equal(most.of, 2);
    assert_int_equal(most.over, 1);
    assert_float_equal(most.ratio.median, 1.2, 1e-9);

    assert_true(curves_add(curves, "others", CURVE_CELLS, 100, "Without that point."));
    make_run(curves, 1, 0, "point 1 50\npoint 99 10\npoint 1000 12\n");
    assert_int_equal(curve_most_over_reference(curves, 1, 0).ratio.count, 0);
    drop_curves(curves);
}

static void other_reports_are_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "nothing\n",
        "point 8 1\n",                         /* too few */
        "point 8 1\npoint 16 2\npoint 32 3\n", /* too many */
        "point 8 1\npoint 17 2\n",             /* another one */
        "point 8 1\npoint 16 -2\n",
        "point 8 1\npoint 16 nan\n",
        "point 8 1\npoint 16 two\n",
        "point 8 1\npoint 16\n",
    };
    struct curves *curves = make_curves();

    assert_true(curves_add(curves, "sizes", CURVE_BYTES, 0, "Some sizes."));
    assert_false(curve_take(curves, 0, 0, 0, ""));
    make_run(curves, 0, 0, "point 8 1\npoint 16 2\n");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(curve_take(curves, 0, 1, 0, refused[i]));
    assert_true(curve_take(curves, 0, 1, 0, "point 8 1\npoint 16 2\n"));
    drop_curves(curves);
}

static void no_report_is_too_long(void **state)
{
    (void)state;
    static char report[(CURVE_POINTS_MOST + 10) * 32];
    struct curves *curves = make_curves();
    size_t used = 0;

    for (unsigned i = 1; i < CURVE_POINTS_MOST + 10; i++)
        used += (size_t)snprintf(report + used, sizeof report - used, "point %u 1\n", i);
    assert_true(curves_add(curves, "sizes", CURVE_BYTES, 0, "Some sizes."));
    assert_false(curve_take(curves, 0, 0, 0, report));
    drop_curves(curves);
}

static void json_has_all_of_it(void **state)
{
    (void)state;
    struct curves *curves = make_curves();
    json_error_t error;
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_true(curves_add(curves, "batches", CURVE_CELLS, 10, "Batches."));
    make_run(curves, 0, 0, "point 1 1\npoint 10 2\npoint 100 8\n");
    make_failure(&curves->results.trials[0].series[1], OUTCOME_CRASH, 11, "boom");
    assert_true(curves_json_write(file, curves));
    rewind(file);
    json_t *root = json_loadf(file, 0, &error);
    json_t *entry = json_array_get(json_object_get(root, "results"), 0);
    json_t *step = json_object_get(entry, "greatest_step");
    assert_int_equal(json_integer_value(json_object_get(step, "at")), 100);
    assert_int_equal(json_integer_value(json_object_get(step, "over")), 10);
    assert_float_equal(json_real_value(json_object_get(step, "median")), 4, 0);
    assert_int_equal(json_array_size(json_object_get(entry, "ns")), 3);
    assert_int_equal(json_array_size(json_object_get(entry, "samples")), 1);
    entry = json_array_get(json_object_get(root, "results"), 1);
    assert_string_equal(json_string_value(json_object_get(entry, "status")), "crash");
    assert_true(json_is_null(json_object_get(entry, "ns")));
    assert_true(json_is_null(json_object_get(entry, "greatest_step")));
    json_decref(root);
    fclose(file);
    drop_curves(curves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_found),          cmocka_unit_test(steps_down_count_as_well),
        cmocka_unit_test(the_reference_is_a_point), cmocka_unit_test(other_reports_are_refused),
        cmocka_unit_test(no_report_is_too_long),    cmocka_unit_test(json_has_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
