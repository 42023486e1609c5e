/*
 * malloc and its family. The whole family stands in this file, so that a static link takes all
 * of it or nothing: half a family mixes heaps.
 *
 *   malloc ── engine_alloc ─┬─ a cell
 *                           └─ alloc_slow ── heap_alloc ─┬─ engine_alloc_slow
 *                                                        └─ large_alloc
 *   free ── engine_free ─┬─ done
 *                        └─ heap_free ─┬─ engine_free_slow
 *                                      └─ large_free
 *
 * The functions are defined under their duet_ names; the standard names are aliases of them
 * (front/names.h). errno is set here and nowhere below.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "count.h"
#include "duet.h"
#include "engine.h"
#include "front/introspect.h"
#include "front/options.h"
#include "heap/heap.h"
#include "os/os.h"
#include "report/statistics.h"

/* ---- The fast paths ---------------------------------------------------------------------- */

/* The hot case: a cell from the thread's slot. NULL: to be had from alloc_slow, if at all. */
ALWAYS_INLINE void *alloc_hot(size_t size, size_t align, bool *zeroed)
{
    size_t class;
    void *cell = engine_alloc(size, align, &class, zeroed);
    return likely(cell != NULL) ? count_alloc(class, cell) : NULL;
}

COLD static void *out_of_memory(void)
{
    count_failure();
    errno = ENOMEM;
    return NULL;
}

COLD static void *alloc_slow(size_t size, size_t align)
{
    bool zeroed;
    void *block = heap_alloc(size, align, &zeroed);
    return block != NULL ? block : out_of_memory();
}

/* `align` is a power of two. As alloc_hot, spelled out so that what follows a cell is a return. */
ALWAYS_INLINE void *alloc(size_t size, size_t align)
{
    size_t class;
    bool zeroed;
    void *cell = engine_alloc(size, align, &class, &zeroed);
    return likely(cell != NULL) ? count_alloc(class, cell) : alloc_slow(size, align);
}

void *duet_malloc(size_t size)
{
    return alloc(size, HEAP_ALIGN);
}

void duet_mfree(void *ptr)
{
    size_t class;
    if (likely(engine_free(ptr, &class)))
        count_free(class);
    else
        heap_free(ptr, "free");
}

ALWAYS_INLINE void free_sized_inline(void *ptr, size_t size, size_t align)
{
    size_t class;
    if (!DUET_CHECKED && likely(engine_free_sized(ptr, size, align, &class)))
        count_free(class);
    else
        heap_free_sized(ptr, size, align);
}

void duet_free_sized(void *ptr, size_t size)
{
    free_sized_inline(ptr, size, HEAP_ALIGN);
}

void duet_free_aligned_sized(void *ptr, size_t align, size_t size)
{
    free_sized_inline(ptr, size, max_size(align, HEAP_ALIGN));
}

COLD static void *calloc_slow(size_t bytes)
{
    bool zeroed;
    void *block = heap_alloc(bytes, HEAP_ALIGN, &zeroed);
    if (block == NULL)
        return out_of_memory();
    return zeroed ? block : memset(block, 0, bytes);
}

void *duet_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (unlikely(multiply_overflows(count, size, &bytes)))
        return out_of_memory();
    bool zeroed;
    void *cell = alloc_hot(bytes, HEAP_ALIGN, &zeroed);
    if (unlikely(cell == NULL))
        return calloc_slow(bytes);
    return zeroed ? cell : memset(cell, 0, bytes);
}

/* ---- realloc ----------------------------------------------------------------------------- */

void *duet_realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return duet_malloc(size);
#ifdef __GLIBC__
    const bool zero_frees = true; /* glibc frees; musl and others hand out a least block */
#else
    const bool zero_frees = false;
#endif
    if (size == 0 && zero_frees) {
        duet_mfree(ptr);
        return NULL;
    }
    void *block = heap_realloc(ptr, max_size(size, 1));
    return block != NULL ? block : out_of_memory();
}

void *duet_reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;
    if (multiply_overflows(count, size, &bytes))
        return out_of_memory();
    return duet_realloc(ptr, bytes);
}

/* ---- Aligned ----------------------------------------------------------------------------- */

__attribute__((noinline)) static void *alloc_aligned(size_t size, size_t align)
{
    return alloc(size, align);
}

void *duet_aligned_alloc(size_t align, size_t size)
{
    if (unlikely(!is_power_of_two(align))) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(size, max_size(align, HEAP_ALIGN));
}

/* As glibc's: an alignment that is no power of two counts as the next one. */
void *duet_memalign(size_t align, size_t size)
{
    if (align > PTRDIFF_MAX)
        return out_of_memory();
    return duet_aligned_alloc((size_t)1 << bit_width(max_size(align, HEAP_ALIGN) - 1), size);
}

int duet_posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    bool zeroed;
    align = max_size(align, HEAP_ALIGN);
    void *block = alloc_hot(size, align, &zeroed);
    if (unlikely(block == NULL))
        block = heap_alloc(size, align, &zeroed);
    if (block == NULL) {
        count_failure();
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void *duet_valloc(size_t size)
{
    return duet_aligned_alloc(os_page_bytes(), size);
}

void *duet_pvalloc(size_t size)
{
    size_t page = os_page_bytes();
    if (size > PTRDIFF_MAX)
        return out_of_memory();
    return duet_aligned_alloc(page, round_up(max_size(size, 1), page));
}

/* ---- The interface with lengths ---------------------------------------------------------- */

void *duet_alloc(size_t len, size_t align)
{
    if (unlikely(!is_power_of_two(align))) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(max_size(len, 1), align);
}

void duet_free(void *ptr, size_t len, size_t align)
{
    free_sized_inline(ptr, max_size(len, 1), align);
}

bool duet_resize(void *ptr, size_t len, size_t align, size_t new_len)
{
    return heap_resize(ptr, max_size(len, 1), align, max_size(new_len, 1));
}

void *duet_remap(void *ptr, size_t len, size_t align, size_t new_len)
{
    return heap_remap(ptr, max_size(len, 1), align, max_size(new_len, 1));
}

size_t duet_usable_size(const void *ptr)
{
    return ptr == NULL ? 0 : heap_usable(ptr, "malloc_usable_size");
}

/* ---- Start and end ----------------------------------------------------------------------- */

static struct options options;

/* The heap has worked since before. As a shared library this constructor is the first of the
 * process (-z initfirst), so that other libraries' fork handlers run outside ours: in prepare they
 * may wait for locks whose holders allocate. glibc has not set `environ` by then, but hands it
 * over. */
__attribute__((constructor(101))) static void start(int count, char **arguments, char **environment)
{
#ifdef __GLIBC__
    if (environ == NULL)
        environ = environment;
    const char *program = count > 0 ? arguments[0] : "";
#else
    (void)count, (void)arguments, (void)environment; /* other C libraries pass none */
    const char *program = program_invocation_short_name;
#endif
    options_read(&options);
    heap_start(&(struct heap_options){
        .engine = {.slots_of = options.slots_of, .slots = options.slots, .purge = options.purge},
        .huge_pages = options.thp,
        .purge_thread = options.purge_thread,
        .limit = options.limit,
        .program = program});
    if (options.verbose)
        introspect_greet();
}

__attribute__((destructor(101))) static void end(void)
{
    if (options.stats)
        statistics_write();
    heap_end();
}

#include "front/names.h"
