/* One tree, from the inside out. */
#include "run/report_json.h"

#include <sys/wait.h>

#include "common/json.h"

/* Raised when a field changes its name or meaning. */
#define REPORT_FORMAT 1

static json_t *seconds(uint64_t ns)
{
    return json_real((double)ns / 1e9);
}

static json_t *row_json(const struct row_summary *row)
{
    json_t *object = json_object();
    bool whole = json_set(object, "large", json_boolean(row->large)) &&
                 json_set(object, "cell_bytes", json_number(row->cell_bytes)) &&
                 json_set(object, "peak_cells", json_number(row->peak_cells)) &&
                 json_set(object, "peak_bytes", json_number(row->peak_bytes)) &&
                 json_set(object, "end_cells", json_number(row->live_cells)) &&
                 json_set(object, "end_bytes", json_number(row->live_bytes)) &&
                 json_set(object, "allocated_cells", json_number(row->allocated)) &&
                 json_set(object, "allocated_bytes", json_number(row->allocated_bytes)) &&
                 json_set(object, "freed_cells", json_number(row->freed));
    return json_if_whole(object, whole);
}

static json_t *rows_json(const struct process_summary *process)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; whole && i < process->row_count; i++)
        whole = json_array_append_new(array, row_json(&process->rows[i])) == 0;
    return json_if_whole(array, whole);
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
    bool whole = json_set(object, "pid", json_integer(process->pid)) &&
                 json_set(object, "parent_pid", json_integer(process->parent_pid)) &&
                 json_set(object, "program", json_string(process->program)) &&
                 json_set(object, "engine", json_string(process->engine)) &&
                 json_set(object, "ended_by", ending_json(process->ending)) &&
                 json_set(object, "wall_seconds", seconds(process->wall_ns)) &&
                 json_set(object, "wall_exact", json_boolean(process->wall_exact)) &&
                 json_set(object, "peak_rss_bytes", json_number(process->rss_kib * 1024)) &&
                 json_set(object, "peak_rss_exact", json_boolean(process->rss_exact)) &&
                 json_set(object, "peak_bytes", json_number(process->peak_bytes)) &&
                 json_set(object, "peak_bytes_error", json_number(process->peak_error_bytes)) &&
                 json_set(object, "peak_cells", json_number(process->peak_cells)) &&
                 json_set(object, "end_bytes", json_number(process->live_bytes)) &&
                 json_set(object, "end_cells", json_number(process->live_cells)) &&
                 json_set(object, "allocations", json_number(process->allocations)) &&
                 json_set(object, "allocated_bytes", json_number(process->allocated_bytes)) &&
                 json_set(object, "reallocs", json_number(process->reallocs)) &&
                 json_set(object, "reallocs_moved", json_number(process->reallocs_moved)) &&
                 json_set(object, "frees", json_number(process->frees)) &&
                 json_set(object, "failures", json_number(process->failures)) &&
                 json_set(object, "held_peak_bytes", json_number(process->held_peak_bytes)) &&
                 json_set(object, "held_end_bytes", json_number(process->held_bytes)) &&
                 json_set(object, "rows", rows_json(process));
    return json_if_whole(object, whole);
}

static json_t *processes_json(const struct run_summary *run)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (uint32_t i = 0; whole && i < run->count; i++)
        whole = json_array_append_new(array, process_json(&run->processes[i])) == 0;
    return json_if_whole(array, whole);
}

static json_t *totals_json(const struct run_summary *run)
{
    json_t *object = json_object();
    bool whole = json_set(object, "processes", json_number(run->count)) &&
                 json_set(object, "processes_not_counted", json_number(run->refused)) &&
                 json_set(object, "allocations", json_number(run->allocations)) &&
                 json_set(object, "allocated_bytes", json_number(run->allocated_bytes)) &&
                 json_set(object, "reallocs", json_number(run->reallocs)) &&
                 json_set(object, "frees", json_number(run->frees)) &&
                 json_set(object, "failures", json_number(run->failures));
    return json_if_whole(object, whole);
}

/* How the program ended: exactly one of the two is not null. */
static bool set_ending(json_t *object, int status)
{
    bool killed = WIFSIGNALED(status);

    return json_set(object, "exit_status",
                    killed ? json_null() : json_integer(WEXITSTATUS(status))) &&
           json_set(object, "signal", killed ? json_integer(WTERMSIG(status)) : json_null());
}

static json_t *run_json(const struct run_summary *run)
{
    const struct launch *launch = run->launch;
    json_t *object = json_object();
    bool whole =
        json_set(object, "format", json_integer(REPORT_FORMAT)) &&
        json_set(object, "duet", json_string(DUET_VERSION)) &&
        json_set(object, "engine", json_text(run->engine)) &&
        json_set(object, "library", json_text(run->library)) &&
        json_set(object, "command", json_texts(run->command)) &&
        set_ending(object, launch->wait_status) &&
        json_set(object, "loaded", json_boolean(run->program_counted)) &&
        json_set(object, "wall_seconds", seconds(launch->end_ns - launch->start_ns)) &&
        json_set(object, "user_seconds", seconds(launch->user_us * 1000)) &&
        json_set(object, "system_seconds", seconds(launch->system_us * 1000)) &&
        json_set(object, "largest_rss_bytes", json_number(launch->largest_rss_kib * 1024)) &&
        json_set(object, "totals", totals_json(run)) &&
        json_set(object, "processes", processes_json(run));
    return json_if_whole(object, whole);
}

bool report_json_write(FILE *stream, const struct run_summary *run)
{
    return json_finish(stream, run_json(run));
}
