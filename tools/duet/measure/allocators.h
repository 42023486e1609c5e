/*
 * The allocators that a program is run under, by name: the C library's own, duet's engines, those
 * that are found installed under the names that the field has for them, and any library by path.
 */
#ifndef DUET_TOOL_ALLOCATORS_H
#define DUET_TOOL_ALLOCATORS_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/elf_file.h"

#define ALLOCATOR_NAME_CHARS 32
#define ALLOCATOR_VERSION_CHARS 64
#define ALLOCATORS_MOST 32

enum allocator_kind {
    ALLOCATOR_LIBC,  /* the C library's */
    ALLOCATOR_DUET,  /* one of our engines */
    ALLOCATOR_KNOWN, /* found by its name */
    ALLOCATOR_GIVEN, /* by path */
};

struct allocator {
    enum allocator_kind kind;
    char name[ALLOCATOR_NAME_CHARS];
    char version[ALLOCATOR_VERSION_CHARS]; /* "" where it is not known */
    char path[PATH_MAX];                   /* of the library whose malloc it is */
    char preload[2 * PATH_MAX];            /* what LD_PRELOAD has to have for it; "": nothing */
    struct elf_facts elf;
};

struct allocators {
    unsigned count;
    struct allocator all[ALLOCATORS_MOST];
};

/* Fills the list with what `with` names: NAME, PATH or NAME=PATH, with commas between, in this
 * order, the C library's in front if it is not named. NULL: all that are found. Says why and
 * returns false where a name means nothing here, a path is no library, or a name stands twice. */
bool allocators_choose(struct allocators *allocators, const char *with);

/* The same with at most `most` of those found, by how telling they are: for a quick look. */
bool allocators_choose_few(struct allocators *allocators, unsigned most);

/* The index of the allocator of that name; -1: there is none. */
int allocators_index(const struct allocators *allocators, const char *name);

/* The index of the allocator that is asked for as the base; NULL: of the first. Says so and returns
 * false if there is none of that name. */
bool allocators_choose_base(const struct allocators *allocators, const char *name, unsigned *base);

/* Prints those that are found, a line each, with their versions and paths. */
void allocators_print(FILE *stream);

#endif
