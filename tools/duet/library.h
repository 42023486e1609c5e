/*
 * Finds the library that `duet run` preloads: the counting flavour of an engine's library.
 */
#ifndef DUET_TOOL_LIBRARY_H
#define DUET_TOOL_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

#include "elf_file.h"

/* The engine that runs where none is asked for. */
#define DEFAULT_ENGINE "smp"

struct library {
    char path[PATH_MAX];
    struct elf_facts elf;
};

/* Finds the library of the engine beside the tool (a build folder), in ../lib/duet (a moved
 * installation), or where it was configured to be installed. Says why and returns false where
 * there is none, or where it lies under a path that the loader cannot preload. */
bool library_find(const char *engine, struct library *library);

#endif
