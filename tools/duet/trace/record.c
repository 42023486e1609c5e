/*
 * duet record: words -> library and program -> folder and environment -> launch -> traces.
 *
 * As in duet run, all that can be found wrong is found before the program starts, and what goes
 * wrong afterwards is said but never hides the program's own status. No signal ends the launcher
 * before the folder is gone; those that end a program also end the making of the traces, which can
 * take its time.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/format.h"
#include "common/library.h"
#include "common/output.h"
#include "common/places.h"
#include "common/preload.h"
#include "common/program.h"
#include "common/say.h"
#include "common/words.h"
#include "run/launch.h"
#include "trace/convert.h"
#include "trace/folder.h"
#include "trace/images.h"
#include "trace/trace.h"

#define LIBRARY_FILE "libduet-record.so"

#define STATUS_INTERRUPTED 130

/* Other processes that are named, if they get no trace. */
#define NAMED_MOST 4

struct request {
    const char *file; /* NULL: named after the program */
    bool all;
    char **command;
};

/* ---- Words ---------------------------------------------------------------------------------- */

static void print_help(void)
{
    printf(
        "usage: duet record [-o FILE] [--all] [--] PROG [ARGS...]\n"
        "\n"
        "Runs PROG and writes a trace of its allocations: all calls of malloc, free and so on of\n"
        "one process, with their threads and in their order. If PROG starts others, it is the\n"
        "process that allocated most often. duet trace tells what is in a trace, duet replay\n"
        "plays it.\n"
        "\n"
        "  -o, --output FILE   the trace (default: PROG.trace, in the working directory)\n"
        "  -a, --all           also write the traces of the other processes, as FILE.PID\n"
        "  -h, --help          print this\n"
        "\n"
        "The exit status is PROG's; if a signal ends PROG, the same ends duet. Otherwise 125:\n"
        "duet itself failed; 126: PROG cannot be run, or not recorded; 127: PROG was not found;\n"
        "130: interrupted after PROG's end.\n");
}

