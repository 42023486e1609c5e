/*
 * Pages that are not there. To read one would bring the page of zeros, and to write to it then
 * another; so it is asked which are there, where some may not be. One that is not there reads as
 * zero, unless somebody has written to it while it was free, and it lies in swap space since.
 */
#ifndef DUET_ENGINE_DUET_SECURE_PAGES_H
#define DUET_ENGINE_DUET_SECURE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "engine/duet/classes.h"

/* Those that some bytes of a group lie in, at most all of it: the first, and how long they are. */
struct pages {
    const char *first;
    size_t page_bytes;
    unsigned char there[DUET_MOST_BLOCKS * BLOCK_BYTES / PAGE_LEAST_BYTES + 1];
};

/* False: the kernel does not tell; then all count as there. */
bool pages_look(struct pages *pages, const char *start, size_t bytes);

/* How many of the bytes from `at` to `end` lie in pages that are all there, or all not. */
size_t pages_run(const struct pages *pages, const char *at, const char *end, bool *there);

/* Whether these bytes are zero, multiples of 16, as far as their pages are there. *sparse is set
 * where one is not. */
bool pages_are_zeros(const struct pages *pages, const char *start, size_t bytes, bool *sparse);

#endif
