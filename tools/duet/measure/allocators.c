/*
 * Names to libraries. A name is looked for among our engines first, then among the file names that
 * the field's allocators are installed under, in the folders where distributions put libraries.
 */
#include "measure/allocators.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <gnu/libc-version.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/format.h"
#include "common/library.h"
#include "common/places.h"
#include "common/say.h"

/* The C library's allocator. */
#define LIBC_NAME "glibc"

#define SUFFIX ".so"

/* Patterns of file names, the newest first. The library named is the one whose malloc it is. */
#define PATTERNS_MOST 4
static const struct {
    const char *name;
    const char *patterns[PATTERNS_MOST];
} known[] = {
    {"mimalloc", {"libmimalloc.so.[0-9]", "libmimalloc.so"}},
    {"jemalloc", {"libjemalloc.so.[0-9]", "libjemalloc.so"}},
    {"tcmalloc",
     {"libtcmalloc_minimal.so.[0-9]", "libtcmalloc_minimal.so", "libtcmalloc.so.[0-9]",
      "libtcmalloc.so"}},
    {"tbbmalloc", {"libtbbmalloc_proxy.so.[0-9]", "libtbbmalloc_proxy.so"}},
    {"snmalloc", {"libsnmallocshim.so"}},
    {"snmalloc-checks", {"libsnmallocshim-checks.so"}},
    {"rpmalloc", {"librpmalloc.so", "librpmallocwrap.so"}},
    {"mimalloc-secure", {"libmimalloc-secure.so.[0-9]", "libmimalloc-secure.so"}},
    {"hardened_malloc", {"libhardened_malloc.so"}},
    {"hardened_malloc-light", {"libhardened_malloc-light.so"}},
    {"hoard", {"libhoard.so"}},
    {"mesh", {"libmesh.so"}},
    {"scudo",
     {"libscudo.so", "../llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*.so",
      "llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*.so"}},
};
#define KNOWN_COUNT (sizeof known / sizeof *known)

/* %s is the processor's name as Debian has it in folders; others have none there. */
static const char *const folders[] = {
    "/usr/local/lib/%s-linux-gnu", "/usr/local/lib64", "/usr/local/lib",
    "/usr/lib/%s-linux-gnu",       "/usr/lib64",       "/usr/lib",
};
#define FOLDER_COUNT (sizeof folders / sizeof *folders)

#if defined(__x86_64__)
#define PROCESSOR "x86_64"
#elif defined(__aarch64__)
#define PROCESSOR "aarch64"
#else
#define PROCESSOR "unknown"
#endif

/* ---- Facts about one ------------------------------------------------------------------------ */

/* Takes the library's path in, once it is sure that it can be preloaded. */
static bool take_library(struct allocator *allocator, const char *path)
{
    struct library library;

    if (realpath(path, library.path) == NULL) {
        say("cannot find the library %s: %s", path, strerror(errno));
        return false;
    }
    if (!library_open(&library))
        return false;
    if (library.elf.kind == ELF_FOREIGN) {
        say("%s is a library for another kind of machine (%s)", path,
            elf_machine_name(&library.elf));
        return false;
    }
    memcpy(allocator->path, library.path, sizeof allocator->path);
    snprintf(allocator->preload, sizeof allocator->preload, "%s", library.path);
    allocator->elf = library.elf;
    return true;
}

/* The file that our own malloc comes from, which nobody has preloaded over: the C library. */
static bool take_libc(struct allocator *allocator)
{
    Dl_info info;
    struct library library;

    *allocator = (struct allocator){.kind = ALLOCATOR_LIBC, .name = LIBC_NAME};
    snprintf(allocator->version, sizeof allocator->version, "%s", gnu_get_libc_version());
    if (dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &info) == 0 ||
        realpath(info.dli_fname, library.path) == NULL) {
        say("cannot find the C library's file");
        return false;
    }
    if (!library_open(&library))
        return false;
    memcpy(allocator->path, library.path, sizeof allocator->path);
    allocator->elf = library.elf;
    return true;
}

