/*
 * A part of a test in a process of its own, forked from this one.
 */
#ifndef TESTS_IN_CHILD_H
#define TESTS_IN_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Ends the program where the child does not come to the end of `code`. */
static inline void in_child(void (*code)(void))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        code();
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
