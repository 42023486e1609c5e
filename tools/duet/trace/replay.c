/*
 * duet replay: words -> allocator -> the trace laid out in a temporary file -> the player ->
 * report.
 *
 * The player is started as compare and bench start their programs, so that figures mean the same.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/format.h"
#include "common/json.h"
#include "common/library.h"
#include "common/output.h"
#include "common/say.h"
#include "common/style.h"
#include "common/words.h"
#include "measure/allocators.h"
#include "measure/starter.h"
#include "trace/player/status.h"
#include "trace/prepare.h"
#include "trace/trace.h"

#define STATUS_RUN_FAILED 1
#define STATUS_INTERRUPTED 130

/* Raised when a field of the JSON changes its name or meaning. */
#define REPORT_FORMAT 1

#define LABEL_COLUMNS 18

struct request {
    enum play_mode mode;
    const char *with;
    const char *json_name;
    long repeats;
    const char *trace;
};

/* What the player said. */
struct played {
    char allocator[PATH_MAX];
    uint64_t operations;
    uint64_t allocations;
    uint64_t peak_live_bytes;
    double seconds;
    uint64_t start_rss_kib; /* 0: not known */
    uint64_t bookkeeping_kib;
};

struct replay {
    const struct request *request;
    const struct allocator *allocator;
    struct trace_head head;
    struct ended ended;
    struct played played;
};

/* ---- Words ---------------------------------------------------------------------------------- */

static void print_help(void)
{
    printf(
        "usage: duet replay [--serial] [--with NAME|PATH] [--repeat N] [--json FILE] FILE\n"
        "\n"
        "Plays the trace FILE under an allocator, with as many threads as the program had, and\n"
        "tells what it cost. duet compare and duet bench play traces under several in turn.\n"
        "\n"
        "  -s, --serial           let the threads run one after the other, in the recorded order\n"
        "  -w, --with NAME|PATH   the allocator (default: " DEFAULT_ENGINE ")\n"
        "  -l, --list             list the allocators that are found\n"
        "  -r, --repeat N         play it N times in a row\n"
        "  -j, --json FILE        write the figures as JSON; -: stdout, and the report comes on\n"
        "                         stderr\n"
        "  -h, --help             print this\n"
        "\n"
        "The exit status is 0, or %d if the allocator failed, %d if duet itself did, %d if it was\n"
        "interrupted.\n",
        STATUS_RUN_FAILED, STATUS_LAUNCHER_FAILED, STATUS_INTERRUPTED);
}

static bool set_option(struct request *request, int letter)
{
    switch (letter) {
    case 's':
        request->mode = PLAY_SERIAL;
        return true;
    case 'w':
        request->with = optarg;
        if (optarg[0] != '\0' && strchr(optarg, ',') == NULL)
            return true;
        say_usage("--with wants one allocator; duet bench plays traces under several");
        return false;
    case 'r':
        request->repeats = parse_number("--repeat", optarg, 1, PLAYER_REPEATS_MOST);
        return request->repeats > 0;
    default:
        request->json_name = optarg;
        if (optarg[0] != '\0')
            return true;
        say_usage("--json wants the name of a file, or - for stdout");
        return false;
    }
}

