/*
 * What the tests of duet share: kinds that only the test uses, and a shadow of who
 * has which cell.
 */
#ifndef TESTS_UNIT_DUET_TESTS_H
#define TESTS_UNIT_DUET_TESTS_H

#include "random.h"
#include "unit.h"

#include <stdio.h>

#include "engine.h"
#include "engine/duet/depot.h"
#include "engine/duet/group.h"

static inline void shuffle(uint64_t *state, void **cells, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = random_below(state, i);
        void *cell = cells[i - 1];
        cells[i - 1] = cells[other];
        cells[other] = cell;
    }
}

/* ---- Kinds of a test's own ----------------------------------------------------------------- */

static inline size_t cells_of_group(size_t kind)
{
    return duet_tables.kinds[kind].cells;
}

static inline size_t bytes_of_group(size_t kind)
{
    return duet_tables.kinds[kind].blocks * BLOCK_BYTES;
}

/* As depot_take, which gives long cells one by one where they are new. */
static inline size_t take_cells(size_t home, size_t kind, void **into, size_t count)
{
    bool zeroed, one_by_one = duet_kind_bytes(kind) >= DEPOT_LONG_BYTES;
    size_t taken = 0, more;
    do {
        more = depot_take(home, kind, into, count - taken, &zeroed);
        taken += more;
        memmove(into + count - taken, into, more * sizeof into[0]);
    } while (one_by_one && more > 0 && taken < count);
    memmove(into, into + count - taken, taken * sizeof into[0]);
    return taken;
}

/* cmocka and the C library allocate from the same depots. Of a kind that has no group once all that
 * is free has gone back, nobody has a cell: so every group is the test's. */
static inline bool is_unused(size_t kind)
{
    struct depots_count before, after;
    void *cell;
    engine_trim();
    depots_count(&before);
    assert_int_equal(take_cells(0, kind, &cell, 1), 1);
    depots_count(&after);
    depot_return(kind, &cell, 1);
    depots_trim();
    return after.cells == before.cells + cells_of_group(kind);
}

/* The first such kind from this one on whose groups have so many cells. */
static inline size_t unused_kind(size_t kind, size_t least_cells)
{
    while (kind < DUET_KINDS && (cells_of_group(kind) < least_cells || !is_unused(kind)))
        kind++;
    assert_true(kind < DUET_KINDS);
    return kind;
}

/* `count` of them, spread over all sizes. */
static inline void unused_kinds(size_t *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t from = 1 + i * DUET_CLASSES / count;
        kinds[i] = unused_kind(i == 0 ? from : max_size(from, kinds[i - 1] + 1), 2);
    }
}

/* ---- Who has what -------------------------------------------------------------------------- */

/* A set of addresses: open addressing, no more than half full. */
#define SHADOW_PLACES ((size_t)1 << 17)

struct shadow {
    size_t count;
    uintptr_t places[SHADOW_PLACES];
};

static inline size_t shadow_home(uintptr_t address)
{
    return (size_t)((address >> DUET_UNIT_SHIFT) * 0x9e3779b97f4a7c15u) % SHADOW_PLACES;
}

/* Where the address is, or would be. */
static inline size_t shadow_find(const struct shadow *shadow, uintptr_t address)
{
    size_t place = shadow_home(address);
    while (shadow->places[place] != 0 && shadow->places[place] != address)
        place = (place + 1) % SHADOW_PLACES;
    return place;
}

static inline void shadow_add(struct shadow *shadow, const void *cell)
{
    size_t place = shadow_find(shadow, (uintptr_t)cell);
    assert_int_equal(shadow->places[place], 0); /* nobody has it */
    shadow->places[place] = (uintptr_t)cell;
    shadow->count++;
    assert_true(shadow->count <= SHADOW_PLACES / 2);
}

/* Those behind it that were pushed on by it are put again. */
static inline void shadow_remove(struct shadow *shadow, const void *cell)
{
    size_t place = shadow_find(shadow, (uintptr_t)cell);
    assert_int_equal(shadow->places[place], (uintptr_t)cell);
    shadow->places[place] = 0;
    shadow->count--;
    for (size_t i = (place + 1) % SHADOW_PLACES; shadow->places[i] != 0;
         i = (i + 1) % SHADOW_PLACES) {
        uintptr_t moved = shadow->places[i];
        shadow->places[i] = 0;
        shadow->places[shadow_find(shadow, moved)] = moved;
    }
}

/* The content of a cell whose holder is known by a number: all of it, so that an overlap shows. */
static inline void cell_fill(void *cell, size_t kind, uint64_t number)
{
    uint64_t *words = cell;
    for (size_t i = 0; i < duet_kind_bytes(kind) / sizeof *words; i++)
        words[i] = number;
}

static inline bool cell_is_filled(const void *cell, size_t kind, uint64_t number)
{
    const uint64_t *words = cell;
    for (size_t i = 0; i < duet_kind_bytes(kind) / sizeof *words; i++)
        if (words[i] != number)
            return false;
    return true;
}

/* ---- What stops the program ---------------------------------------------------------------- */

/* Runs code(argument) in a child, which must abort with this complaint of `accused`. */
static inline void assert_accuses(void (*code)(void *), void *argument, const void *accused,
                                  const char *what)
{
    char text[600], expected[200];
    snprintf(expected, sizeof expected, "duet: free: %p %s\n", accused, what);
    assert_int_equal(signal_of(code, argument, text, sizeof text), SIGABRT);
    assert_string_equal(text, expected);
}

#endif
