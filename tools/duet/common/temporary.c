/* The C library's walk over a tree does the removing. */
#include "common/temporary.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

bool temporary_folder_make(char folder[PATH_MAX], const char *kind)
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || *parent == '\0')
        parent = "/tmp";
    if (snprintf(folder, PATH_MAX, "%s/duet-%s-XXXXXX", parent, kind) < PATH_MAX &&
        mkdtemp(folder) != NULL)
        return true;
    say("cannot make a folder in %s: %s", parent, strerror(errno));
    folder[0] = '\0';
    return false;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    remove(path);
    return 0;
}

void temporary_folder_remove(const char *folder)
{
    const int open_folders = 16;

    nftw(folder, remove_one, open_folders, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
