/* An ordinary file is its own; all else is copied into a file without a name. */
#include "compare/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/say.h"
#include "measure/starter.h"

/* Reads what there is, once there is something: a wait that a signal ends, as a read is not.
 * 0: the end. -1: errno says why not. */
static ssize_t read_some(int fd, char *bytes, size_t room)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    while (poll(&wanted, 1, -1) < 0) {
        if (errno != EINTR || starter_interrupted())
            return -1;
    }
    return read(fd, bytes, room);
}

static bool copy(int from, FILE *to)
{
    char bytes[65536];
    ssize_t length;

    while ((length = read_some(from, bytes, sizeof bytes)) > 0) {
        if (fwrite(bytes, 1, (size_t)length, to) != (size_t)length)
            return false;
    }
    return length == 0 && fflush(to) == 0;
}

bool input_prepare(const char *name, char path[PATH_MAX])
{
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        say("cannot read %s: %s", name, strerror(errno));
        return false;
    }
    if (S_ISREG(status.st_mode)) {
        /* It stays open, so that the name of its descriptor is its name, whatever it is called. */
        snprintf(path, PATH_MAX, "/proc/%d/fd/%d", (int)getpid(), fd);
        return true;
    }
    FILE *kept = tmpfile();
    bool whole = kept != NULL && copy(fd, kept);
    int error = errno;
    if (!is_stdin)
        close(fd);
    if (!whole) {
        say("cannot read %s to its end: %s", is_stdin ? "stdin" : name, strerror(error));
        return false;
    }
    snprintf(path, PATH_MAX, "/proc/%d/fd/%d", (int)getpid(), fileno(kept));
    return true;
}
