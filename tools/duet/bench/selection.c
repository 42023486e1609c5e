/* Names mark workloads; what is marked becomes the list, once for each number of threads. */
#include "bench/selection.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "common/words.h"

/* Of any workload's work, but for the table below, in a quick look. */
#define QUICK_PERCENT 25

/*
 * What a quick look looks at. Each stands for one thing that allocators do well or badly, its time
 * is steady, and so short that all of them fit a minute under four allocators, several times. Those
 * with threads have as many as there are CPUs.
 */
static const struct quick {
    const char *name;
    unsigned percent;
} quick_look[] = {
    {"batch", 10}, {"pair", 12},  {"alloc-test", 20}, {"sh8", 4},
    {"rptest", 8}, {"server", 8}, {"fragment", 34},   {"lua", 10},
};
#define QUICK_COUNT (sizeof quick_look / sizeof *quick_look)

/* ---- Numbers of threads --------------------------------------------------------------------- */

/* Adds one that is not there yet. */
static void add_count(struct thread_counts *counts, unsigned threads)
{
    for (unsigned i = 0; i < counts->count; i++) {
        if (counts->all[i] == threads)
            return;
    }
    counts->all[counts->count++] = threads;
}

void thread_counts_default(struct thread_counts *counts, unsigned cpus)
{
    const unsigned crowd = 4; /* threads to a CPU: more than run at once */

    if (cpus > THREADS_MOST / crowd)
        cpus = THREADS_MOST / crowd;
    counts->count = 0;
    add_count(counts, 1);
    add_count(counts, cpus);
    add_count(counts, crowd * cpus);
}

bool thread_counts_parse(struct thread_counts *counts, const char *word)
{
    const char *rest = word;

    counts->count = 0;
    for (;;) {
        char *end;
        errno = 0;
        unsigned long threads = *rest >= '0' && *rest <= '9' ? strtoul(rest, &end, 10) : 0;
        if (threads < 1 || threads > THREADS_MOST || errno != 0 || (*end != ',' && *end != '\0')) {
            say_usage("--threads takes numbers from 1 to %d with commas between, not '%s'",
                      THREADS_MOST, word);
            return false;
        }
        if (counts->count == THREAD_COUNTS_MOST) {
            say_usage("--threads takes %d numbers at most", THREAD_COUNTS_MOST);
            return false;
        }
        add_count(counts, (unsigned)threads);
        if (*end == '\0')
            return true;
        rest = end + 1;
    }
}

void thread_counts_print(const struct thread_counts *counts, char text[THREAD_COUNTS_CHARS])
{
    int length = 0;

    for (unsigned i = 0; i < counts->count; i++)
        length += snprintf(text + length, (size_t)(THREAD_COUNTS_CHARS - length), "%s%u",
                           i > 0 ? "," : "", counts->all[i]);
}

/* ---- Marks ---------------------------------------------------------------------------------- */

