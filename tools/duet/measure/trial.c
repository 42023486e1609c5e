/*
 * A warm-up of each allocator, in which everything is verified; then the rounds. What fails once is
 * not run again, and the others go on.
 */
#include "measure/trial.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/format.h"
#include "common/say.h"
#include "measure/bindings.h"

/* What any allocator may take of the base's time, where nothing else is said: nothing that works
 * is slower. And some seconds for programs that take next to no time. */
#define LIMIT_FACTOR 20
#define LIMIT_LEAST_S 10

/* Rounds that are made even if the deadline is near. */
#define ROUNDS_LEAST 3

/* Exit statuses of our own workloads (bench/workloads). */
#define STATUS_CORRUPT 3
#define STATUS_NO_MEMORY 4

/* What a workload or a player may say on its output. */
#define REPORT_CHARS 4096

/* One trial on its way. */
struct course {
    struct starter *starter;
    const struct results *results;
    struct trial *trial;
    const struct program *program;
    const struct plan *plan;
    const char *preloads[ALLOCATORS_MOST];
    double limit_s;
    int base_status;                    /* the exit status that is right; -1: not known */
    struct cost round[ALLOCATORS_MOST]; /* of the round that is on */
    uint64_t base_output;               /* the hash of what the base wrote in its warm-up ... */
    bool base_output_same;              /* ... and whether it always wrote that */
    unsigned other_outputs[ALLOCATORS_MOST]; /* how often one wrote something else */
    unsigned outputs[ALLOCATORS_MOST];       /* ... of so many runs */
    bool interrupted;
};

static struct series *series_at(const struct course *course, unsigned index)
{
    return &course->trial->series[index];
}

static bool is_alive(const struct course *course, unsigned index)
{
    return series_at(course, index)->outcome == OUTCOME_FINE;
}

/* ---- What became of a run ------------------------------------------------------------------- */

/* The last line of what the program wrote on stderr goes into the note. */
static void note_last_words(const struct course *course, struct series *series)
{
    char text[1024];

    starter_read(course->starter, STREAM_ERROR, true, text, sizeof text);
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        text[--length] = '\0';
    const char *line = strrchr(text, '\n');
    line = line != NULL ? line + 1 : text;
    clean_text(series->note, sizeof series->note, line, strlen(line));
}

static enum outcome judge_status(const struct course *course, int status)
{
    if (course->program->own_status)
        return status == 0                  ? OUTCOME_FINE
               : status == STATUS_CORRUPT   ? OUTCOME_CORRUPT
               : status == STATUS_NO_MEMORY ? OUTCOME_NO_MEMORY
                                            : OUTCOME_STATUS;
    return course->base_status < 0 || course->base_status == status ? OUTCOME_FINE : OUTCOME_STATUS;
}

/* Sets the series' outcome by how its run ended. */
static void judge(const struct course *course, struct series *series, const struct ended *ended)
{
    bool killed = WIFSIGNALED(ended->wait_status);

    series->detail = ended->timed_out ? 0
                     : killed         ? WTERMSIG(ended->wait_status)
                                      : WEXITSTATUS(ended->wait_status);
    series->outcome = ended->timed_out ? OUTCOME_TIMEOUT
                      : killed         ? OUTCOME_CRASH
                                       : judge_status(course, series->detail);
    if (series->outcome == OUTCOME_FINE)
        series->detail = 0;
    else
        note_last_words(course, series);
}

/* The number that stands behind the word at the start of a line; -1: there is none. */
static double reported(const char *report, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = report; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtod(line + length + 1, NULL);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1;
}

/* Our own workloads tell their measured part apart from their set-up, and what their own tables
 * are. */
static void take_report(const struct course *course, struct cost *cost)
{
    char report[REPORT_CHARS];

    starter_read(course->starter, STREAM_OUTPUT, false, report, sizeof report);
    double seconds = reported(report, "seconds");
    double bookkeeping = reported(report, "bookkeeping_kib");
    double end_rss = reported(report, "end_rss_kib");
    if (seconds >= 0)
        cost->of[METRIC_WALL] = seconds;
    if (bookkeeping > 0 && bookkeeping < cost->of[METRIC_PEAK_RSS])
        cost->of[METRIC_PEAK_RSS] -= bookkeeping;
    if (end_rss > 0)
        cost->of[METRIC_END_RSS] = end_rss;
}

/* ---- One run -------------------------------------------------------------------------------- */

static unsigned count_words(char *const *words)
{
    unsigned count = 0;

    while (words != NULL && words[count] != NULL)
        count++;
    return count;
}

/* Runs the program under one allocator, with `more` words for its environment. False: the tool is
 * in trouble, and said so, or the user wants no more. */
static bool run_once(struct course *course, unsigned index, char *const *more, unsigned more_count,
                     struct ended *ended)
{
    unsigned count = count_words(course->program->environment);
    char **environment = calloc(count + more_count + 1, sizeof *environment);

