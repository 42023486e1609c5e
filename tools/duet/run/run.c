/*
 * duet run: words -> library and program -> environment and counters -> launch -> report.
 *
 * All that can be found wrong is found before the program starts. What goes wrong with the report
 * afterwards is said, but never hides the program's own status.
 */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/library.h"
#include "common/options.h"
#include "common/output.h"
#include "common/preload.h"
#include "common/program.h"
#include "common/say.h"
#include "common/words.h"
#include "run/counters_file.h"
#include "run/launch.h"
#include "run/report_json.h"
#include "run/report_text.h"
#include "run/summary.h"

struct request {
    const char *engine;
    const char *json_name; /* NULL: none wanted */
    bool all_classes;      /* in the text; JSON always has them */
    char *options;         /* from -o, joined; NULL: none */
    char **command;
};

/* ---- Words -------------------------------------------------------------------------------- */

static void print_help(void)
{
    char engines[ENGINE_LIST_BYTES];

    library_list(engines);
    printf(
        "usage: duet run [--engine NAME] [--all-classes] [--json FILE] [-o KEY=VALUE]... [--]\n"
        "                PROG [ARGS...]\n"
        "\n"
        "Runs PROG and its children on a duet library, and reports on stderr what their heaps\n"
        "did: above all of the process with the most live memory.\n"
        "\n"
        "  -e, --engine NAME    the engine to run on (default: " DEFAULT_ENGINE "); there are:%s\n"
        "  -a, --all-classes    list every size class in use, not doublings where they are many\n"
        "  -j, --json FILE      also write the report as JSON, with all processes; -: stdout\n"
        "  -o, --option KEY=VALUE\n"
        "                       set an option of the library; may be repeated, the last wins\n"
        "      --help-options   list these options\n"
        "  -h, --help           print this\n"
        "\n"
        "The exit status is PROG's; if a signal ends PROG, the same ends duet. Otherwise 125:\n"
        "duet itself failed; 126: PROG cannot be run, or not on duet; 127: PROG was not found.\n",
        engines);
}

static enum parsed add_option(struct request *request, const char *entry)
{
    if (!options_check(entry))
        return PARSED_WRONG;
    if (options_append(&request->options, entry))
        return PARSED_RUN;
    say("not enough memory for -o %s", entry);
    return PARSED_WRONG;
}