static enum parsed parse(int word_count, char **words, struct request *request)
{
    static const struct option known[] = {
        {"serial", no_argument, NULL, 's'},
        {"with", required_argument, NULL, 'w'},
        {"repeat", required_argument, NULL, 'r'},
        {"json", required_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *request = (struct request){.mode = PLAY_PARALLEL, .with = DEFAULT_ENGINE, .repeats = 1};
    optind = 1;
    while ((letter = getopt_long(word_count, words, "+:sw:r:j:lh", known, NULL)) != -1) {
        if (letter == 'h' || letter == 'l') {
            letter == 'h' ? print_help() : allocators_print(stdout);
            return PARSED_DONE;
        }
        if (letter == '?' || letter == ':') {
            say_refused(letter, word_count, words, known);
            return PARSED_WRONG;
        }
        if (!set_option(request, letter))
            return PARSED_WRONG;
    }
    if (optind != word_count - 1) {
        say_usage(optind < word_count ? "one trace at a time" : "no trace is named");
        return PARSED_WRONG;
    }
    request->trace = words[optind];
    return PARSED_RUN;
}

/* ---- The player's words --------------------------------------------------------------------- */

/* What stands behind the key at the start of a line; NULL: it does not. */
static const char *said(const char *text, const char *key)
{
    size_t length = strlen(key);

    while (text != NULL) {
        if (strncmp(text, key, length) == 0 && text[length] == ' ')
            return text + length + 1;
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return NULL;
}

static bool take_number(const char *text, const char *key, uint64_t *number)
{
    const char *value = said(text, key);

    if (value != NULL)
        *number = strtoull(value, NULL, 10);
    return value != NULL;
}

static bool take_words(struct played *played, const char *text)
{
    const char *allocator = said(text, "allocator");
    const char *seconds = said(text, "seconds");

    if (allocator == NULL || seconds == NULL)
        return false;
    snprintf(played->allocator, sizeof played->allocator, "%.*s", (int)strcspn(allocator, "\n"),
             allocator);
    played->seconds = strtod(seconds, NULL);
    return take_number(text, "operations", &played->operations) &&
           take_number(text, "allocations", &played->allocations) &&
           take_number(text, "peak_live_bytes", &played->peak_live_bytes) &&
           take_number(text, "start_rss_kib", &played->start_rss_kib) &&
           take_number(text, "bookkeeping_kib", &played->bookkeeping_kib);
}

/* ---- Failures ------------------------------------------------------------------------------- */

/* The last line that the player wrote on stderr, without its name. */
static void read_last_words(const struct starter *starter, char *words, size_t capacity)
{
    static const char name[] = "duet-player: ";
    char text[1024];

    starter_read(starter, STREAM_ERROR, true, text, sizeof text);
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    const char *line = strrchr(text, '\n');
    line = line != NULL ? line + 1 : text;
    if (strncmp(line, name, strlen(name)) == 0)
        line += strlen(name);
    clean_text(words, capacity, line, strlen(line));
}

/* Says what became of a player that did not do all its work. Returns the exit status. */
static int say_failure(const struct replay *replay, const struct starter *starter)
{
    int status = replay->ended.wait_status;
    const char *name = replay->allocator->name;
    char words[512];

    read_last_words(starter, words, sizeof words);
    const char *colon = words[0] != '\0' ? ": " : "";
    if (WIFSIGNALED(status))
        say("%s crashed (%s)%s%s", name, strsignal(WTERMSIG(status)), colon, words);
    else if (WEXITSTATUS(status) == PLAYER_CORRUPT)
        say("%s gave wrong memory%s%s", name, colon, words);
    else if (WEXITSTATUS(status) == PLAYER_NO_MEMORY)
        say("%s had no memory left%s%s", name, colon, words);
    else
        say("the player ended with status %d under %s%s%s", WEXITSTATUS(status), name, colon,
            words);
    return STATUS_RUN_FAILED;
}

/* ---- The report ----------------------------------------------------------------------------- */

static void print_label(FILE *stream, const char *label)
{
    fputs("  ", stream);
    print_left(stream, label, LABEL_COLUMNS);
}

/* Less the player's own tables. */
static uint64_t peak_rss_kib(const struct replay *replay)
{
    uint64_t rss = (uint64_t)replay->ended.cost.of[METRIC_PEAK_RSS];
    uint64_t own = replay->played.bookkeeping_kib;

    return rss > own ? rss - own : 0;
}

static void print_title(FILE *stream, const struct replay *replay, const struct style *style)
{
    char threads[PHRASE_CHARS];
    uint64_t count = replay->head.totals.threads;

    fprintf(stream, "%sduet: %s played on %s%s, ", style->strong, replay->head.program,
            replay->allocator->name, style->plain);
    if (count <= 1)
        fprintf(stream, "with 1 thread\n");
    else
        fprintf(stream, "with %s%s\n", format_things(threads, count, "thread"),
                replay->request->mode == PLAY_SERIAL ? " that take turns" : "");
}

static void print_operations(FILE *stream, const struct replay *replay)
{
    const struct trace_totals *totals = &replay->head.totals;
    char allocations[PHRASE_CHARS];
    char reallocs[PHRASE_CHARS];
    char frees[PHRASE_CHARS];

    print_label(stream, "operations");
    fprintf(stream, "%s, %s, %s", format_things(allocations, totals->allocations, "allocation"),
            format_things(reallocs, totals->reallocs, "realloc"),
            format_things(frees, totals->frees, "free"));
    if (replay->request->repeats > 1)
        fprintf(stream, "; %ld times", replay->request->repeats);
    fputc('\n', stream);
}

static void print_time(FILE *stream, const struct replay *replay)
{
    const struct cost *cost = &replay->ended.cost;
    double seconds = replay->played.seconds;
    uint64_t operations = replay->played.operations;

    print_label(stream, "time");
    fprintf(stream, "%.3f s", seconds);
    if (operations > 0)
        fprintf(stream, ", %.0f ns an operation", seconds * 1e9 / (double)operations);
    fputc('\n', stream);
    print_label(stream, "whole process");
    fprintf(stream, "%.3f s wall, %.3f s user, %.3f s system\n", cost->of[METRIC_WALL],
            cost->of[METRIC_USER], cost->of[METRIC_SYSTEM]);
}

static void print_memory(FILE *stream, const struct replay *replay, const struct style *style)
{
    uint64_t live = replay->played.peak_live_bytes;
    uint64_t recorded = replay->head.totals.peak_live_bytes;
    uint64_t rss_kib = peak_rss_kib(replay);
    char bytes[NUMBER_CHARS];
    char own[NUMBER_CHARS];

    print_label(stream, "live at peak");
    fprintf(stream, "%s, ", format_bytes(bytes, live));
    if (live == recorded)
        fprintf(stream, "as recorded\n");
    else
        fprintf(stream, "%.1f %% %s than recorded\n",
                fabs((double)live / (double)recorded - 1) * 100, live < recorded ? "less" : "more");

    print_label(stream, "peak RSS");
    fprintf(stream, "%s, without the player's own %s\n", format_bytes(bytes, rss_kib * 1024),
            format_bytes(own, replay->played.bookkeeping_kib * 1024));
    uint64_t start_kib = replay->played.start_rss_kib;
    if (start_kib == 0 || start_kib > rss_kib || live == 0)
        return;
    print_label(stream, "for cells");
    fprintf(stream, "%s since the start; %.2f %s the live peak\n",
            format_bytes(bytes, (rss_kib - start_kib) * 1024),
            (double)(rss_kib - start_kib) * 1024 / (double)live, style->glyphs->times);
}

static void print_report(FILE *stream, const struct replay *replay)
{
    struct style style = style_make(isatty(fileno(stream)) && getenv("NO_COLOR") == NULL);

    print_title(stream, replay, &style);
    print_operations(stream, replay);
    print_time(stream, replay);
    print_memory(stream, replay, &style);
    fflush(stream);
}

static bool write_json(FILE *stream, const struct replay *replay)
{
    const struct played *played = &replay->played;
    const struct cost *cost = &replay->ended.cost;
    json_t *object = json_object();
    bool serial = replay->request->mode == PLAY_SERIAL;
    bool whole =
        json_set(object, "format", json_integer(REPORT_FORMAT)) &&
        json_set(object, "duet", json_string(DUET_VERSION)) &&
        json_set(object, "trace", json_text(replay->request->trace)) &&
        json_set(object, "program", json_text(replay->head.program)) &&
        json_set(object, "allocator", json_text(replay->allocator->name)) &&
        json_set(object, "library", json_text(replay->allocator->path)) &&
        json_set(object, "mode", json_string(serial ? "serial" : "parallel")) &&
        json_set(object, "threads", json_number(replay->head.totals.threads)) &&
        json_set(object, "repeats", json_integer(replay->request->repeats)) &&
        json_set(object, "operations", json_number(played->operations)) &&
        json_set(object, "allocations", json_number(played->allocations)) &&
        json_set(object, "recorded_allocations", json_number(replay->head.totals.allocations)) &&
        json_set(object, "peak_live_bytes", json_number(played->peak_live_bytes)) &&
        json_set(object, "recorded_peak_live_bytes",
                 json_number(replay->head.totals.peak_live_bytes)) &&
        json_set(object, "seconds", json_real(played->seconds)) &&
        json_set(object, "wall_s", json_real(cost->of[METRIC_WALL])) &&
        json_set(object, "user_s", json_real(cost->of[METRIC_USER])) &&
        json_set(object, "sys_s", json_real(cost->of[METRIC_SYSTEM])) &&
        json_set(object, "faults", json_number((uint64_t)cost->of[METRIC_FAULTS])) &&
        json_set(object, "peak_rss_kib", json_number(peak_rss_kib(replay))) &&
        json_set(object, "start_rss_kib", json_number(played->start_rss_kib)) &&
        json_set(object, "bookkeeping_kib", json_number(played->bookkeeping_kib));
    return json_finish(stream, json_if_whole(object, whole));
}

/* ---- The run -------------------------------------------------------------------------------- */

/* The one that was asked for stands last: the C library's comes in front of it. */
static bool choose_allocator(struct allocators *allocators, const struct request *request,
                             const struct allocator **allocator)
{
    if (!allocators_choose(allocators, request->with))
        return false;
    *allocator = &allocators->all[allocators->count - 1];
    return true;
}

/* A new temporary file by name. False: it cannot be made, and said so. */
static bool make_input(char path[PATH_MAX])
{
    const char *folder = getenv("TMPDIR");

    if (folder == NULL || *folder != '/')
        folder = "/tmp";
    int length = snprintf(path, PATH_MAX, "%s/duet-replay-XXXXXX", folder);
    int fd = -1;
    if (length < PATH_MAX)
        fd = mkstemp(path);
    else
        errno = ENAMETOOLONG;
    if (fd < 0) {
        say("cannot make a temporary file in %s: %s", folder, strerror(errno));
        return false;
    }
    close(fd);
    return true;
}

/* Whether malloc was the allocator's. */
static bool is_verified(const struct replay *replay)
{
    char found[PATH_MAX];
    char wanted[PATH_MAX];

    if (realpath(replay->played.allocator, found) == NULL ||
        realpath(replay->allocator->path, wanted) == NULL || strcmp(found, wanted) != 0) {
        say("%s was not loaded: malloc was that of %s", replay->allocator->name,
            replay->played.allocator);
        return false;
    }
    return true;
}

static int play(struct starter *starter, struct replay *replay, char *input)
{
    char player[PATH_MAX];
    char repeats[NUMBER_CHARS];
    char text[PATH_MAX + 1024];
    char name[] = "duet-player";

    if (!player_find(player))
        return STATUS_LAUNCHER_FAILED;
    snprintf(repeats, sizeof repeats, "%ld", replay->request->repeats);
    char *words[] = {name, input, repeats, NULL};
    const char *preload = replay->allocator->preload;
    struct order order = {
        .path = player,
        .arguments = words,
        .preload = preload[0] != '\0' ? preload : NULL,
    };
    if (!starter_run(starter, &order, &replay->ended))
        return STATUS_LAUNCHER_FAILED;
    if (replay->ended.interrupted) {
        say("interrupted");
        return STATUS_INTERRUPTED;
    }
    if (replay->ended.error != 0) {
        say("cannot run '%s': %s", player, strerror(replay->ended.error));
        return STATUS_LAUNCHER_FAILED;
    }
    if (replay->ended.wait_status != 0)
        return say_failure(replay, starter);
    starter_read(starter, STREAM_OUTPUT, false, text, sizeof text);
    if (!take_words(&replay->played, text)) {
        say("the player did not say what it did");
        return STATUS_LAUNCHER_FAILED;
    }
    return is_verified(replay) ? 0 : STATUS_RUN_FAILED;
}

static int replay_trace(struct starter *starter, struct replay *replay, struct output *json)
{
    char input[PATH_MAX];
    int status = STATUS_LAUNCHER_FAILED;

    if (!make_input(input))
        return status;
    if (trace_prepare(replay->request->trace, input, replay->request->mode, &replay->head))
        status = play(starter, replay, input);
    unlink(input);
    if (status != 0)
        return status;
    bool json_on_stdout = output_is_wanted(json) && strcmp(replay->request->json_name, "-") == 0;
    print_report(json_on_stdout ? stderr : stdout, replay);
    if (output_is_wanted(json)) {
        FILE *stream = output_begin(json);
        if (stream == NULL || !output_end(json, stream, write_json(stream, replay)))
            status = STATUS_LAUNCHER_FAILED;
    }
    return status;
}

int replay_command(int word_count, char **words)
{
    static struct allocators allocators; /* half a MiB of paths */
    struct request request;
    struct starter starter;
    struct output json = {.fd = -1};
    struct replay replay = {.request = &request};
    int status = STATUS_LAUNCHER_FAILED;

    say_as("duet replay");
    enum parsed parsed = parse(word_count, words, &request);
    if (parsed != PARSED_RUN)
        return parsed == PARSED_DONE ? 0 : STATUS_LAUNCHER_FAILED;
    if (!starter_begin(&starter))
        return STATUS_LAUNCHER_FAILED;
    if (choose_allocator(&allocators, &request, &replay.allocator) &&
        output_open(&json, request.json_name))
        status = replay_trace(&starter, &replay, &json);
    output_drop(&json);
    starter_end(&starter);
    return status;
}