static bool is_trace_file(const char *name)
{
    static const char suffix[] = ".trace";
    size_t length = strlen(name);

    return length > strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

/* Marks what the name matches. */
static bool mark_name(const struct suite *suite, const char *name, bool *marks)
{
    bool any = false;

    for (unsigned i = 0; i < suite->count; i++) {
        const struct workload *workload = &suite->all[i];
        bool exact = strcmp(name, workload->name) == 0;
        if (!exact && fnmatch(name, workload->name, 0) != 0)
            continue;
        if (exact && workload->missing[0] != '\0') {
            say("%s needs what is not here: %s", name, workload->missing);
            return false;
        }
        marks[i] = true;
        any = true;
    }
    if (!any)
        say_usage("there is no workload '%s'; --list tells which there are", name);
    return any;
}

/* Adds the trace; false, after a message, if it is none, or another has its name. */
static bool add_trace_file(struct suite *suite, const char *file, unsigned first_own)
{
    int place = suite_add_trace(suite, file);

    for (unsigned i = first_own; (int)i < place; i++) {
        if (strcmp(suite->all[i].name, suite->all[place].name) == 0) {
            say_usage("two traces are called '%s'", suite->all[i].name);
            return false;
        }
    }
    return place >= 0;
}

/* The files of traces among the names become workloads first, so that the suite is complete. */
static bool add_trace_files(struct suite *suite, const struct choice *choice, unsigned *first_own)
{
    *first_own = suite->count;
    for (int i = 0; i < choice->name_count; i++) {
        if (is_trace_file(choice->names[i]) && !add_trace_file(suite, choice->names[i], *first_own))
            return false;
    }
    return true;
}

static const struct quick *quick_for(const struct workload *workload)
{
    for (size_t i = 0; i < QUICK_COUNT; i++) {
        if (strcmp(quick_look[i].name, workload->name) == 0)
            return &quick_look[i];
    }
    return NULL;
}

static bool mark(const struct suite *suite, const struct choice *choice, unsigned first_own,
                 bool *marks)
{
    for (unsigned i = 0; i < suite->count; i++)
        marks[i] = i >= first_own || (choice->name_count == 0 &&
                                      (!choice->quick || quick_for(&suite->all[i]) != NULL));
    for (int i = 0; i < choice->name_count; i++) {
        if (!is_trace_file(choice->names[i]) && !mark_name(suite, choice->names[i], marks))
            return false;
    }
    return true;
}

/* ---- The list ------------------------------------------------------------------------------- */

static bool add(struct selection *selection, struct selected selected)
{
    struct selected *longer = realloc(selection->all, (selection->count + 1) * sizeof *longer);

    if (longer == NULL) {
        say("not enough memory for the list of workloads");
        return false;
    }
    selection->all = longer;
    longer[selection->count++] = selected;
    return true;
}

static unsigned percent_for(const struct workload *workload, const struct choice *choice)
{
    const struct quick *quick = quick_for(workload);

    if (choice->percent != 0)
        return choice->percent;
    if (!choice->quick)
        return 100;
    return quick != NULL ? quick->percent : QUICK_PERCENT;
}

/* Adds the workload once for each number of threads that it is to have. */
static bool add_workload(struct selection *selection, const struct workload *workload,
                         unsigned place, const struct choice *choice)
{
    struct thread_counts counts;

    if (!workload->threaded) {
        unsigned threads = workload->kind == WORKLOAD_PATTERN ? 1 : 0;
        counts = (struct thread_counts){.count = 1, .all = {threads}};
    } else if (choice->counts != NULL) {
        counts = *choice->counts;
    } else if (choice->quick) {
        counts = (struct thread_counts){.count = 1, .all = {choice->cpus}};
    } else {
        thread_counts_default(&counts, choice->cpus);
    }
    for (unsigned i = 0; i < counts.count; i++) {
        struct selected selected = {
            .workload = place, .threads = counts.all[i], .percent = percent_for(workload, choice)};
        if (!add(selection, selected))
            return false;
    }
    return true;
}

static bool list_marked(struct selection *selection, const struct suite *suite,
                        const struct choice *choice, const bool *marks)
{
    for (unsigned i = 0; i < suite->count; i++) {
        const struct workload *workload = &suite->all[i];
        if (!marks[i])
            continue;
        if (workload->missing[0] != '\0')
            say("%s is left out, since it needs what is not here: %s", workload->name,
                workload->missing);
        else if (!add_workload(selection, workload, i, choice))
            return false;
    }
    if (selection->count == 0)
        say("there is nothing left to measure");
    return selection->count > 0;
}

bool selection_make(struct selection *selection, struct suite *suite, const struct choice *choice)
{
    unsigned first_own;

    *selection = (struct selection){0};
    if (!add_trace_files(suite, choice, &first_own))
        return false;
    bool *marks = calloc(suite->count, sizeof *marks);
    if (marks == NULL) {
        say("not enough memory for the list of workloads");
        return false;
    }
    bool made =
        mark(suite, choice, first_own, marks) && list_marked(selection, suite, choice, marks);
    free(marks);
    return made;
}

void selection_free(struct selection *selection)
{
    free(selection->all);
    *selection = (struct selection){0};
}
