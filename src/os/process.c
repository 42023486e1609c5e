/*
 * What the process looks like from outside: files that others share with it, and its peak.
 * Only the counting flavour opens files. It does so in the middle of malloc, which is no
 * cancellation point, as the C library's open, read and close are: hence the kernel's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

static int open_file(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC);
}

static void close_file(int file)
{
    syscall(SYS_close, file);
}

void *os_map_file(const char *path, size_t offset, size_t length)
{
    int saved_errno = errno;
    void *start = MAP_FAILED;
    int file = open_file(path, O_RDWR);
    if (file >= 0) {
        start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)offset);
        close_file(file);
    }
    errno = saved_errno;
    return start == MAP_FAILED ? NULL : start;
}

void os_unmap_file(void *start, size_t length)
{
    int saved_errno = errno;
    munmap(start, length);
    errno = saved_errno;
}

size_t os_peak_rss_kib(void)
{
    static const char key[] = "\nVmHWM:";
    char text[4096];
    int saved_errno = errno;
    ssize_t length = 0;
    int file = open_file("/proc/self/status", O_RDONLY);
    if (file >= 0) {
        length = syscall(SYS_read, file, text, sizeof text - 1);
        close_file(file);
    }
    errno = saved_errno;
    text[length > 0 ? length : 0] = '\0';
    const char *at = strstr(text, key);
    return at == NULL ? 0 : strtoul(at + sizeof key - 1, NULL, 10);
}
