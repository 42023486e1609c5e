/*
 * Where duet's own files lie: beside the tool in a build folder, around it in an installation that
 * may have been moved, or where it was configured to be installed.
 */
#ifndef DUET_TOOL_PLACES_H
#define DUET_TOOL_PLACES_H

#include <limits.h>
#include <stdbool.h>

enum place {
    PLACE_LIBRARIES,        /* libduet.so and so on, as people preload them */
    PLACE_REPORT_LIBRARIES, /* the same, counting */
    PLACE_RECORD_LIBRARIES, /* the one that records */
    PLACE_PROGRAMS,         /* programs that the tool runs, not people */
    PLACE_DATA,             /* folders with what these programs read */
};

#define PLACE_CANDIDATES 3

struct places {
    char folders[PLACE_CANDIDATES][PATH_MAX]; /* in the order in which they are searched */
};

/* The candidates for a place; false, after a message, if the tool does not know where it lies. */
bool places_find(enum place place, struct places *places);

/* The first candidate that has such a file or folder: its real path. False: none has; says
 * nothing. */
bool places_search(const struct places *places, const char *name, char path[PATH_MAX]);

/* Both; false, after a message, where there is no such file. */
bool place_file(enum place place, const char *name, char path[PATH_MAX]);

#endif
