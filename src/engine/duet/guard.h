/*
 * Inaccessible memory for the secure flavour: behind groups and large blocks, and where freed large
 * blocks were.
 *
 * Linux has marks in page tables for it since 6.13, which take no mapping. Before that a part of a
 * mapping that is protected splits it, and a process may have no more than 65,530; so then there
 * are GUARD_MOST guards at most, and the fewer of those that are asked for the more there are, and
 * freed memory stays accessible.
 */
#ifndef DUET_ENGINE_DUET_GUARD_H
#define DUET_ENGINE_DUET_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* Each splits a mapping into three, so these make 12,288 at most. */
#define GUARD_MOST ((size_t)6144)

/* Makes whole pages inaccessible. False: they are as they were. If true, guard_remove is to be
 * called for the same pages before they are used for anything else; false there: they still are
 * inaccessible. */
bool guard_install(void *start, size_t bytes);
bool guard_remove(void *start, size_t bytes);

/* Makes what was freed inaccessible, if that takes no mapping; its content is gone then. False: a
 * part of it at most is. Any part is accessible again, and reads as zero, after guard_open. */
bool guard_close(void *start, size_t bytes);
bool guard_open(void *start, size_t bytes);

#endif
