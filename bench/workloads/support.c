/*
 * Messages are put together on the stack and written by write(2). Figures of the process come from
 * /proc: smaps_rollup is exact, where statm may lag behind by some pages per CPU.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 4096
#define KIB 1024

static const char *failing_workload;
static size_t table_bytes;

static int write_all(int file, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        text += written;
        length -= (size_t)written;
    }
    return 0;
}

void fail_as(const char *name)
{
    failing_workload = name;
}

void fail(enum workload_status status, const char *format, ...)
{
    static atomic_flag heard = ATOMIC_FLAG_INIT;
    char message[TEXT_BYTES / 2];
    char line[TEXT_BYTES];
    va_list arguments;

    while (atomic_flag_test_and_set(&heard))
        pause();
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "duet-workloads: %s%s%s\n",
             failing_workload != NULL ? failing_workload : "", failing_workload != NULL ? ": " : "",
             message);
    write_all(STDERR_FILENO, line, strlen(line));
    /* Not exit: its handlers may be the allocator's, whose state nobody knows. */
    _exit((int)status);
}

void print(const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        fail(WORKLOAD_FAILED, "a text of more than %d bytes", TEXT_BYTES);
    if (write_all(STDOUT_FILENO, text, (size_t)length) != 0)
        fail(WORKLOAD_FAILED, "cannot write to stdout: %s", strerror(errno));
}

double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void *table_make(size_t count, size_t bytes_each)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (count * bytes_each + page - 1) / page * page;
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (table == MAP_FAILED)
        fail(WORKLOAD_FAILED, "no table of %zu bytes: %s", bytes, strerror(errno));
    table_bytes += bytes;
    return table;
}

uint64_t bookkeeping_kib(void)
{
    return table_bytes / KIB;
}

/* The number behind a word at the start of a line of a file, as in "Rss:  12 kB". */
static uint64_t proc_figure(const char *path, const char *word)
{
    char text[TEXT_BYTES];
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        fail(WORKLOAD_FAILED, "cannot open %s: %s", path, strerror(errno));
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, word);
    if (line == NULL)
        fail(WORKLOAD_FAILED, "no %s in %s", word + 1, path);
    return strtoull(line + strlen(word), NULL, 10);
}

uint64_t rss_kib(void)
{
    return proc_figure("/proc/self/smaps_rollup", "\nRss:");
}

uint64_t peak_rss_kib(void)
{
    return proc_figure("/proc/self/status", "\nVmHWM:");
}

uint64_t rss_beside_tables_kib(void)
{
    uint64_t rss = rss_kib();
    uint64_t tables = bookkeeping_kib();

    return rss > tables ? rss - tables : 0;
}
