#include "engine/duet/guard.h"

#include <stdint.h>

#include "base/atomics.h"
#include "os/os.h"

/* Where guards take mappings: while there are fewer than this all that are asked for are made, then
 * every second up to twice as many, every fourth up to three times, and so on. */
#define GUARDS_OF_A_RATE 1024

static size_t guards, asked;

static bool is_due(void)
{
    size_t now = load_relaxed(&guards);
    return now < GUARD_MOST && add_relaxed(&asked, 1) % ((size_t)1 << now / GUARDS_OF_A_RATE) == 0;
}

bool guard_install(void *start, size_t bytes)
{
    if (os_has_guards())
        return os_guard(start, bytes);
    if (!is_due() || !os_protect(start, bytes))
        return false;
    add_relaxed(&guards, 1);
    return true;
}

bool guard_remove(void *start, size_t bytes)
{
    if (os_has_guards())
        return os_unguard(start, bytes);
    if (!os_unprotect(start, bytes))
        return false;
    sub_relaxed(&guards, 1);
    return true;
}

bool guard_close(void *start, size_t bytes)
{
    return os_has_guards() && os_guard(start, bytes);
}

bool guard_open(void *start, size_t bytes)
{
    return !os_has_guards() || os_unguard(start, bytes);
}
