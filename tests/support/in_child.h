/*
 * A part of a test in a process of its own, forked from this one.
 */
#ifndef TESTS_IN_CHILD_H
#define TESTS_IN_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* The child's status, 0 if it comes to the end of `code`; or minus the signal that ended it. */
static inline int status_in_child(void (*code)(void *argument), void *argument)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        code(argument);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void call_in_child(void *code)
{
    (*(void (**)(void))code)();
}

/* Ends the program where the child does not come to the end of `code`. */
static inline void in_child(void (*code)(void))
{
    CHECK(status_in_child(call_in_child, &code) == 0);
}

#endif
