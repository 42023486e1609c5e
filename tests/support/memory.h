/*
 * What tests do with memory once they have it: fill it, see whether it kept its content, and ask
 * the kernel how much of it is resident.
 */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "sanitizers.h"

/* True where all `size` bytes are `byte`. Comparing a block with itself one byte further lets
 * memcmp do the work. */
static inline bool is_filled(const void *ptr, unsigned char byte, size_t size)
{
    const unsigned char *bytes = ptr;
    return size == 0 || (bytes[0] == byte && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static inline bool is_aligned(const void *ptr, size_t align)
{
    return ((uintptr_t)ptr & (align - 1)) == 0;
}

/* Field 0 of /proc/self/statm is the size of the address space, field 1 the resident set, both
 * in pages. Read without stdio, which would allocate. 0 if it cannot be read. */
static inline size_t statm_bytes(int field)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *at = text;
    for (; field > 0; field--) {
        at = strchr(at, ' ');
        if (at == NULL)
            return 0;
        at++;
    }
    size_t pages = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        pages = pages * 10 + (size_t)(*at - '0');
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static inline size_t resident_bytes(void)
{
    return statm_bytes(1);
}

#endif
