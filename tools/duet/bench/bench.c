/*
 * duet bench: words -> allocators and workloads -> a trial for each -> tables, sentences, files.
 *
 * Workloads are outermost, so that a bench that is interrupted can go on where it was. All that can
 * be found wrong is found before the first run.
 */
#include "bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench_progress.h"
#include "bench/curves.h"
#include "bench/resume.h"
#include "bench/selection.h"
#include "common/clock.h"
#include "common/output.h"
#include "common/say.h"
#include "common/words.h"
#include "measure/results_json.h"
#include "measure/trial.h"
#include "present/page.h"
#include "present/picture.h"
#include "present/results_text.h"
#include "trace/prepare.h"

/* Five: the fewest whose least and greatest are an interval of more than 90 %. */
#define RUNS_DEFAULT 5
#define RUNS_MOST 1000
#define LIMIT_MOST_S 86400
#define PERCENT_MOST 10000

/* A quick look: so many allocators, the C library's among them; as many runs as there is time for,
 * but no more than serve; and less than a minute for all of it, with what comes before and
 * after. */
#define QUICK_ALLOCATORS 4
#define QUICK_RUNS_MOST 40
#define QUICK_SECONDS 55

#define PICTURE_COUNT 3

struct request {
    bool quick;
    bool list;
    bool curves;
    struct thread_counts counts;
    const char *with;
    const char *base;
    long runs; /* 0: not given */
    long percent;
    long limit_s;
    const char *threads; /* as given; NULL: not */
    const char *json_name;
    const char *html_name;
    const char *pictures_name; /* of a folder */
    char **names;
    int name_count;
};

struct outputs {
    struct output json; /* only where it goes to no ordinary file */
    struct output html;
    struct output pictures[PICTURE_COUNT];
    char picture_names[PICTURE_COUNT][PATH_MAX];
};

static const struct {
    enum picture picture;
    const char *file;
} picture_files[PICTURE_COUNT] = {
    {PICTURE_OVERVIEW, "overview.svg"},
    {PICTURE_TIME, "time.svg"},
    {PICTURE_MEMORY, "memory.svg"},
};

/* What a bench works with; of which there is one, and large. */
struct bench {
    struct request request;
    struct starter starter;
    struct suite suite;
    struct selection selection;
    struct results results;
    struct resume resume;
    struct outputs outputs;
    bool resumable; /* whether what is done is kept in a file */
    uint64_t start_ns;
    double elapsed_before_s; /* of an earlier bench that this one goes on from */
};

/* ---- Words ---------------------------------------------------------------------------------- */

static void print_help(void)
{
    printf(
        "usage: duet bench [--quick] [--threads LIST] [--with NAME|PATH|NAME=PATH,...] [--runs N]\n"
        "                  [--base NAME] [--json FILE] [--html FILE] [--pictures FOLDER] "
        "[NAME...]\n"
        "       duet bench --curves [--with LIST] [--runs N] [--json FILE] [--pictures FOLDER] "
        "[NAME...]\n"
        "       duet bench [--curves] --list\n"
        "\n"
        "Compares allocators by a suite of workloads: patterns of calls, real programs, traces.\n"
        "Each workload is run under one allocator after the other, in turn, and it is made sure\n"
        "that its malloc really is theirs and its memory as it should be.\n"
        "\n"
        "NAME is a workload, or a pattern of the shell's for several ('sh*'), or the file of a\n"
        "trace (NAME.trace); none: all.\n"
        "\n"
        "  -q, --quick         a quick look: eight workloads, %d allocators, within a minute\n"
        "  -T, --threads LIST  numbers of threads for those that take any (default: 1, as many\n"
        "                      as CPUs, four times as many)\n"
        "  -w, --with LIST     the allocators: names, or paths of libraries, or NAME=PATH, with\n"
        "                      commas between (default: all that duet compare --list has)\n"
        "  -n, --runs N        runs of each that count (default: %d)\n"
        "  -b, --base NAME     the one that others are compared with (default: the first)\n"
        "  -t, --timeout S     seconds for a run (default: 20 times the base's, and 10)\n"
        "  -P, --percent N     do so many percent of the work of patterns, traces and scripts; or\n"
        "                      measure curves for so many percent of their time\n"
        "  -j, --json FILE     write all figures there; an interrupted bench that is started\n"
        "                      again in the same way goes on from FILE.part; -: stdout\n"
        "  -m, --html FILE     write a page with tables, pictures and all figures\n"
        "  -p, --pictures FOLDER\n"
        "                      draw overview.svg, time.svg and memory.svg there; of curves, a\n"
        "                      picture each\n"
        "  -c, --curves        in place of workloads, measure what a malloc and its free cost "
        "over\n"
        "                      sizes from 8 bytes to 64 MiB, and over 1 to 100,000 cells at once;\n"
        "                      tell where the cost jumps. It takes some minutes\n"
        "  -l, --list          list the workloads, or the curves, and stop\n"
        "  -h, --help          print this\n"
        "\n"
        "The exit status is 0; %d if a run failed under an allocator; %d: interrupted; 125: duet\n"
        "itself failed.\n",
        QUICK_ALLOCATORS, RUNS_DEFAULT, STATUS_RUN_FAILED, STATUS_INTERRUPTED);
}

