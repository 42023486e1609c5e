/*
 * What unit tests share: cmocka's headers in the order it wants them, and a way to see that a
 * piece of code stops the program.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Leaves this process, a child, so much more address space than it has. */
static inline void leave_room(size_t room)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages;
    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        abort();
    fclose(file);
    rlim_t limit = pages * (size_t)sysconf(_SC_PAGESIZE) + room;
    if (setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) != 0)
        abort();
}

/* Runs code(argument) in a child and returns the signal that ended it, 0 if none did, whatever its
 * status. What the child wrote to stderr, cut to fit, is left in `text`. */
static inline int signal_of(void (*code)(void *), void *argument, char *text, size_t text_bytes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL); /* cmocka and the sanitizers catch these */
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        code(argument);
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; length + 1 < text_bytes; length += (size_t)n)
        if ((n = read(ends[0], text + length, text_bytes - 1 - length)) <= 0)
            break;
    text[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif
