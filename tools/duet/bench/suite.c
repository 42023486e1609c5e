/*
 * The patterns are asked of the program that has them, so that they are listed in one place only;
 * traces are whatever lies in their folder.
 */
#include "bench/suite.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "bench/patterns.h"
#include "common/format.h"
#include "common/places.h"
#include "common/say.h"
#include "common/temporary.h"
#include "measure/traces.h"

#define TRACE_SUFFIX ".trace"

/* Workloads whose time is a clock's have long runs, which differ in memory only, and little. */
#define CLOCKED_RUNS_MOST 2

/* ---- The list ------------------------------------------------------------------------------- */

/* A new workload at the end of the list; NULL: no memory, and said so. */
static struct workload *add(struct suite *suite, enum workload_kind kind, const char *name,
                            const char *description)
{
    struct workload *longer = realloc(suite->all, (suite->count + 1) * sizeof *longer);

    if (longer == NULL) {
        say("not enough memory for the list of workloads");
        return NULL;
    }
    suite->all = longer;
    struct workload *added = &longer[suite->count++];
    *added = (struct workload){.kind = kind, .counts = COUNTS_TIME | COUNTS_MEMORY};
    clean_text(added->name, sizeof added->name, name, strlen(name));
    clean_text(added->description, sizeof added->description, description, strlen(description));
    return added;
}

/* NAME, single|threads, time|memory|both, large|-, DESCRIPTION. */
#define LIST_FIELDS 5

static bool add_pattern(void *context, char *const *fields)
{
    struct suite *suite = context;
    struct workload *added = add(suite, WORKLOAD_PATTERN, fields[0], fields[4]);

    if (added == NULL)
        return false;
    added->threaded = strcmp(fields[1], "threads") == 0;
    if (strcmp(fields[2], "time") == 0)
        added->counts = COUNTS_TIME;
    if (strcmp(fields[2], "memory") == 0) {
        added->counts = COUNTS_END_RSS;
        added->runs_most = CLOCKED_RUNS_MOST;
    }
    return true;
}

static bool add_patterns(struct suite *suite, struct starter *starter)
{
    return patterns_list(starter, "--list", LIST_FIELDS, add_pattern, suite, suite->workloads_path);
}

static bool add_programs(struct suite *suite)
{
    for (int i = 0; real_programs[i] != NULL; i++) {
        const struct real_program *real = real_programs[i];
        struct workload *added =
            add(suite, WORKLOAD_PROGRAM, real_program_name(real), real_program_description(real));
        if (added == NULL)
            return false;
        added->real = real;
        real_program_missing(real, added->missing, sizeof added->missing);
    }
    return true;
}