static bool take_number(long *number, const char *option, long most)
{
    *number = parse_number(option, optarg, 1, most);
    return *number > 0;
}

/* Takes one option in; PARSED_RUN: go on. */
static enum parsed take_option(struct request *request, int letter)
{
    bool good = true;

    switch (letter) {
    case 'q':
        request->quick = true;
        break;
    case 'T':
        request->threads = optarg;
        good = thread_counts_parse(&request->counts, optarg);
        break;
    case 'w':
        request->with = optarg;
        break;
    case 'n':
        good = take_number(&request->runs, "--runs", RUNS_MOST);
        break;
    case 'b':
        request->base = optarg;
        break;
    case 't':
        good = take_number(&request->limit_s, "--timeout", LIMIT_MOST_S);
        break;
    case 'P':
        good = take_number(&request->percent, "--percent", PERCENT_MOST);
        break;
    case 'j':
        good = parse_name(&request->json_name, "--json", optarg);
        break;
    case 'm':
        good = parse_name(&request->html_name, "--html", optarg);
        break;
    case 'p':
        good = parse_name(&request->pictures_name, "--pictures", optarg);
        break;
    case 'c':
        request->curves = true;
        break;
    case 'l':
        request->list = true;
        break;
    default:
        print_help();
        return PARSED_DONE;
    }
    return good ? PARSED_RUN : PARSED_WRONG;
}

/* Curves have one thread, no base and no page; and no quick look, but --percent. */
static enum parsed check_for_curves(const struct request *request)
{
    const char *refused = request->quick               ? "--quick"
                          : request->threads != NULL   ? "--threads"
                          : request->base != NULL      ? "--base"
                          : request->html_name != NULL ? "--html"
                                                       : NULL;

    if (refused == NULL)
        return PARSED_RUN;
    say_usage("%s is nothing for --curves", refused);
    return PARSED_WRONG;
}

static enum parsed parse(int word_count, char **words, struct request *request)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},         {"threads", required_argument, NULL, 'T'},
        {"with", required_argument, NULL, 'w'},    {"runs", required_argument, NULL, 'n'},
        {"base", required_argument, NULL, 'b'},    {"timeout", required_argument, NULL, 't'},
        {"percent", required_argument, NULL, 'P'}, {"json", required_argument, NULL, 'j'},
        {"html", required_argument, NULL, 'm'},    {"pictures", required_argument, NULL, 'p'},
        {"curves", no_argument, NULL, 'c'},        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    int letter;

    *request = (struct request){0};
    optind = 1;
    while ((letter = getopt_long(word_count, words, ":qT:w:n:b:t:P:j:m:p:clh", known, NULL)) !=
           -1) {
        if (letter == '?' || letter == ':') {
            say_refused(letter, word_count, words, known);
            return PARSED_WRONG;
        }
        enum parsed parsed = take_option(request, letter);
        if (parsed != PARSED_RUN)
            return parsed;
    }
    request->names = words + optind;
    request->name_count = word_count - optind;
    return request->curves ? check_for_curves(request) : PARSED_RUN;
}

/* ---- Before --------------------------------------------------------------------------------- */

static bool choose_allocators(struct results *results, const struct request *request)
{
    bool chosen = request->quick && request->with == NULL
                      ? allocators_choose_few(&results->allocators, QUICK_ALLOCATORS)
                      : allocators_choose(&results->allocators, request->with);
    return chosen && allocators_choose_base(&results->allocators, request->base, &results->base);
}

