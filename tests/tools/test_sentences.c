/*
 * What is said of figures, to the letter; and that tables fit a terminal.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_tests.h"
#include "common/format.h"
#include "made_results.h"
#include "present/results_text.h"
#include "present/sentences.h"

static char *words[] = {(char[]){"program"}, (char[]){"argument"}, NULL};

#define QUIET 0.002
#define NOISY 0.05

enum { RUNS = 9, FEW_RUNS = 4 };

/* A compare of glibc, which takes 1 s and 10,000 KiB, and of others that are still to be filled
 * in. */
static struct results *make_compare(unsigned others)
{
    static const char *const names[] = {"smp", "ng", "tea"};
    struct results *results = make_results(words, RUNS);

    make_allocator(results, ALLOCATOR_LIBC, "glibc");
    for (unsigned i = 0; i < others; i++)
        make_allocator(results, i < 2 ? ALLOCATOR_DUET : ALLOCATOR_KNOWN, names[i]);
    make_trial(results, "program", 0, COUNTS_TIME | COUNTS_MEMORY);
    make_runs(&results->trials[0].series[0], RUNS, 1, 10000, QUIET);
    return results;
}

/* A compare of glibc and smp. */
static struct results *make_pair(double wall, double rss, double spread, unsigned runs)
{
    struct results *results = make_compare(1);

    make_runs(&results->trials[0].series[1], runs, wall, rss, spread);
    return results;
}

/* Drops the results. */
static void assert_said(struct results *results, const char *said)
{
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    assert_non_null(stream);
    sentences_print_some(stream, results, SENTENCES_ALL, glyphs_for_files(), "", "\n");
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, said);
    free(text);
    drop_results(results);
}

#define QUIETLY                                                                                    \
    "Differences in time below 1 %, and in memory below 1 %, could not be told from noise.\n"

static void differences_are_told(void **state)
{
    (void)state;
    assert_said(make_pair(0.92, 7900, QUIET, RUNS),
                "smp: 8 % faster and 21 % smaller than glibc.\n" QUIETLY
                "Take smp: none was measurably faster or smaller.\n");
    assert_said(make_pair(0.92, 14000, QUIET, RUNS),
                "smp: 8 % faster but 40 % larger than glibc.\n" QUIETLY
                "When time matters, take smp; no other was measurably smaller than glibc.\n");
    assert_said(make_pair(1.5, 12000, QUIET, RUNS),
                "smp: 50 % slower and 20 % larger than glibc.\n" QUIETLY
                "There is no reason to leave glibc: none was measurably faster or smaller.\n");
    assert_said(make_pair(3.1, 21000, QUIET, RUNS),
                "smp: 3.1 times as slow and 2.1 times as large as glibc.\n" QUIETLY
                "There is no reason to leave glibc: none was measurably faster or smaller.\n");
    assert_said(make_pair(3.1, 7900, QUIET, RUNS),
                "smp: 3.1 times as slow as glibc, but 21 % smaller.\n" QUIETLY
                "No other was measurably faster than glibc; when memory matters, take smp.\n");
    assert_said(make_pair(0.001, 10000, QUIET, RUNS),
                "smp: >99 % faster than glibc, and as large within the noise (± 1 %).\n" QUIETLY
                "Take smp: none was measurably faster or smaller.\n");
}

static void noise_is_no_difference(void **state)
{
    (void)state;
    assert_said(make_pair(1.005, 10050, QUIET, RUNS),
                "smp: as fast and as large as glibc within the noise (± 1 % and ± 1 %).\n" QUIETLY
                "It does not matter which one you take: in time and in memory none was measurably "
                "better than another.\n");
    assert_said(
        make_pair(0.97, 7000, NOISY, RUNS),
        "smp: as fast as glibc within the noise (± 4.8 %), and 30 % smaller.\n"
        "Differences in time below 4.8 %, and in memory below 4.8 %, could not be told from "
        "noise.\n"
        "Take smp: none was measurably faster or smaller.\n");
    assert_said(
        make_pair(1.02, 14000, NOISY, RUNS),
        "smp: as fast as glibc within the noise (± 4.8 %), but 40 % larger.\n"
        "Differences in time below 4.8 %, and in memory below 4.8 %, could not be told from "
        "noise.\n"
        "There is no reason to leave glibc: none was measurably faster or smaller.\n");
}

static void few_runs_tell_nothing(void **state)
{
    (void)state;
    assert_said(make_pair(0.5, 20000, QUIET, FEW_RUNS),
                "smp: 0.50 times the time and 2.00 times the memory of glibc, perhaps by chance.\n"
                "So few runs tell no difference from noise: take 8 or more.\n");
    assert_said(make_pair(0.5, 20000, QUIET, 1),
                "smp: 0.50 times the time and 2.00 times the memory of glibc, perhaps by chance.\n"
                "So few runs tell no difference from noise: take 8 or more.\n");
}

