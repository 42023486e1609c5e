/* Descriptors first, streams when there is something to write. */
#include "common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/say.h"

bool output_is_stdout(const char *name)
{
    return name != NULL && strcmp(name, "-") == 0;
}

bool output_open(struct output *output, const char *name)
{
    *output = (struct output){.fd = -1};
    if (name == NULL)
        return true;
    int fd = output_is_stdout(name) ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                                    : open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    output->name = output_is_stdout(name) ? "stdout" : name;
    output->fd = fd_above_standard(fd);
    if (output->fd < 0)
        say("cannot write %s: %s", output->name, strerror(errno));
    return output->fd >= 0;
}

bool output_open_in(struct output *output, const char *folder, const char *file,
                    char name[PATH_MAX])
{
    *output = (struct output){.fd = -1};
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        say("cannot make the folder %s: %s", folder, strerror(errno));
        return false;
    }
    if (snprintf(name, PATH_MAX, "%s/%s", folder, file) >= PATH_MAX) {
        say("the name of the folder %s is too long", folder);
        return false;
    }
    return output_open(output, name);
}

bool output_is_wanted(const struct output *output)
{
    return output->name != NULL;
}

FILE *output_begin(struct output *output)
{
    /* What is no regular file cannot be cut short, and need not; nor what comes on stdout be. */
    if (strcmp(output->name, "stdout") != 0 && ftruncate(output->fd, 0) != 0 && errno != EINVAL)
        say("cannot empty %s: %s", output->name, strerror(errno));
    FILE *stream = fdopen(output->fd, "w");
    if (stream == NULL) {
        say("cannot write to %s: %s", output->name, strerror(errno));
        output_drop(output);
    }
    return stream;
}

bool output_end(struct output *output, FILE *stream, bool written)
{
    int error = errno;

    written = written && !ferror(stream);
    if (fclose(stream) != 0 && written) {
        written = false;
        error = errno;
    }
    if (!written)
        say("cannot write to %s: %s", output->name, strerror(error));
    output->fd = -1;
    return written;
}

void output_drop(struct output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}
