/*
 * Where extents come from: segments, mapped in one go, which double in size. One that is free from
 * its start to its end can be unmapped; pages inside one never are, which bounds the number of
 * mappings.
 *
 * Concurrency: all of it is the holder's (holder.h), who makes the system calls, too.
 */
#ifndef DUET_SPANS_EXTENTS_SEGMENTS_H
#define DUET_SPANS_EXTENTS_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "spans/extents.h"

/* Maps one, as a free, clean extent that begins at a multiple of `align`: as long as segments are
 * by now and as is wished for if the kernel gives it, else as much as it gives, but `least` bytes.
 * Both are whole blocks. NULL: no memory. */
struct extent *segment_add(size_t least, size_t wish, size_t align);

/* Unmaps all that are wholly free, dirty or clean. Says whether there were any. */
bool segments_unmap_free(void);

/* Unmaps those that are clean, which cost address space alone; but one is kept, for the next
 * program phase. */
void segments_unmap_clean(void);

#endif
