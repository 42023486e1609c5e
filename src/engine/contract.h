/*
 * What is the same in the contract of all engines: each "engine.h" includes it. docs/design.md, 'An
 * engine', says what each part has to do.
 */
#ifndef DUET_ENGINE_CONTRACT_H
#define DUET_ENGINE_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum engine_slots_of {
    ENGINE_SLOTS_OF_EITHER, /* of CPUs where they can be had, unless it is said how many */
    ENGINE_SLOTS_OF_THREADS,
    ENGINE_SLOTS_OF_CPUS,
};

struct engine_options {
    enum engine_slots_of slots_of; /* for engines that have a choice: duet */
    uint32_t slots;                /* how many; 0: by the number of CPUs, counted now */
    bool purge;                    /* for engines that can return part of a cell at once */
};

/* As the library is loaded. */
void engine_configure(const struct engine_options *options);

/* Around fork: prepare, then one of the others, in the parent and in the child. */
void engine_fork_prepare(void);
void engine_fork_end(void);
void engine_fork_end_child(void);

struct engine_count {
    size_t cells;      /* handed out */
    size_t cell_bytes; /* in them */
    size_t free_bytes; /* in cells that are ready to be handed out */
    size_t slots;
};

/* Takes time: smp's by the number of free cells, the others' by that of groups. */
void engine_count(struct engine_count *count);

#endif
