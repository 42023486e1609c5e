/* Leads with the process of the greatest peak; then the others, a line each; then all together. */
#include "run/report_text.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "common/format.h"
#include "common/style.h"
#include "run/facts.h"
#include "run/report_table.h"

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
    if (rows_are_near_peak(leader))
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

/* Address space: what of it was touched is in the RSS, with all else that the program has. */
static void print_mapped(FILE *stream, const struct process_summary *leader)
{
    char peak[NUMBER_CHARS];
    char end[NUMBER_CHARS];

    /* A process notes this when its counts are added up; one that was killed may not have. */
    print_label(stream, "heap mapped");
    if (leader->held_peak_bytes < leader->live_bytes)
        fprintf(stream, "not known: it ended too soon\n");
    else
        fprintf(stream, "%s at most, %s at the end, touched or not\n",
                format_bytes(peak, leader->held_peak_bytes), format_bytes(end, leader->held_bytes));
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
    print_mapped(stream, leader);
    print_live(stream, leader, style);
    print_calls(stream, leader);
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

void report_text_print(FILE *stream, const struct run_summary *run, bool all_classes, bool colours)
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
        report_table_print(stream, leader, all_classes, &style);
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
