/*
 * What the tool says for itself on stderr, one line each under its own name, and the exit
 * statuses that go with it: those of env(1), nohup(1) and timeout(1), so that scripts can tell
 * the launcher's failures from the program's.
 */
#ifndef DUET_TOOL_SAY_H
#define DUET_TOOL_SAY_H

enum launcher_status {
    STATUS_LAUNCHER_FAILED = 125,
    STATUS_NOT_RUNNABLE = 126,
    STATUS_NOT_FOUND = 127,
};

/* Prints "duet: ", or the name that was set, and the message, and ends the line. Leaves errno
 * alone. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What messages begin with from now on, and how the help for it is had: "duet run". */
void say_as(const char *name);

/* Says what is wrong with the words that were given, and how help is had. */
void say_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same descriptor, or a copy of it above 0, 1 and 2 in its place: a launcher started with one
 * of those closed must not hand a file of its own to the program as, say, its stderr. Takes -1
 * and returns it. The result is closed on exec. */
int fd_above_standard(int fd);

#endif