    if (environment == NULL) {
        say("not enough memory to run %s", course->program->path);
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        environment[i] = course->program->environment[i];
    for (unsigned i = 0; i < more_count; i++)
        environment[count + i] = more[i];
    struct order order = {
        .path = course->program->path,
        .arguments = course->program->arguments,
        .preload = course->preloads[index],
        .environment = environment,
        .input = course->program->input,
        .limit_s = course->limit_s,
        .one_cpu = course->program->one_cpu,
    };
    bool ran = starter_run(course->starter, &order, ended);
    free(environment);
    if (!ran)
        return false;
    if (ended->interrupted) {
        course->interrupted = true;
        return false;
    }
    if (ended->error != 0)
        say("cannot run '%s': %s", course->program->path, strerror(ended->error));
    return ended->error == 0;
}

/* ---- The warm-up ---------------------------------------------------------------------------- */

static void copy_base_name(char *out, size_t capacity, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    clean_text(out, capacity, name, strlen(name));
}

/* The program, or what it starts, brings an allocator: from now on the C library's is preloaded, to
 * be the one that its row is named after. False: it was so before, or is another row. */
static bool preload_libc(struct course *course, unsigned index, const char *own)
{
    const struct allocator *allocator = &course->results->allocators.all[index];

    if (allocator->kind != ALLOCATOR_LIBC || course->preloads[index] != NULL)
        return false;
    course->preloads[index] = allocator->path;
    copy_base_name(course->trial->own_malloc, sizeof course->trial->own_malloc, own);
    return true;
}

/* Whether malloc was the allocator's in the run that has ended; *again: it is to be run once more,
 * with the C library preloaded. */
static void verify_malloc(struct course *course, unsigned index, const struct bindings *bindings,
                          const struct ended *ended, bool *again)
{
    const char *expected = course->results->allocators.all[index].path;
    struct series *series = series_at(course, index);
    char found[PATH_MAX] = "";
    char name[64];

    bool bound = bindings_read(bindings, ended->pid, expected, found);
    if (bound && strcmp(found, expected) == 0) {
        if (!bindings_read_others(bindings, ended->pid, expected, found))
            return;
        *again = preload_libc(course, index, found);
        if (!*again)
            copy_base_name(course->trial->stray_malloc, sizeof course->trial->stray_malloc, found);
        return;
    }
    *again = bound && preload_libc(course, index, found);
    if (*again)
        return;
    series->outcome = OUTCOME_NOT_LOADED;
    copy_base_name(name, sizeof name, found);
    if (bound)
        snprintf(series->note, sizeof series->note, "malloc was that of %s", name);
    else
        snprintf(series->note, sizeof series->note, "the loader bound no malloc");
}

static void follow_output(struct course *course, unsigned index)
{
    bool same = starter_output_hash(course->starter) == course->base_output;

    if (index == course->results->base)
        course->base_output_same = course->base_output_same && same;
    course->other_outputs[index] += !same;
    course->outputs[index]++;
}

/* What is right is what the base does. */
static void learn_from_base(struct course *course, const struct ended *ended)
{
    if (is_alive(course, course->results->base)) {
        course->base_status = WEXITSTATUS(ended->wait_status);
        course->trial->base_status = (unsigned)course->base_status;
        course->base_output = starter_output_hash(course->starter);
        course->base_output_same = true;
    }
}

/* The first that is fine, mostly the base, sets what the others may take. */
static void learn_limit(struct course *course, unsigned index, const struct ended *ended)
{
    if (course->limit_s <= 0 && is_alive(course, index))
        course->limit_s = ended->cost.of[METRIC_WALL] * LIMIT_FACTOR + LIMIT_LEAST_S;
}

/* Runs one allocator once, uncounted, and learns whether it works. False as run_once. */
static bool warm_up(struct course *course, unsigned index)
{
    struct series *series = series_at(course, index);
    bool again = true;

    for (int tries = 0; again && tries < 2; tries++) {
        struct bindings bindings;
        struct ended ended;
        again = false;
        if (!bindings_begin(&bindings))
            return false;
        bool ran = run_once(course, index, bindings.environment, 2, &ended);
        if (ran) {
            judge(course, series, &ended);
            if (series->outcome == OUTCOME_FINE)
                verify_malloc(course, index, &bindings, &ended, &again);
            if (index == course->results->base && !again)
                learn_from_base(course, &ended);
            if (!again) {
                learn_limit(course, index, &ended);
                follow_output(course, index);
            }
        }
        bindings_end(&bindings);
        if (!ran)
            return false;
    }
    return true;
}

static void tell_progress(const struct course *course, unsigned round, unsigned index)
{
    if (course->plan->progress != NULL)
        course->plan->progress(course->plan->context, round, course->plan->runs,
                               course->results->allocators.all[index].name);
}

static bool warm_all_up(struct course *course)
{
    unsigned base = course->results->base;

    tell_progress(course, 0, base);
    if (!warm_up(course, base))
        return false;
    for (unsigned i = 0; i < course->results->allocators.count; i++) {
        if (i == base)
            continue;
        tell_progress(course, 0, i);
        if (!warm_up(course, i))
            return false;
    }
    return true;
}

/* ---- The rounds ----------------------------------------------------------------------------- */

/* Each begins with another allocator, and every second one runs the other way. */
static unsigned in_turn(unsigned round, unsigned step, unsigned count)
{
    unsigned place = round % 2 == 0 ? step : count - 1 - step;

    return (place + round / 2) % count;
}

static bool run_round(struct course *course, unsigned round)
{
    unsigned count = course->results->allocators.count;

    for (unsigned step = 0; step < count; step++) {
        unsigned index = in_turn(round, step, count);
        struct ended ended;
        if (!is_alive(course, index))
            continue;
        tell_progress(course, round + 1, index);
        if (!run_once(course, index, NULL, 0, &ended))
            return false;
        judge(course, series_at(course, index), &ended);
        course->round[index] = ended.cost;
        if (course->program->own_status)
            take_report(course, &course->round[index]);
        follow_output(course, index);
        if (course->plan->look != NULL && is_alive(course, index) &&
            !course->plan->look(course->plan->looker, index, round))
            return false;
    }
    return true;
}

/* Adds the round that is done to every series that is still alive. */
static bool keep_round(struct course *course)
{
    for (unsigned i = 0; i < course->results->allocators.count; i++) {
        struct series *series = series_at(course, i);
        if (!is_alive(course, i))
            continue;
        struct cost *longer = realloc(series->costs, (series->count + 1) * sizeof *longer);
        if (longer == NULL) {
            say("not enough memory for the figures");
            return false;
        }
        series->costs = longer;
        series->costs[series->count++] = course->round[i];
    }
    return true;
}

static bool any_alive(const struct course *course)
{
    for (unsigned i = 0; i < course->results->allocators.count; i++) {
        if (is_alive(course, i))
            return true;
    }
    return false;
}

static bool run_rounds(struct course *course, uint64_t start_ns)
{
    uint64_t deadline_ns = (uint64_t)(course->plan->deadline_s * 1e9);

    for (unsigned round = 0; round < course->plan->runs && any_alive(course); round++) {
        uint64_t round_start_ns = now_ns();
        if (!run_round(course, round) || !keep_round(course))
            return false;
        /* Would the next end too late, if it takes as long? */
        uint64_t now = now_ns();
        if (deadline_ns != 0 && round + 1 >= ROUNDS_LEAST &&
            now + (now - round_start_ns) - start_ns > deadline_ns)
            break;
    }
    return true;
}

/* A program that always writes the same under the base, and never that under another allocator,
 * was given memory that is not as it should be, or writes about memory. Of one that is known to
 * write the same always, once is enough. */
static void judge_output(struct course *course)
{
    unsigned base = course->results->base;

    if (course->program->any_output || course->program->own_status || !is_alive(course, base) ||
        !course->base_output_same)
        return;
    for (unsigned i = 0; i < course->results->allocators.count; i++) {
        struct series *series = series_at(course, i);
        unsigned enough = course->program->exact ? 1 : course->outputs[i];
        if (i == base || !is_alive(course, i) || course->other_outputs[i] < enough)
            continue;
        series->outcome = OUTCOME_OUTPUT;
        snprintf(series->note, sizeof series->note,
                 "what it writes differs in %u of %u runs from what it always writes under %s",
                 course->other_outputs[i], course->outputs[i],
                 course->results->allocators.all[base].name);
    }
}

enum trial_end trial_run(struct starter *starter, const struct results *results,
                         struct trial *trial, const struct program *program,
                         const struct plan *plan)
{
    struct course course = {
        .starter = starter,
        .results = results,
        .trial = trial,
        .program = program,
        .plan = plan,
        .limit_s = plan->limit_s,
        .base_status = program->own_status || program->exact ? 0 : -1,
    };
    uint64_t start_ns = now_ns();

    for (unsigned i = 0; i < results->allocators.count; i++) {
        const char *preload = results->allocators.all[i].preload;
        course.preloads[i] = preload[0] != '\0' ? preload : NULL;
    }
    bool done = warm_all_up(&course) && run_rounds(&course, start_ns);
    if (done)
        judge_output(&course);
    /* Interrupted before a whole round: nothing is known yet. */
    for (unsigned i = 0; i < results->allocators.count; i++) {
        if (is_alive(&course, i) && series_at(&course, i)->count == 0)
            series_at(&course, i)->outcome = OUTCOME_PENDING;
    }
    return done ? TRIAL_DONE : course.interrupted ? TRIAL_INTERRUPTED : TRIAL_BROKEN;
}
