/*
 * A library to be preloaded that breaks one of the promises of malloc's relatives, the one named by
 * FAULTY_PROMISE: `zero`: calloc leaves what was there; `align`: half of the alignment asked for;
 * `realloc`: a few bytes at the end of what was there do not come along.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* glibc's, by the names that it keeps for those who replace them. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes_each);
void *__libc_realloc(void *cell, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

/* Enough for a word of any workload's content to be among them. */
#define LOST_BYTES 64

static bool breaks(const char *promise)
{
    const char *named = getenv("FAULTY_PROMISE");

    return named != NULL && strcmp(named, promise) == 0;
}

void *calloc(size_t count, size_t bytes_each)
{
    return breaks("zero") ? __libc_malloc(count * bytes_each) : __libc_calloc(count, bytes_each);
}

void *realloc(void *cell, size_t bytes)
{
    size_t before = cell != NULL ? malloc_usable_size(cell) : 0;
    unsigned char *moved = __libc_realloc(cell, bytes);

    if (moved != NULL && before >= LOST_BYTES && before < bytes && breaks("realloc"))
        memset(moved + before - LOST_BYTES, 0, LOST_BYTES);
    return moved;
}

/* Half way between two places of the right alignment. */
void *aligned_alloc(size_t align, size_t bytes)
{
    unsigned char *cell = __libc_memalign(align, bytes + align);

    return cell != NULL && breaks("align") ? cell + align / 2 : cell;
}

int posix_memalign(void **cell, size_t align, size_t bytes)
{
    void *made = aligned_alloc(align, bytes);

    if (made == NULL)
        return ENOMEM;
    *cell = made;
    return 0;
}
