/*
 * Words -> allocators and curves -> a trial for each curve -> tables, files.
 *
 * A run is the program of patterns measuring one whole curve, so that all its points are of one
 * process and one moment: steps between them are taken within a run, and what else the machine does
 * falls on both sides of a step.
 */
#include "bench/curves.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/bench_progress.h"
#include "bench/patterns.h"
#include "common/clock.h"
#include "common/output.h"
#include "common/say.h"
#include "measure/call.h"
#include "measure/curves_json.h"
#include "present/curves.h"
#include "present/picture.h"

#define REPORT_CHARS 32768 /* of a run: a line for each point */
#define LIST_FIELDS 4

struct measuring {
    struct starter *starter;
    const struct curves_request *request;
    char program[PATH_MAX]; /* of the patterns */
    struct curves curves;
    unsigned at; /* the curve that is measured */
    struct output json;
    struct output pictures[CURVES_MOST];
    char picture_names[CURVES_MOST][PATH_MAX];
};

/* ---- Before --------------------------------------------------------------------------------- */

static bool is_named(const struct curves_request *request, const char *curve)
{
    for (int i = 0; i < request->name_count; i++) {
        if (fnmatch(request->names[i], curve, 0) == 0)
            return true;
    }
    return request->name_count == 0;
}

static bool print_curve(void *context, char *const *fields)
{
    (void)context;
    printf("  %-16s %s\n", fields[0], fields[3]);
    return true;
}

/* NAME, cells|bytes, REFERENCE, DESCRIPTION. */
static bool add_curve(void *context, char *const *fields)
{
    struct measuring *measuring = context;
    enum curve_unit unit = strcmp(fields[1], "cells") == 0 ? CURVE_CELLS : CURVE_BYTES;

    return !is_named(measuring->request, fields[0]) ||
           curves_add(&measuring->curves, fields[0], unit, strtoull(fields[2], NULL, 10),
                      fields[3]);
}

/* Whether each name means a curve. */
static bool check_names(const struct measuring *measuring)
{
    for (int i = 0; i < measuring->request->name_count; i++) {
        const char *name = measuring->request->names[i];
        bool found = false;
        for (unsigned k = 0; !found && k < measuring->curves.count; k++)
            found = fnmatch(name, measuring->curves.all[k].name, 0) == 0;
        if (!found) {
            say("there is no curve '%s'; duet bench --curves --list tells which there are", name);
            return false;
        }
    }
    return true;
}

static bool open_outputs(struct measuring *measuring)
{
    const struct curves_request *request = measuring->request;
    char file[sizeof measuring->curves.all->name + sizeof ".svg"];
    bool good = output_open(&measuring->json, request->json_name);

    if (!good || request->pictures_name == NULL)
        return good;
    good = picture_possible();
    for (unsigned i = 0; good && i < measuring->curves.count; i++) {
        snprintf(file, sizeof file, "%s.svg", measuring->curves.all[i].name);
        good = output_open_in(&measuring->pictures[i], request->pictures_name, file,
                              measuring->picture_names[i]);
    }
    return good;
}

static bool prepare(struct measuring *measuring)
{
    struct results *results = &measuring->curves.results;

    *results =
        (struct results){.command = "curves", .runs = measuring->request->runs, .whole = true};
    results_stamp(results);
    machine_look(&results->machine);
    return allocators_choose(&results->allocators, measuring->request->with) &&
           patterns_list(measuring->starter, "--curves", LIST_FIELDS, add_curve, measuring,
                         measuring->program) &&
           check_names(measuring) && open_outputs(measuring);
}

/* ---- Measuring ------------------------------------------------------------------------------ */

static bool take_report(void *context, unsigned allocator, unsigned round)
{
    static char report[REPORT_CHARS];
    struct measuring *measuring = context;

    starter_read(measuring->starter, STREAM_OUTPUT, false, report, sizeof report);
    return curve_take(&measuring->curves, measuring->at, allocator, round, report);
}

static enum trial_end measure_one(struct measuring *measuring, struct bench_progress *progress)
{
    struct results *results = &measuring->curves.results;
    struct trial *trial = &results->trials[measuring->at];
    struct program program = {.own_status = true, .one_cpu = true};
    struct call call;
    enum trial_end end = TRIAL_BROKEN;
    struct plan plan = {
        .runs = measuring->request->runs,
        .limit_s = measuring->request->limit_s,
        .progress = bench_progress_run,
        .context = progress,
        .look = take_report,
        .looker = measuring,
    };

