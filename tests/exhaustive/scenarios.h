/*
 * The scenarios, and what those of the engine duet share.
 */
#ifndef TESTS_EXHAUSTIVE_SCENARIOS_H
#define TESTS_EXHAUSTIVE_SCENARIOS_H

#include <stddef.h>

#include "scheduler.h"

extern const struct scenario scenario_shelf, scenario_shelf_3, scenario_group, scenario_group_3,
    scenario_queue, scenario_depot, scenario_release, scenario_release_listed, scenario_trim,
    scenario_caches, scenario_caches_at_home, scenario_metas, scenario_metas_trim,
    scenario_metas_new, scenario_slots, scenario_slots_3, scenario_slots_visit, scenario_slots_read,
    scenario_bound, scenario_bound_cache, scenario_lock, scenario_lock_3, scenario_latch;

extern const struct scenario scenario_ng_free, scenario_ng_free_3, scenario_ng_first,
    scenario_ng_last, scenario_ng_take;

extern const struct scenario scenario_litmus_buffers, scenario_litmus_sequential,
    scenario_litmus_message, scenario_litmus_no_release, scenario_litmus_no_acquire,
    scenario_litmus_changes, scenario_litmus_coherence, scenario_litmus_writes,
    scenario_litmus_writes_in_order, scenario_litmus_causality, scenario_litmus_sequence;

/* ---- Cells (cells.c) --------------------------------------------------------------------- */

/* Of the kinds whose groups are one block, but for this one, that of the fewest cells from 3 on. */
size_t kind_of_few_cells(size_t other_than);

/* So many cells from this home; they are had by nobody who is known. */
void take_cells(size_t home, size_t kind, void **cells, size_t count);

/* From here on the cell is this thread's, until it lets go of it. Nobody else may have it: its
 * holder writes into it. */
void cell_hold(void *cell, unsigned number);
void cell_let_go(void *cell, unsigned number);

/* Of all groups there are: their cells and those of them that are free; and that all is in
 * order. */
void verify_groups(size_t cells, size_t free_cells);

#endif
