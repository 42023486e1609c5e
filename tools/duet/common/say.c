/* Messages and small services for the whole tool. */
#include "common/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define MESSAGE_CHARS 2048

static const char *own_name = "duet";

void say_as(const char *name)
{
    own_name = name;
}

void say(const char *format, ...)
{
    int saved_errno = errno;
    char text[MESSAGE_CHARS];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    /* One write, so that lines of several processes do not mix. */
    fprintf(stderr, "%s: %s\n", own_name, text);
    errno = saved_errno;
}

void say_usage(const char *format, ...)
{
    char text[MESSAGE_CHARS];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say("%s; %s --help tells how", text, own_name);
}

int fd_above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;

    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int saved_errno = errno;
    close(fd);
    errno = saved_errno;
    return copy;
}
