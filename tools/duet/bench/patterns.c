/* It is run for its list as it is for everything else, by the starter. */
#include "bench/patterns.h"

#include <assert.h>
#include <string.h>
#include <sys/wait.h>

#include "common/places.h"
#include "common/say.h"

#define LIST_CHARS 32768

/* Runs it with the option, and reads what it writes. */
static bool read_list(struct starter *starter, const char *path, const char *option,
                      char text[LIST_CHARS])
{
    char name[] = PATTERNS_PROGRAM;
    char word[32];
    char *words[] = {name, word, NULL};
    struct order order = {.path = path, .arguments = words};
    struct ended ended;

    assert(strlen(option) < sizeof word);
    strcpy(word, option);
    if (!starter_run(starter, &order, &ended))
        return false;
    if (ended.error != 0 || ended.interrupted || !WIFEXITED(ended.wait_status) ||
        WEXITSTATUS(ended.wait_status) != 0) {
        say("cannot list what there is: %s %s %s", path, option,
            ended.error != 0 ? strerror(ended.error) : "failed");
        return false;
    }
    starter_read(starter, STREAM_OUTPUT, false, text, LIST_CHARS);
    return true;
}

bool patterns_list(struct starter *starter, const char *option, unsigned count,
                   bool (*take)(void *context, char *const *fields), void *context,
                   char path[PATH_MAX])
{
    static char text[LIST_CHARS];
    char *fields[PATTERN_FIELDS_MOST];

    assert(count <= PATTERN_FIELDS_MOST);
    if (!place_file(PLACE_PROGRAMS, PATTERNS_PROGRAM, path) ||
        !read_list(starter, path, option, text))
        return false;
    for (char *rest = text; rest != NULL && *rest != '\0';) {
        char *line = strsep(&rest, "\n");
        unsigned found = 0;
        while (line != NULL && found < count)
            fields[found++] = strsep(&line, "\t");
        if (found < count) {
            say("%s %s has a line with %u fields in place of %u: '%s'", path, option, found, count,
                fields[0]);
            return false;
        }
        if (!take(context, fields))
            return false;
    }
    return true;
}
