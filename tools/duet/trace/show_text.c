/* The figures, then tables of sizes, lifetimes and threads, then what they say, in sentences. */
#include <inttypes.h>
#include <string.h>

#include "common/format.h"
#include "common/style.h"
#include "trace/show.h"

/* The columns of the tables; with SHARE_COLUMNS and the gaps between them they make at most 98. */
#define LABEL_COLUMNS 18
#define ROW_COLUMNS 22
#define COUNT_COLUMNS 14
#define BYTES_COLUMNS 12
#define BAR_COLUMNS 13

/* With fewer operations of a kind than this, shares are chance. */
#define TELLING_LEAST 100

static double ratio(uint64_t part, uint64_t whole)
{
    return whole != 0 ? (double)part / (double)whole : 0;
}

/* ---- The figures ---------------------------------------------------------------------------- */

static void print_label(FILE *stream, const char *label)
{
    fputs("  ", stream);
    print_left(stream, label, LABEL_COLUMNS);
}

static void print_calls(FILE *stream, const struct trace_summary *summary)
{
    const struct trace_totals *totals = &summary->head.totals;
    char allocations[PHRASE_CHARS];
    char frees[PHRASE_CHARS];
    char reallocs[PHRASE_CHARS];
    char number[NUMBER_CHARS];

    print_label(stream, "operations");
    fprintf(stream, "%s: %s, %s, %s\n", format_count(number, totals->operations),
            format_things(allocations, totals->allocations, "allocation"),
            format_things(reallocs, totals->reallocs, "realloc"),
            format_things(frees, totals->frees, "free"));
    if (summary->kinds[OPERATION_CALLOC] == 0 && summary->kinds[OPERATION_ALIGNED] == 0)
        return;
    print_label(stream, "");
    fprintf(stream, "%s of the allocations by calloc",
            format_count(number, summary->kinds[OPERATION_CALLOC]));
    if (summary->kinds[OPERATION_ALIGNED] != 0) {
        fprintf(stream, ", %s aligned", format_count(number, summary->kinds[OPERATION_ALIGNED]));
        fprintf(stream, ", to at most %s",
                format_cell_bytes(number, (uint64_t)1 << summary->largest_align_log2));
    }
    fputc('\n', stream);
}

static void print_live(FILE *stream, const struct trace_summary *summary)
{
    const struct trace_totals *totals = &summary->head.totals;
    char bytes[NUMBER_CHARS];
    char cells[PHRASE_CHARS];
    char number[NUMBER_CHARS];
    char share[NUMBER_CHARS];
    uint64_t peak_cells = 0;

    for (unsigned i = 0; i < SIZE_ROWS; i++)
        peak_cells += summary->sizes[i].peak_cells;
    print_label(stream, "live at peak");
    fprintf(stream, "%s in %s, after %s of the operations\n",
            format_bytes(bytes, totals->peak_live_bytes), format_things(cells, peak_cells, "cell"),
            format_percent(share, ratio(totals->peak_operation + 1, totals->operations)));
    print_label(stream, "never freed");
    if (totals->end_cells == 0)
        fprintf(stream, "nothing\n");
    else
        fprintf(stream, "%s in %s\n", format_bytes(bytes, totals->end_live_bytes),
                format_things(cells, totals->end_cells, "cell"));
    print_label(stream, "allocated in all");
    fprintf(stream, "%s; the largest cell had %s\n", format_bytes(bytes, totals->allocated_bytes),
            format_bytes(number, summary->largest_size));
}

static void print_reallocs(FILE *stream, const struct trace_summary *summary)
{
    uint64_t calls = summary->kinds[OPERATION_REALLOC];
    char cells[PHRASE_CHARS];
    char grown[NUMBER_CHARS];
    char shrunk[NUMBER_CHARS];
    char bytes[NUMBER_CHARS];
    char chain[PHRASE_CHARS];

    if (calls == 0)
        return;
    print_label(stream, "reallocs");
    fprintf(stream, "of %s; %s grow", format_things(cells, summary->cells_reallocated, "cell"),
            format_percent(grown, ratio(summary->reallocs_grown, calls)));
    if (summary->growth > 0)
        fprintf(stream, ", to %.2f times the size on average", summary->growth);
    fprintf(stream, "; %s shrink\n",
            format_percent(shrunk, ratio(summary->reallocs_shrunk, calls)));
    print_label(stream, "");
    fprintf(stream, "the longest chain is of %s and ends at %s\n",
            format_things(chain, summary->realloc_chain, "realloc"),
            format_bytes(bytes, summary->realloc_chain_end));
}