/* ---- Finding by name ------------------------------------------------------------------------ */

static bool find_known(size_t index, char path[PATH_MAX])
{
    for (size_t i = 0; i < PATTERNS_MOST && known[index].patterns[i] != NULL; i++) {
        for (size_t k = 0; k < FOLDER_COUNT; k++) {
            char folder[128];
            char pattern[PATH_MAX];
            glob_t found;
            snprintf(folder, sizeof folder, "%.*s%s%s", (int)strcspn(folders[k], "%"), folders[k],
                     strchr(folders[k], '%') != NULL ? PROCESSOR : "",
                     strchr(folders[k], '%') != NULL ? strchr(folders[k], '%') + 2 : "");
            snprintf(pattern, sizeof pattern, "%s/%s", folder, known[index].patterns[i]);
            if (glob(pattern, 0, NULL, &found) != 0)
                continue;
            /* Sorted, so that the last has the highest number. */
            bool fits =
                snprintf(path, PATH_MAX, "%s", found.gl_pathv[found.gl_pathc - 1]) < PATH_MAX;
            globfree(&found);
            if (fits)
                return true;
        }
    }
    return false;
}

static bool find_engine(const char *name, char path[PATH_MAX])
{
    struct places places;
    char file[ENGINE_FILE_CHARS];

    return library_file(name, file) && places_find(PLACE_LIBRARIES, &places) &&
           places_search(&places, file, path);
}

/* Fills in the allocator of this name. False: there is none, or (*said) it cannot be used. */
static bool find_named(struct allocator *allocator, const char *name, bool *said)
{
    char path[PATH_MAX];

    *said = false;
    if (strcmp(name, LIBC_NAME) == 0) {
        *said = true;
        return take_libc(allocator);
    }
    *allocator = (struct allocator){.kind = ALLOCATOR_DUET};
    if (strlen(name) >= sizeof allocator->name)
        return false;
    memcpy(allocator->name, name, strlen(name) + 1);
    if (find_engine(name, path)) {
        *said = true;
        snprintf(allocator->version, sizeof allocator->version, "%s", DUET_VERSION);
        return take_library(allocator, path);
    }
    allocator->kind = ALLOCATOR_KNOWN;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(known[i].name, name) != 0 || !find_known(i, path))
            continue;
        *said = true;
        return take_library(allocator, path);
    }
    return false;
}

/* ---- Versions ------------------------------------------------------------------------------- */

#define COMMAND_CHARS (ALLOCATORS_MOST * (PATH_MAX + 4) + 128)

/* Whether a shell takes the word, in quotes, for what it is. */
static bool is_plain(const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+:-";

    return word[strspn(word, plain)] == '\0';
}

/* Runs `start` with the words behind it, and hands each line it writes, cut at the first ' ' into
 * two, to `take`. What it has to say on stderr is for nobody. */
static void ask(const char *start, const char (*words)[PATH_MAX], unsigned count,
                void (*take)(void *context, char *left, char *right), void *context)
{
    static char command[COMMAND_CHARS];
    char line[2 * PATH_MAX];
    size_t used = (size_t)snprintf(command, sizeof command, "%s", start);

    for (unsigned i = 0; i < count; i++)
        used += (size_t)snprintf(command + used, sizeof command - used, " '%s'", words[i]);
    snprintf(command + used, sizeof command - used, " 2>/dev/null");
    FILE *pipe = count > 0 ? popen(command, "re") : NULL;
    if (pipe == NULL)
        return;
    while (fgets(line, sizeof line, pipe) != NULL) {
        char *blank = strchr(line, ' ');
        line[strcspn(line, "\n")] = '\0';
        if (blank == NULL)
            continue;
        *blank = '\0';
        take(context, line, blank + 1);
    }
    pclose(pipe);
}

/* Which of Debian's packages the allocators' files come from. */
struct packages {
    struct allocators *allocators;
    unsigned count;
    unsigned owners[ALLOCATORS_MOST]; /* the allocator of each */
    char names[ALLOCATORS_MOST][PATH_MAX];
};

