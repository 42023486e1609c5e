/*
 * Whose malloc a process really calls: asked of the dynamic loader, which is the one who knows.
 *
 * A preload is dropped without a word where the loader has no room for it, or the program changes
 * its rights; and a program may be linked with an allocator of its own. So in the warm-up of each
 * allocator the loader writes down what it binds (LD_DEBUG), and that is read here.
 */
#ifndef DUET_TOOL_BINDINGS_H
#define DUET_TOOL_BINDINGS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct bindings {
    char folder[PATH_MAX];
    char debug[32]; /* what the process's environment needs ... */
    char output[PATH_MAX + 64];
    char *environment[2]; /* ... as two words for it */
};

/* Makes the folder that the loader writes into; false, after a message, if it cannot. */
bool bindings_begin(struct bindings *bindings);

/* The file that `malloc` of this process is bound to. `expected` is the one it should be: the
 * first other is what is told, if there is any. False: the loader wrote nothing of it. */
bool bindings_read(const struct bindings *bindings, pid_t pid, const char *expected,
                   char found[PATH_MAX]);

/* The same of all other processes that the program has started: one of the files that malloc was
 * bound to and that is not `expected`. False: there is none. */
bool bindings_read_others(const struct bindings *bindings, pid_t pid, const char *expected,
                          char found[PATH_MAX]);

/* Removes the folder. */
void bindings_end(struct bindings *bindings);

#endif
