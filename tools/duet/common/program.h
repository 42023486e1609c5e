/*
 * Finds the program as execvp(3) would, and foretells whether a library can be preloaded into it.
 * Where it cannot, the loader would say nothing and the program would run on another allocator:
 * so it is refused, with the reason.
 */
#ifndef DUET_TOOL_PROGRAM_H
#define DUET_TOOL_PROGRAM_H

#include <stdbool.h>

#include "common/elf_file.h"

/* Looks `name` up and puts the file to execute in *path (allocated, always with a slash in it).
 * Returns 0, or says why not and returns STATUS_NOT_FOUND or STATUS_NOT_RUNNABLE. */
int program_find(const char *name, char **path);

/* Whether program_find would find it; says nothing. */
bool program_is_there(const char *name);

/* Whether the library with these facts can be preloaded into the file, or into what its first
 * line names as interpreter. `name` is what messages call it. Returns as program_find. */
int program_check(const char *name, const char *path, const struct elf_facts *library);

#endif
