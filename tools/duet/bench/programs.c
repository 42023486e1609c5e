/*
 * A table of them. Whatever a program says must be the same in every run, so that a wrong word
 * shows: hashes have no random seed, and nothing tells the time.
 */
#include "bench/programs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/places.h"
#include "common/program.h"

#define WORDS_MOST 10
#define SETTINGS_MOST 3
#define NEEDS_MOST 2

/* Words that stand for others: the path of an input of ours, that of the folder to write in, and
 * how much of the work to do. */
#define INPUT "input:"
#define FOLDER "folder:"
#define PERCENT "percent:"

struct real_program {
    const char *name;
    const char *description;
    const char *words[WORDS_MOST]; /* the first is looked up as a shell would */
    const char *settings[SETTINGS_MOST];
    bool one_thread; /* it never does two things at once */
    struct need {
        const char *program;
        const char *package;
    } needs[NEEDS_MOST];
};

static const struct real_program gcc = {
    .name = "gcc",
    .description = "gcc -O2 of some 5,000 lines of C: containers, instanced by macros.",
    .words = {"gcc", "-std=gnu17", "-O2", "-S", "-o", "-", INPUT "large.c"},
    .settings = {"LC_ALL=C"},
    .one_thread = true,
    .needs = {{"gcc", "gcc"}},
};

static const struct real_program gxx = {
    .name = "g++",
    .description = "g++ -O1 of templates over the standard containers.",
    .words = {"g++", "-std=c++17", "-O1", "-S", "-o", "-", INPUT "templates.cpp"},
    .settings = {"LC_ALL=C"},
    .one_thread = true,
    .needs = {{"g++", "g++"}},
};

static const struct real_program python = {
    .name = "python3",
    .description = "A script of dicts, text, JSON, classes and generators; most of its small "
                   "objects live in arenas of Python's own.",
    .words = {"python3", "-S", "-B", "-s", INPUT "mixed.py", PERCENT},
    .settings = {"PYTHONHASHSEED=0", "PYTHONMALLOC=pymalloc"},
    .one_thread = true,
    .needs = {{"python3", "python3"}},
};

static const struct real_program python_malloc = {
    .name = "python3-malloc",
    .description = "The same with PYTHONMALLOC=malloc: each object by a malloc.",
    .words = {"python3", "-S", "-B", "-s", INPUT "mixed.py", PERCENT},
    .settings = {"PYTHONHASHSEED=0", "PYTHONMALLOC=malloc"},
    .one_thread = true,
    .needs = {{"python3", "python3"}},
};

static const struct real_program perl = {
    .name = "perl",
    .description = "A script of hashes of hashes, text by pattern, sorting, closures.",
    .words = {"perl", INPUT "mixed.pl", PERCENT},
    .settings = {"PERL_HASH_SEED=0", "PERL5OPT="},
    .one_thread = true,
    .needs = {{"perl", "perl"}},
};

static const struct real_program lua = {
    .name = "lua",
    .description = "A script of tables, trees, strings, objects and coroutines.",
    .words = {"lua5.4", INPUT "mixed.lua", PERCENT},
    .settings = {"LUA_INIT="},
    .one_thread = true,
    .needs = {{"lua5.4", "lua5.4"}},
};

static const struct real_program sqlite = {
    .name = "sqlite3",
    .description = "A database in memory: inserts, indexes, joins, groups, deletes.",
    .words = {"sqlite3", "-batch", "-init", INPUT "rows.sql", ":memory:", ".quit"},
    .one_thread = true,
    .needs = {{"sqlite3", "sqlite3"}},
};

static const struct real_program redis = {
    .name = "redis",
    .description = "A server in memory, filled by scripts and by redis-benchmark, which itself is "
                   "not on the allocator, though its time is in user and system time.",
    .words = {"sh", INPUT "redis.sh", FOLDER},
    .needs = {{"redis-server", "redis-server"}, {"redis-benchmark", "redis-tools"}},
};

static const struct real_program ghostscript = {
    .name = "ghostscript",
    .description = "A page of paths, shapes, text, a shading and an image.",
    .words = {"gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=ppmraw", "-r150",
              "-sOutputFile=-", INPUT "page.ps"},
    .one_thread = true,
    .needs = {{"gs", "ghostscript"}},
};

static const struct real_program git = {
    .name = "git",
    .description = "A history of 400 commits: imported, walked, searched, packed, by many short "
                   "processes.",
    .words = {"sh", INPUT "git.sh", FOLDER},
    .needs = {{"git", "git"}},
};

const struct real_program *const real_programs[] = {
    &gcc, &gxx, &python, &python_malloc, &perl, &lua, &sqlite, &redis, &ghostscript, &git, NULL,
};

const char *real_program_name(const struct real_program *real)
{
    return real->name;
}

const char *real_program_description(const struct real_program *real)
{
    return real->description;
}

static bool starts_with(const char *word, const char *start)
{
    return strncmp(word, start, strlen(start)) == 0;
}

void real_program_missing(const struct real_program *real, char *text, size_t capacity)
{
    size_t length = 0;

    text[0] = '\0';
    for (int i = 0; i < NEEDS_MOST && real->needs[i].program != NULL; i++) {
        const struct need *need = &real->needs[i];
        if (program_is_there(need->program) || length >= capacity)
            continue;
        length += (size_t)snprintf(text + length, capacity - length, "%s%s (Debian's package %s)",
                                   length > 0 ? " and " : "", need->program, need->package);
    }
}

bool real_program_writes(const struct real_program *real)
{
    for (int i = 0; i < WORDS_MOST && real->words[i] != NULL; i++) {
        if (strcmp(real->words[i], FOLDER) == 0)
            return true;
    }
    return false;
}

/* False: an input is missing, and that was said. */
static bool add_word(struct call *call, const char *word, unsigned percent, const char *folder)
{
    char name[NAME_MAX];
    char path[PATH_MAX];

    if (strcmp(word, FOLDER) == 0) {
        call_add_word(call, "%s", folder);
    } else if (strcmp(word, PERCENT) == 0) {
        call_add_word(call, "%u", percent);
    } else if (starts_with(word, INPUT)) {
        snprintf(name, sizeof name, "programs/%s", word + strlen(INPUT));
        if (!place_file(PLACE_DATA, name, path))
            return false;
        call_add_word(call, "%s", path);
    } else {
        call_add_word(call, "%s", word);
    }
    return true;
}

bool real_program_call(const struct real_program *real, unsigned percent, const char *folder,
                       struct call *call, struct program *program)
{
    char *path;
    bool whole = true;

    if (program_find(real->words[0], &path) != 0)
        return false;
    call_begin(call, path);
    free(path);
    for (int i = 0; whole && i < WORDS_MOST && real->words[i] != NULL; i++)
        whole = add_word(call, real->words[i], percent, folder);
    for (int i = 0; i < SETTINGS_MOST && real->settings[i] != NULL; i++)
        call_add_setting(call, real->settings[i]);
    *program = (struct program){.exact = true, .one_cpu = real->one_thread};
    return call_finish(call, program) && whole;
}
