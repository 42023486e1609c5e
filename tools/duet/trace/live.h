/*
 * The cells that are live, found by a number: an address, or how many allocations came before.
 */
#ifndef DUET_TOOL_LIVE_H
#define DUET_TOOL_LIVE_H

#include <stddef.h>
#include <stdint.h>

struct live_cell {
    uint64_t key; /* not 0 */
    uint64_t size;
    uint64_t number; /* of its allocation, from 0 */
    uint32_t id;     /* for the table's user */
    uint8_t kind;    /* enum operation_kind */
    uint8_t align_log2;
};

struct live_table {
    struct live_cell *places; /* a key of 0: empty */
    size_t capacity;          /* a power of two, or 0 */
    size_t count;
};

/* NULL: it is not there. Good until the next cell is added or removed, as for live_add. */
struct live_cell *live_find(const struct live_table *table, uint64_t key);

/* Adds a cell whose key is not there yet, all else 0. NULL: no memory. */
struct live_cell *live_add(struct live_table *table, uint64_t key);

void live_remove(struct live_table *table, struct live_cell *cell);

void live_free(struct live_table *table);

#endif
