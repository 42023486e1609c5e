/* One table of folders, all relative to the tool but the last of each. */
#include "common/places.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/say.h"

/* In a build folder, in an installation beside ../bin, and where it was configured to be. */
static const char *const folder_names[][PLACE_CANDIDATES] = {
    [PLACE_LIBRARIES] = {".", "../lib", DUET_LIBDIR},
    [PLACE_REPORT_LIBRARIES] = {"report", "../lib/duet/report", DUET_LIBDIR "/duet/report"},
    [PLACE_RECORD_LIBRARIES] = {"record", "../lib/duet/record", DUET_LIBDIR "/duet/record"},
    [PLACE_PROGRAMS] = {"bench", "../libexec/duet", DUET_LIBEXECDIR "/duet"},
    [PLACE_DATA] = {"bench", "../share/duet/bench", DUET_DATADIR "/duet/bench"},
};

/* An absolute `rest` stays as it is. */
static bool join(char out[PATH_MAX], const char *folder, const char *rest)
{
    int length = rest[0] == '/' ? snprintf(out, PATH_MAX, "%s", rest)
                                : snprintf(out, PATH_MAX, "%s/%s", folder, rest);
    return length > 0 && length < PATH_MAX;
}

bool places_find(enum place place, struct places *places)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);

    if (length < 0) {
        say("cannot read /proc/self/exe to find what belongs to duet: %s", strerror(errno));
        return false;
    }
    own[length] = '\0';
    const char *folder = dirname(own);
    for (int i = 0; i < PLACE_CANDIDATES; i++) {
        const char *name = folder_names[place][i];
        if (!join(places->folders[i], folder, name)) {
            say("the path of the folder %s is too long", folder);
            return false;
        }
    }
    return true;
}

bool places_search(const struct places *places, const char *name, char path[PATH_MAX])
{
    for (int i = 0; i < PLACE_CANDIDATES; i++) {
        char candidate[PATH_MAX];
        if (join(candidate, places->folders[i], name) && realpath(candidate, path) != NULL)
            return true;
    }
    return false;
}

bool place_file(enum place place, const char *name, char path[PATH_MAX])
{
    struct places places;

    if (!places_find(place, &places))
        return false;
    if (places_search(&places, name, path))
        return true;
    say("cannot find %s: neither in %s, nor in %s, nor in %s", name, places.folders[0],
        places.folders[1], places.folders[2]);
    return false;
}
