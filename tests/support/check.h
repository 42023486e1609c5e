/*
 * CHECK for programs that cannot use cmocka: what they test happens before main, after it, in a
 * child or in a signal handler. It neither allocates nor returns.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <string.h>
#include <unistd.h>

static inline void check_say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(2);
}

#define CHECK_TEXT_(x) #x
#define CHECK_TEXT(x) CHECK_TEXT_(x)
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_say(__FILE__ ":" CHECK_TEXT(__LINE__) ": failed: " #condition "\n");             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#endif
