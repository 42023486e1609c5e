/*
 * Folders for as long as a command runs, in TMPDIR or else /tmp.
 */
#ifndef DUET_TOOL_TEMPORARY_H
#define DUET_TOOL_TEMPORARY_H

#include <limits.h>
#include <stdbool.h>

/* Makes a new folder, "duet-KIND-" and six characters. False: it could not, and said so. */
bool temporary_folder_make(char folder[PATH_MAX], const char *kind);

/* Removes it with all that is in it. */
void temporary_folder_remove(const char *folder);

#endif
