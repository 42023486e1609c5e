/*
 * Calls into the kernel that fail by plan (os/fault.h) under a library that has no seam for it: the
 * one that people use. The program's own mmap and its relatives come before the C library's, for
 * the preloaded library too. What the library calls by number, as membarrier, does not fail.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fault.h"

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (fault_is_due(FAULT_MAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

int munmap(void *start, size_t length)
{
    return fault_is_due(FAULT_UNMAP) ? -1 : (int)syscall(SYS_munmap, start, length);
}

void *mremap(void *start, size_t length, size_t new_length, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *target = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (fault_is_due(FAULT_REMAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mremap, start, length, new_length, flags, target);
}

int madvise(void *start, size_t length, int advice)
{
    return fault_is_due(FAULT_ADVISE) ? -1 : (int)syscall(SYS_madvise, start, length, advice);
}

int mprotect(void *start, size_t length, int protection)
{
    return fault_is_due(FAULT_PROTECT) ? -1 : (int)syscall(SYS_mprotect, start, length, protection);
}

int mincore(void *start, size_t length, unsigned char *pages)
{
    return fault_is_due(FAULT_LOOK) ? -1 : (int)syscall(SYS_mincore, start, length, pages);
}