/* The words that say what is measured and how, in an order of their own: what an earlier bench has
 * done can be taken over if it had the same. */
static bool note_asked(struct results *results, const struct request *request)
{
    size_t bytes = 0;
    FILE *stream = open_memstream(&results->asked, &bytes);

    if (stream == NULL) {
        say("not enough memory for %d words", request->name_count);
        return false;
    }
    if (request->threads != NULL)
        fprintf(stream, " --threads %s", request->threads);
    if (request->percent > 0)
        fprintf(stream, " --percent %ld", request->percent);
    if (request->limit_s > 0)
        fprintf(stream, " --timeout %ld", request->limit_s);
    for (int i = 0; i < request->name_count; i++)
        fprintf(stream, " %s", request->names[i]);
    if (fclose(stream) != 0 || bytes == 0) {
        free(results->asked);
        results->asked = NULL;
    } else {
        memmove(results->asked, results->asked + 1, bytes);
    }
    return true;
}

static bool describe(struct results *results, const struct request *request)
{
    long runs = request->runs > 0 ? request->runs : request->quick ? QUICK_RUNS_MOST : RUNS_DEFAULT;

    *results = (struct results){
        .command = "bench", .runs = (unsigned)runs, .quick = request->quick, .whole = true};
    results_stamp(results);
    machine_look(&results->machine);
    return choose_allocators(results, request) && note_asked(results, request);
}

static bool select_workloads(struct bench *bench)
{
    const struct request *request = &bench->request;
    struct choice choice = {
        .names = request->names,
        .name_count = request->name_count,
        .quick = request->quick,
        .counts = request->threads != NULL ? &request->counts : NULL,
        .cpus = bench->results.machine.cpus,
        .percent = (unsigned)request->percent,
    };

    return selection_make(&bench->selection, &bench->suite, &choice);
}

/* Whether JSON under this name can be put in the place of what is there. */
static bool is_ordinary_name(const char *name)
{
    struct stat status;

    return !output_is_stdout(name) && (stat(name, &status) != 0 || S_ISREG(status.st_mode));
}

static bool open_pictures(struct outputs *outputs, const char *folder)
{
    bool good = true;

    for (int i = 0; folder != NULL && good && i < PICTURE_COUNT; i++)
        good = output_open_in(&outputs->pictures[i], folder, picture_files[i].file,
                              outputs->picture_names[i]);
    return good;
}

/* What is measured lies in files too: if one of them has changed, nothing can be taken over. */
static bool begin_to_resume(struct bench *bench)
{
    const struct selection *selection = &bench->selection;
    const char **files = calloc(selection->count + 3, sizeof *files);
    char player[PATH_MAX];
    unsigned count = 0;

    if (files == NULL || !player_find(player)) {
        free(files);
        return false;
    }
    files[count++] = player;
    files[count++] = bench->suite.workloads_path;
    for (unsigned i = 0; i < selection->count; i++) {
        const char *trace = bench->suite.all[selection->all[i].workload].trace;
        if (trace[0] != '\0')
            files[count++] = trace;
    }
    bool begun = resume_begin(&bench->resume, bench->request.json_name, &bench->results, files);
    free(files);
    return begun;
}

static bool open_outputs(struct bench *bench)
{
    const struct request *request = &bench->request;
    struct outputs *outputs = &bench->outputs;

    bench->resumable = request->json_name != NULL && is_ordinary_name(request->json_name);
    return ((request->html_name == NULL && request->pictures_name == NULL) || picture_possible()) &&
           output_open(&outputs->json, bench->resumable ? NULL : request->json_name) &&
           output_open(&outputs->html, request->html_name) &&
           open_pictures(outputs, request->pictures_name) &&
           (!bench->resumable || begin_to_resume(bench));
}

/* ---- After ---------------------------------------------------------------------------------- */

static void print_tables(const struct bench *bench)
{
    const struct request *request = &bench->request;
    bool taken = output_is_stdout(request->json_name) || output_is_stdout(request->html_name);
    FILE *stream = taken ? stderr : stdout;

    results_text_bench(stream, &bench->results,
                       isatty(fileno(stream)) && getenv("NO_COLOR") == NULL);
    fflush(stream);
}