/* What was not as usual when it was recorded. */
static void print_facts(FILE *stream, const struct trace_summary *summary)
{
    const struct trace_facts *facts = &summary->head.facts;
    char cells[PHRASE_CHARS];

    if (facts->inherited != 0) {
        print_label(stream, "inherited");
        fprintf(stream, "%s, from before a fork: the first operations\n",
                format_things(cells, facts->inherited, "cell"));
    }
    if (facts->failed != 0) {
        print_label(stream, "failed");
        fprintf(stream, "%s, for want of memory; not in the trace\n",
                format_things(cells, facts->failed, "call"));
    }
    if (facts->left_out != 0) {
        print_label(stream, "left out");
        fprintf(stream, "%s of cells that were never seen\n",
                format_things(cells, facts->left_out, "call"));
    }
    if (facts->cut != 0) {
        print_label(stream, "cut");
        fprintf(stream, "the recording ended before the program\n");
    }
}

static void print_figures(FILE *stream, const struct trace_summary *summary,
                          const struct style *style)
{
    const struct trace_totals *totals = &summary->head.totals;
    char program[4 * TRACE_NAME_BYTES];
    char threads[PHRASE_CHARS];
    char share[NUMBER_CHARS];

    clean_text(program, sizeof program, summary->head.program, sizeof summary->head.program);
    fprintf(stream, "%sduet: a trace of %s, with %s%s\n", style->strong, program,
            format_things(threads, totals->threads, "thread"), style->plain);
    print_calls(stream, summary);
    print_live(stream, summary);
    print_reallocs(stream, summary);
    if (totals->threads > 1) {
        print_label(stream, "across threads");
        fprintf(stream, "%s of the frees",
                format_percent(share, ratio(summary->frees_of_others, totals->frees)));
        if (totals->reallocs > 0)
            fprintf(stream, ", %s of the reallocs",
                    format_percent(share, ratio(summary->reallocs_of_others, totals->reallocs)));
        fprintf(stream, " are of another thread's cells\n");
    }
    print_facts(stream, summary);
}

/* ---- The tables ----------------------------------------------------------------------------- */

static void print_size_row(FILE *stream, const struct trace_summary *summary, unsigned index,
                           const struct style *style)
{
    const struct size_row *row = &summary->sizes[index];
    const struct trace_totals *totals = &summary->head.totals;
    char number[NUMBER_CHARS];
    char label[2 * NUMBER_CHARS];

    snprintf(label, sizeof label, "%s %s", style->glyphs->at_most,
             format_cell_bytes(number, (uint64_t)1 << index));
    print_right(stream, label, ROW_COLUMNS);
    print_right(stream, format_count(number, row->allocated), COUNT_COLUMNS);
    print_share(stream, ratio(row->allocated, totals->allocations), BAR_COLUMNS, false, style);
    print_right(stream, format_count(number, row->peak_cells), COUNT_COLUMNS);
    print_right(stream, format_bytes(number, row->peak_bytes), BYTES_COLUMNS);
    print_share(stream, ratio(row->peak_bytes, totals->peak_live_bytes), BAR_COLUMNS, true, style);
    fputc('\n', stream);
}

