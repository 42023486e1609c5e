/*
 * The heap: an engine's cells and large blocks under one roof, and its life from start to fork.
 *
 * Compiled once per library, against the one engine on the include path ("engine.h") and one
 * flavour of counting ("count.h"). The front inlines the engine's hot case and comes here for
 * all else, so everything here is cold. `call` is the name that a message gives to whoever
 * misused a pointer.
 */
#ifndef DUET_HEAP_HEAP_H
#define DUET_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "engine.h"

/* The C library's alignment for every object type, which the C names promise. */
#define HEAP_ALIGN 16

struct heap_options {
    struct engine_options engine;
    bool huge_pages;
    bool purge_thread;   /* a thread of the heap's own does what is to be done by time */
    size_t limit;        /* bytes; beyond, what is idle goes back before more is taken. 0: none */
    const char *program; /* the path that it was started by */
};

/* Once, as the library is loaded. The heap works before, with default options. */
void heap_start(const struct heap_options *options);

/* As the process ends by itself: the counters are closed and, but in a forked child, the engine and
 * the large blocks have a last look. */
void heap_end(void);

/* Memory of `length` bytes, for 0 at least an address (ENGINE_LARGE_LEAST), at a multiple of
 * `align`, a power of two. *zeroed says whether it reads as zero. NULL: no memory; errno is the
 * caller's to set. */
COLD void *heap_alloc(size_t length, size_t align, bool *zeroed);

/* Any pointer that was handed out; NULL does nothing. */
COLD void heap_free(void *ptr, const char *call);

/* As heap_free; length and alignment are those that it was allocated with. The engine says whether
 * they are verified; in the checked build they are. */
COLD void heap_free_sized(void *ptr, size_t length, size_t align);

/* Bytes that may be used. */
COLD size_t heap_usable(const void *ptr, const char *call);

/* C's realloc of an existing block to `length` > 0 bytes. A cell is kept where its engine can give
 * it the new length. NULL: no memory, and the old block is whole. */
COLD void *heap_realloc(void *ptr, size_t length);

/* The interface with lengths; see duet.h. */
bool heap_resize(void *ptr, size_t length, size_t align, size_t new_length);
void *heap_remap(void *ptr, size_t length, size_t align, size_t new_length);

/* Returns what can be returned to the OS; says whether there was anything. */
bool heap_trim(void);

const char *heap_engine(void); /* its name */

struct heap_count {
    size_t held_bytes;
    size_t held_peak_bytes;
    size_t cells;
    size_t cell_bytes;
    size_t free_bytes;
    size_t large_blocks;
    size_t large_bytes;
    size_t slots;
};
void heap_count(struct heap_count *count);

#endif