static enum parsed parse(int word_count, char **words, struct request *request)
{
    enum { HELP_OPTIONS = 256 };
    static const struct option known[] = {
        {"all-classes", no_argument, NULL, 'a'},
        {"engine", required_argument, NULL, 'e'},
        {"json", required_argument, NULL, 'j'},
        {"option", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {"help-options", no_argument, NULL, HELP_OPTIONS},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *request = (struct request){.engine = DEFAULT_ENGINE};
    optind = 1;
    /* "+": what comes after PROG is PROG's. ":": getopt says nothing itself. */
    while ((letter = getopt_long(word_count, words, "+:ae:j:o:h", known, NULL)) != -1) {
        switch (letter) {
        case 'a':
            request->all_classes = true;
            break;
        case 'e':
            request->engine = optarg;
            break;
        case 'j':
            if (optarg[0] == '\0') {
                say_usage("--json wants the name of a file, or - for stdout");
                return PARSED_WRONG;
            }
            request->json_name = optarg;
            break;
        case 'o':
            if (add_option(request, optarg) != PARSED_RUN)
                return PARSED_WRONG;
            break;
        case 'h':
            print_help();
            return PARSED_DONE;
        case HELP_OPTIONS:
            options_print(stdout);
            return PARSED_DONE;
        default:
            say_refused(letter, word_count, words, known);
            return PARSED_WRONG;
        }
    }
    if (optind >= word_count) {
        say_usage("no program is named");
        return PARSED_WRONG;
    }
    request->command = words + optind;
    return PARSED_RUN;
}

/* ---- Before ------------------------------------------------------------------------------- */

/* -o goes behind what the environment has, since later entries win. */
static bool set_options(const char *added)
{
    const char *there = getenv(OPTIONS_ENV);
    char *list = NULL;

    if (added == NULL)
        return true;
    bool done = options_append(&list, there != NULL ? there : "") && options_append(&list, added) &&
                setenv(OPTIONS_ENV, list, 1) == 0;
    free(list);
    return done;
}

static bool set_environment(const struct request *request, const struct library *library)
{
    if (preload_add(library->path) && set_options(request->options))
        return true;
    say("cannot set the program's environment: %s", strerror(errno));
    return false;
}

/* ---- After -------------------------------------------------------------------------------- */

static bool write_json(struct output *json, const struct run_summary *run)
{
    FILE *stream = output_begin(json);

    return stream != NULL && output_end(json, stream, report_json_write(stream, run));
}

static bool write_text(const struct run_summary *run, bool all_classes)
{
    bool colours = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;

    /* A stream of its own has a buffer, so that the report comes in one piece. */
    if (stream == NULL)
        return false;
    setvbuf(stream, NULL, _IOFBF, (size_t)64 * 1024);
    report_text_print(stream, run, all_classes, colours);
    struct output terminal = {.name = "stderr"};
    return output_end(&terminal, stream, true);
}

static bool report(const struct request *request, const struct library *library,
                   const struct launch *launch, const struct watch *watch, struct output *json)
{
    struct run_summary run = {
        .engine = request->engine,
        .library = library->path,
        .command = request->command,
        .launch = launch,
    };
    bool written = summary_make(&run, watch);

    if (written) {
        written = write_text(&run, request->all_classes);
        if (output_is_wanted(json))
            written = write_json(json, &run) && written;
    }
    summary_free(&run);
    return written;
}

/* ---- The run ------------------------------------------------------------------------------ */

/* From here on no signal ends the launcher until the counters' file is gone. */
static int run_counted(const struct request *request, const struct library *library,
                       const char *path, struct output *json)
{
    struct launch launch = {0};
    struct watch watch = {0};
    struct counters_file counters;

    launch_hold_signals(&launch);
    if (!counters_create(&counters)) {
        launch_release_signals(&launch);
        return STATUS_LAUNCHER_FAILED;
    }

    int status = STATUS_LAUNCHER_FAILED;
    bool ran = false;
    if (setenv(COUNT_FILE_ENV, counters.path, 1) != 0) {
        say("cannot set the program's environment: %s", strerror(errno));
    } else {
        status = launch_program(&launch, path, request->command, &watch, &counters);
        ran = status == 0;
    }
    counters_remove(&counters);
    launch_release_signals(&launch);

    if (ran) {
        status = launch_exit_status(&launch);
        if (!report(request, library, &launch, &watch, json) && status == 0)
            status = STATUS_LAUNCHER_FAILED;
        launch_mirror_death(&launch);
    }
    watch_end(&watch);
    counters_close(&counters);
    return status;
}

int run_command(int word_count, char **words)
{
    struct request request;
    struct library library;
    char *path = NULL;
    struct output json = {.fd = -1};
    int status = STATUS_LAUNCHER_FAILED;

    say_as("duet run");
    enum parsed parsed = parse(word_count, words, &request);
    if (parsed == PARSED_DONE)
        status = 0;
    else if (parsed == PARSED_RUN && library_find(request.engine, &library)) {
        status = program_find(request.command[0], &path);
        if (status == 0)
            status = program_check(request.command[0], path, &library.elf);
        if (status == 0) {
            status = STATUS_LAUNCHER_FAILED;
            if (set_environment(&request, &library) && output_open(&json, request.json_name))
                status = run_counted(&request, &library, path, &json);
        }
    }
    output_drop(&json);
    free(path);
    free(request.options);
    return status;
}