static enum parsed parse(int word_count, char **words, struct request *request)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'},
        {"all", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *request = (struct request){0};
    optind = 1;
    while ((letter = getopt_long(word_count, words, "+:o:ah", known, NULL)) != -1) {
        switch (letter) {
        case 'o':
            if (optarg[0] == '\0' || strcmp(optarg, "-") == 0) {
                say_usage("--output wants the name of a file");
                return PARSED_WRONG;
            }
            request->file = optarg;
            break;
        case 'a':
            request->all = true;
            break;
        case 'h':
            print_help();
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

/* ---- Before --------------------------------------------------------------------------------- */

static bool find_library(struct library *library)
{
    return place_file(PLACE_RECORD_LIBRARIES, LIBRARY_FILE, library->path) && library_open(library);
}

static bool set_environment(const struct library *library, const struct folder *folder)
{
    if (preload_add(library->path) && setenv(RAW_ENV, folder->path, 1) == 0)
        return true;
    say("cannot set the program's environment: %s", strerror(errno));
    return false;
}

/* The trace's name where none is given; allocated. NULL: no memory. */
static char *default_name(const char *program)
{
    const char *slash = strrchr(program, '/');
    char *name;

    if (asprintf(&name, "%s.trace", slash != NULL ? slash + 1 : program) >= 0)
        return name;
    say("not enough memory for the name of the trace");
    return NULL;
}

/* ---- Traces --------------------------------------------------------------------------------- */

/* Whether a signal has come that asks for the end. */
static bool is_interrupted(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t pending;

    sigpending(&pending);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (sigismember(&pending, signals[i]) == 1)
            return true;
    }
    return false;
}

/* What a trace has: "cc1 (process 31047): 115,217 allocations, ..., in cc1.trace (187.1 KiB)". */
static void tell_trace(const struct image *image, const struct trace_head *head, const char *name)
{
    const struct trace_totals *totals = &head->totals;
    char allocations[PHRASE_CHARS];
    char frees[PHRASE_CHARS];
    char threads[PHRASE_CHARS];
    char peak[NUMBER_CHARS];
    char bytes[NUMBER_CHARS];

    say("%s (process %d): %s, %s, %s, %s live at the peak: %s (%s)", image->program, image->pid,
        format_things(allocations, totals->allocations, "allocation"),
        format_things(frees, totals->frees, "free"),
        format_things(threads, totals->threads, "thread"),
        format_bytes(peak, totals->peak_live_bytes), name,
        format_bytes(bytes, TRACE_HEAD_BYTES + head->packed_bytes));
    if (head->facts.cut)
        say("the recording of %s ended before it did: %s", image->program,
            strerror(image->error != 0 ? image->error : EFBIG));
    if (head->facts.left_out > 0)
        say("%s: %s of cells that were never seen left out", image->program,
            format_things(allocations, head->facts.left_out, "call"));
}

static enum converted write_trace(const struct images *images, const struct image *image,
                                  struct output *output)
{
    struct trace_head head;
    FILE *stream = output_begin(output);

    if (stream == NULL)
        return CONVERT_FAILED;
    enum converted done =
        convert_image(images, image, fileno(stream), output->name, is_interrupted, &head);
    /* What goes wrong before this has been said. */
    if (!output_end(output, stream, true) && done == CONVERTED)
        done = CONVERT_FAILED;
    if (done == CONVERTED)
        tell_trace(image, &head, output->name);
    return done;
}

/* The other processes' traces: FILE.PID, or FILE.PID.START where exec has made several of one. */
static enum converted write_others(const struct images *images, const char *file)
{
    enum converted done = CONVERTED;

    for (size_t i = 1; i < images->count && done == CONVERTED; i++) {
        const struct image *image = &images->all[i];
        struct output output;
        char start[16] = "";
        char *name;

        if (image->allocations == 0)
            continue;
        if (image->start > 0)
            snprintf(start, sizeof start, ".%u", image->start);
        if (asprintf(&name, "%s.%d%s", file, image->pid, start) < 0) {
            say("not enough memory for the name of a trace");
            return CONVERT_FAILED;
        }
        done = output_open(&output, name) ? write_trace(images, image, &output) : CONVERT_FAILED;
        free(name);
    }
    return done;
}

/* Names the processes that get no trace, as far as they allocated anything. */
static void tell_others(const struct images *images)
{
    char text[1024] = "";
    char allocations[PHRASE_CHARS];
    size_t others = 0;

    for (size_t i = 1; i < images->count && images->all[i].allocations > 0; i++) {
        size_t used = strlen(text);
        if (++others <= NAMED_MOST)
            snprintf(text + used, sizeof text - used, "%s%s (%s)", i > 1 ? ", " : "",
                     images->all[i].program,
                     format_things(allocations, images->all[i].allocations, "allocation"));
    }
    if (others > 0)
        say("%zu other process%s allocated less often: %s%s; --all writes traces of all", others,
            others == 1 ? "" : "es", text, others > NAMED_MOST ? " ..." : "");
}

static void say_not_loaded(const char *program)
{
    say("the library was not loaded into '%s', so there is no trace. It, or one before it, may "
        "have taken LD_PRELOAD out of the environment, or changed its rights; or the loader gave "
        "the library up, and said so",
        program);
}

/* No process has an allocation; the first may have one that could not be written down. */
static void say_silent(const char *program, const struct image *image)
{
    if (image->error != 0)
        say("nothing could be recorded of '%s': %s", program, strerror(image->error));
    else
        say("'%s' allocated nothing through the library, so there is no trace: it allocates "
            "nothing at all, or brings an allocator of its own",
            program);
}

/* From the folder to the traces. False: not all were written, and it was said why. */
static bool write_traces(const struct request *request, const struct folder *folder,
                         struct output *output, bool *interrupted)
{
    struct images images;
    enum converted done = CONVERT_FAILED;

    if (images_collect(&images, folder->path)) {
        if (images.count == 0)
            say_not_loaded(request->command[0]);
        else if (images.all[0].allocations == 0)
            say_silent(request->command[0], &images.all[0]);
        else
            done = write_trace(&images, &images.all[0], output);
        if (done == CONVERTED && request->all)
            done = write_others(&images, output->name);
        else if (done == CONVERTED)
            tell_others(&images);
    }
    images_free(&images);
    *interrupted = done == CONVERT_INTERRUPTED;
    if (*interrupted)
        say("interrupted: not all traces were written");
    return done == CONVERTED;
}

/* Closes the file for the trace, and removes it if there is nothing in it: it was made for one that
 * did not come about. */
static void drop_output(struct output *output)
{
    struct stat status;

    if (output->name != NULL && stat(output->name, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size == 0)
        unlink(output->name);
    output_drop(output);
}

/* ---- The run -------------------------------------------------------------------------------- */

/* From here on no signal ends the launcher until the folder is gone. */
static int run_recorded(const struct request *request, const struct library *library,
                        const char *path, struct output *output)
{
    struct launch launch = {0};
    struct folder folder;
    bool interrupted = false;
    int status = STATUS_LAUNCHER_FAILED;

    launch_hold_signals(&launch);
    if (!folder_make(&folder)) {
        drop_output(output);
        launch_release_signals(&launch);
        return status;
    }
    bool ran = false;
    if (set_environment(library, &folder)) {
        status = launch_program(&launch, path, request->command, NULL, NULL);
        ran = status == 0;
    }
    launch_drop_signals();
    bool written = ran && write_traces(request, &folder, output, &interrupted);
    folder_remove(&folder);
    drop_output(output);
    launch_release_signals(&launch);
    if (ran) {
        status = launch_exit_status(&launch);
        if (!written && status == 0)
            status = interrupted ? STATUS_INTERRUPTED : STATUS_LAUNCHER_FAILED;
        launch_mirror_death(&launch);
    }
    return status;
}

int record_command(int word_count, char **words)
{
    struct request request;
    struct library library;
    struct output output = {.fd = -1};
    char *path = NULL;
    char *name = NULL;
    int status = STATUS_LAUNCHER_FAILED;

    say_as("duet record");
    enum parsed parsed = parse(word_count, words, &request);
    if (parsed == PARSED_DONE) {
        status = 0;
    } else if (parsed == PARSED_RUN && find_library(&library)) {
        status = program_find(request.command[0], &path);
        if (status == 0)
            status = program_check(request.command[0], path, &library.elf);
        if (status == 0) {
            status = STATUS_LAUNCHER_FAILED;
            if (request.file == NULL)
                request.file = name = default_name(request.command[0]);
            if (request.file != NULL && output_open(&output, request.file))
                status = run_recorded(&request, &library, path, &output);
        }
    }
    free(name);
    free(path);
    return status;
}
