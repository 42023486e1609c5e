/*
 * How a new group is to be: of how many cells, in a mapping of its own or nested in a cell of a
 * larger class, and how many of its cells are active at first. Decisions alone, from numbers alone:
 * nothing here is read or changed but the arguments. (Numbers and conditions are mallocng's.)
 */
#ifndef DUET_ENGINE_NG_PLAN_H
#define DUET_ENGINE_NG_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/ng/classes.h"

/* Active cells are counted out in steps of 4 KiB, whatever the page size. */
#define NG_STEP_BYTES ((size_t)4096)

/* Masks have 32 bits. */
#define NG_MOST_CELLS 32

struct ng_demand {
    size_t class;
    size_t request;      /* bytes asked for: a mapping for this one alone may be made */
    size_t usage;        /* cells in groups of the class, by now */
    size_t coarse_usage; /* and of the class behind it, which serves an even class at first */
    bool bouncing;       /* groups of the class are made and unmapped in quick turn */
    size_t page_bytes;
};

struct ng_plan {
    unsigned count;      /* cells, 1 to NG_MOST_CELLS */
    unsigned active;     /* of these, active at first; at least 1 */
    size_t mapped_bytes; /* whole pages; 0: nested */
};

struct ng_plan ng_plan_group(const struct ng_demand *demand);

/* Bytes of a group of so many cells. */
static inline size_t ng_group_bytes(size_t class, unsigned count)
{
    return NG_UNIT + count * ng_class_bytes(class);
}

/* How many cells a group has by its class and usage alone. */
unsigned ng_plan_count(size_t class, size_t usage);

/* With so many of a group's cells active: how many are, once there have to be more. */
unsigned ng_plan_activation(size_t class, unsigned active, unsigned count);

/* Whether an even class without groups may take its cells from the class behind it, whose usage
 * this is; `full`: that class would need a new group. */
bool ng_plan_is_coarse(size_t class, size_t next_usage, bool full);

#endif
