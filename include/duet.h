/*
 * duet: a memory allocator for C and C++ on Linux.
 *
 * The same interface whichever engine the library was built from; an engine is chosen by
 * linking or preloading one library or another (libduet, libduet-smp, ...).
 *
 * Units are bytes. Alignments are powers of two. Every function may be called from any thread
 * at any time: before main, in destructors, in a child after fork, in a signal handler that
 * interrupted this allocator. No function but those that fail changes errno; a function that
 * fails for want of memory returns NULL and sets errno to ENOMEM.
 */
#ifndef DUET_H
#define DUET_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#define DUET_NOEXCEPT noexcept
#else
#define DUET_NOEXCEPT
#endif

#if defined(__GNUC__) || defined(__clang__)
#define DUET_API __attribute__((visibility("default")))
#define DUET_MALLOC __attribute__((malloc, warn_unused_result))
#define DUET_ALLOC_SIZE(...) __attribute__((alloc_size(__VA_ARGS__)))
#else
#define DUET_API
#define DUET_MALLOC
#define DUET_ALLOC_SIZE(...)
#endif

/* ---- The C family under names of its own -------------------------------------------------
 *
 * Each does what the function without the prefix does, and the two are interchangeable in a
 * program that runs on duet: memory from malloc may go to duet_realloc, and so on. The one that
 * is named otherwise is free, as duet_mfree, since duet_free is the sized one below. */

DUET_API DUET_MALLOC DUET_ALLOC_SIZE(1) void *duet_malloc(size_t size) DUET_NOEXCEPT;
DUET_API DUET_MALLOC DUET_ALLOC_SIZE(1, 2) void *duet_calloc(size_t count,
                                                             size_t size) DUET_NOEXCEPT;
DUET_API DUET_ALLOC_SIZE(2) void *duet_realloc(void *ptr, size_t size) DUET_NOEXCEPT;
DUET_API DUET_ALLOC_SIZE(2, 3) void *duet_reallocarray(void *ptr, size_t count,
                                                       size_t size) DUET_NOEXCEPT;
DUET_API void duet_mfree(void *ptr) DUET_NOEXCEPT;

/* C23: `size` (and `align`) must be what the block was last allocated with; ptr may be NULL. */
DUET_API void duet_free_sized(void *ptr, size_t size) DUET_NOEXCEPT;
DUET_API void duet_free_aligned_sized(void *ptr, size_t align, size_t size) DUET_NOEXCEPT;

/* EINVAL where `align` is no power of two; duet_memalign rounds it up instead. `size` need not be a
 * multiple of it. */
DUET_API DUET_MALLOC DUET_ALLOC_SIZE(2) void *duet_aligned_alloc(size_t align,
                                                                 size_t size) DUET_NOEXCEPT;
DUET_API DUET_MALLOC DUET_ALLOC_SIZE(2) void *duet_memalign(size_t align,
                                                            size_t size) DUET_NOEXCEPT;
DUET_API DUET_MALLOC DUET_ALLOC_SIZE(1) void *duet_valloc(size_t size) DUET_NOEXCEPT;
DUET_API DUET_MALLOC DUET_ALLOC_SIZE(1) void *duet_pvalloc(size_t size) DUET_NOEXCEPT;

/* Returns 0, EINVAL or ENOMEM, and on error leaves *out and errno alone. `align` must also be a
 * multiple of sizeof(void *). */
DUET_API int duet_posix_memalign(void **out, size_t align, size_t size) DUET_NOEXCEPT;

/* Bytes that may be used at ptr: at least what was asked for. 0 for NULL. */
DUET_API size_t duet_usable_size(const void *ptr) DUET_NOEXCEPT;

/* ---- The interface with lengths ----------------------------------------------------------
 *
 * After Zig's SmpAllocator: the caller remembers length and alignment, so that neither need be
 * looked up. `align` is any power of two from 1; alignments below a pointer's size are served
 * with a pointer's size. A length of 0 counts as 1. `ptr` is never NULL; `len` and `align` are
 * those it was allocated, resized or remapped with last. Blocks from here must be freed here,
 * and blocks of the C family there. */

DUET_API DUET_MALLOC DUET_ALLOC_SIZE(1) void *duet_alloc(size_t len, size_t align) DUET_NOEXCEPT;

/* Changes the length in place, or returns false and changes nothing. errno is left alone. */
DUET_API bool duet_resize(void *ptr, size_t len, size_t align, size_t new_len) DUET_NOEXCEPT;

/* As duet_resize, but may move the block's pages to another address, which it returns; bytes
 * are never copied. NULL: refused, and the block is as it was. errno is left alone: the caller
 * is expected to allocate, copy and free then. */
DUET_API void *duet_remap(void *ptr, size_t len, size_t align, size_t new_len) DUET_NOEXCEPT;

DUET_API void duet_free(void *ptr, size_t len, size_t align) DUET_NOEXCEPT;

/* ---- The heap as a whole ------------------------------------------------------------------ */

struct duet_heap_stats {
    size_t held_bytes;      /* mapped for cells, large blocks and metas, touched or not */
    size_t held_peak_bytes; /* the most that held_bytes has been */
    size_t cell_bytes;      /* in cells now handed out, whole cells counted */
    size_t cells;           /* cells now handed out */
    size_t free_bytes;      /* in cells that lie ready to be handed out again */
    size_t large_bytes;     /* in large blocks: smp counts whole pages */
    size_t large_blocks;    /* number of those */
    size_t slots;           /* shards of front-end state in use */
};

/* Fills *stats. Exact while no other thread allocates or frees. Takes time proportional to the
 * number of free cells. */
DUET_API void duet_stats(struct duet_heap_stats *stats) DUET_NOEXCEPT;

/* Gives back to the OS what can be given back. Returns whether anything was. */
DUET_API bool duet_trim(void) DUET_NOEXCEPT;

DUET_API const char *duet_version(void) DUET_NOEXCEPT; /* "0.1.0" */
DUET_API const char *duet_engine(void) DUET_NOEXCEPT;  /* "duet" */

/* A program may define this with options as in the environment variable DUET_OPTIONS, which
 * takes precedence: const char *duet_default_options = "slots=4"; */
extern DUET_API const char *duet_default_options __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
