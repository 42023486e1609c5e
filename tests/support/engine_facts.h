/*
 * What tests may presume of the engine they run on, where engines differ. The library itself says
 * which one it is, so a program of the standard names serves all engines without another build.
 */
#ifndef TESTS_ENGINE_FACTS_H
#define TESTS_ENGINE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "check.h"
#include "names.h"

struct engine_facts {
    const char *name;

    /* All of a cell may be used, and malloc_usable_size says so; else what was asked for, to the
     * byte, and no more. */
    bool whole_cells_are_usable;

    /* A cell may stay what it is for a length that a smaller class serves, as long as at least
     * 3 of its 4 quarters are used; else it stays for those of its class alone. */
    bool stays_for_three_quarters;

    /* Small memory stays, ready for its class, so what was freed can be had again even where the
     * kernel gives nothing; else a group goes back with its last cell, and its memory may then
     * serve any other size. */
    bool keeps_small_memory;

    /* Free pages of a group go back though some of its cells are in use. */
    bool purges_groups_in_use;

    /* Large blocks with a mapping of their own keep any alignment when they move by duet_remap;
     * else one of more than a page may be refused. */
    bool moves_at_any_alignment;

    /* Blocks that are as long have a mapping of their own, which duet_remap moves. A power of
     * two. */
    size_t mapped_bytes;

    /* A thread has a slot of its own, as long as there are any, and those that come later share as
     * many others; else all share those there are. */
    bool has_slots_of_two_sorts;

    /* Bytes of the cell that serves a request for 100. */
    size_t cell_of_100;
};

/* And of its secure flavour. */
#define OF_DUET                                                                                    \
    .stays_for_three_quarters = true, .keeps_small_memory = false, .purges_groups_in_use = true,   \
    .moves_at_any_alignment = true, .mapped_bytes = (size_t)128 << 20,                             \
    .has_slots_of_two_sorts = true, .cell_of_100 = 7 * 16

static inline const struct engine_facts *engine_facts(void)
{
    static const struct engine_facts engines[] = {
        {.name = "duet", .whole_cells_are_usable = true, OF_DUET},
        {.name = "secure", .whole_cells_are_usable = false, OF_DUET},
        {
            .name = "smp",
            .whole_cells_are_usable = true,
            .stays_for_three_quarters = false,
            .keeps_small_memory = true,
            .purges_groups_in_use = false,
            .moves_at_any_alignment = true,
            .mapped_bytes = (size_t)32 << 20,
            .has_slots_of_two_sorts = false,
            .cell_of_100 = 128,
        },
        {
            .name = "ng",
            .whole_cells_are_usable = false,
            .stays_for_three_quarters = false,
            .keeps_small_memory = false,
            .purges_groups_in_use = false,
            .moves_at_any_alignment = false,
            .mapped_bytes = (size_t)32 << 20,
            .has_slots_of_two_sorts = false,
            .cell_of_100 = 7 * 16,
        },
    };
    CHECK(is_on_duet());
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++)
        if (strcmp(engines[i].name, duet_engine()) == 0)
            return &engines[i];
    check_say("test: no facts are known of this engine (support/engine_facts.h)\n");
    _exit(1);
}

/* The slots that so many threads have in use at least, with the option slots=NUMBER. */
static inline size_t slots_used_by(size_t threads, size_t number)
{
    size_t used = threads < number ? threads : number;
    size_t left = threads - used;
    if (engine_facts()->has_slots_of_two_sorts)
        used += left < number ? left : number;
    return used;
}

#endif
