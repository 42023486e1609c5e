/*
 * duet compare: words -> allocators and program -> one trial -> table, sentences, files.
 *
 * All that can be found wrong is found before the program first runs.
 */
#include "compare/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/output.h"
#include "common/program.h"
#include "common/say.h"
#include "common/temporary.h"
#include "common/words.h"
#include "compare/input.h"
#include "measure/progress.h"
#include "measure/results_json.h"
#include "measure/traces.h"
#include "measure/trial.h"
#include "present/page.h"
#include "present/picture.h"
#include "present/results_text.h"

/* Twelve: the fewest of which an interval of 99 % leaves the least and the greatest out, so that
 * one run that something disturbed does not decide. */
#define RUNS_DEFAULT 12
#define RUNS_MOST 1000
#define LIMIT_MOST_S 86400

/* The exit status when a run failed under some allocator. */
#define STATUS_RUN_FAILED 1
#define STATUS_INTERRUPTED 130

struct request {
    const char *with;
    const char *base;
    const char *input;
    char *trace; /* played in place of a program; NULL: none */
    const char *json_name;
    const char *svg_name;
    const char *html_name;
    long runs;
    long limit_s; /* 0: by the base's time */
    bool any_output;
    char **command;
};

struct outputs {
    struct output json;
    struct output svg;
    struct output html;
};

/* ---- Words ---------------------------------------------------------------------------------- */

static void print_help(void)
{
    printf(
        "usage: duet compare [--with NAME|PATH|NAME=PATH,...] [--runs N] [--base NAME]\n"
        "                    [--json FILE] [--svg FILE] [--html FILE] [--] PROG [ARGS...]\n"
        "       duet compare [...] --replay TRACE\n"
        "\n"
        "Runs PROG under one allocator after the other, in turn, and tells which suits it: time,\n"
        "memory, page faults, context switches. Before anything is counted each is tried once,\n"
        "and it is made sure that PROG's malloc really is its.\n"
        "\n"
        "  -w, --with LIST     the allocators: names, or paths of libraries, or NAME=PATH, with\n"
        "                      commas between (default: all that --list has)\n"
        "  -n, --runs N        runs of each that count (default: %d)\n"
        "  -b, --base NAME     the one that others are compared with (default: the first)\n"
        "  -i, --input FILE    what PROG reads on its standard input, each time from the start\n"
        "                      (default: nothing); -: all that stdin has\n"
        "  -r, --replay TRACE  play what duet record has written, instead of running a PROG\n"
        "  -t, --timeout S     seconds for a run (default: 20 times the base's, and 10)\n"
        "      --any-output    do not mind if PROG writes something else under another allocator\n"
        "  -j, --json FILE     write all figures there; -: stdout, with the table on stderr\n"
        "  -s, --svg FILE      draw a picture\n"
        "  -m, --html FILE     write a page with table, pictures and all figures\n"
        "  -l, --list          list the allocators that are found, and stop\n"
        "  -h, --help          print this\n"
        "\n"
        "PROG's output is not shown. The exit status is 0; %d if PROG failed under an allocator;\n"
        "125: duet itself failed; 126: PROG cannot be run; 127: PROG was not found.\n",
        RUNS_DEFAULT, STATUS_RUN_FAILED);
}

enum { ANY_OUTPUT = 256 };

/* Takes one option in; PARSED_RUN: go on. */
static enum parsed take_option(struct request *request, int letter)
{
    bool good = true;

    switch (letter) {
    case 'w':
        request->with = optarg;
        break;
    case 'b':
        request->base = optarg;
        break;
    case 'i':
        good = parse_name(&request->input, "--input", optarg);
        break;
    case 'r':
        request->trace = optarg;
        break;
    case 'n':
        request->runs = parse_number("--runs", optarg, 1, RUNS_MOST);
        good = request->runs > 0;
        break;
    case 't':
        request->limit_s = parse_number("--timeout", optarg, 1, LIMIT_MOST_S);
        good = request->limit_s > 0;
        break;
    case ANY_OUTPUT:
        request->any_output = true;
        break;
    case 'j':
        good = parse_name(&request->json_name, "--json", optarg);
        break;
    case 's':
        good = parse_name(&request->svg_name, "--svg", optarg);
        break;
    case 'm':
        good = parse_name(&request->html_name, "--html", optarg);
        break;
    case 'l':
        allocators_print(stdout);
        return PARSED_DONE;
    default:
        print_help();
        return PARSED_DONE;
    }
    return good ? PARSED_RUN : PARSED_WRONG;
}

