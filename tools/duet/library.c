/* Looks for libraries in the three places where a build or an installation puts them. */
#include "library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

#define PREFIX "libduet-"
#define SUFFIX ".so"
#define PLACES 3

/* ld.so splits LD_PRELOAD at spaces and colons, knows no way to quote them, and expands '$'. */
#define NOT_PRELOADABLE " :$"

/* Enough for the names of all the engines that may ever lie in one folder. */
#define ENGINE_LIST_BYTES 256

struct places {
    char folders[PLACES][PATH_MAX];
};

static bool join(char *out, const char *folder, const char *rest)
{
    int length = snprintf(out, PATH_MAX, "%s/%s", folder, rest);
    return length > 0 && length < PATH_MAX;
}

static bool find_places(struct places *places)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);

    if (length < 0) {
        say("cannot read /proc/self/exe to find the library: %s", strerror(errno));
        return false;
    }
    own[length] = '\0';
    const char *folder = dirname(own);
    return join(places->folders[0], folder, "report") &&
           join(places->folders[1], folder, "../lib/duet/report") &&
           join(places->folders[2], DUET_LIBDIR, "duet/report");
}

/* Adds the engines whose libraries lie in the folder to the list, with blanks between. */
static void list_engines(const char *folder, char *list)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;

    if (stream == NULL)
        return;
    while ((entry = readdir(stream)) != NULL) {
        size_t length = strlen(entry->d_name);
        size_t used = strlen(list);
        if (length <= strlen(PREFIX SUFFIX) ||
            strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) != 0)
            continue;
        snprintf(list + used, ENGINE_LIST_BYTES - used, " %.*s",
                 (int)(length - strlen(PREFIX SUFFIX)), entry->d_name + strlen(PREFIX));
    }
    closedir(stream);
}

static void say_missing(const char *engine, const struct places *places)
{
    char engines[ENGINE_LIST_BYTES] = "";

    for (int i = 0; i < PLACES && engines[0] == '\0'; i++)
        list_engines(places->folders[i], engines);
    if (engines[0] != '\0')
        say_usage("there is no engine '%s', only:%s", engine, engines);
    else
        say("no library found: neither in %s, nor in %s, nor in %s", places->folders[0],
            places->folders[1], places->folders[2]);
}

static bool open_library(struct library *library)
{
    int fd = open(library->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        say("cannot open the library %s: %s", library->path, strerror(errno));
        return false;
    }
    elf_read(fd, &library->elf);
    close(fd);
    if (library->elf.kind == ELF_ABSENT || library->elf.kind == ELF_DAMAGED) {
        say("%s is not a library", library->path);
        return false;
    }
    return true;
}

/* Whether the name could be an engine's at all, so that no other file can be meant by it. */
static bool is_engine_name(const char *engine)
{
    return engine[0] != '\0' && strlen(engine) < 32 &&
           strspn(engine, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(engine);
}

bool library_find(const char *engine, struct library *library)
{
    struct places places;
    char file[64];

    if (!find_places(&places))
        return false;
    if (!is_engine_name(engine)) {
        say_missing(engine, &places);
        return false;
    }
    snprintf(file, sizeof file, PREFIX "%s" SUFFIX, engine);

    for (int i = 0; i < PLACES; i++) {
        char candidate[PATH_MAX];
        if (!join(candidate, places.folders[i], file) || !realpath(candidate, library->path))
            continue;
        if (strpbrk(library->path, NOT_PRELOADABLE) != NULL) {
            say("the library %s cannot be preloaded: LD_PRELOAD takes no path with a space, "
                "a colon or a '$' in it; move it to a folder without",
                library->path);
            return false;
        }
        return open_library(library);
    }
    say_missing(engine, &places);
    return false;
}
