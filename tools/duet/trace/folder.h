/*
 * The temporary folder that a recording's raw files are written into. It is there by name as long
 * as the program runs, since every new process looks for it, and gone afterwards. A lock on it
 * tells the next recording which folders were left by a launcher that was killed, and it removes
 * those.
 */
#ifndef DUET_TOOL_FOLDER_H
#define DUET_TOOL_FOLDER_H

#include <limits.h>
#include <stdbool.h>

struct folder {
    char path[PATH_MAX]; /* absolute */
    int fd;              /* holds the lock */
};

/* Makes the folder in TMPDIR or /tmp. Says why and returns false where it cannot. */
bool folder_make(struct folder *folder);

/* Removes the folder with all its files. */
void folder_remove(struct folder *folder);

#endif