static bool write_pictures(struct outputs *outputs, const struct results *results)
{
    bool good = true;

    for (int i = 0; i < PICTURE_COUNT; i++) {
        struct output *output = &outputs->pictures[i];
        if (!output_is_wanted(output))
            continue;
        FILE *stream = output_begin(output);
        good =
            stream != NULL &&
            output_end(output, stream, picture_write(stream, picture_files[i].picture, results)) &&
            good;
    }
    return good;
}

/* An interrupted bench that can be gone on with stays in its part. */
static bool write_json(struct bench *bench)
{
    struct output *output = &bench->outputs.json;

    if (bench->resumable)
        return !bench->results.whole || resume_finish(&bench->resume, &bench->results);
    if (!output_is_wanted(output))
        return true;
    FILE *stream = output_begin(output);
    return stream != NULL &&
           output_end(output, stream, results_json_write(stream, &bench->results));
}

static bool write_outputs(struct bench *bench)
{
    struct output *html = &bench->outputs.html;
    bool good = write_json(bench);

    /* The next one goes on from here, and draws it whole. */
    if (bench->resumable && !bench->results.whole)
        return good;
    if (output_is_wanted(html)) {
        FILE *stream = output_begin(html);
        good =
            stream != NULL && output_end(html, stream, page_write(stream, &bench->results)) && good;
    }
    return write_pictures(&bench->outputs, &bench->results) && good;
}

static void drop_outputs(struct outputs *outputs)
{
    output_drop(&outputs->json);
    output_drop(&outputs->html);
    for (int i = 0; i < PICTURE_COUNT; i++)
        output_drop(&outputs->pictures[i]);
}

/* ---- The bench ------------------------------------------------------------------------------ */

static double seconds_since(uint64_t start_ns)
{
    return (double)(now_ns() - start_ns) / 1e9;
}

/* The runs of one workload, and in a quick look its share of the time that is left. */
static struct plan make_plan(const struct bench *bench, const struct workload *workload,
                             unsigned done, struct bench_progress *progress)
{
    struct plan plan = {
        .runs = bench->results.runs,
        .limit_s = (double)bench->request.limit_s,
        .progress = bench_progress_run,
        .context = progress,
    };

    if (bench->request.runs == 0 && workload->runs_most > 0 && plan.runs > workload->runs_most)
        plan.runs = workload->runs_most;
    if (bench->request.quick) {
        double left = QUICK_SECONDS - seconds_since(bench->start_ns);
        unsigned to_come = bench->selection.count - done;
        plan.deadline_s = left > 1 ? left / to_come : 1;
    }
    return plan;
}

/* Measures one of the selection, or takes it over from an earlier bench. */
static enum trial_end run_one(struct bench *bench, unsigned place, struct bench_progress *progress)
{
    const struct selected *selected = &bench->selection.all[place];
    const struct workload *workload = &bench->suite.all[selected->workload];
    struct results *results = &bench->results;
    struct program program;
    struct call call = {0};

    if (bench->resumable &&
        resume_take(&bench->resume, results, workload->name, selected->threads, workload->counts)) {
        bench_progress_take(progress);
        return TRIAL_DONE;
    }
    struct trial *trial = results_add(results, workload->name, selected->threads, workload->counts,
                                      workload->kind != WORKLOAD_PATTERN);
    enum trial_end end = TRIAL_BROKEN;
    if (trial != NULL && suite_call(&bench->suite, workload, selected->threads, selected->percent,
                                    &call, &program)) {
        struct plan plan = make_plan(bench, workload, place, progress);
        bench_progress_trial(progress, trial);
        end = trial_run(&bench->starter, results, trial, &program, &plan);
        results->elapsed_s = bench->elapsed_before_s + seconds_since(bench->start_ns);
        if (end == TRIAL_DONE)
            bench_progress_done(progress, results, trial);
    }
    call_end(&call);
    if (end == TRIAL_DONE && bench->resumable) {
        results->whole = false;
        if (!resume_keep(&bench->resume, results))
            end = TRIAL_BROKEN;
        results->whole = true;
    }
    return end;
}

static enum trial_end run_all(struct bench *bench)
{
    enum trial_end end = TRIAL_DONE;
    struct bench_progress progress;

