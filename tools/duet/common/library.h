/*
 * Engines and the files their libraries are in, and the one that `duet run` preloads: the counting
 * flavour of an engine's library.
 */
#ifndef DUET_TOOL_LIBRARY_H
#define DUET_TOOL_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

#include "common/elf_file.h"

/* The engine that runs where none is asked for. */
#define DEFAULT_ENGINE "duet"

/* What an engine's name has at most, with its end; and the name of its library's file. */
#define ENGINE_NAME_CHARS 32
#define ENGINE_FILE_CHARS 64

/* Enough for the names of all the engines that may ever lie in one folder. */
#define ENGINE_LIST_BYTES 256

struct library {
    char path[PATH_MAX];
    struct elf_facts elf;
};

/* The name of the file that an engine's library is in: libduet.so for the default one, or else
 * libduet-ENGINE.so. False: no engine can be called this. */
bool library_file(const char *engine, char file[ENGINE_FILE_CHARS]);

/* The engine whose library is called this. False: no engine's is. */
bool library_engine(const char *file, char engine[ENGINE_NAME_CHARS]);

/* Finds the library of the engine beside the tool (a build folder), in ../lib/duet (a moved
 * installation), or where it was configured to be installed. Says why and returns false where
 * there is none, or where it lies under a path that the loader cannot preload. */
bool library_find(const char *engine, struct library *library);

/* Reads the facts of the library at library->path; says why and returns false where it cannot be
 * opened, is none, or lies under a path that the loader cannot preload. */
bool library_open(struct library *library);

/* The engines whose libraries lie there, the default one first, each with a blank before it:
 * ENGINE_LIST_BYTES at most, empty if there are none. */
void library_list(char *list);

#endif
