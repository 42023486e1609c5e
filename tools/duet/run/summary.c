/* Adds up shards, bounds what it finds, and puts the processes in order. */
#include "run/summary.h"

#include <stdlib.h>
#include <string.h>

#include "common/format.h"
#include "common/say.h"

/* Large rows count in pages of this size whatever the machine's is: see heap/counters.h. */
#define LARGE_UNIT_BYTES ((uint64_t)4096)

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t subtract(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t at_least_zero(int64_t number)
{
    return number > 0 ? (uint64_t)number : 0;
}

double ratio(uint64_t a, uint64_t b)
{
    return b != 0 ? (double)a / (double)b : 0.0;
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* A row's sums over the shards. */
static void add_shards(const struct count_record *record, unsigned row, struct row_summary *out,
                       uint64_t *large_freed_bytes)
{
    for (unsigned i = 0; i < COUNT_SHARDS; i++) {
        const struct count_shard *shard = &record->shards[i];
        out->allocated = add(out->allocated, shard->allocated[row]);
        out->freed = add(out->freed, shard->freed[row]);
        if (out->large) {
            unsigned k = row - COUNT_SMALL_ROWS;
            out->allocated_bytes = add(out->allocated_bytes, shard->large_allocated_bytes[k]);
            *large_freed_bytes = add(*large_freed_bytes, shard->large_freed_bytes[k]);
        }
    }
}

static struct row_summary make_row(const struct count_record *record, unsigned row)
{
    struct row_summary out = {.large = row >= COUNT_SMALL_ROWS};
    uint64_t large_freed_bytes = 0;

    add_shards(record, row, &out, &large_freed_bytes);
    out.peak_cells = at_least_zero(record->snapshot_cells[row]);
    out.live_cells =
        subtract(add(at_least_zero(record->inherited_cells[row]), out.allocated), out.freed);
    if (out.large) {
        unsigned k = row - COUNT_SMALL_ROWS;
        uint64_t inherited = at_least_zero(record->inherited_large_bytes[k]);
        out.cell_bytes = LARGE_UNIT_BYTES << k;
        out.peak_bytes = at_least_zero(record->snapshot_large_bytes[k]);
        out.live_bytes = subtract(add(inherited, out.allocated_bytes), large_freed_bytes);
    } else {
        out.cell_bytes = record->row_bytes[row];
        out.peak_bytes = multiply(out.peak_cells, out.cell_bytes);
        out.live_bytes = multiply(out.live_cells, out.cell_bytes);
        out.allocated_bytes = multiply(out.allocated, out.cell_bytes);
    }
    return out;
}

/* Fills in the rows that have anything in them, and their sums. */
static void add_rows(struct process_summary *process, const struct count_record *record)
{
    unsigned small_rows =
        record->small_rows < COUNT_SMALL_ROWS ? record->small_rows : COUNT_SMALL_ROWS;

    for (unsigned i = 0; i < COUNT_ROWS; i++) {
        if (i >= small_rows && i < COUNT_SMALL_ROWS)
            continue;
        struct row_summary row = make_row(record, i);
        process->peak_cells = add(process->peak_cells, row.peak_cells);
        process->peak_rows_bytes = add(process->peak_rows_bytes, row.peak_bytes);
        process->live_cells = add(process->live_cells, row.live_cells);
        process->live_bytes = add(process->live_bytes, row.live_bytes);
        process->allocations = add(process->allocations, row.allocated);
        process->allocated_bytes = add(process->allocated_bytes, row.allocated_bytes);
        process->frees = add(process->frees, row.freed);
        if ((row.peak_cells | row.allocated | row.live_cells) != 0)
            process->rows[process->row_count++] = row;
    }
}

/* The rows were noted some way below the peak. Where more is live at the end, that is closer. */
static void take_end_for_peak(struct process_summary *process)
{
    if (process->live_bytes < process->peak_rows_bytes)
        return;
    process->peak_cells = process->live_cells;
    process->peak_rows_bytes = process->live_bytes;
    process->peak_rows_at_end = true;
    for (unsigned i = 0; i < process->row_count; i++) {
        process->rows[i].peak_cells = process->rows[i].live_cells;
        process->rows[i].peak_bytes = process->rows[i].live_bytes;
    }
}

/* ---- The peak ----------------------------------------------------------------------------- */

static bool is_used(const struct count_shard *shard)
{
    for (unsigned row = 0; row < COUNT_ROWS; row++) {
        if ((shard->allocated[row] | shard->freed[row]) != 0)
            return true;
    }
    return false;
}

/* What was allocated in a shard's unfinished window, and how much of it may have been live beyond
 * what was live at its start and is at its end. */
struct window {
    uint64_t allocated;
    uint64_t between;
};

static struct window unfinished_window(const struct count_record *record,
                                       const struct count_shard *shard)
{
    uint64_t allocated = 0;
    uint64_t live = (uint64_t)shard->large_live;

    /* Counts wrap around: a shard may have freed what another allocated. */
    for (unsigned row = 0; row < COUNT_SMALL_ROWS; row++) {
        allocated += shard->allocated[row] * record->row_bytes[row];
        live += (shard->allocated[row] - shard->freed[row]) * record->row_bytes[row];
    }
    allocated -= shard->looked_allocated;
    uint64_t freed = at_least_zero((int64_t)(allocated - (live - (uint64_t)shard->looked_live)));
    allocated = at_least_zero((int64_t)allocated);
    return (struct window){allocated, allocated < freed ? allocated : freed};
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How high the peak can have been between looks: see heap/counters.h. */
static uint64_t highest_peak(const struct process_summary *process,
                             const struct count_record *record)
{
    uint64_t noted = at_least_zero(record->live_peak_bytes);
    uint64_t at_looks = larger(noted, process->live_bytes);
    uint64_t allocated = 0;
    uint64_t between = 0;
    unsigned used = 0;

    for (unsigned i = 1; i < COUNT_SHARDS; i++) {
        const struct count_shard *shard = &record->shards[i];
        if (!is_used(shard))
            continue;
        struct window window = unfinished_window(record, shard);
        allocated = add(allocated, larger(window.allocated, shard->window_allocated));
        between = window.between;
        used++;
    }

    /* Shard 0 has no windows, but what it gains in one of another's adds to it. */
    if (used != 1 || is_used(&record->shards[0]))
        return larger(add(noted, allocated), at_looks);
    uint64_t at_the_end = larger(at_least_zero(record->live_bytes), process->live_bytes);
    return larger(larger(at_least_zero(record->live_peak_bound), at_looks),
                  add(at_the_end, between));
}

/* Needs the live bytes at the end and what was mapped. */
static void find_peak(struct process_summary *process, const struct count_record *record)
{
    uint64_t highest = highest_peak(process, record);
    uint64_t peak = at_least_zero(record->live_peak_bytes);

    if (peak < process->live_bytes)
        peak = process->live_bytes;
    /* Live bytes lie in mapped memory. A process that was killed may not have noted all of that. */
    if (process->held_peak_bytes >= process->live_bytes && process->held_peak_bytes < highest)
        highest = process->held_peak_bytes;
    process->peak_bytes = peak < highest ? peak : highest;
    process->peak_error_bytes = highest - process->peak_bytes;
}

bool peak_is_firm(const struct process_summary *process)
{
    const uint64_t least_bytes = 64 * 1024;

    return process->peak_bytes >= least_bytes &&
           process->peak_error_bytes <= process->peak_bytes / 10;
}

bool rows_are_near_peak(const struct process_summary *process)
{
    const double near = 0.02;
    uint64_t rows = process->peak_rows_bytes;
    uint64_t peak = process->peak_bytes;

    return rows != 0 && ratio(rows < peak ? peak - rows : rows - peak, peak) <= near;
}

bool is_silent(const struct process_summary *process)
{
    return process->row_count == 0 && (process->reallocs | process->failures) == 0;
}

/* ---- Processes ---------------------------------------------------------------------------- */

static void add_counts(struct process_summary *process, const struct count_record *record)
{
    uint64_t renewed = 0;

    for (unsigned i = 0; i < COUNT_SHARDS; i++) {
        const struct count_shard *shard = &record->shards[i];
        process->reallocs = add(process->reallocs, shard->reallocs);
        process->reallocs_moved = add(process->reallocs_moved, shard->reallocs_moved);
        renewed = add(renewed, shard->renewed);
        process->failures = add(process->failures, shard->failures);
    }
    add_rows(process, record);
    take_end_for_peak(process);
    process->allocations = subtract(process->allocations, renewed);
    process->frees = subtract(process->frees, renewed);

    process->held_bytes = record->held_bytes;
    process->held_peak_bytes =
        record->held_peak_bytes > record->held_bytes ? record->held_peak_bytes : record->held_bytes;
    find_peak(process, record);
}

static void add_times(struct process_summary *process, const struct count_record *record,
                      const struct watched *watched, const struct launch *launch)
{
    uint64_t end_ns = watched->last_seen_ns;

    process->start_ns = record->start_ns;
    if (record->state == COUNT_EXITED) {
        process->ending = ENDED_EXIT;
        process->wall_exact = true;
        end_ns = record->end_ns;
    } else if (record->pid == launch->child) {
        process->ending = ENDED_SUDDEN;
        process->wall_exact = true;
        end_ns = launch->end_ns;
    } else {
        process->ending = watched->phase == WATCH_ALIVE ? ENDED_NOT_YET : ENDED_SUDDEN;
    }
    process->wall_ns = subtract(end_ns, record->start_ns);

    process->rss_kib = watched->rss_kib;
    process->rss_exact = record->peak_rss_kib != 0;
    if (record->peak_rss_kib > process->rss_kib)
        process->rss_kib = record->peak_rss_kib;
}

static void make_process(struct process_summary *process, struct count_record *record,
                         const struct watched *watched, const struct launch *launch)
{
    *process = (struct process_summary){.pid = record->pid, .parent_pid = record->parent_pid};
    clean_text(process->program, sizeof process->program, record->program, sizeof record->program);
    clean_text(process->engine, sizeof process->engine, record->engine, sizeof record->engine);
    add_counts(process, record);
    add_times(process, record, watched, launch);
}

static int by_pid_and_start(const void *a, const void *b)
{
    const struct process_summary *left = a;
    const struct process_summary *right = b;

    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    return (left->start_ns > right->start_ns) - (left->start_ns < right->start_ns);
}

static int by_peak(const void *a, const void *b)
{
    const struct process_summary *left = a;
    const struct process_summary *right = b;

    if (left->peak_bytes != right->peak_bytes)
        return left->peak_bytes > right->peak_bytes ? -1 : 1;
    return (left->start_ns > right->start_ns) - (left->start_ns < right->start_ns);
}

/* A record that did not end by exit, and that has a later one of the same process, ended by exec
 * when that one began. */
static void find_execs(struct run_summary *run)
{
    qsort(run->processes, run->count, sizeof *run->processes, by_pid_and_start);
    for (uint32_t i = 0; i + 1 < run->count; i++) {
        struct process_summary *process = &run->processes[i];
        const struct process_summary *next = process + 1;
        if (process->pid != next->pid || process->ending == ENDED_EXIT)
            continue;
        process->ending = ENDED_EXEC;
        process->wall_ns = subtract(next->start_ns, process->start_ns);
        process->wall_exact = true;
    }
}

/* The launched process's last record is that of the program: those before are of what it was
 * until exec. The processes are in the order of their numbers and starts. */
static void find_silent_program(struct run_summary *run)
{
    const struct process_summary *last = NULL;

    for (uint32_t i = 0; i < run->count; i++) {
        if (run->processes[i].pid == run->launch->child)
            last = &run->processes[i];
    }
    if (last != NULL && is_silent(last))
        memcpy(run->silent_program, last->program, sizeof run->silent_program);
}

/* The kernel tells the peak RSS of the largest process that was waited for. Where there was only
 * one, that is its own, however short it lived; unless it is that of the launcher's copy which it
 * was before exec. */
static void take_only_process_rss(struct run_summary *run)
{
    struct process_summary *process = run->processes;

    if (run->count != 1 || run->refused != 0 || process->pid != run->launch->child ||
        process->rss_exact || run->launch->largest_rss_kib < process->rss_kib ||
        run->launch->largest_rss_kib <= run->launch->own_rss_kib)
        return;
    process->rss_kib = run->launch->largest_rss_kib;
    process->rss_exact = true;
}

bool summary_make(struct run_summary *run, const struct watch *watch)
{
    static const struct watched unwatched = {.phase = WATCH_OVER};
    uint32_t taken = counters_taken(watch->file);
    struct count_record *record = malloc(sizeof *record);

    run->processes = calloc(taken != 0 ? taken : 1, sizeof *run->processes);
    if (record == NULL || run->processes == NULL) {
        say("not enough memory for the report");
        free(record);
        return false;
    }

    for (uint32_t i = 0; i < taken; i++) {
        if (!counters_read(watch->file, i, record))
            continue;
        const struct watched *watched = i < watch->count ? &watch->records[i] : &unwatched;
        struct process_summary *process = &run->processes[run->count++];
        make_process(process, record, watched, run->launch);
        run->program_counted |= process->pid == run->launch->child;
        run->allocations = add(run->allocations, process->allocations);
        run->allocated_bytes = add(run->allocated_bytes, process->allocated_bytes);
        run->reallocs = add(run->reallocs, process->reallocs);
        run->frees = add(run->frees, process->frees);
        run->failures = add(run->failures, process->failures);
    }
    free(record);
    run->refused = counters_refused(watch->file);

    find_execs(run);
    find_silent_program(run);
    take_only_process_rss(run);
    qsort(run->processes, run->count, sizeof *run->processes, by_peak);
    return true;
}

void summary_free(struct run_summary *run)
{
    free(run->processes);
    run->processes = NULL;
    run->count = 0;
}
