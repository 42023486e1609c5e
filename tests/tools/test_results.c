/*
 * Results as JSON: what is written is read back, and whatever else may be in a file is refused with
 * one line that names it.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_tests.h"
#include "made_results.h"
#include "measure/results_json.h"

#define PATH_CHARS 64

static char folder[PATH_CHARS] = "/tmp/duet-results-XXXXXX";
static char file[PATH_CHARS + 16];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof file, "%s/results.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

/* ---- Results that have something of everything ----------------------------------------------- */

enum { ALLOCATORS = 3, RUNS = 3 };

/* Figures as clocks and kernels give them: nanoseconds, microseconds, whole numbers. */
static void fill(struct series *series, unsigned count, unsigned seed)
{
    make_runs(series, count, 1, 4096, 0);
    for (unsigned i = 0; i < count; i++) {
        double *of = series->costs[i].of;
        unsigned number = seed * 7919 + i * 104729 + 1;
        of[METRIC_WALL] = (1000000000.0 + number * 12347) / 1e9;
        of[METRIC_USER] = (900000.0 + number) / 1e6;
        of[METRIC_SYSTEM] = i == 0 ? 0 : number / 1e6;
        of[METRIC_PEAK_RSS] = 4096 + number;
        of[METRIC_FAULTS] = number;
        of[METRIC_END_RSS] = 0;
    }
}

static struct results *make_mixture(char **words)
{
    struct results *results = make_results(words, RUNS);

    results->quick = true;
    results->whole = false;
    make_allocator(results, ALLOCATOR_LIBC, "glibc");
    make_allocator(results, ALLOCATOR_DUET, "smp");
    make_allocator(results, ALLOCATOR_GIVEN, "a_b\"<x>$(y)\\é'");
    results->allocators.all[1].version[0] = '\0';
    results->base = 1;

    struct trial *trial = make_trial(results, "larson", 2, COUNTS_TIME | COUNTS_MEMORY);
    for (unsigned k = 0; k < ALLOCATORS; k++)
        fill(&trial->series[k], RUNS, k);
    trial = make_trial(results, "idle", 0, COUNTS_MEMORY | COUNTS_END_RSS);
    trial->program = true;
    snprintf(trial->own_malloc, sizeof trial->own_malloc, "libown.so.2");
    snprintf(trial->stray_malloc, sizeof trial->stray_malloc, "libstray.so");
    trial->base_status = 7;
    fill(&trial->series[0], 2, 5);
    make_failure(&trial->series[0], OUTCOME_CRASH, 11, "free(): \"invalid\" <pointer>\\");
    fill(&trial->series[1], RUNS, 6);
    for (unsigned i = 0; i < RUNS; i++)
        trial->series[1].costs[i].of[METRIC_END_RSS] = 1234 + i;
    return results; /* the third was not run yet */
}

static void write_results(const struct results *results)
{
    FILE *stream = fopen(file, "w");

    assert_non_null(stream);
    assert_true(results_json_write(stream, results));
    assert_int_equal(fclose(stream), 0);
}

/* The file as a string. */
static char *read_file(void)
{
    struct stat facts;
    FILE *stream = fopen(file, "r");

    assert_non_null(stream);
    assert_int_equal(fstat(fileno(stream), &facts), 0);
    char *text = calloc(1, (size_t)facts.st_size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)facts.st_size, stream), facts.st_size);
    fclose(stream);
    return text;
}

static void write_file(const char *text, size_t bytes)
{
    FILE *stream = fopen(file, "w");

    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, bytes, stream), bytes);
    assert_int_equal(fclose(stream), 0);
}

/* ---- There and back -------------------------------------------------------------------------- */

static void assert_same_series(const struct series *a, const struct series *b)
{
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->detail, b->detail);
    assert_string_equal(a->note, b->note);
    assert_int_equal(a->count, b->count);
    for (unsigned i = 0; i < a->count; i++)
        assert_memory_equal(&a->costs[i], &b->costs[i], sizeof a->costs[i]);
}

static void assert_same_trials(const struct results *a, const struct results *b)
{
    assert_int_equal(a->count, b->count);
    for (unsigned i = 0; i < a->count; i++) {
        const struct trial *one = &a->trials[i];
        const struct trial *other = &b->trials[i];
        assert_string_equal(one->workload, other->workload);
        assert_string_equal(one->own_malloc, other->own_malloc);
        assert_string_equal(one->stray_malloc, other->stray_malloc);
        assert_int_equal(one->base_status, other->base_status);
        assert_int_equal(one->threads, other->threads);
        assert_int_equal(one->counts, other->counts);
        assert_int_equal(one->program, other->program);
        for (unsigned k = 0; k < ALLOCATORS; k++)
            assert_same_series(&one->series[k], &other->series[k]);
    }
}