/* A line "PACKAGE: FILE". */
static void take_package(void *context, char *left, char *right)
{
    struct packages *packages = context;

    left[strcspn(left, ",")] = '\0'; /* of several, the first */
    size_t length = strlen(left);
    if (length > 0 && left[length - 1] == ':')
        left[length - 1] = '\0';
    for (unsigned i = 0; i < packages->allocators->count; i++) {
        if (strcmp(packages->allocators->all[i].path, right) != 0 || !is_plain(left) ||
            packages->count == ALLOCATORS_MOST)
            continue;
        packages->owners[packages->count] = i;
        snprintf(packages->names[packages->count++], PATH_MAX, "%s", left);
    }
}

/* A line "PACKAGE VERSION". */
static void take_version(void *context, char *left, char *right)
{
    struct packages *packages = context;

    for (unsigned i = 0; i < packages->count; i++) {
        struct allocator *allocator = &packages->allocators->all[packages->owners[i]];
        if (strcmp(packages->names[i], left) == 0)
            clean_text(allocator->version, sizeof allocator->version, right, strlen(right));
    }
}

/* Two questions for all of them, since each takes its time. */
static void look_up_versions(struct allocators *allocators)
{
    static struct packages packages;
    static char paths[ALLOCATORS_MOST][PATH_MAX];
    unsigned count = 0;

    if (access("/usr/bin/dpkg-query", X_OK) != 0)
        return;
    for (unsigned i = 0; i < allocators->count; i++) {
        const struct allocator *allocator = &allocators->all[i];
        if (allocator->version[0] == '\0' && is_plain(allocator->path))
            snprintf(paths[count++], PATH_MAX, "%s", allocator->path);
    }
    packages.allocators = allocators;
    packages.count = 0;
    ask("dpkg-query -S", paths, count, take_package, &packages);
    ask("dpkg-query -W -f '${binary:Package} ${Version}\\n'", packages.names, packages.count,
        take_version, &packages);
}

/* ---- All that are found --------------------------------------------------------------------- */

static bool add(struct allocators *allocators, const struct allocator *allocator)
{
    if (allocators_index(allocators, allocator->name) >= 0) {
        say_usage("two allocators are called '%s'; NAME=PATH gives one another name",
                  allocator->name);
        return false;
    }
    if (allocators->count == ALLOCATORS_MOST) {
        say_usage("there are more than %d allocators", ALLOCATORS_MOST);
        return false;
    }
    allocators->all[allocators->count++] = *allocator;
    return true;
}

/* Adds it if it is there and can be used; what cannot be has been said, and is left out. */
static void add_found(struct allocators *allocators, const char *name)
{
    static struct allocator found;
    bool said;

    if (allocators->count < ALLOCATORS_MOST && allocators_index(allocators, name) < 0 &&
        find_named(&found, name, &said))
        add(allocators, &found);
}

/* The default engine comes first, the others as the alphabet has them. */
static void add_engines(struct allocators *allocators)
{
    struct places places;

    add_found(allocators, DEFAULT_ENGINE);
    if (!places_find(PLACE_LIBRARIES, &places))
        return;
    for (int i = 0; i < PLACE_CANDIDATES; i++) {
        struct dirent **entries;
        int count = scandir(places.folders[i], &entries, NULL, alphasort);
        for (int k = 0; k < count; k++) {
            char name[ENGINE_NAME_CHARS];
            if (library_engine(entries[k]->d_name, name))
                add_found(allocators, name);
            free(entries[k]);
        }
        if (count >= 0)
            free(entries);
    }
}

static bool choose_found(struct allocators *allocators)
{
    struct allocator libc;

    allocators->count = 0;
    if (!take_libc(&libc) || !add(allocators, &libc))
        return false;
    add_engines(allocators);
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        add_found(allocators, known[i].name);
    look_up_versions(allocators);
    return true;
}