static void the_choice_is_among_all(void **state)
{
    (void)state;
    struct results *results = make_compare(3);
    struct series *series = results->trials[0].series;

    make_runs(&series[1], RUNS, 0.9, 10000, QUIET);
    make_runs(&series[2], RUNS, 1.1, 7000, QUIET);
    make_runs(&series[3], RUNS, 0.899, 12000, QUIET);
    assert_said(results, "smp: 10 % faster than glibc, and as large within the noise (± 1 %).\n"
                         "ng: 10 % slower but 30 % smaller than glibc.\n"
                         "tea: 10 % faster but 20 % larger than glibc.\n" QUIETLY
                         "When time matters, take tea or smp; when memory matters, take ng.\n");
}

static void failures_are_told(void **state)
{
    (void)state;
    static const struct {
        enum outcome outcome;
        int detail;
        const char *said;
    } failures[] = {
        {OUTCOME_CRASH, 11, "smp crashed (SIGSEGV) in its first run: no figure of it is used.\n"},
        {OUTCOME_CRASH, 999,
         "smp crashed (signal 999) in its first run: no figure of it is used.\n"},
        {OUTCOME_TIMEOUT, 0,
         "smp did not end in time in its first run: no figure of it is used.\n"},
        {OUTCOME_CORRUPT, 0,
         "smp did not keep what was written into its memory in its first run: no figure of it is "
         "used.\n"},
        {OUTCOME_STATUS, 3,
         "smp ended with exit status 3 in its first run, other than under glibc: no figure of it "
         "is used.\n"},
        {OUTCOME_OUTPUT, 0,
         "smp wrote something else in its first run, other than under glibc: no figure of it is "
         "used.\n"},
        {OUTCOME_NOT_LOADED, 0,
         "smp was not loaded, or its malloc was not the program's, in its first run: no figure of "
         "it is used.\n"},
        {OUTCOME_NO_MEMORY, 0,
         "smp had no memory to give in its first run: no figure of it is used.\n"},
    };

    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct results *results = make_compare(1);
        char said[512];
        make_failure(&results->trials[0].series[1], failures[i].outcome, failures[i].detail, "");
        snprintf(said, sizeof said, "%sThere is nothing to compare: glibc alone came through.\n",
                 failures[i].said);
        assert_said(results, said);
    }
}

static void a_late_failure_spoils_all_its_runs(void **state)
{
    (void)state;
    struct results *results = make_pair(0.5, 5000, QUIET, 3);

    results->trials[0].series[1].outcome = OUTCOME_CRASH;
    results->trials[0].series[1].detail = 6;
    assert_said(results,
                "smp crashed (SIGABRT) after 3 runs that went well: no figure of it is used.\n"
                "There is nothing to compare: glibc alone came through.\n");
}

static void a_base_that_failed_is_no_base(void **state)
{
    (void)state;
    struct results *results = make_compare(2);

    free(results->trials[0].series[0].costs);
    results->trials[0].series[0] = (struct series){0};
    make_failure(&results->trials[0].series[0], OUTCOME_CRASH, 11, "");
    make_runs(&results->trials[0].series[1], RUNS, 1, 10000, QUIET);
    make_runs(&results->trials[0].series[2], RUNS, 2, 5000, QUIET);
    assert_said(results, "glibc crashed (SIGSEGV) in its first run: no figure of it is used.\n"
                         "Without glibc there is nothing that ratios could be over.\n"
                         "When time matters, take smp; when memory matters, take ng.\n");
}

static void nothing_measured_is_told(void **state)
{
    (void)state;
    struct results *results = make_results(words, RUNS);

    make_allocator(results, ALLOCATOR_LIBC, "glibc");
    make_allocator(results, ALLOCATOR_DUET, "smp");
    make_trial(results, "program", 0, COUNTS_TIME | COUNTS_MEMORY);
    results->whole = false;
    assert_said(results, "It was interrupted: here is what was measured until then.\n"
                         "There is nothing to compare: nothing was measured.\n");
}

/* Three workloads: smp wins one and loses one against tea. */
static struct results *make_bench(unsigned runs)
{
    struct results *results = make_results(NULL, runs);
    const double walls[3][3] = {{1, 0.5, 1}, {1, 1.5, 0.75}, {1, 0.9, 0.9}};
    const double sizes[3][3] = {{1000, 1000, 2000}, {1000, 1000, 1000}, {1000, 500, 1000}};

    make_allocator(results, ALLOCATOR_LIBC, "glibc");
    make_allocator(results, ALLOCATOR_DUET, "smp");
    make_allocator(results, ALLOCATOR_KNOWN, "tea");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"larson", "idle", "perl"};
        struct trial *trial = make_trial(results, names[i], i == 0 ? 2 : 0,
                                         i == 2 ? COUNTS_TIME : COUNTS_TIME | COUNTS_MEMORY);
        for (unsigned k = 0; k < 3; k++)
            make_runs(&trial->series[k], runs, walls[i][k], sizes[i][k], QUIET);
    }
    return results;
}

