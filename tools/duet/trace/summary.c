/* One pass. Of each live cell is kept who allocated it, when, and how often it was reallocated; of
 * sizes, what is live in each row, so that the row's peak can be noted at the operation that makes
 * the peak of all, which the head tells beforehand. */
#include "trace/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "trace/reader.h"

/* Lifetimes are counted in steps of an eighth of their power of two, for the median. */
#define STEP_BITS 3
#define STEPS (65 << STEP_BITS)

struct cell {
    uint64_t number; /* of its allocation */
    uint64_t reallocs;
    uint32_t thread;
};

struct reading {
    struct trace_summary *summary;
    struct cell *cells;
    uint64_t cell_capacity;
    struct thread_row *threads;
    uint64_t thread_capacity;
    uint64_t live_cells[SIZE_ROWS];
    uint64_t live_bytes[SIZE_ROWS];
    uint64_t steps[STEPS];
    double growth_logs;
    uint64_t growths;
    uint64_t operations;
    uint64_t allocations;
};

/* ---- Rows ----------------------------------------------------------------------------------- */

static unsigned bits_of(uint64_t number)
{
    return number == 0 ? 0 : 64u - (unsigned)__builtin_clzll(number);
}

static unsigned size_row(uint64_t size)
{
    return size <= 1 ? 0 : bits_of(size - 1);
}

static unsigned life_row(uint64_t life)
{
    unsigned row = 0;

    for (uint64_t limit = 1; life >= limit && row + 1 < LIFE_ROWS; limit *= 10)
        row++;
    return row;
}

static unsigned life_step(uint64_t life)
{
    unsigned bits = bits_of(life);

    if (bits <= STEP_BITS + 1)
        return (unsigned)life;
    unsigned shift = bits - STEP_BITS - 1;
    return (shift << STEP_BITS) + (unsigned)(life >> shift);
}

/* The longest life of the step. */
static uint64_t step_limit(unsigned step)
{
    if (step < (2u << STEP_BITS))
        return step;
    unsigned shift = (step >> STEP_BITS) - 1;
    uint64_t high = (step & ((1u << STEP_BITS) - 1)) + (1u << STEP_BITS);
    return ((high + 1) << shift) - 1;
}

/* ---- Room ----------------------------------------------------------------------------------- */

/* Makes the array reach as far as this index, with zeros. */
static bool reach(void **array, uint64_t *capacity, uint64_t index, size_t bytes_each)
{
    const uint64_t first = 64;
    uint64_t wanted = *capacity != 0 ? *capacity : first;

    if (index < *capacity)
        return true;
    while (wanted <= index)
        wanted *= 2;
    char *larger = realloc(*array, wanted * bytes_each);
    if (larger == NULL) {
        say("not enough memory to read the trace");
        return false;
    }
    memset(larger + *capacity * bytes_each, 0, (wanted - *capacity) * bytes_each);
    *array = larger;
    *capacity = wanted;
    return true;
}

static bool make_room(struct reading *reading, const struct operation *operation)
{
    void *cells = reading->cells;
    void *threads = reading->threads;
    bool made =
        reach(&cells, &reading->cell_capacity, operation->cell, sizeof *reading->cells) &&
        reach(&threads, &reading->thread_capacity, operation->thread, sizeof *reading->threads);

    reading->cells = cells;
    reading->threads = threads;
    return made;
}

/* ---- Operations ----------------------------------------------------------------------------- */

static void change_live(struct reading *reading, const struct operation *operation)
{
    bool is_free = operation->kind == OPERATION_FREE;

    if (is_free || operation->kind == OPERATION_REALLOC) {
        unsigned row = size_row(operation->old_size);
        reading->live_cells[row]--;
        reading->live_bytes[row] -= operation->old_size;
    }
    if (!is_free) {
        unsigned row = size_row(operation->size);
        reading->live_cells[row]++;
        reading->live_bytes[row] += operation->size;
    }
    if (reading->operations != reading->summary->head.totals.peak_operation)
        return;
    for (unsigned i = 0; i < SIZE_ROWS; i++) {
        reading->summary->sizes[i].peak_cells = reading->live_cells[i];
        reading->summary->sizes[i].peak_bytes = reading->live_bytes[i];
    }
}

static void add_allocation(struct reading *reading, const struct operation *operation)
{
    struct trace_summary *summary = reading->summary;

    summary->sizes[size_row(operation->size)].allocated++;
    if (operation->align_log2 > summary->largest_align_log2)
        summary->largest_align_log2 = operation->align_log2;
    reading->threads[operation->thread].allocations++;
    reading->cells[operation->cell] = (struct cell){
        .number = reading->allocations++,
        .thread = operation->thread,
    };
}