    if (bench->resumable && resume_count(&bench->resume) > 0) {
        say("going on from %s: %u of %u workloads are done", bench->resume.part,
            resume_count(&bench->resume), bench->selection.count);
        bench->elapsed_before_s = bench->resume.done.elapsed_s;
        memcpy(bench->results.started, bench->resume.done.started, sizeof bench->results.started);
    }
    bench_progress_begin(&progress, bench->selection.count);
    for (unsigned i = 0; end == TRIAL_DONE && i < bench->selection.count; i++)
        end = starter_interrupted() ? TRIAL_INTERRUPTED : run_one(bench, i, &progress);
    bench_progress_end(&progress);
    return end;
}

/* Whether the interrupted workload has no round that counts, or there is none. */
static bool last_is_empty(const struct results *results)
{
    for (unsigned i = 0; results->count > 0 && i < results->allocators.count; i++) {
        if (results->trials[results->count - 1].series[i].count > 0)
            return false;
    }
    return results->count > 0;
}

static void say_interrupted(const struct bench *bench)
{
    say("interrupted: what follows is of %u of %u workloads", bench->results.count,
        bench->selection.count);
    if (bench->resumable && bench->results.count > 0)
        say("%s has what is done; the same words again go on from there", bench->resume.part);
}

static int measure(struct bench *bench)
{
    enum trial_end end = run_all(bench);
    struct results *results = &bench->results;

    if (end == TRIAL_BROKEN)
        return STATUS_LAUNCHER_FAILED;
    if (end == TRIAL_INTERRUPTED) {
        results->whole = false;
        if (last_is_empty(results))
            results_drop_last(results);
        say_interrupted(bench);
        if (results->count == 0)
            return STATUS_INTERRUPTED;
    }
    print_tables(bench);
    if (!write_outputs(bench))
        return STATUS_LAUNCHER_FAILED;
    if (end == TRIAL_INTERRUPTED)
        return STATUS_INTERRUPTED;
    return results_failed(results) ? STATUS_RUN_FAILED : 0;
}

static int list_workloads(const struct bench *bench)
{
    struct thread_counts counts = bench->request.counts;
    struct machine machine;
    char text[THREAD_COUNTS_CHARS];

    machine_look(&machine);
    if (bench->request.threads == NULL)
        thread_counts_default(&counts, machine.cpus);
    thread_counts_print(&counts, text);
    suite_print(stdout, &bench->suite, text);
    return 0;
}

static int run_curves(struct bench *bench)
{
    const struct request *request = &bench->request;
    struct curves_request of_curves = {
        .list = request->list,
        .with = request->with,
        .runs = (unsigned)(request->runs > 0 ? request->runs : RUNS_DEFAULT),
        .percent = (unsigned)(request->percent > 0 ? request->percent : 100),
        .limit_s = (double)request->limit_s,
        .json_name = request->json_name,
        .pictures_name = request->pictures_name,
        .names = request->names,
        .name_count = request->name_count,
    };

    return curves_measure(&bench->starter, &of_curves);
}

static int run_bench(struct bench *bench)
{
    if (bench->request.curves)
        return run_curves(bench);
    if (!suite_load(&bench->suite, &bench->starter))
        return STATUS_LAUNCHER_FAILED;
    if (bench->request.list)
        return list_workloads(bench);
    if (!describe(&bench->results, &bench->request) || !select_workloads(bench) ||
        !open_outputs(bench))
        return STATUS_LAUNCHER_FAILED;
    return measure(bench);
}

int bench_command(int word_count, char **words)
{
    static struct bench bench = {.outputs = {.json.fd = -1,
                                             .html.fd = -1,
                                             .pictures = {{.fd = -1}, {.fd = -1}, {.fd = -1}}}};

    say_as("duet bench");
    bench.start_ns = now_ns();
    enum parsed parsed = parse(word_count, words, &bench.request);
    if (parsed != PARSED_RUN)
        return parsed == PARSED_DONE ? 0 : STATUS_LAUNCHER_FAILED;
    if (!starter_begin(&bench.starter))
        return STATUS_LAUNCHER_FAILED;
    int status = run_bench(&bench);
    drop_outputs(&bench.outputs);
    resume_free(&bench.resume);
    selection_free(&bench.selection);
    suite_free(&bench.suite);
    results_free(&bench.results);
    free(bench.results.asked);
    starter_end(&bench.starter);
    return status;
}
