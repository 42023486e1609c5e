/*
 * Each function knows one kind of sentence, and returns false where there is nothing worth
 * saying; the first that speak, in the order of the table at the end, are printed. The limits
 * keep the obvious and the accidental out.
 */
#include "run/facts.h"

#include <stdbool.h>

#include "common/format.h"

#define SENTENCES_MOST 3
#define SENTENCE_CHARS 160

/* With fewer allocations than this, shares are chance. */
#define ALLOCATIONS_LEAST 100

static bool has_enough(const struct process_summary *process)
{
    return process->allocations >= ALLOCATIONS_LEAST;
}

/* In a sentence small sizes read better with the unit's full name. */
static const char *size_text(char buffer[NUMBER_CHARS], uint64_t bytes)
{
    if (bytes >= 1024)
        return format_cell_bytes(buffer, bytes);
    snprintf(buffer, NUMBER_CHARS, "%u bytes", (unsigned)bytes);
    return buffer;
}

static bool tell_failures(const struct process_summary *process, char *text)
{
    char count[NUMBER_CHARS];

    if (process->failures == 0)
        return false;
    snprintf(text, SENTENCE_CHARS, "%s %s for memory failed.",
             format_count(count, process->failures),
             process->failures == 1 ? "request" : "requests");
    return true;
}

static bool tell_concentration(const struct process_summary *process, char *text)
{
    const double worth_saying = 0.25;
    const struct row_summary *top = NULL;
    uint64_t sum = 0;
    char size[NUMBER_CHARS];
    char share_text[NUMBER_CHARS];
    char where[64];

    for (unsigned i = 0; i < process->row_count; i++) {
        const struct row_summary *row = &process->rows[i];
        sum += row->peak_bytes;
        if (top == NULL || row->peak_bytes > top->peak_bytes)
            top = row;
    }
    if (top == NULL || process->peak_cells < ALLOCATIONS_LEAST || !peak_is_firm(process))
        return false;
    double share = ratio(top->peak_bytes, sum);
    if (share < worth_saying)
        return false;

    format_percent(share_text, share);
    if (top->large && top->peak_cells == 1)
        snprintf(where, sizeof where, "one large block");
    else if (top->large)
        snprintf(where, sizeof where, "large blocks of at most %s",
                 format_cell_bytes(size, top->cell_bytes));
    else
        snprintf(where, sizeof where, "cells of %s", size_text(size, top->cell_bytes));
    if (share > 0.5)
        snprintf(text, SENTENCE_CHARS, "Most of the peak (%s) is in %s.", share_text, where);
    else
        snprintf(text, SENTENCE_CHARS, "%s of the peak is in %s, the most of all sizes.",
                 share_text, where);
    return true;
}

static bool tell_never_freed(const struct process_summary *process, char *text)
{
    char share[NUMBER_CHARS];

    /* A child of fork may free its parent's cells; then the difference says nothing. */
    if (!has_enough(process) || process->frees > process->allocations)
        return false;
    uint64_t kept = process->allocations - process->frees;
    if (kept == 0)
        snprintf(text, SENTENCE_CHARS, "All that was allocated was freed again.");
    else
        snprintf(text, SENTENCE_CHARS, "%s of the allocations were never freed.",
                 format_percent(share, ratio(kept, process->allocations)));
    return true;
}

static bool tell_mapped(const struct process_summary *process, char *text)
{
    const double worth_saying = 1.5;
    /* Mappings double up to 16 MiB, and there are several sorts: below, the last ones make the
     * ratio. */
    const uint64_t least_bytes = 64 * 1024 * 1024;
    double times = ratio(process->held_peak_bytes, process->peak_bytes);

    if (!peak_is_firm(process) || process->held_peak_bytes < least_bytes || times < worth_saying)
        return false;
    snprintf(text, SENTENCE_CHARS,
             "At most %.1f times as much was mapped for the heap as was live at most.", times);
    return true;
}

static bool tell_small(const struct process_summary *process, char *text)
{
    const double nearly_all = 0.9;
    const uint64_t small_bytes = 1024;
    uint64_t sum = 0;
    uint64_t seen = 0;

    for (unsigned i = 0; i < process->row_count; i++)
        sum += process->rows[i].allocated;
    for (unsigned i = 0; has_enough(process) && i < process->row_count; i++) {
        const struct row_summary *row = &process->rows[i];
        char share[NUMBER_CHARS];
        char size[NUMBER_CHARS];

        seen += row->allocated;
        if (row->large || row->cell_bytes > small_bytes)
            return false;
        if (ratio(seen, sum) < nearly_all)
            continue;
        snprintf(text, SENTENCE_CHARS, "%s of all allocations were of at most %s.",
                 format_percent(share, ratio(seen, sum)), size_text(size, row->cell_bytes));
        return true;
    }
    return false;
}

static bool tell_moves(const struct process_summary *process, char *text)
{
    const double worth_saying = 0.5;
    double share = ratio(process->reallocs_moved, process->reallocs);
    char share_text[NUMBER_CHARS];

    if (process->reallocs < ALLOCATIONS_LEAST || share < worth_saying)
        return false;
    snprintf(text, SENTENCE_CHARS, "%s of the reallocs had to move the block.",
             format_percent(share_text, share));
    return true;
}

static bool tell_churn(const struct process_summary *process, char *text)
{
    const double worth_saying = 10;
    double times = ratio(process->allocated_bytes, process->peak_bytes);
    char count[NUMBER_CHARS];

    if (!has_enough(process) || !peak_is_firm(process) || times < worth_saying)
        return false;
    snprintf(text, SENTENCE_CHARS,
             "Over its life it allocated %s times as much as was live at most.",
             format_count(count, (uint64_t)times));
    return true;
}

void facts_print(FILE *stream, const struct process_summary *process, const char *indent)
{
    static bool (*const tellers[])(const struct process_summary *, char *) = {
        tell_failures, tell_concentration, tell_never_freed, tell_mapped,
        tell_small,    tell_moves,         tell_churn,
    };
    char text[SENTENCE_CHARS];
    int told = 0;

    for (size_t i = 0; i < sizeof tellers / sizeof *tellers && told < SENTENCES_MOST; i++) {
        if (tellers[i](process, text)) {
            fprintf(stream, "%s%s%s\n", told == 0 ? "\n" : "", indent, text);
            told++;
        }
    }
}
