/*
 * vfork, so that CPUs' slots survive it.
 *
 * The child runs in its parent's memory and with its parent's thread pointer, but is not registered
 * for restartable sequences: it would see its parent's registration, enter the slot that this
 * names, and not be restarted when another thread is in it. (POSIX lets such a child do next to
 * nothing. Real ones open directories to close files, and so allocate.) So all slots are stopped
 * before, and let go by the parent, which runs on once the child has gone; meanwhile all share the
 * slots of slots/slots.h.
 */
#include "base/config.h"
#include "engine/duet/caches.h"

#if CPUS_POSSIBLE && DUET_STANDARD_NAMES

#include <errno.h>

#include "os/vfork.h"

/* Called from below. */
void duet_vfork_begin(void);
long duet_vfork_end(long result);

/* The child counts its operations where its parent does, and may be killed in the middle of one. */
static __thread uint32_t under_way_before;

__attribute__((used)) void duet_vfork_begin(void)
{
    under_way_before = duet_under_way;
    cpus_pause(&duet_cpus);
}

/* In the parent, with what the kernel returned; returns what vfork does. */
__attribute__((used)) long duet_vfork_end(long result)
{
    cpus_resume(&duet_cpus);
    duet_under_way = under_way_before;
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

OS_DEFINE_VFORK("duet_vfork_begin", "duet_vfork_end");

#endif