static enum parsed parse(int word_count, char **words, struct request *request)
{
    static const struct option known[] = {
        {"with", required_argument, NULL, 'w'},
        {"runs", required_argument, NULL, 'n'},
        {"base", required_argument, NULL, 'b'},
        {"input", required_argument, NULL, 'i'},
        {"timeout", required_argument, NULL, 't'},
        {"any-output", no_argument, NULL, ANY_OUTPUT},
        {"json", required_argument, NULL, 'j'},
        {"svg", required_argument, NULL, 's'},
        {"html", required_argument, NULL, 'm'},
        {"list", no_argument, NULL, 'l'},
        {"replay", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *request = (struct request){.runs = RUNS_DEFAULT};
    optind = 1;
    /* "+": what comes after PROG is PROG's. ":": getopt says nothing itself. */
    while ((letter = getopt_long(word_count, words, "+:w:n:b:i:r:t:j:s:m:lh", known, NULL)) != -1) {
        if (letter == '?' || letter == ':') {
            say_refused(letter, word_count, words, known);
            return PARSED_WRONG;
        }
        enum parsed parsed = take_option(request, letter);
        if (parsed != PARSED_RUN)
            return parsed;
    }
    if (request->trace != NULL) {
        if (optind == word_count && request->input == NULL)
            return PARSED_RUN;
        say_usage("--replay plays a trace in place of a program, which reads nothing");
        return PARSED_WRONG;
    }
    if (optind >= word_count) {
        say_usage("no program is named");
        return PARSED_WRONG;
    }
    request->command = words + optind;
    return PARSED_RUN;
}

/* ---- Before --------------------------------------------------------------------------------- */

static bool choose_allocators(struct results *results, const struct request *request)
{
    return allocators_choose(&results->allocators, request->with) &&
           allocators_choose_base(&results->allocators, request->base, &results->base);
}

/* Whether all libraries can be preloaded into the program. Returns 0 or an exit status. */
static int check_program(const struct results *results, const char *name, const char *path)
{
    int status = 0;

    for (unsigned i = 0; status == 0 && i < results->allocators.count; i++)
        status = program_check(name, path, &results->allocators.all[i].elf);
    return status;
}

static bool open_outputs(struct outputs *outputs, const struct request *request)
{
    outputs->json.fd = outputs->svg.fd = outputs->html.fd = -1;
    return ((request->svg_name == NULL && request->html_name == NULL) || picture_possible()) &&
           output_open(&outputs->json, request->json_name) &&
           output_open(&outputs->svg, request->svg_name) &&
           output_open(&outputs->html, request->html_name);
}

/* ---- After ---------------------------------------------------------------------------------- */

static void print_table(const struct results *results, const struct request *request)
{
    bool taken = output_is_stdout(request->json_name) || output_is_stdout(request->svg_name) ||
                 output_is_stdout(request->html_name);
    FILE *stream = taken ? stderr : stdout;

    results_text_compare(stream, results, isatty(fileno(stream)) && getenv("NO_COLOR") == NULL);
    fflush(stream);
}

static bool write_outputs(struct outputs *outputs, const struct results *results)
{
    bool good = true;
    FILE *stream;

    if (output_is_wanted(&outputs->json)) {
        stream = output_begin(&outputs->json);
        good = stream != NULL &&
               output_end(&outputs->json, stream, results_json_write(stream, results));
    }
    if (output_is_wanted(&outputs->svg)) {
        stream = output_begin(&outputs->svg);
        good = stream != NULL &&
               output_end(&outputs->svg, stream, picture_write(stream, PICTURE_COMPARE, results)) &&
               good;
    }
    if (output_is_wanted(&outputs->html)) {
        stream = output_begin(&outputs->html);
        good = stream != NULL && output_end(&outputs->html, stream, page_write(stream, results)) &&
               good;
    }
    return good;
}

static void drop_outputs(struct outputs *outputs)
{
    output_drop(&outputs->json);
    output_drop(&outputs->svg);
    output_drop(&outputs->html);
}

/* ---- The comparison ------------------------------------------------------------------------- */

static int run_trial(struct starter *starter, struct results *results,
                     const struct request *request, const struct program *program,
                     struct outputs *outputs)
{
    struct trial *trial =
        results_add(results, results->words[0], 0, COUNTS_TIME | COUNTS_MEMORY, true);
    struct progress progress;
    uint64_t start_ns = now_ns();

    if (trial == NULL)
        return STATUS_LAUNCHER_FAILED;
    progress_begin(&progress);
    struct plan plan = {.runs = (unsigned)request->runs,
                        .limit_s = (double)request->limit_s,
                        .progress = progress_show,
                        .context = &progress};
    enum trial_end end = trial_run(starter, results, trial, program, &plan);
    progress_end(&progress);
    if (end == TRIAL_BROKEN)
        return STATUS_LAUNCHER_FAILED;
    results->whole = end == TRIAL_DONE;
    results->elapsed_s = (double)(now_ns() - start_ns) / 1e9;
    if (end == TRIAL_INTERRUPTED)
        say("interrupted: what follows is from %u of %ld runs", trial->series[results->base].count,
            request->runs);
    print_table(results, request);
    if (!write_outputs(outputs, results))
        return STATUS_LAUNCHER_FAILED;
    if (end == TRIAL_INTERRUPTED)
        return STATUS_INTERRUPTED;
    return results_failed(results) ? STATUS_RUN_FAILED : 0;
}

static int compare_program(struct starter *starter, struct results *results,
                           const struct request *request, struct outputs *outputs)
{
    struct program program = {.arguments = request->command, .any_output = request->any_output};
    char input[PATH_MAX];
    char *path = NULL;
    int status = program_find(request->command[0], &path);

    if (status == 0)
        status = check_program(results, request->command[0], path);
    if (status == 0) {
        status = STATUS_LAUNCHER_FAILED;
        program.path = path;
        program.input = request->input != NULL ? input : NULL;
        if ((request->input == NULL || input_prepare(request->input, input)) &&
            open_outputs(outputs, request))
            status = run_trial(starter, results, request, &program, outputs);
    }
    free(path);
    return status;
}

static int compare_trace(struct starter *starter, struct results *results,
                         const struct request *request, struct outputs *outputs)
{
    const unsigned whole = 100;
    struct call call = {0};
    struct program program;
    char folder[PATH_MAX];
    int status = STATUS_LAUNCHER_FAILED;

    if (!temporary_folder_make(folder, "compare"))
        return status;
    if (trace_call(request->trace, whole, folder, &call, &program) &&
        check_program(results, call.path, call.path) == 0 && open_outputs(outputs, request))
        status = run_trial(starter, results, request, &program, outputs);
    call_end(&call);
    temporary_folder_remove(folder);
    return status;
}

static int compare(struct starter *starter, struct results *results, const struct request *request)
{
    struct outputs outputs = {.json.fd = -1, .svg.fd = -1, .html.fd = -1};
    int status = STATUS_LAUNCHER_FAILED;

    if (choose_allocators(results, request))
        status = request->trace != NULL ? compare_trace(starter, results, request, &outputs)
                                        : compare_program(starter, results, request, &outputs);
    drop_outputs(&outputs);
    return status;
}

int compare_command(int word_count, char **words)
{
    static struct results results; /* half a MiB of paths */
    struct starter starter;
    struct request request;
    char *played[] = {"duet", "replay", NULL, NULL};

    say_as("duet compare");
    enum parsed parsed = parse(word_count, words, &request);
    if (parsed != PARSED_RUN)
        return parsed == PARSED_DONE ? 0 : STATUS_LAUNCHER_FAILED;
    if (!starter_begin(&starter))
        return STATUS_LAUNCHER_FAILED;
    results = (struct results){
        .command = "compare", .words = request.command, .runs = (unsigned)request.runs};
    if (request.trace != NULL) {
        played[2] = request.trace;
        results.words = played;
    }
    results_stamp(&results);
    machine_look(&results.machine);
    int status = compare(&starter, &results, &request);
    results_free(&results);
    starter_end(&starter);
    return status;
}