static void print_sizes(FILE *stream, const struct trace_summary *summary,
                        const struct style *style)
{
    fprintf(stream, "\n%s", style->strong);
    print_right(stream, "size", ROW_COLUMNS);
    print_right(stream, "allocated", COUNT_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    print_right(stream, "at peak", 1 + BAR_COLUMNS + COUNT_COLUMNS);
    print_right(stream, "bytes", BYTES_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    fprintf(stream, "%s\n", style->plain);
    for (unsigned i = 0; i < SIZE_ROWS; i++) {
        if (summary->sizes[i].allocated != 0 || summary->sizes[i].peak_cells != 0)
            print_size_row(stream, summary, i, style);
    }
}

static void print_life_row(FILE *stream, const struct trace_summary *summary, const char *label,
                           const struct life_row *row, const struct style *style)
{
    const struct trace_totals *totals = &summary->head.totals;
    char number[NUMBER_CHARS];

    print_right(stream, label, ROW_COLUMNS);
    print_right(stream, format_count(number, row->cells), COUNT_COLUMNS);
    print_share(stream, ratio(row->cells, totals->allocations), BAR_COLUMNS, false, style);
    print_right(stream, format_bytes(number, row->bytes), COUNT_COLUMNS + BYTES_COLUMNS);
    fputc('\n', stream);
}

static void print_lives(FILE *stream, const struct trace_summary *summary,
                        const struct style *style)
{
    const struct trace_totals *totals = &summary->head.totals;
    char number[NUMBER_CHARS];
    char label[2 * NUMBER_CHARS];
    uint64_t limit = 1;

    fprintf(stream, "\n%s", style->strong);
    print_right(stream, "allocations until", ROW_COLUMNS);
    fprintf(stream, "%s\n%s", style->plain, style->strong);
    print_right(stream, "it is freed", ROW_COLUMNS);
    print_right(stream, "cells", COUNT_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    print_right(stream, "bytes", 1 + BAR_COLUMNS + COUNT_COLUMNS + BYTES_COLUMNS);
    fprintf(stream, "%s\n", style->plain);
    for (unsigned i = 0; i < LIFE_ROWS; i++, limit *= 10) {
        if (i == 0)
            snprintf(label, sizeof label, "none");
        else if (i + 1 < LIFE_ROWS)
            snprintf(label, sizeof label, "below %s", format_count(number, limit));
        else
            snprintf(label, sizeof label, "more");
        if (summary->lives[i].cells != 0)
            print_life_row(stream, summary, label, &summary->lives[i], style);
    }
    struct life_row never = {.cells = totals->end_cells, .bytes = totals->end_live_bytes};
    if (never.cells != 0)
        print_life_row(stream, summary, "never", &never, style);
}

static void print_thread_row(FILE *stream, const struct trace_summary *summary,
                             const struct thread_row *row, const struct style *style)
{
    uint64_t operations = summary->head.totals.operations;
    char number[NUMBER_CHARS];
    char first[NUMBER_CHARS];
    char last[NUMBER_CHARS];

    snprintf(number, sizeof number, "%" PRIu32, row->thread + 1);
    print_right(stream, number, ROW_COLUMNS);
    print_right(stream, format_count(number, row->operations), COUNT_COLUMNS);
    print_share(stream, ratio(row->operations, operations), BAR_COLUMNS, false, style);
    print_right(stream, format_count(number, row->frees), COUNT_COLUMNS);
    print_right(stream, format_count(number, row->frees_of_others), BYTES_COLUMNS);
    snprintf(number, sizeof number, "%s %s %s",
             format_percent(first, ratio(row->first, operations)), style->glyphs->dash,
             format_percent(last, ratio(row->last + 1, operations)));
    print_right(stream, number, 1 + SHARE_COLUMNS + BAR_COLUMNS);
    fputc('\n', stream);
}

static void print_threads(FILE *stream, const struct trace_summary *summary,
                          const struct style *style)
{
    uint64_t threads = summary->head.totals.threads;
    char number[NUMBER_CHARS];

    if (threads < 2)
        return;
    fprintf(stream, "\n%s", style->strong);
    print_right(stream, "thread", ROW_COLUMNS);
    print_right(stream, "operations", COUNT_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    print_right(stream, "frees", 1 + BAR_COLUMNS + COUNT_COLUMNS);
    print_right(stream, "of others'", BYTES_COLUMNS);
    print_right(stream, "from - to", 1 + SHARE_COLUMNS + BAR_COLUMNS);
    fprintf(stream, "%s\n", style->plain);
    for (uint64_t i = 0; i < summary->thread_row_count; i++)
        print_thread_row(stream, summary, &summary->threads[i], style);
    if (threads > summary->thread_row_count)
        fprintf(stream, "  %s and %s more\n", style->glyphs->ellipsis,
                format_count(number, threads - summary->thread_row_count));
}

/* ---- Sentences ------------------------------------------------------------------------------ */

/* The least row by which nearly all have been allocated. */
static void tell_small(FILE *stream, const struct trace_summary *summary)
{
    const double nearly_all = 0.9;
    uint64_t allocations = summary->head.totals.allocations;
    char percent[NUMBER_CHARS];
    char size[NUMBER_CHARS];
    uint64_t seen = 0;

    for (unsigned i = 0; i < SIZE_ROWS && allocations >= TELLING_LEAST; i++) {
        seen += summary->sizes[i].allocated;
        if (ratio(seen, allocations) < nearly_all)
            continue;
        fprintf(stream, "  %s of the allocations are of at most %s.\n",
                format_percent(percent, ratio(seen, allocations)),
                format_cell_bytes(size, (uint64_t)1 << i));
        return;
    }
}

static void tell_peak(FILE *stream, const struct trace_summary *summary)
{
    const double most = 0.5;
    uint64_t peak = summary->head.totals.peak_live_bytes;
    char percent[NUMBER_CHARS];
    char size[NUMBER_CHARS];
    uint64_t seen = 0;

    for (unsigned i = SIZE_ROWS; i-- > 0 && peak != 0;) {
        seen += summary->sizes[i].peak_bytes;
        if (ratio(seen, peak) < most)
            continue;
        if (i > 0)
            fprintf(stream, "  At the peak %s of the bytes are in cells of more than %s.\n",
                    format_percent(percent, ratio(seen, peak)),
                    format_cell_bytes(size, (uint64_t)1 << (i - 1)));
        return;
    }
}

static void tell_lives(FILE *stream, const struct trace_summary *summary)
{
    char number[PHRASE_CHARS];

    if (summary->head.totals.frees < TELLING_LEAST)
        return;
    if (summary->median_life == 0)
        fprintf(stream, "  Half of the frees are of the cell that was allocated last.\n");
    else
        fprintf(stream, "  Half of the cells that are freed see at most %s before.\n",
                format_things(number, summary->median_life, "allocation"));
}

static void tell_end(FILE *stream, const struct trace_summary *summary)
{
    const double much = 0.25;
    const struct trace_totals *totals = &summary->head.totals;
    double share = ratio(totals->end_live_bytes, totals->peak_live_bytes);
    char percent[NUMBER_CHARS];

    if (totals->allocations < TELLING_LEAST)
        return;
    if (totals->end_cells == 0)
        fprintf(stream, "  All that was allocated was freed again.\n");
    else if (share >= much)
        fprintf(stream, "  What was never freed makes up %s of the peak.\n",
                format_percent(percent, share));
}

static void tell_crossing(FILE *stream, const struct trace_summary *summary)
{
    const double much = 0.25;
    const double little = 0.01;
    double share = ratio(summary->frees_of_others, summary->head.totals.frees);

    if (summary->head.totals.threads < 2 || summary->head.totals.frees < TELLING_LEAST)
        return;
    if (share >= much)
        fprintf(stream, "  Cells go from thread to thread: an allocator has to bring them back.\n");
    else if (share < little)
        fprintf(stream, "  Each thread frees its own cells, nearly without exception.\n");
}

void summary_print(FILE *stream, const struct trace_summary *summary, bool colours)
{
    struct style style = style_make(colours);

    print_figures(stream, summary, &style);
    if (summary->head.totals.operations == 0)
        return;
    print_sizes(stream, summary, &style);
    print_lives(stream, summary, &style);
    print_threads(stream, summary, &style);
    fputc('\n', stream);
    tell_small(stream, summary);
    tell_peak(stream, summary);
    tell_lives(stream, summary);
    tell_end(stream, summary);
    tell_crossing(stream, summary);
}