static void a_bench_is_told_by_its_means(void **state)
{
    (void)state;
    /* Time over glibc: (0.5 x 1.5 x 0.9)^(1/3) = 0.877 and (1 x 0.75 x 0.9)^(1/3) = 0.877; over the
     * best other, smp: 0.5 x 2 x 1 = 1; tea: 2 x 0.75 x 1, whose third root is 1.145. */
    assert_said(
        make_bench(RUNS),
        "glibc: 44 % slower than the best other of each workload, and as large within the noise "
        "(± 1 %).\n"
        "smp: 12 % faster than glibc, and as large within the noise (± 1 %); as fast and as large "
        "as the best other of each workload within the noise (± 1 % and ± 1 %).\n"
        "tea: 12 % faster but 41 % larger than glibc; 14 % slower and 41 % larger than the best "
        "other of each workload.\n"
        "In time, beside the best other of each workload, smp is furthest ahead in larson ×2 (50 % "
        "faster than glibc), and furthest behind in idle (2.0 times as slow as tea).\n"
        "In memory, beside the best other of each workload, smp is nowhere measurably ahead, and "
        "nowhere measurably behind.\n"
        "In a single workload, differences in time below 1 %, and in memory below 1 %, could not "
        "be told from noise.\n"
        "Take smp: none was measurably faster or smaller.\n");
}

static void a_short_bench_claims_nothing(void **state)
{
    (void)state;
    assert_said(make_bench(3),
                "smp: 0.88 times the time and 1.00 times the memory of glibc, perhaps by chance.\n"
                "tea: 0.88 times the time and 1.41 times the memory of glibc, perhaps by chance.\n"
                "So few runs tell no difference from noise: take 8 or more.\n");
}

static void failures_of_a_bench_are_counted(void **state)
{
    (void)state;
    struct results *results = make_bench(RUNS);
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    results->trials[0].series[2].outcome = OUTCOME_TIMEOUT;
    results->trials[2].series[2].outcome = OUTCOME_CORRUPT;
    sentences_print_some(stream, results, SENTENCES_BUT_CHOICE, glyphs_for_files(), "", "\n");
    fclose(stream);
    const char *said =
        "tea failed in 2 of 3 workloads (timeout in larson ×2, corrupt in perl): its "
        "means are of the others.\n";
    assert_memory_equal(text, said, strlen(said));
    assert_non_null(strstr(text, "tea: 25 % faster than glibc, and as large"));
    free(text);
    drop_results(results);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static struct results *make_wide(char **program)
{
    struct results *results = make_results(program, RUNS);

    make_allocator(results, ALLOCATOR_LIBC, "glibc");
    for (unsigned k = 1; k < ALLOCATORS_MOST; k++) {
        char name[ALLOCATOR_NAME_CHARS];
        snprintf(name, sizeof name, "an-allocator-with-long-name-%02u", k);
        make_allocator(results, k % 2 == 0 ? ALLOCATOR_DUET : ALLOCATOR_GIVEN, name);
    }
    for (unsigned i = 0; i < (program != NULL ? 1u : 3u); i++) {
        struct trial *trial =
            make_trial(results, "a-workload-with-the-longest-name-of-all-that-are", 100000 + i,
                       COUNTS_TIME | COUNTS_MEMORY);
        for (unsigned k = 0; k < ALLOCATORS_MOST; k++)
            make_runs(&trial->series[k], RUNS, 1 + 1000.0 * k, 1e6 * (k + 1), NOISY);
        for (enum outcome outcome = OUTCOME_CRASH; outcome < OUTCOME_COUNT; outcome++) {
            trial->series[10 + outcome].count = 0;
            make_failure(&trial->series[10 + outcome], outcome, 250,
                         "a note that is so long that it does not fit into any line of any table, "
                         "not even on its own, as far as one can see from here, or from there");
        }
    }
    return results;
}

static void assert_lines_fit(void (*print)(FILE *, const struct results *, bool),
                             struct results *results)
{
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);
    unsigned lines = 0;

    assert_non_null(stream);
    print(stream, results, false);
    fclose(stream);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (text_columns(line) > TEXT_COLUMNS)
            fail_msg("%d columns: %s", text_columns(line), line);
        lines++;
    }
    assert_true(lines > ALLOCATORS_MOST);
    free(text);
    drop_results(results);
}

static void lines_fit_a_terminal(void **state)
{
    (void)state;
    /* Where there is none of the two, the other is tried twice. */
    const char *const locales[] = {"C", "C.UTF-8"};

    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        setlocale(LC_CTYPE, locales[i]);
        assert_lines_fit(results_text_compare, make_wide(words));
        assert_lines_fit(results_text_bench, make_wide(NULL));
        assert_lines_fit(results_text_bench, make_wide(NULL));
    }
    setlocale(LC_CTYPE, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_told),
        cmocka_unit_test(noise_is_no_difference),
        cmocka_unit_test(few_runs_tell_nothing),
        cmocka_unit_test(the_choice_is_among_all),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(a_late_failure_spoils_all_its_runs),
        cmocka_unit_test(a_base_that_failed_is_no_base),
        cmocka_unit_test(nothing_measured_is_told),
        cmocka_unit_test(a_bench_is_told_by_its_means),
        cmocka_unit_test(a_short_bench_claims_nothing),
        cmocka_unit_test(failures_of_a_bench_are_counted),
        cmocka_unit_test(lines_fit_a_terminal),
    };
    return cmocka_run_group_tests_name("sentences", tests, NULL, NULL);
}