static void assert_same_heads(const struct results *a, const struct results *b)
{
    assert_string_equal(a->command, b->command);
    assert_string_equal(a->started, b->started);
    assert_int_equal(a->runs, b->runs);
    assert_int_equal(a->quick, b->quick);
    assert_int_equal(a->whole, b->whole);
    assert_float_equal(a->elapsed_s, b->elapsed_s, 0);
    assert_int_equal(a->base, b->base);
    assert_string_equal(a->machine.cpu, b->machine.cpu);
    assert_int_equal(a->machine.cpus, b->machine.cpus);
    assert_string_equal(a->machine.kernel, b->machine.kernel);
    assert_string_equal(a->machine.libc, b->machine.libc);
    assert_string_equal(a->machine.page_text, b->machine.page_text);
    assert_int_equal(a->machine.memory_bytes, b->machine.memory_bytes);
    assert_string_equal(a->machine.duet, b->machine.duet);
    assert_int_equal(a->allocators.count, b->allocators.count);
    for (unsigned k = 0; k < ALLOCATORS; k++) {
        assert_int_equal(a->allocators.all[k].kind, b->allocators.all[k].kind);
        assert_string_equal(a->allocators.all[k].name, b->allocators.all[k].name);
        assert_string_equal(a->allocators.all[k].version, b->allocators.all[k].version);
        assert_string_equal(a->allocators.all[k].path, b->allocators.all[k].path);
    }
}

static void there_and_back(char **words)
{
    struct results *made = make_mixture(words);
    struct results *read = calloc(1, sizeof *read);
    assert_non_null(read);
    write_results(made);
    char *first = read_file();

    assert_true(results_json_read(file, read));
    assert_same_heads(made, read);
    assert_same_trials(made, read);
    if (words == NULL)
        assert_null(read->words);
    for (unsigned i = 0; words != NULL && (i == 0 || words[i - 1] != NULL); i++) {
        if (words[i] == NULL)
            assert_null(read->words[i]);
        else
            assert_string_equal(words[i], read->words[i]);
    }

    write_results(read);
    char *second = read_file();
    assert_string_equal(first, second);
    free(first);
    free(second);
    free(read->words);
    drop_results(read);
    drop_results(made);
}

static void a_bench_is_read_back(void **state)
{
    (void)state;
    there_and_back(NULL);
}

static void a_compare_is_read_back(void **state)
{
    (void)state;
    char *words[] = {(char[]){"gcc"}, (char[]){""}, (char[]){"a \"b\"\n\\ <é> $(c)"}, NULL};
    there_and_back(words);
}

/* Each entry begins a line and has the fields that are promised. */
static void entries_have_lines(void **state)
{
    (void)state;
    static const char *const promised[] = {"workload", "threads", "allocator",    "wall_s",
                                           "user_s",   "sys_s",   "peak_rss_kib", "runs",
                                           "status",   "samples", "over_base"};
    struct results *made = make_mixture(NULL);
    unsigned entries = 0;

    write_results(made);
    char *text = read_file();
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "    {\"workload\"", strlen("    {\"workload\"")) != 0)
            continue;
        entries++;
        for (size_t i = 0; i < sizeof promised / sizeof *promised; i++) {
            char key[32];
            snprintf(key, sizeof key, "\"%s\": ", promised[i]);
            assert_non_null(strstr(line, key));
        }
    }
    assert_int_equal(entries, 2 * ALLOCATORS);
    free(text);
    drop_results(made);
}

/* ---- Whatever else may be in a file ---------------------------------------------------------- */

/* Reads the file at the path and puts what was said in `said`. */
static bool read_and_listen(const char *path, char *said, size_t capacity)
{
    struct results *read = calloc(1, sizeof *read);
    FILE *messages = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(read);
    assert_non_null(messages);
    assert_true(saved >= 0);

    fflush(stderr);
    dup2(fileno(messages), STDERR_FILENO);
    bool good = results_json_read(path, read);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(messages);
    said[fread(said, 1, capacity - 1, messages)] = '\0';
    fclose(messages);
    if (good) {
        free(read->words);
        results_free(read);
    }
    free(read);
    return good;
}

