/* The loader's lines read: "PID: binding file A [0] to B [0]: normal symbol `malloc' [VERSION]". */
#include "measure/bindings.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/temporary.h"

#define SYMBOL "symbol `malloc'"

bool bindings_begin(struct bindings *bindings)
{
    if (!temporary_folder_make(bindings->folder, "bindings"))
        return false;
    snprintf(bindings->debug, sizeof bindings->debug, "LD_DEBUG=bindings");
    snprintf(bindings->output, sizeof bindings->output, "LD_DEBUG_OUTPUT=%s/ld", bindings->folder);
    bindings->environment[0] = bindings->debug;
    bindings->environment[1] = bindings->output;
    return true;
}

/* Cuts the two files out of a line that binds malloc; false: it is about something else. */
static bool cut_line(char *line, char **from, char **to)
{
    static const char before_from[] = "binding file ";
    static const char before_to[] = " to ";
    static const char after[] = " [";

    if (strstr(line, SYMBOL) == NULL || (*from = strstr(line, before_from)) == NULL)
        return false;
    *from += strlen(before_from);
    char *from_end = strstr(*from, after);
    char *to_start = from_end != NULL ? strstr(from_end, before_to) : NULL;
    char *to_end = to_start != NULL ? strstr(to_start, after) : NULL;
    if (to_end == NULL)
        return false;
    *to = to_start + strlen(before_to);
    *from_end = '\0';
    *to_end = '\0';
    return true;
}

/* The real path of a file as the loader names it. A program may be named without its path, and
 * then has none. */
static void resolve(const char *name, char path[PATH_MAX])
{
    if (realpath(name, path) == NULL)
        snprintf(path, PATH_MAX, "%s", name);
}

/* The first file that malloc is bound to and that is neither `expected` nor `stub`; or else
 * `expected`, if there is any. What else `stub` is bound to does not count. */
static bool first_other(FILE *file, const char *expected, const char *stub, char found[PATH_MAX],
                        char raw[PATH_MAX])
{
    char *line = NULL;
    size_t room = 0;
    bool any = false;

    rewind(file);
    while (getline(&line, &room, file) >= 0) {
        char *from;
        char *to;
        if (!cut_line(line, &from, &to) || (stub != NULL && strcmp(to, stub) == 0))
            continue;
        resolve(to, found);
        snprintf(raw, PATH_MAX, "%s", to);
        any = true;
        if (strcmp(found, expected) != 0)
            break;
    }
    free(line);
    return any;
}

/* Whether the file, by the loader's name, gets its own malloc from elsewhere. */
static bool is_stub(FILE *file, const char *raw)
{
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    rewind(file);
    while (!found && getline(&line, &room, file) >= 0) {
        char *from;
        char *to;
        found = cut_line(line, &from, &to) && strcmp(from, raw) == 0 && strcmp(to, raw) != 0;
    }
    free(line);
    return found;
}

bool bindings_read(const struct bindings *bindings, pid_t pid, const char *expected,
                   char found[PATH_MAX])
{
    char path[PATH_MAX + 32];
    char raw[PATH_MAX];

    snprintf(path, sizeof path, "%s/ld.%d", bindings->folder, (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool any = first_other(file, expected, NULL, found, raw);
    /* A program that is not position-independent and takes malloc's address lends its own jump to
     * malloc to everybody: then malloc is bound to the program, and the program's to the real
     * one. */
    if (any && strcmp(found, expected) != 0 && is_stub(file, raw))
        any = first_other(file, expected, raw, found, path);
    fclose(file);
    return any;
}

bool bindings_read_others(const struct bindings *bindings, pid_t pid, const char *expected,
                          char found[PATH_MAX])
{
    DIR *folder = opendir(bindings->folder);
    const struct dirent *entry;
    bool any = false;

    while (!any && folder != NULL && (entry = readdir(folder)) != NULL) {
        long other =
            strncmp(entry->d_name, "ld.", 3) == 0 ? strtol(entry->d_name + 3, NULL, 10) : 0;
        any = other > 0 && other != pid && bindings_read(bindings, (pid_t)other, expected, found) &&
              strcmp(found, expected) != 0;
    }
    if (folder != NULL)
        closedir(folder);
    return any;
}

void bindings_end(struct bindings *bindings)
{
    temporary_folder_remove(bindings->folder);
}