static void add_realloc(struct reading *reading, const struct operation *operation)
{
    struct trace_summary *summary = reading->summary;
    struct cell *cell = &reading->cells[operation->cell];

    if (cell->thread != operation->thread)
        summary->reallocs_of_others++;
    if (cell->reallocs++ == 0)
        summary->cells_reallocated++;
    if (cell->reallocs >= summary->realloc_chain) {
        summary->realloc_chain = cell->reallocs;
        summary->realloc_chain_end = operation->size;
    }
    if (operation->size < operation->old_size)
        summary->reallocs_shrunk++;
    if (operation->size <= operation->old_size)
        return;
    summary->reallocs_grown++;
    if (operation->old_size > 0) {
        reading->growth_logs += log((double)operation->size / (double)operation->old_size);
        reading->growths++;
    }
}

static void add_free(struct reading *reading, const struct operation *operation)
{
    struct trace_summary *summary = reading->summary;
    const struct cell *cell = &reading->cells[operation->cell];
    uint64_t life = reading->allocations - cell->number - 1;
    struct life_row *row = &summary->lives[life_row(life)];

    row->cells++;
    row->bytes += operation->old_size;
    reading->steps[life_step(life)]++;
    reading->threads[operation->thread].frees++;
    if (cell->thread == operation->thread)
        return;
    reading->threads[operation->thread].frees_of_others++;
    summary->frees_of_others++;
}

static void add_operation(struct reading *reading, const struct operation *operation)
{
    struct thread_row *thread = &reading->threads[operation->thread];
    struct trace_summary *summary = reading->summary;

    summary->kinds[operation->kind]++;
    if (operation->size > summary->largest_size)
        summary->largest_size = operation->size;
    if (thread->operations++ == 0)
        thread->first = reading->operations;
    thread->last = reading->operations;
    thread->thread = operation->thread;
    if (operation->kind == OPERATION_FREE)
        add_free(reading, operation);
    else if (operation->kind == OPERATION_REALLOC)
        add_realloc(reading, operation);
    else
        add_allocation(reading, operation);
    change_live(reading, operation);
    reading->operations++;
}

/* ---- The end -------------------------------------------------------------------------------- */

static uint64_t median_life(const struct reading *reading)
{
    uint64_t half = (reading->summary->head.totals.frees + 1) / 2;
    uint64_t seen = 0;

    for (unsigned i = 0; i < STEPS; i++) {
        seen += reading->steps[i];
        if (seen >= half)
            return step_limit(i);
    }
    return 0;
}

static int by_operations(const void *left, const void *right)
{
    const struct thread_row *a = left;
    const struct thread_row *b = right;

    if (a->operations != b->operations)
        return a->operations > b->operations ? -1 : 1;
    return a->thread < b->thread ? -1 : 1;
}

static void finish(struct reading *reading)
{
    struct trace_summary *summary = reading->summary;
    uint64_t threads = summary->head.totals.threads;

    summary->median_life = median_life(reading);
    if (reading->growths > 0)
        summary->growth = exp(reading->growth_logs / (double)reading->growths);
    if (threads > 0)
        qsort(reading->threads, threads, sizeof *reading->threads, by_operations);
    summary->thread_row_count = threads < THREAD_ROWS_MOST ? threads : THREAD_ROWS_MOST;
    for (uint64_t i = 0; i < summary->thread_row_count; i++)
        summary->threads[i] = reading->threads[i];
}

static bool read_all(struct reading *reading, struct trace_reader *reader)
{
    struct operation operation;
    enum read_result result;

    while ((result = reader_next(reader, &operation)) == READ_OPERATION) {
        if (!make_room(reading, &operation))
            return false;
        add_operation(reading, &operation);
    }
    if (result == READ_END)
        finish(reading);
    return result == READ_END;
}

bool summary_read(struct trace_summary *summary, const char *file)
{
    struct trace_reader reader;

    *summary = (struct trace_summary){0};
    if (!reader_open(&reader, file))
        return false;
    summary->head = reader.head;
    struct reading *reading = calloc(1, sizeof *reading);
    bool good = false;
    if (reading != NULL) {
        reading->summary = summary;
        good = read_all(reading, &reader);
        free(reading->cells);
        free(reading->threads);
        free(reading);
    } else {
        say("not enough memory to read the trace");
    }
    reader_close(&reader);
    return good;
}
