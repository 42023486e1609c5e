/*
 * Built as one tree with jansson, which escapes and checks. A value that could not be made is
 * NULL, and jansson then refuses to add it; so each function needs to look only once, at the end.
 */
#include "run/report_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/format.h"

/* Raised when a field changes its name or meaning. */
#define REPORT_FORMAT 1

static json_t *number(uint64_t value)
{
    return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static json_t *seconds(uint64_t ns)
{
    return json_real((double)ns / 1e9);
}

/* A string that may hold anything. jansson escapes control characters, but takes only UTF-8. */
static json_t *text(const char *string)
{
    size_t capacity = strlen(string) * 3 + 1;
    char *repaired = malloc(capacity);
    json_t *made = NULL;

    if (repaired != NULL) {
        repair_text(repaired, capacity, string);
        made = json_string(repaired);
    }
    free(repaired);
    return made;
}

/* Sets a field, taking over `value`; false: there is no value, or no memory. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* The object if it is whole; otherwise releases it. */
static json_t *if_whole(json_t *object, bool whole)
{
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *row_json(const struct row_summary *row)
{
    json_t *object = json_object();
    bool whole = set(object, "large", json_boolean(row->large)) &&
                 set(object, "cell_bytes", number(row->cell_bytes)) &&
                 set(object, "peak_cells", number(row->peak_cells)) &&
                 set(object, "peak_bytes", number(row->peak_bytes)) &&
                 set(object, "end_cells", number(row->live_cells)) &&
                 set(object, "end_bytes", number(row->live_bytes)) &&
                 set(object, "allocated_cells", number(row->allocated)) &&
                 set(object, "allocated_bytes", number(row->allocated_bytes)) &&
                 set(object, "freed_cells", number(row->freed));
    return if_whole(object, whole);
}

static json_t *rows_json(const struct process_summary *process)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; whole && i < process->row_count; i++)
        whole = json_array_append_new(array, row_json(&process->rows[i])) == 0;
    return if_whole(array, whole);
}

static json_t *ending_json(enum ending ending)
{
    static const char *const words[] = {
        [ENDED_EXIT] = "exit",
        [ENDED_EXEC] = "exec",
        [ENDED_SUDDEN] = "sudden",
        [ENDED_NOT_YET] = "running",
    };
    return json_string(words[ending]);
}

static json_t *process_json(const struct process_summary *process)
{
    json_t *object = json_object();
    bool whole = set(object, "pid", json_integer(process->pid)) &&
                 set(object, "parent_pid", json_integer(process->parent_pid)) &&
                 set(object, "program", json_string(process->program)) &&
                 set(object, "engine", json_string(process->engine)) &&
                 set(object, "ended_by", ending_json(process->ending)) &&
                 set(object, "wall_seconds", seconds(process->wall_ns)) &&
                 set(object, "wall_exact", json_boolean(process->wall_exact)) &&
                 set(object, "peak_rss_bytes", number(process->rss_kib * 1024)) &&
                 set(object, "peak_rss_exact", json_boolean(process->rss_exact)) &&
                 set(object, "peak_bytes", number(process->peak_bytes)) &&
                 set(object, "peak_bytes_error", number(process->peak_error_bytes)) &&
                 set(object, "peak_cells", number(process->peak_cells)) &&
                 set(object, "end_bytes", number(process->live_bytes)) &&
                 set(object, "end_cells", number(process->live_cells)) &&
                 set(object, "allocations", number(process->allocations)) &&
                 set(object, "allocated_bytes", number(process->allocated_bytes)) &&
                 set(object, "reallocs", number(process->reallocs)) &&
                 set(object, "reallocs_moved", number(process->reallocs_moved)) &&
                 set(object, "frees", number(process->frees)) &&
                 set(object, "failures", number(process->failures)) &&
                 set(object, "held_peak_bytes", number(process->held_peak_bytes)) &&
                 set(object, "held_end_bytes", number(process->held_bytes)) &&
                 set(object, "rows", rows_json(process));
    return if_whole(object, whole);
}

static json_t *processes_json(const struct run_summary *run)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (uint32_t i = 0; whole && i < run->count; i++)
        whole = json_array_append_new(array, process_json(&run->processes[i])) == 0;
    return if_whole(array, whole);
}

static json_t *command_json(const struct run_summary *run)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (char *const *word = run->command; whole && *word != NULL; word++)
        whole = json_array_append_new(array, text(*word)) == 0;
    return if_whole(array, whole);
}

static json_t *totals_json(const struct run_summary *run)
{
    json_t *object = json_object();
    bool whole = set(object, "processes", number(run->count)) &&
                 set(object, "processes_not_counted", number(run->refused)) &&
                 set(object, "allocations", number(run->allocations)) &&
                 set(object, "allocated_bytes", number(run->allocated_bytes)) &&
                 set(object, "reallocs", number(run->reallocs)) &&
                 set(object, "frees", number(run->frees)) &&
                 set(object, "failures", number(run->failures));
    return if_whole(object, whole);
}

/* How the program ended: exactly one of the two is not null. */
static bool set_ending(json_t *object, int status)
{
    bool killed = WIFSIGNALED(status);

    return set(object, "exit_status", killed ? json_null() : json_integer(WEXITSTATUS(status))) &&
           set(object, "signal", killed ? json_integer(WTERMSIG(status)) : json_null());
}

static json_t *run_json(const struct run_summary *run)
{
    const struct launch *launch = run->launch;
    json_t *object = json_object();
    bool whole =
        set(object, "format", json_integer(REPORT_FORMAT)) &&
        set(object, "duet", json_string(DUET_VERSION)) &&
        set(object, "engine", text(run->engine)) && set(object, "library", text(run->library)) &&
        set(object, "command", command_json(run)) && set_ending(object, launch->wait_status) &&
        set(object, "loaded", json_boolean(run->program_counted)) &&
        set(object, "wall_seconds", seconds(launch->end_ns - launch->start_ns)) &&
        set(object, "user_seconds", seconds(launch->user_us * 1000)) &&
        set(object, "system_seconds", seconds(launch->system_us * 1000)) &&
        set(object, "largest_rss_bytes", number(launch->largest_rss_kib * 1024)) &&
        set(object, "totals", totals_json(run)) && set(object, "processes", processes_json(run));
    return if_whole(object, whole);
}

bool report_json_write(FILE *stream, const struct run_summary *run)
{
    json_t *object = run_json(run);
    if (object == NULL)
        return false;

    bool written = json_dumpf(object, stream, JSON_INDENT(2)) == 0;
    json_decref(object);
    return written && fputc('\n', stream) != EOF;
}
