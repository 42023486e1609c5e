/* Leads with the process of the greatest peak; then the others, a line each; then all together. */
#include "run/report_text.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "common/format.h"
#include "common/style.h"
#include "run/facts.h"

/* The table's columns; with the gaps between them they make 98. */
#define SIZE_COLUMNS 15
#define CELLS_COLUMNS 14
#define BYTES_COLUMNS 14
#define SHARE_COLUMNS 6
#define PEAK_BAR_COLUMNS 13
#define ALLOCATED_COLUMNS 14
#define TOTAL_BAR_COLUMNS 12

/* What stands before a figure, and names of programs in the list. */
#define LABEL_COLUMNS 18
#define NAME_COLUMNS 22

/* A live peak in the list, perhaps with "<=". */
#define PEAK_COLUMNS 13

/* Other processes that get a line. A build has hundreds; the JSON report has them all. */
#define OTHERS_MOST 20

static void print_label(FILE *stream, const char *label)
{
    fputs("  ", stream);
    print_left(stream, label, LABEL_COLUMNS);
}

/* ---- The leading process ------------------------------------------------------------------- */

static void print_title(FILE *stream, const struct process_summary *leader, const char *engine,
                        const struct style *style)
{
    char name[sizeof leader->program];

    memcpy(name, leader->program, sizeof name);
    shorten(name, sizeof name, 2 * NAME_COLUMNS, style->glyphs->ellipsis);
    fprintf(stream, "%sduet: %s (process %" PRId32 ") on %s%s\n", style->strong, name, leader->pid,
            leader->engine[0] != '\0' ? leader->engine : engine, style->plain);
}

