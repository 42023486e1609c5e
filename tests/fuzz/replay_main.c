/*
 * Runs a fuzz target over files: each that is named, and all in each folder that is named, in the
 * order of their names. So what fuzzing has found is a test, with any compiler; and AFL++ can start
 * the program once for each of its files.
 *
 * A target that finds something aborts; the file is named before, so that it is known which it was.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

/* Status of a program that was called wrongly, or cannot read what it should. */
#define STATUS_WRONG 2

static size_t file_count;

/* Stands on stderr if the program ends while this file is run. */
static char current[PATH_MAX + 16];

static _Noreturn void give_up(const char *path)
{
    fprintf(stderr, "fuzz: cannot read %s: %s\n", path, strerror(errno));
    exit(STATUS_WRONG);
}

static void run_file(const char *path)
{
    FILE *stream = fopen(path, "rbe");
    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0)
        give_up(path);
    long length = ftell(stream);
    if (length < 0 || fseek(stream, 0, SEEK_SET) != 0)
        give_up(path);
    size_t size = (size_t)length;
    uint8_t *bytes = malloc(size); /* no byte more, so that a sanitizer sees a read beyond it */
    if (bytes == NULL || fread(bytes, 1, size, stream) != size)
        give_up(path);
    fclose(stream);
    snprintf(current, sizeof current, "fuzz: in %s:\n", path);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    file_count++;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count < 0)
        give_up(folder);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (length < 0 || (size_t)length >= sizeof path) {
            errno = ENAMETOOLONG;
            give_up(folder);
        }
        run_file(path);
        free(entries[i]);
    }
    free(entries);
}

/* On the way out by a finding: abort has been called, and nothing but write is safe. */
static void name_file(int signal)
{
    (void)signal;
    if (write(STDERR_FILENO, current, strlen(current)) < 0)
        _exit(STATUS_WRONG);
}

int main(int count, char **words)
{
    /* Reset by the first signal, so that the program ends as it would have. */
    struct sigaction action = {.sa_handler = name_file, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGABRT, &action, NULL);
    for (int i = 1; i < count; i++) {
        struct stat status;
        if (stat(words[i], &status) != 0)
            give_up(words[i]);
        if (S_ISDIR(status.st_mode))
            run_folder(words[i]);
        else
            run_file(words[i]);
    }
    if (file_count == 0) {
        fprintf(stderr, "fuzz: nothing to replay; usage: %s FILE|FOLDER...\n", words[0]);
        return STATUS_WRONG;
    }
    printf("%zu files, nothing found\n", file_count);
    return 0;
}
