/* Names of engines to files, and files to facts. */
#include "common/library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/places.h"
#include "common/say.h"

#define DEFAULT_FILE "libduet.so"
#define PREFIX "libduet-"
#define SUFFIX ".so"

/* ld.so splits LD_PRELOAD at spaces and colons, knows no way to quote them, and expands '$'. */
#define NOT_PRELOADABLE " :$"

/* Whether the name could be an engine's at all, so that no other file can be meant by it. */
static bool is_engine_name(const char *engine)
{
    return engine[0] != '\0' && strlen(engine) < ENGINE_NAME_CHARS &&
           strspn(engine, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(engine);
}

bool library_file(const char *engine, char file[ENGINE_FILE_CHARS])
{
    if (!is_engine_name(engine))
        return false;
    if (strcmp(engine, DEFAULT_ENGINE) == 0)
        snprintf(file, ENGINE_FILE_CHARS, "%s", DEFAULT_FILE);
    else
        snprintf(file, ENGINE_FILE_CHARS, PREFIX "%s" SUFFIX, engine);
    return true;
}

bool library_engine(const char *file, char engine[ENGINE_NAME_CHARS])
{
    char back[ENGINE_FILE_CHARS];
    size_t prefix = strlen(PREFIX);
    size_t length = strlen(file);

    if (strcmp(file, DEFAULT_FILE) == 0) {
        snprintf(engine, ENGINE_NAME_CHARS, "%s", DEFAULT_ENGINE);
        return true;
    }
    if (length < strlen(PREFIX SUFFIX) || length - strlen(PREFIX SUFFIX) >= ENGINE_NAME_CHARS ||
        strncmp(file, PREFIX, prefix) != 0)
        return false;
    snprintf(engine, ENGINE_NAME_CHARS, "%.*s", (int)(length - strlen(PREFIX SUFFIX)),
             file + prefix);
    return library_file(engine, back) && strcmp(back, file) == 0;
}

static int is_library(const struct dirent *entry)
{
    char engine[ENGINE_NAME_CHARS];
    return library_engine(entry->d_name, engine);
}

static void add_to_list(char *list, const char *engine)
{
    size_t used = strlen(list);
    snprintf(list + used, ENGINE_LIST_BYTES - used, " %s", engine);
}

/* The engines whose libraries lie in the folder. */
static void list_folder(const char *folder, char *list)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_library, alphasort);

    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, DEFAULT_FILE) == 0)
            add_to_list(list, DEFAULT_ENGINE);
    }
    for (int i = 0; i < count; i++) {
        char engine[ENGINE_NAME_CHARS];
        if (library_engine(entries[i]->d_name, engine) && strcmp(engine, DEFAULT_ENGINE) != 0)
            add_to_list(list, engine);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* Those of the first place that has any. */
static void list_engines(const struct places *places, char *list)
{
    list[0] = '\0';
    for (int i = 0; i < PLACE_CANDIDATES && list[0] == '\0'; i++)
        list_folder(places->folders[i], list);
}

void library_list(char *list)
{
    struct places places;

    list[0] = '\0';
    if (places_find(PLACE_REPORT_LIBRARIES, &places))
        list_engines(&places, list);
}

static void say_missing(const char *engine, const struct places *places)
{
    char engines[ENGINE_LIST_BYTES];

    list_engines(places, engines);
    if (engines[0] != '\0')
        say_usage("there is no engine '%s', only:%s", engine, engines);
    else
        say("no library found: neither in %s, nor in %s, nor in %s", places->folders[0],
            places->folders[1], places->folders[2]);
}

bool library_open(struct library *library)
{
    if (strpbrk(library->path, NOT_PRELOADABLE) != NULL) {
        say("the library %s cannot be preloaded: LD_PRELOAD takes no path with a space, a colon "
            "or a '$' in it; move it to a folder without",
            library->path);
        return false;
    }
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

bool library_find(const char *engine, struct library *library)
{
    struct places places;
    char file[ENGINE_FILE_CHARS];

    if (!places_find(PLACE_REPORT_LIBRARIES, &places))
        return false;
    if (library_file(engine, file) && places_search(&places, file, library->path))
        return library_open(library);
    say_missing(engine, &places);
    return false;
}
