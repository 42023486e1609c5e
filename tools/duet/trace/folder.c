/* As run/counters_file.c has it for its file, but on a disk: raw records can be many. */
#include "trace/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/say.h"

#define NAME_PREFIX "duet-record-"

/* How often to try again when another launcher's sweep took our folder before we had locked it. */
#define MAKE_ATTEMPTS 8

static const char *choose_parent(void)
{
    const char *temporary = getenv("TMPDIR");

    return temporary != NULL && *temporary == '/' ? temporary : "/tmp";
}

/* Removes the files of an open folder; takes the descriptor over. */
static void empty(int fd)
{
    DIR *stream = fdopendir(fd);
    const struct dirent *entry;

    if (stream == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    }
    closedir(stream);
}

/* Removes the folder of that name if it is ours by owner, and locked by nobody. */
static void sweep_one(int parent, const char *name)
{
    struct stat status;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    if (fstat(fd, &status) != 0 || status.st_uid != geteuid() ||
        flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return;
    }
    empty(fd);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static void sweep(const char *parent)
{
    DIR *stream = opendir(parent);
    const struct dirent *entry;

    if (stream == NULL)
        return;
    while ((entry = readdir(stream)) != NULL) {
        if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0)
            sweep_one(dirfd(stream), entry->d_name);
    }
    closedir(stream);
}

/* A new folder under a name that nobody can guess, locked; -1 with errno. */
static int make_locked(char path[PATH_MAX])
{
    struct stat status;

    if (mkdtemp(path) == NULL)
        return -1;
    int fd = fd_above_standard(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0 && errno == ENOENT)
        errno = EAGAIN;
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &status) == 0 && status.st_nlink > 0)
        return fd;
    close(fd);
    errno = EAGAIN; /* it was swept away */
    return -1;
}

bool folder_make(struct folder *folder)
{
    const char *parent = choose_parent();

    sweep(parent);
    folder->fd = -1;
    errno = EAGAIN;
    for (int i = 0; i < MAKE_ATTEMPTS && folder->fd < 0 && errno == EAGAIN; i++) {
        int length = snprintf(folder->path, PATH_MAX, "%s/" NAME_PREFIX "XXXXXX", parent);
        /* The processes put numbers behind it. */
        if (length > PATH_MAX - 64) {
            errno = ENAMETOOLONG;
            break;
        }
        folder->fd = make_locked(folder->path);
    }
    if (folder->fd < 0)
        say("cannot make a folder for the records in %s: %s", parent, strerror(errno));
    return folder->fd >= 0;
}

void folder_remove(struct folder *folder)
{
    empty(folder->fd);
    rmdir(folder->path);
    folder->fd = -1;
}