static void print_ending(FILE *stream, const struct run_summary *run)
{
    int status = run->launch->wait_status;

    if (WIFSIGNALED(status)) {
        print_label(stream, "program ended");
        fprintf(stream, "by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0) {
        print_label(stream, "program ended");
        fprintf(stream, "with exit status %d\n", WEXITSTATUS(status));
    }
}

static void print_times(FILE *stream, const struct run_summary *run,
                        const struct process_summary *leader)
{
    const struct launch *launch = run->launch;
    char wall[NUMBER_CHARS];
    char user[NUMBER_CHARS];
    char system[NUMBER_CHARS];

    /* The kernel tells user and system time of all together only. */
    print_label(stream, "time");
    if (run->count > 1) {
        fprintf(stream, "%s%s wall\n", leader->wall_exact ? "" : "about ",
                format_seconds(wall, leader->wall_ns));
        print_label(stream, "whole run");
    }
    fprintf(stream, "%s wall, %s user, %s system\n",
            format_seconds(wall, launch->end_ns - launch->start_ns),
            format_seconds(user, launch->user_us * 1000),
            format_seconds(system, launch->system_us * 1000));
}

/* A peak RSS, as exact as it is known. */
static const char *rss_text(char buffer[NUMBER_CHARS + 16], const struct process_summary *process)
{
    char bytes[NUMBER_CHARS];

    if (process->rss_kib == 0)
        return "not known";
    snprintf(buffer, NUMBER_CHARS + 16, "%s%s", process->rss_exact ? "" : "at least ",
             format_bytes(bytes, process->rss_kib * 1024));
    return buffer;
}

/* Whether the peak is lost in its error, so that only an upper bound can be told. */
static bool is_bound_only(const struct process_summary *process)
{
    return process->peak_bytes < process->peak_error_bytes;
}

/* Whether the rows were noted near enough to the peak to stand for it. */
static bool rows_are_near(const struct process_summary *process)
{
    const double near = 0.02;
    uint64_t rows = process->peak_rows_bytes;
    uint64_t peak = process->peak_bytes;

    return rows != 0 && ratio(rows < peak ? peak - rows : rows - peak, peak) <= near;
}

static void print_peak(FILE *stream, const struct process_summary *leader,
                       const struct style *style)
{
    char bytes[NUMBER_CHARS];
    char error[NUMBER_CHARS];
    char cells[PHRASE_CHARS];
    bool exact = leader->peak_error_bytes == 0;

    if (is_bound_only(leader)) {
        fprintf(stream, "at most %s\n",
                format_bytes(bytes, leader->peak_bytes + leader->peak_error_bytes));
        return;
    }
    fprintf(stream, "%s (", format_bytes(bytes, leader->peak_bytes));
    if (exact)
        fprintf(stream, "exact)");
    else
        fprintf(stream, "%s %s)", style->glyphs->plus_minus,
                format_bytes(error, leader->peak_error_bytes));
    if (rows_are_near(leader))
        fprintf(stream, ", in %s%s", exact && leader->peak_rows_at_end ? "" : "about ",
                format_things(cells, leader->peak_cells, "cell"));
    fputc('\n', stream);
}

static void print_live(FILE *stream, const struct process_summary *leader,
                       const struct style *style)
{
    char bytes[NUMBER_CHARS];
    char cells[PHRASE_CHARS];

    print_label(stream, "live at peak");
    print_peak(stream, leader, style);

    print_label(stream, leader->ending == ENDED_NOT_YET ? "live now" : "live at the end");
    if (leader->live_cells == 0)
        fprintf(stream, "nothing\n");
    else
        fprintf(stream, "%s, in %s\n", format_bytes(bytes, leader->live_bytes),
                format_things(cells, leader->live_cells, "cell"));
}

static void print_calls(FILE *stream, const struct process_summary *leader)
{
    char allocations[PHRASE_CHARS];
    char reallocs[PHRASE_CHARS];
    char moved[NUMBER_CHARS];
    char frees[PHRASE_CHARS];
    char failures[PHRASE_CHARS];

    print_label(stream, "calls");
    fprintf(stream, "%s, %s, %s\n", format_things(allocations, leader->allocations, "allocation"),
            format_things(frees, leader->frees, "free"),
            format_things(failures, leader->failures, "failure"));
    if (leader->reallocs == 0)
        return;
    print_label(stream, "");
    fprintf(stream, "%s, of which %s moved\n", format_things(reallocs, leader->reallocs, "realloc"),
            format_count(moved, leader->reallocs_moved));
}

static void print_held(FILE *stream, const struct process_summary *leader,
                       const struct style *style)
{
    char peak[NUMBER_CHARS];
    char end[NUMBER_CHARS];

    /* A process notes this when its counts are added up; one that was killed may not have. */
    print_label(stream, "held from the OS");
    if (leader->held_peak_bytes < leader->live_bytes) {
        fprintf(stream, "not known: it ended too soon\n");
        return;
    }
    fprintf(stream, "%s at most, %s at the end", format_bytes(peak, leader->held_peak_bytes),
            format_bytes(end, leader->held_bytes));
    if (peak_is_firm(leader))
        fprintf(stream, "; at most %.2f %s the live peak",
                ratio(leader->held_peak_bytes, leader->peak_bytes), style->glyphs->times);
    fputc('\n', stream);
}

static void print_leader(FILE *stream, const struct run_summary *run,
                         const struct process_summary *leader, const struct style *style)
{
    char rss[NUMBER_CHARS + 16];

    print_title(stream, leader, run->engine, style);
    print_ending(stream, run);
    print_times(stream, run, leader);
    print_label(stream, "peak RSS");
    fprintf(stream, "%s\n", rss_text(rss, leader));
    if (is_silent(leader))
        return;
    print_live(stream, leader, style);
    print_calls(stream, leader);
    print_held(stream, leader, style);
}

/* ---- The table ----------------------------------------------------------------------------- */

static void print_share(FILE *stream, double share, int bar_columns, const struct style *style)
{
    char percent[NUMBER_CHARS];
    char bar[BAR_CHARS];

    print_right(stream, share > 0 ? format_percent(percent, share) : "", SHARE_COLUMNS);
    format_bar(bar, share, bar_columns, style->glyphs);
    fprintf(stream, " %s%s%s", style->bar, bar, style->plain);
    /* Nothing stands behind the second bar. */
    if (bar_columns == PEAK_BAR_COLUMNS)
        print_padding(stream, bar, bar_columns);
}

static void print_row(FILE *stream, const struct row_summary *row, uint64_t peak_bytes,
                      uint64_t allocated, const struct style *style)
{
    char number[NUMBER_CHARS];
    char size[NUMBER_CHARS + 16];

    snprintf(size, sizeof size, "%s%s%s", row->large ? "large " : "",
             row->large ? style->glyphs->at_most : "", row->large ? " " : "");
    strcat(size, format_cell_bytes(number, row->cell_bytes));

    print_right(stream, size, 2 + SIZE_COLUMNS);
    print_right(stream, format_count(number, row->peak_cells), CELLS_COLUMNS);
    print_right(stream, format_bytes(number, row->peak_bytes), BYTES_COLUMNS);
    print_share(stream, ratio(row->peak_bytes, peak_bytes), PEAK_BAR_COLUMNS, style);
    print_right(stream, format_count(number, row->allocated), ALLOCATED_COLUMNS);
    print_share(stream, ratio(row->allocated, allocated), TOTAL_BAR_COLUMNS, style);
    fputc('\n', stream);
}

static void print_table(FILE *stream, const struct process_summary *leader,
                        const struct style *style)
{
    uint64_t peak_bytes = 0;
    uint64_t allocated = 0;

    for (unsigned i = 0; i < leader->row_count; i++) {
        peak_bytes += leader->rows[i].peak_bytes;
        allocated += leader->rows[i].allocated;
    }

    if (leader->row_count == 0)
        return;
    fprintf(stream, "\n%s", style->strong);
    print_right(stream, "cell size", 2 + SIZE_COLUMNS);
    print_right(stream, "cells at peak", CELLS_COLUMNS);
    print_right(stream, "bytes at peak", BYTES_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    print_right(stream, "allocated", 1 + PEAK_BAR_COLUMNS + ALLOCATED_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    fprintf(stream, "%s\n", style->plain);
    for (unsigned i = 0; i < leader->row_count; i++)
        print_row(stream, &leader->rows[i], peak_bytes, allocated, style);
    if (leader->peak_rows_bytes == 0) {
        fprintf(stream, "  What was live by size at the peak was not noted.\n");
    } else if (!rows_are_near(leader)) {
        char bytes[NUMBER_CHARS];
        fprintf(stream, "  What was live by size was noted at %s, some way from the peak.\n",
                format_bytes(bytes, peak_bytes));
    }
}

/* ---- The others, and all together ---------------------------------------------------------- */

static const char *ending_words(enum ending ending)
{
    static const char *const words[] = {
        [ENDED_EXIT] = "exit",
        [ENDED_EXEC] = "exec",
        [ENDED_SUDDEN] = "kill or _exit",
        [ENDED_NOT_YET] = "(still running)",
    };
    return words[ending];
}

/* A live peak for the list: a bound where no more is known. */
static const char *peak_text(char buffer[PHRASE_CHARS], const struct process_summary *process,
                             const struct style *style)
{
    char bytes[NUMBER_CHARS];

    if (is_silent(process))
        return "-";
    if (is_bound_only(process))
        snprintf(buffer, PHRASE_CHARS, "%s %s", style->glyphs->at_most,
                 format_bytes(bytes, process->peak_bytes + process->peak_error_bytes));
    else
        format_bytes(buffer, process->peak_bytes);
    return buffer;
}

static void print_other(FILE *stream, const struct process_summary *process,
                        const struct style *style)
{
    char number[NUMBER_CHARS];
    char peak[PHRASE_CHARS];
    char rss[NUMBER_CHARS + 16];
    char name[sizeof process->program];

    memcpy(name, process->program, sizeof name);
    shorten(name, sizeof name, NAME_COLUMNS, style->glyphs->ellipsis);
    fprintf(stream, "  %8" PRId32 "  ", process->pid);
    print_left(stream, name, NAME_COLUMNS);
    print_right(stream, peak_text(peak, process, style), PEAK_COLUMNS);
    print_right(stream, format_count(number, process->allocations), 14);
    print_right(stream, rss_text(rss, process), 20);
    fprintf(stream, "  %s\n", ending_words(process->ending));
}

static void print_others(FILE *stream, const struct run_summary *run, const struct style *style)
{
    uint32_t shown = run->count - 1 < OTHERS_MOST ? run->count - 1 : OTHERS_MOST;

    fprintf(stream, "\n%s  %8s  ", style->strong, "process");
    print_left(stream, "program", NAME_COLUMNS);
    fprintf(stream, "%*s%14s%20s  ended by%s\n", PEAK_COLUMNS, "live peak", "allocations",
            "peak RSS", style->plain);
    for (uint32_t i = 1; i <= shown; i++)
        print_other(stream, &run->processes[i], style);
    if (shown + 1 < run->count) {
        char count[NUMBER_CHARS];
        fprintf(stream, "  %s and %s more\n", style->glyphs->ellipsis,
                format_count(count, run->count - 1 - shown));
    }
}

static void print_totals(FILE *stream, const struct run_summary *run)
{
    char count[NUMBER_CHARS];
    char allocations[PHRASE_CHARS];
    char bytes[NUMBER_CHARS];
    char frees[PHRASE_CHARS];
    char failures[PHRASE_CHARS];

    fprintf(stream, "\n  All %s processes: %s (%s), %s, %s\n", format_count(count, run->count),
            format_things(allocations, run->allocations, "allocation"),
            format_bytes(bytes, run->allocated_bytes), format_things(frees, run->frees, "free"),
            format_things(failures, run->failures, "failure"));
}

/* Why the loader may have left the library out, or the library its record. */
static void print_not_loaded(FILE *stream, const struct run_summary *run)
{
    fprintf(
        stream,
        "duet: the library was not loaded into '%s': it ran on another allocator, or ended before "
        "it\nhad one. Reasons can be: the program, or one before it, took LD_PRELOAD out of the "
        "environment;\nthe loader gave it up (it says so itself, for instance under a small "
        "ulimit -v); the program's\nrights changed when it started; it runs with another root "
        "directory or in another container.\n",
        run->command[0]);
}

static void print_silent(FILE *stream, const struct run_summary *run)
{
    fprintf(stream,
            "duet: the library was loaded into '%s', but nothing was allocated through it there:\n"
            "the program allocates nothing, or brings an allocator of its own. What is linked with "
            "an\nallocator, also with duet's own static library, cannot be counted by a preloaded "
            "one.\n",
            run->silent_program);
}

void report_text_print(FILE *stream, const struct run_summary *run, bool colours)
{
    struct style style = style_make(colours);
    char count[NUMBER_CHARS];

    if (!run->program_counted)
        print_not_loaded(stream, run);
    else if (run->silent_program[0] != '\0')
        print_silent(stream, run);
    if (run->count != 0) {
        const struct process_summary *leader = &run->processes[0];
        print_leader(stream, run, leader, &style);
        print_table(stream, leader, &style);
        facts_print(stream, leader, "  ");
        if (run->count > 1) {
            print_others(stream, run, &style);
            print_totals(stream, run);
        }
    }
    if (run->refused != 0)
        fprintf(stream, "  %s more %s not counted: there was no room.\n",
                format_count(count, run->refused),
                run->refused == 1 ? "process was" : "processes were");
}
