/* One tree, from the inside out. */
#include "common/json.h"
#include "trace/show.h"

/* Raised when a field changes its name or meaning. */
#define SUMMARY_FORMAT 1

static json_t *size_json(const struct size_row *row, unsigned index)
{
    json_t *object = json_object();
    bool whole = json_set(object, "at_most_bytes", json_number((uint64_t)1 << index)) &&
                 json_set(object, "allocated", json_number(row->allocated)) &&
                 json_set(object, "peak_cells", json_number(row->peak_cells)) &&
                 json_set(object, "peak_bytes", json_number(row->peak_bytes));

    return json_if_whole(object, whole);
}

static json_t *sizes_json(const struct trace_summary *summary)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (unsigned i = 0; whole && i < SIZE_ROWS; i++) {
        const struct size_row *row = &summary->sizes[i];
        if (row->allocated != 0 || row->peak_cells != 0)
            whole = json_array_append_new(array, size_json(row, i)) == 0;
    }
    return json_if_whole(array, whole);
}

/* `below` is null for the last row, which has no limit. */
static json_t *lives_json(const struct trace_summary *summary)
{
    json_t *array = json_array();
    bool whole = array != NULL;
    uint64_t below = 1;

    for (unsigned i = 0; whole && i < LIFE_ROWS; i++, below *= 10) {
        const struct life_row *row = &summary->lives[i];
        json_t *object = json_object();
        bool set = json_set(object, "allocations_below",
                            i + 1 < LIFE_ROWS ? json_number(below) : json_null()) &&
                   json_set(object, "cells", json_number(row->cells)) &&
                   json_set(object, "bytes", json_number(row->bytes));
        whole = json_array_append_new(array, json_if_whole(object, set)) == 0;
    }
    return json_if_whole(array, whole);
}

static json_t *thread_json(const struct thread_row *row)
{
    json_t *object = json_object();
    bool whole = json_set(object, "thread", json_number(row->thread)) &&
                 json_set(object, "operations", json_number(row->operations)) &&
                 json_set(object, "allocations", json_number(row->allocations)) &&
                 json_set(object, "frees", json_number(row->frees)) &&
                 json_set(object, "frees_of_others", json_number(row->frees_of_others)) &&
                 json_set(object, "first_operation", json_number(row->first)) &&
                 json_set(object, "last_operation", json_number(row->last));

    return json_if_whole(object, whole);
}

static json_t *threads_json(const struct trace_summary *summary)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (uint64_t i = 0; whole && i < summary->thread_row_count; i++)
        whole = json_array_append_new(array, thread_json(&summary->threads[i])) == 0;
    return json_if_whole(array, whole);
}

static json_t *reallocs_json(const struct trace_summary *summary)
{
    json_t *object = json_object();
    bool whole =
        json_set(object, "calls", json_number(summary->kinds[OPERATION_REALLOC])) &&
        json_set(object, "cells", json_number(summary->cells_reallocated)) &&
        json_set(object, "grown", json_number(summary->reallocs_grown)) &&
        json_set(object, "shrunk", json_number(summary->reallocs_shrunk)) &&
        json_set(object, "of_others", json_number(summary->reallocs_of_others)) &&
        json_set(object, "growth", json_real(summary->growth)) &&
        json_set(object, "longest_chain", json_number(summary->realloc_chain)) &&
        json_set(object, "longest_chain_end_bytes", json_number(summary->realloc_chain_end));

    return json_if_whole(object, whole);
}

bool summary_write_json(FILE *stream, const struct trace_summary *summary)
{
    const struct trace_totals *totals = &summary->head.totals;
    const struct trace_facts *facts = &summary->head.facts;
    json_t *object = json_object();
    bool whole = json_set(object, "format", json_integer(SUMMARY_FORMAT)) &&
                 json_set(object, "duet", json_string(DUET_VERSION)) &&
                 json_set(object, "program", json_text(summary->head.program)) &&
                 json_set(object, "operations", json_number(totals->operations)) &&
                 json_set(object, "allocations", json_number(totals->allocations)) &&
                 json_set(object, "callocs", json_number(summary->kinds[OPERATION_CALLOC])) &&
                 json_set(object, "aligned", json_number(summary->kinds[OPERATION_ALIGNED])) &&
                 json_set(object, "frees", json_number(totals->frees)) &&
                 json_set(object, "frees_of_others", json_number(summary->frees_of_others)) &&
                 json_set(object, "threads", json_number(totals->threads)) &&
                 json_set(object, "allocated_bytes", json_number(totals->allocated_bytes)) &&
                 json_set(object, "largest_bytes", json_number(summary->largest_size)) &&
                 json_set(object, "peak_live_bytes", json_number(totals->peak_live_bytes)) &&
                 json_set(object, "peak_operation", json_number(totals->peak_operation)) &&
                 json_set(object, "most_cells", json_number(totals->cells_most)) &&
                 json_set(object, "end_cells", json_number(totals->end_cells)) &&
                 json_set(object, "end_live_bytes", json_number(totals->end_live_bytes)) &&
                 json_set(object, "median_life", json_number(summary->median_life)) &&
                 json_set(object, "inherited", json_number(facts->inherited)) &&
                 json_set(object, "failed", json_number(facts->failed)) &&
                 json_set(object, "left_out", json_number(facts->left_out)) &&
                 json_set(object, "cut", json_boolean(facts->cut != 0)) &&
                 json_set(object, "reallocs", reallocs_json(summary)) &&
                 json_set(object, "sizes", sizes_json(summary)) &&
                 json_set(object, "lives", lives_json(summary)) &&
                 json_set(object, "thread_rows", threads_json(summary));

    return json_finish(stream, json_if_whole(object, whole));
}
