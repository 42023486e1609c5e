/* Lines are made from the summary's rows, a row each or several together, and then printed. */
#include "run/report_table.h"

#include <string.h>

#include "common/format.h"

/* The columns; with SHARE_COLUMNS twice and the gaps between them they make 98. */
#define SIZE_COLUMNS 15
#define CELLS_COLUMNS 14
#define BYTES_COLUMNS 14
#define PEAK_BAR_COLUMNS 13
#define ALLOCATED_COLUMNS 14
#define TOTAL_BAR_COLUMNS 12

/* With more classes in use than this, the table would push all else from the screen. */
#define CLASSES_MOST 24

/* Up to this size, a size more is a byte more; beyond, sizes are told in whole KiB. */
#define KIB ((uint64_t)1024)

/* One class, one power of two of large blocks, or all classes of one doubling. */
struct line {
    struct row_summary sum; /* cell_bytes: of the largest class */
    unsigned classes;
};

struct table {
    struct line lines[COUNT_ROWS];
    unsigned line_count;
    unsigned class_count;
    bool folded;
    uint64_t peak_bytes;
    uint64_t allocated;
};

/* ---- Lines -------------------------------------------------------------------------------- */

/* The power of two that holds so many bytes; the highest there is, if none does. */
static uint64_t doubling_of(uint64_t bytes)
{
    uint64_t power = 1;

    while (power < bytes && power <= UINT64_MAX / 2)
        power *= 2;
    return power;
}

static bool belongs_to(const struct line *line, const struct row_summary *row)
{
    return !row->large && !line->sum.large &&
           doubling_of(line->sum.cell_bytes) == doubling_of(row->cell_bytes);
}

static void add_row(struct table *table, const struct row_summary *row)
{
    struct line *last = table->lines + table->line_count - 1;

    if (table->folded && table->line_count > 0 && belongs_to(last, row)) {
        last->classes++;
        last->sum.cell_bytes = row->cell_bytes;
        last->sum.peak_cells += row->peak_cells;
        last->sum.peak_bytes += row->peak_bytes;
        last->sum.allocated += row->allocated;
    } else {
        table->lines[table->line_count++] = (struct line){*row, 1};
    }
    table->peak_bytes += row->peak_bytes;
    table->allocated += row->allocated;
}

static void make_table(struct table *table, const struct process_summary *process, bool all_classes)
{
    *table = (struct table){0};
    for (unsigned i = 0; i < process->row_count; i++)
        table->class_count += !process->rows[i].large;
    table->folded = !all_classes && table->class_count > CLASSES_MOST;
    for (unsigned i = 0; i < process->row_count; i++)
        add_row(table, &process->rows[i]);
}

/* ---- Their sizes -------------------------------------------------------------------------- */

/* A doubling as its first and its last size: 65–128 B, 513 B–1 KiB, 1–2 KiB. From 1 KiB on the
 * first one is that of the line above, since the next would be odd. */
static void format_doubling(char buffer[PHRASE_CHARS], uint64_t last, const struct glyphs *glyphs)
{
    uint64_t half = last / 2;
    char from[NUMBER_CHARS];
    char to[NUMBER_CHARS];

    format_cell_bytes(from, half < KIB ? half + 1 : half);
    format_cell_bytes(to, last);
    char *unit = strchr(from, ' ');
    if (unit != NULL && strcmp(unit, strchr(to, ' ')) == 0)
        *unit = '\0';
    snprintf(buffer, PHRASE_CHARS, "%s%s%s", from, glyphs->dash, to);
}

static void format_size(char buffer[PHRASE_CHARS], const struct line *line,
                        const struct glyphs *glyphs)
{
    char bytes[NUMBER_CHARS];

    if (line->classes > 1)
        format_doubling(buffer, doubling_of(line->sum.cell_bytes), glyphs);
    else if (line->sum.large)
        snprintf(buffer, PHRASE_CHARS, "large %s %s", glyphs->at_most,
                 format_cell_bytes(bytes, line->sum.cell_bytes));
    else
        format_cell_bytes(buffer, line->sum.cell_bytes);
}

/* ---- Printing ----------------------------------------------------------------------------- */

static void print_line(FILE *stream, const struct line *line, const struct table *table,
                       const struct style *style)
{
    const struct row_summary *sum = &line->sum;
    char number[NUMBER_CHARS];
    char size[PHRASE_CHARS];

    format_size(size, line, style->glyphs);
    print_right(stream, size, 2 + SIZE_COLUMNS);
    print_right(stream, format_count(number, sum->peak_cells), CELLS_COLUMNS);
    print_right(stream, format_bytes(number, sum->peak_bytes), BYTES_COLUMNS);
    print_share(stream, ratio(sum->peak_bytes, table->peak_bytes), PEAK_BAR_COLUMNS, false, style);
    print_right(stream, format_count(number, sum->allocated), ALLOCATED_COLUMNS);
    print_share(stream, ratio(sum->allocated, table->allocated), TOTAL_BAR_COLUMNS, true, style);
    fputc('\n', stream);
}

static void print_heading(FILE *stream, const struct style *style)
{
    fprintf(stream, "\n%s", style->strong);
    print_right(stream, "cell size", 2 + SIZE_COLUMNS);
    print_right(stream, "cells at peak", CELLS_COLUMNS);
    print_right(stream, "bytes at peak", BYTES_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    print_right(stream, "allocated", 1 + PEAK_BAR_COLUMNS + ALLOCATED_COLUMNS);
    print_right(stream, "share", SHARE_COLUMNS);
    fprintf(stream, "%s\n", style->plain);
}

/* What is to be known of the lines above. */
static void print_notes(FILE *stream, const struct table *table,
                        const struct process_summary *process)
{
    char number[NUMBER_CHARS];

    if (table->folded)
        fprintf(stream, "  By doublings, of %u size classes in use; --all-classes lists each.\n",
                table->class_count);
    if (process->peak_rows_bytes == 0)
        fprintf(stream, "  What was live by size at the peak was not noted.\n");
    else if (!rows_are_near_peak(process))
        fprintf(stream, "  What was live by size was noted at %s, some way from the peak.\n",
                format_bytes(number, table->peak_bytes));
}

void report_table_print(FILE *stream, const struct process_summary *process, bool all_classes,
                        const struct style *style)
{
    struct table table;

    if (process->row_count == 0)
        return;
    make_table(&table, process, all_classes);
    print_heading(stream, style);
    for (unsigned i = 0; i < table.line_count; i++)
        print_line(stream, &table.lines[i], &table, style);
    print_notes(stream, &table, process);
}