/* The first place that has the folder has the traces; it may have none. */
static bool add_traces(struct suite *suite)
{
    struct places places;
    char folder[PATH_MAX];
    char pattern[PATH_MAX + 16];
    glob_t found;

    if (!places_find(PLACE_DATA, &places))
        return false;
    if (!places_search(&places, "traces", folder))
        return true;
    snprintf(pattern, sizeof pattern, "%s/*" TRACE_SUFFIX, folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        return true;
    bool good = true;
    for (size_t i = 0; good && i < found.gl_pathc; i++)
        good = suite_add_trace(suite, found.gl_pathv[i]) >= 0;
    globfree(&found);
    return good;
}

bool suite_load(struct suite *suite, struct starter *starter)
{
    *suite = (struct suite){0};
    return add_patterns(suite, starter) && add_programs(suite) && add_traces(suite);
}

int suite_add_trace(struct suite *suite, const char *path)
{
    char name[sizeof suite->all->name];
    char description[sizeof suite->all->description];

    if (strlen(path) >= sizeof suite->all->trace) {
        say("the name of the file %s is too long", path);
        return -1;
    }
    if (!trace_describe(path, name, sizeof name, description, sizeof description))
        return -1;
    struct workload *added = add(suite, WORKLOAD_TRACE, name, description);
    if (added == NULL)
        return -1;
    snprintf(added->trace, sizeof added->trace, "%s", path);
    return (int)suite->count - 1;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

/* The folder that programs may write in, made when the first one needs it. */
static bool have_folder(struct suite *suite)
{
    return suite->folder[0] != '\0' || temporary_folder_make(suite->folder, "bench");
}

static bool call_pattern(const struct suite *suite, const struct workload *workload,
                         unsigned threads, unsigned percent, struct call *call,
                         struct program *program)
{
    call_begin(call, suite->workloads_path);
    call_add_word(call, "%s", PATTERNS_PROGRAM);
    call_add_word(call, "%s", workload->name);
    call_add_word(call, "%u", threads);
    call_add_word(call, "%u", percent);
    *program = (struct program){.own_status = true, .one_cpu = threads == 1};
    return call_finish(call, program);
}

bool suite_call(struct suite *suite, const struct workload *workload, unsigned threads,
                unsigned percent, struct call *call, struct program *program)
{
    *call = (struct call){0};
    switch (workload->kind) {
    case WORKLOAD_PATTERN:
        return call_pattern(suite, workload, threads, percent, call, program);
    case WORKLOAD_PROGRAM:
        return (!real_program_writes(workload->real) || have_folder(suite)) &&
               real_program_call(workload->real, percent, suite->folder, call, program);
    default:
        return have_folder(suite) &&
               trace_call(workload->trace, percent, suite->folder, call, program);
    }
}

/* ---- Printing ------------------------------------------------------------------------------- */

#define NAME_COLUMNS 16
#define THREADS_COLUMNS 10
#define LINE_COLUMNS 100
#define INDENT (2 + NAME_COLUMNS + 1 + THREADS_COLUMNS + 1)

/* The text from the column on, broken between words, each further line with the same indent. */
static void print_wrapped(FILE *stream, const char *text)
{
    int column = INDENT;

    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > INDENT && column + 1 + length > LINE_COLUMNS) {
            fprintf(stream, "\n%*s", INDENT, "");
            column = INDENT;
        } else if (column > INDENT) {
            fputc(' ', stream);
            column++;
        }
        fprintf(stream, "%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

static void print_kind(FILE *stream, const struct suite *suite, enum workload_kind kind,
                       const char *heading, const char *threads)
{
    bool any = false;

    for (unsigned i = 0; i < suite->count; i++) {
        const struct workload *workload = &suite->all[i];
        if (workload->kind != kind)
            continue;
        if (!any && kind == WORKLOAD_PATTERN)
            fprintf(stream, "%-*s threads\n", 2 + NAME_COLUMNS, heading);
        else if (!any)
            fprintf(stream, "\n%s\n", heading);
        any = true;
        fprintf(stream, "  %-*s %-*s ", NAME_COLUMNS, workload->name, THREADS_COLUMNS,
                kind != WORKLOAD_PATTERN ? ""
                : workload->threaded     ? threads
                                         : "1");
        print_wrapped(stream, workload->description);
    }
}

void suite_print(FILE *stream, const struct suite *suite, const char *threads)
{
    bool any = false;

    print_kind(stream, suite, WORKLOAD_PATTERN, "patterns", threads);
    print_kind(stream, suite, WORKLOAD_PROGRAM, "programs", threads);
    print_kind(stream, suite, WORKLOAD_TRACE, "traces", threads);
    for (unsigned i = 0; i < suite->count; i++) {
        if (suite->all[i].missing[0] == '\0')
            continue;
        fprintf(stream, "%s  %-*s lacks %s\n", any ? "" : "\nleft out here\n", NAME_COLUMNS,
                suite->all[i].name, suite->all[i].missing);
        any = true;
    }
}

/* ---- The end -------------------------------------------------------------------------------- */

void suite_free(struct suite *suite)
{
    if (suite->folder[0] != '\0')
        temporary_folder_remove(suite->folder);
    free(suite->all);
    *suite = (struct suite){0};
}