/* It is refused, with one line that names the file and has the words in it. */
static void assert_refused(const char *path, const char *words)
{
    char said[1024];

    if (read_and_listen(path, said, sizeof said))
        fail_msg("taken, though %s", words);
    char *end = strchr(said, '\n');
    if (end == NULL || end[1] != '\0' || strstr(said, path) == NULL || strstr(said, words) == NULL)
        fail_msg("said \"%s\", not \"%s\"", said, words);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct results *made = make_mixture(NULL);

    write_results(made);
    char *text = read_file();
    /* All but the end of line matters. A prime step meets every kind of place. */
    const size_t step = 7;
    for (size_t bytes = 0; bytes + 1 < strlen(text); bytes += step) {
        write_file(text, bytes);
        assert_refused(file, "no JSON");
    }
    free(text);
    drop_results(made);
}

/* Whether a key is worked out from the rest, so that a reader may do without. */
static bool is_derived(const char *text, const char *at)
{
    static const char *const keys[] = {
        "\"over_base\"", "\"over_best_other\"", "\"means\"", "\"median\"",  "\"low\"",
        "\"high\"",      "\"confidence\"",      "\"time\":", "\"memory\":", "\"workloads\""};
    /* The last line of all entries. */
    const char *means = strstr(text, "\"means\"");

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strncmp(at, keys[i], strlen(keys[i])) == 0)
            return true;
    }
    return means != NULL && at > means;
}

/* The medians of an entry stand between its allocator and its runs, and what they are over the
 * base's before its samples. */
static bool is_in_derived_part(const char *text, const char *at)
{
    const char *last = NULL;
    bool derived = false;

    for (const char *next = text; (next = strchr(next, '"')) != NULL && next < at; next++) {
        if (strncmp(next, "\"allocator\":", 12) == 0 || strncmp(next, "\"over_base\":", 12) == 0)
            last = next;
        if (strncmp(next, "\"runs\":", 7) == 0 || strncmp(next, "\"samples\":", 10) == 0)
            last = NULL;
    }
    for (int i = 0; i < METRIC_COUNT && last != NULL; i++)
        derived |= strncmp(at + 1, metrics[i].key, strlen(metrics[i].key)) == 0;
    return derived;
}

