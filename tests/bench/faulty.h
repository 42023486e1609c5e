/*
 * The malloc family for libraries that do it wrong on purpose: glibc's own underneath, and on top
 * of it two functions that the library brings. Preloaded, it is an allocator like any other.
 */
#ifndef TESTS_FAULTY_H
#define TESTS_FAULTY_H

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* glibc's, by the names that it keeps for those who replace them. */
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *cell);

/* What the library does in their place. */
static void *faulty_make(size_t align, size_t bytes);
static void faulty_free(void *cell);

void *malloc(size_t bytes)
{
    return faulty_make(_Alignof(max_align_t), bytes);
}

void free(void *cell)
{
    int saved = errno;

    if (cell != NULL)
        faulty_free(cell);
    errno = saved;
}

void *calloc(size_t count, size_t bytes_each)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, bytes_each, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *cell = faulty_make(_Alignof(max_align_t), bytes);
    if (cell != NULL)
        memset(cell, 0, bytes);
    return cell;
}

void *realloc(void *old, size_t bytes)
{
    void *cell = faulty_make(_Alignof(max_align_t), bytes);

    if (cell != NULL && old != NULL) {
        size_t old_bytes = malloc_usable_size(old);
        memmove(cell, old, old_bytes < bytes ? old_bytes : bytes);
        faulty_free(old);
    }
    return cell;
}

void *memalign(size_t align, size_t bytes)
{
    return faulty_make(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
    return faulty_make(align, bytes);
}

int posix_memalign(void **cell, size_t align, size_t bytes)
{
    void *made = faulty_make(align, bytes);

    if (made == NULL)
        return ENOMEM;
    *cell = made;
    return 0;
}

#endif