    call_begin(&call, measuring->program);
    call_add_word(&call, "%s", PATTERNS_PROGRAM);
    call_add_word(&call, "--curve");
    call_add_word(&call, "%s", trial->workload);
    call_add_word(&call, "%u", measuring->request->percent);
    bench_progress_trial(progress, trial);
    if (call_finish(&call, &program))
        end = trial_run(measuring->starter, results, trial, &program, &plan);
    if (end == TRIAL_DONE)
        bench_progress_done(progress, results, trial);
    call_end(&call);
    return end;
}

static enum trial_end measure_all(struct measuring *measuring)
{
    struct results *results = &measuring->curves.results;
    struct bench_progress progress;
    uint64_t start_ns = now_ns();
    enum trial_end end = TRIAL_DONE;

    bench_progress_begin(&progress, measuring->curves.count);
    for (; end == TRIAL_DONE && measuring->at < measuring->curves.count; measuring->at++)
        end = starter_interrupted() ? TRIAL_INTERRUPTED : measure_one(measuring, &progress);
    bench_progress_end(&progress);
    results->elapsed_s = (double)(now_ns() - start_ns) / 1e9;
    return end;
}

/* ---- After ---------------------------------------------------------------------------------- */

static bool write_outputs(struct measuring *measuring)
{
    FILE *stream;
    bool good = true;

    if (output_is_wanted(&measuring->json)) {
        stream = output_begin(&measuring->json);
        good = stream != NULL &&
               output_end(&measuring->json, stream, curves_json_write(stream, &measuring->curves));
    }
    for (unsigned i = 0; i < measuring->curves.count; i++) {
        struct output *output = &measuring->pictures[i];
        if (!output_is_wanted(output))
            continue;
        stream = output_begin(output);
        good = stream != NULL &&
               output_end(output, stream, picture_of_curve(stream, &measuring->curves, i)) && good;
    }
    return good;
}

static bool is_empty(const struct curves *curves, unsigned curve)
{
    for (unsigned k = 0; k < curves->results.allocators.count; k++) {
        if (curves->results.trials[curve].series[k].count > 0)
            return false;
    }
    return true;
}

/* Keeps the curves of which anything is known; false: none is. */
static bool keep_what_is_done(struct measuring *measuring)
{
    struct curves *curves = &measuring->curves;
    unsigned asked = curves->count;

    curves->results.whole = false;
    while (curves->count > 0 && is_empty(curves, curves->count - 1))
        curves_drop_last(curves);
    say("interrupted: what follows is of %u of %u curves", curves->count, asked);
    return curves->count > 0;
}

static int tell(struct measuring *measuring, enum trial_end end)
{
    FILE *stream = output_is_stdout(measuring->request->json_name) ? stderr : stdout;

    if (end == TRIAL_BROKEN)
        return STATUS_LAUNCHER_FAILED;
    if (end == TRIAL_INTERRUPTED && !keep_what_is_done(measuring))
        return STATUS_INTERRUPTED;
    curves_print(stream, &measuring->curves,
                 isatty(fileno(stream)) == 1 && getenv("NO_COLOR") == NULL);
    fflush(stream);
    if (!write_outputs(measuring))
        return STATUS_LAUNCHER_FAILED;
    if (end == TRIAL_INTERRUPTED)
        return STATUS_INTERRUPTED;
    return results_failed(&measuring->curves.results) ? STATUS_RUN_FAILED : 0;
}

int curves_measure(struct starter *starter, const struct curves_request *request)
{
    static struct measuring measuring; /* a MiB of paths */
    int status = STATUS_LAUNCHER_FAILED;

    measuring = (struct measuring){.starter = starter, .request = request, .json.fd = -1};
    for (unsigned i = 0; i < CURVES_MOST; i++)
        measuring.pictures[i].fd = -1;
    if (request->list)
        return patterns_list(starter, "--curves", LIST_FIELDS, print_curve, NULL, measuring.program)
                   ? 0
                   : status;
    if (prepare(&measuring))
        status = tell(&measuring, measure_all(&measuring));
    output_drop(&measuring.json);
    for (unsigned i = 0; i < CURVES_MOST; i++)
        output_drop(&measuring.pictures[i]);
    curves_free(&measuring.curves);
    return status;
}