static void every_lost_key_is_refused(void **state)
{
    (void)state;
    struct results *made = make_mixture(NULL);
    unsigned lost = 0;

    write_results(made);
    char *text = read_file();
    size_t bytes = strlen(text);
    for (char *at = text; (at = strchr(at, '"')) != NULL; at++) {
        size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        bool is_key = length > 0 && strncmp(at + 1 + length, "\":", 2) == 0;
        if (!is_key || is_derived(text, at) || is_in_derived_part(text, at))
            continue;
        char letter = at[1];
        at[1] = 'Q';
        write_file(text, bytes);
        assert_refused(file, strncmp(at + 2, "ormat", 5) == 0 || strncmp(at + 2, "esults", 6) == 0
                                 ? "this is no file of duet"
                                 : "is missing");
        at[1] = letter;
        lost++;
    }
    assert_true(lost > 50);
    free(text);
    drop_results(made);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *words;
    } changes[] = {
        {"\"format\": 1", "\"format\": 2", "has format 2"},
        {"\"format\": 1", "\"format\": \"1\"", "no file of duet"},
        {"\"command\": \"bench\"", "\"command\": \"run\"", "'command' is missing, or no word"},
        {"\"runs\": 3", "\"runs\": 3.5", "'runs' is missing, or no whole number"},
        {"\"runs\": 3", "\"runs\": -3", "'runs' is out of range"},
        {"\"runs\": 3", "\"runs\": 3000000000", "'runs' is out of range"},
        {"\"runs\": 3", "\"runs\": 3, \"runs\": 3", "no JSON"},
        {"\"quick\": true", "\"quick\": 1", "'quick' is missing, or neither"},
        {"\"elapsed_s\": 12.", "\"elapsed_s\": -12.", "'elapsed_s' is out of range"},
        {"\"words\": null", "\"words\": [1]", "'words' has what is no string"},
        {"\"words\": null", "\"words\": []", "'words' is missing"},
        {"\"base\": \"smp\"", "\"base\": \"tea\"", "'base' names none"},
        {"\"name\": \"smp\"", "\"name\": \"glibc\"", "allocator 2: 'name' is that of another"},
        {"\"name\": \"smp\"", "\"name\": \"a-name-that-is-longer-than-any-may-be\"",
         "allocator 2: 'name' is too long"},
        {"\"name\": \"smp\"", "\"name\": 7", "allocator 2: 'name' is missing, or no string"},
        {"\"kind\": \"duet\"", "\"kind\": \"tea\"", "allocator 2: 'kind' is missing, or no word"},
        {"\"threads\": 2", "\"threads\": \"2\"", "result 1: 'threads' is missing, or no whole"},
        {"\"counts\": [\"time\"", "\"counts\": [\"tea\"", "result 1: 'counts' has what is no word"},
        {"\"counts\": [\"time\"", "\"counts\": [0", "result 1: 'counts' has what is no word"},
        {"\"kind\": \"pattern\"", "\"kind\": \"tea\"", "result 1: 'kind' is missing, or no word"},
        {"\"allocator\": \"glibc\"", "\"allocator\": \"smp\"", "result 1: 'allocator' is not"},
        {"\"status\": \"ok\"", "\"status\": \"tea\"", "result 1: 'status' is missing, or no word"},
        {"\"detail\": 0", "\"detail\": -1", "result 1: 'detail' is out of range"},
        {"\"runs\": 3, ", "\"runs\": 4, ", "result 1: 'wall_s' has not one figure for each run"},
        {"\"runs\": 3, ", "\"runs\": 1000000, ", "result 1: 'wall_s' has not one figure"},
        {"\"samples\": {\"wall_s\": [1.", "\"samples\": {\"wall_s\": [-1.",
         "result 1: 'wall_s' is out of range"},
        {"\"samples\": {\"wall_s\": [1.", "\"samples\": {\"wall_s\": [1e300, 1.",
         "result 1: 'wall_s' has not one figure"},
        {"\"samples\": {\"wall_s\": [", "\"samples\": {\"wall_s\": [null, ",
         "result 1: 'wall_s' has not one figure"},
        {"\"switches\": [0, 1, 2]", "\"switches\": [0, 1e16, 2]",
         "result 1: 'switches' is out of range"},
        {"\"switches\": [0, 1, 2]", "\"switches\": [0, true, 2]",
         "result 1: 'switches' is missing, or no number"},
        {"\"workload\": \"larson\"", "\"workload\": \"tea\"", "result 2: 'workload' is not that"},
        {"\"results\": [", "\"results\": [{}, ", "'results' has not one entry for each"},
        {"\"results\": [", "\"results\": [0, 0, 0, ", "result 1: 'workload' is missing"},
        {"\"allocators\": [", "\"allocators\": [0, ", "allocator 1: 'name' is missing"},
        {"\"machine\": {", "\"machine\": 7, \"x\": {", "'machine' is missing, or no object"},
    };
    struct results *made = make_mixture(NULL);

    write_results(made);
    char *text = read_file();
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *at = strstr(text, changes[i].from);
        char *changed = NULL;
        if (at == NULL)
            fail_msg("there is no %s", changes[i].from);
        assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, changes[i].to,
                             at + strlen(changes[i].from)) > 0);
        write_file(changed, strlen(changed));
        assert_refused(file, changes[i].words);
        free(changed);
    }
    free(text);
    drop_results(made);
}

static void foreign_files_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "{}", "{\"format\": 1}", "{\"results\": []}",
                                        "{\"format\": 1, \"results\": 7}"};
    static const char *const no_json[] = {
        "",     "\n", "null", "7", "\x7f\x45LF\x01", "\xff\xfe{}", "{\"a\": \"\x1b[31m\xff\"}",
        "{} {}"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(texts[i], strlen(texts[i]));
        assert_refused(file, "this is no file of duet compare or duet bench");
    }
    for (size_t i = 0; i < sizeof no_json / sizeof *no_json; i++) {
        write_file(no_json[i], strlen(no_json[i]));
        assert_refused(file, "no JSON");
    }
    write_file("{\"a\": \"\0\"}", 9);
    assert_refused(file, "no JSON");
    assert_refused("/no/such/file", "No such file");
    assert_refused(folder, "");
}

/* Nothing is written where nothing can be. */
static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    struct results *made = make_mixture(NULL);
    FILE *stream = fopen("/dev/full", "w");

    assert_non_null(stream);
    bool written = results_json_write(stream, made);
    assert_true(!written | (fclose(stream) != 0));
    drop_results(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bench_is_read_back),
        cmocka_unit_test(a_compare_is_read_back),
        cmocka_unit_test(entries_have_lines),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_lost_key_is_refused),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests_name("results", tests, make_folder, remove_folder);
}
