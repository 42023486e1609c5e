/*
 * memcpy, memmove and memset that look, before they touch a cell, whether what they are about to
 * read or write is one block's that is in use: most overflows are somebody's copy. In the shared
 * library of an engine that knows how long each block is ("access.h"), and of no other. (As the
 * guarded memcpy of snmalloc.)
 *
 * The work is left to the C library, by other functions of its that do the same. The library's own
 * calls go there directly, since it may write where nobody else may: they are linked with --wrap,
 * which leads them to the __wrap_ names.
 */
#undef _FORTIFY_SOURCE /* by which the C library's header would define them itself */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "access.h"
#include "base/bits.h"

/* ---- The C library's --------------------------------------------------------------------- */

#ifdef __GLIBC__

void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *__memset_chk(void *to, int byte, size_t length, size_t room);

/* There is room for anything; a compiler that knew would call what we define here. */
ALWAYS_INLINE size_t any_room(void)
{
    size_t room = SIZE_MAX;
    __asm__("" : "+r"(room));
    return room;
}

ALWAYS_INLINE void *copy(void *to, const void *from, size_t length)
{
    return __memmove_chk(to, from, length, any_room());
}

ALWAYS_INLINE void *fill(void *to, int byte, size_t length)
{
    return __memset_chk(to, byte, length, any_room());
}

#else

void bcopy(const void *from, void *to, size_t length);

ALWAYS_INLINE void *copy(void *to, const void *from, size_t length)
{
    bcopy(from, to, length);
    return to;
}

/* What is filled already is copied behind it. */
ALWAYS_INLINE void *fill(void *to, int byte, size_t length)
{
    unsigned char *start = to;
    if (length == 0)
        return to;
    start[0] = (unsigned char)byte;
    for (size_t done = 1; done < length; done *= 2)
        bcopy(start, start + done, min_size(done, length - done));
    return to;
}

#endif

/* ---- For everybody ----------------------------------------------------------------------- */

#define EXPORTED __attribute__((visibility("default")))

ALWAYS_INLINE void check_copy(const void *to, const void *from, size_t length, const char *call)
{
    access_check(to, length, ACCESS_WRITE, call);
    access_check(from, length, ACCESS_READ, call);
}

EXPORTED void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    check_copy(to, from, length, "memcpy");
    return copy(to, from, length);
}

EXPORTED void *memmove(void *to, const void *from, size_t length)
{
    check_copy(to, from, length, "memmove");
    return copy(to, from, length);
}

EXPORTED void *memset(void *to, int byte, size_t length)
{
    access_check(to, length, ACCESS_WRITE, "memset");
    return fill(to, byte, length);
}

/* ---- For the library itself -------------------------------------------------------------- */

void *__wrap_memcpy(void *to, const void *from, size_t length);
void *__wrap_memmove(void *to, const void *from, size_t length);
void *__wrap_memset(void *to, int byte, size_t length);

void *__wrap_memcpy(void *to, const void *from, size_t length)
{
    return copy(to, from, length);
}

void *__wrap_memmove(void *to, const void *from, size_t length)
{
    return copy(to, from, length);
}

void *__wrap_memset(void *to, int byte, size_t length)
{
    return fill(to, byte, length);
}
