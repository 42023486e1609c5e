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

    /* Small memory stays, ready for its class, so what was freed can be had again even where the
     * kernel gives nothing; else a group goes back with its last cell, and its memory may then
     * serve any other size. */
    bool keeps_small_memory;

    /* Large blocks keep any alignment when they move by duet_remap; else one of more than a page
     * may be refused. */
    bool moves_at_any_alignment;

    /* Bytes of the cell that serves a request for 100. */
    size_t cell_of_100;
};

static inline const struct engine_facts *engine_facts(void)
{
    static const struct engine_facts engines[] = {
        {
            .name = "smp",
            .whole_cells_are_usable = true,
            .keeps_small_memory = true,
            .moves_at_any_alignment = true,
            .cell_of_100 = 128,
        },
        {
            .name = "ng",
            .whole_cells_are_usable = false,
            .keeps_small_memory = false,
            .moves_at_any_alignment = false,
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

#endif