bool allocators_choose_few(struct allocators *allocators, unsigned most)
{
    struct allocator libc;

    allocators->count = 0;
    if (!take_libc(&libc) || !add(allocators, &libc))
        return false;
    add_found(allocators, DEFAULT_ENGINE);
    for (size_t i = 0; i < KNOWN_COUNT && allocators->count < most; i++)
        add_found(allocators, known[i].name);
    /* Where few others are installed, our own make up for them. */
    if (allocators->count < most)
        add_engines(allocators);
    if (allocators->count > most)
        allocators->count = most;
    look_up_versions(allocators);
    return true;
}

/* ---- Those that are asked for --------------------------------------------------------------- */

/* "/opt/lib/libfoo.so.2" is called "foo". */
static void name_from_path(char name[ALLOCATOR_NAME_CHARS], const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const char *end = strstr(base, SUFFIX);

    if (strncmp(base, "lib", 3) == 0 && base[3] != '.' && base[3] != '\0')
        base += 3;
    size_t length = end != NULL && end > base ? (size_t)(end - base) : strlen(base);
    clean_text(name, ALLOCATOR_NAME_CHARS, base, length);
}

/* NAME, PATH or NAME=PATH. */
static bool take_word(struct allocator *allocator, const char *word)
{
    const char *equals = strchr(word, '=');
    const char *path = equals != NULL ? equals + 1 : word;
    bool said;

    if (equals == NULL && strchr(word, '/') == NULL) {
        if (find_named(allocator, word, &said))
            return true;
        if (!said)
            say_usage("there is no allocator '%s' here, and a library is given by its path, with a "
                      "'/' in it; duet compare --list tells which there are",
                      word);
        return false;
    }
    *allocator = (struct allocator){.kind = ALLOCATOR_GIVEN};
    if (equals == word || (equals != NULL && equals - word >= ALLOCATOR_NAME_CHARS)) {
        say_usage("'%s': an allocator's name has 1 to %d characters", word,
                  ALLOCATOR_NAME_CHARS - 1);
        return false;
    }
    if (equals != NULL)
        clean_text(allocator->name, sizeof allocator->name, word, (size_t)(equals - word));
    else
        name_from_path(allocator->name, path);
    return take_library(allocator, path);
}

bool allocators_choose(struct allocators *allocators, const char *with)
{
    static struct allocator one; /* half a stack of paths */

    if (with == NULL)
        return choose_found(allocators);
    allocators->count = 0;
    char *words = strdup(with);
    char *rest = words;
    bool chosen = words != NULL;
    while (chosen && rest != NULL) {
        const char *word = strsep(&rest, ",");
        if (*word != '\0')
            chosen = take_word(&one, word) && add(allocators, &one);
    }
    free(words);
    if (chosen)
        look_up_versions(allocators);
    if (!chosen || allocators_index(allocators, LIBC_NAME) >= 0)
        return chosen;

    /* The C library's goes in front: what everybody has is what others are compared with. */
    if (!take_libc(&one) || !add(allocators, &one))
        return false;
    for (unsigned i = allocators->count - 1; i > 0; i--)
        allocators->all[i] = allocators->all[i - 1];
    allocators->all[0] = one;
    return true;
}

int allocators_index(const struct allocators *allocators, const char *name)
{
    for (unsigned i = 0; i < allocators->count; i++) {
        if (strcmp(allocators->all[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

bool allocators_choose_base(const struct allocators *allocators, const char *name, unsigned *base)
{
    int index = name != NULL ? allocators_index(allocators, name) : 0;

    if (index < 0) {
        say_usage("--base: '%s' is none of the allocators that are compared", name);
        return false;
    }
    *base = (unsigned)index;
    return true;
}

void allocators_print(FILE *stream)
{
    static struct allocators found;

    if (!choose_found(&found))
        return;
    for (unsigned i = 0; i < found.count; i++)
        fprintf(stream, "%-16s %-24s %s\n", found.all[i].name, found.all[i].version,
                found.all[i].path);
}
