#include "heap/heap.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/atomics.h"
#include "base/config.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "count.h"
#include "engine.h"
#include "large.h"
#include "os/os.h"
#include "spans/spans.h"

/* ---- Start, fork, end -------------------------------------------------------------------- */

/* One fork at a time, from its prepare to its end; but other libraries' fork handlers may fork
 * in turn, and only the outermost takes and lets go. */
static struct lock fork_lock = LOCK_INITIAL(LOCK_RANK_FORK);
static unsigned fork_depth;

/* In rank order: the slots before the locks that an engine takes with a slot held. */
static void fork_prepare(void)
{
    lock_take(&fork_lock);
    if (fork_depth++ > 0)
        return;
    engine_fork_prepare();
    large_fork_prepare();
    spans_fork_prepare();
    count_fork_prepare();
}

static void start_purge_thread(void);

/* Of a forked child the memory may not all be there, and is not its own to judge. */
static bool is_forked;

static void fork_end_in(bool child)
{
    is_forked |= child;
    if (--fork_depth == 0) {
        if (child)
            count_fork_child(); /* before anything is let go, a signal handler too */
        spans_fork_end();
        large_fork_end(child);
        if (child)
            engine_fork_end_child();
        else
            engine_fork_end();
    }
    lock_release(&fork_lock);
}

static void fork_end(void)
{
    fork_end_in(false);
}

/* The child's only thread is the one that forked, under the same number: it holds whatever it
 * held in the parent, and lets go of it in the same way. */
static void fork_end_child(void)
{
    fork_end_in(true);
    if (fork_depth == 0)
        start_purge_thread();
}

/* ---- By time ----------------------------------------------------------------------------- */

static bool purge_thread_wanted;

#define TICK_NS ((uint64_t)100 * 1000 * 1000)

_Noreturn static void *purge_thread(void *unused)
{
    (void)unused;
    for (;;) {
        os_sleep_ns(TICK_NS);
        engine_tick();
    }
}

/* It gets no signals, which are the program's. Where no thread is to be had there is none, as by
 * default. */
static void start_purge_thread(void)
{
    if (!purge_thread_wanted)
        return;
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return;
    if (pthread_create(&thread, NULL, purge_thread, NULL) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The soft limit. Once what is left after a trim is more, the next comes when a share of the limit
 * more is held: the program needs it, and to look through all again and again would not help. */
static size_t limit, next_trim_at;

#define LIMIT_STEP 16

static void keep_to_limit(void)
{
    size_t trim_at = load_relaxed(&next_trim_at);
    if (likely(limit == 0) || os_held_bytes() < trim_at ||
        !cas_relaxed(&next_trim_at, trim_at, SIZE_MAX))
        return;
    heap_trim();
    store_relaxed(&next_trim_at, max_size(limit, os_held_bytes() + limit / LIMIT_STEP));
}

void heap_start(const struct heap_options *options)
{
    os_want_huge_pages(options->huge_pages);
    limit = options->limit;
    store_relaxed(&next_trim_at, limit);
    engine_configure(&options->engine);
    if (pthread_atfork(fork_prepare, fork_end, fork_end_child) != 0)
        fatal("no memory for the fork handlers");
    count_start(options->program);
    purge_thread_wanted = options->purge_thread;
    start_purge_thread();
}

void heap_end(void)
{
    count_end();
    if (!is_forked) {
        engine_end();
        large_end();
    }
}

/* ---- Allocating and freeing -------------------------------------------------------------- */

static void *alloc_cell(size_t length, size_t align, bool *zeroed)
{
    count_bind();
    size_t class;
    void *cell = engine_alloc_slow(length, align, &class, zeroed);
    count_held();
    return cell == NULL ? NULL : count_alloc(class, cell);
}

/* Large blocks come without the cells that a program may not use, and so without a tick; those of
 * no bytes are as cheap as they can be. */
static void tick_for(size_t length)
{
    if (length > 0)
        engine_tick();
}

static void *alloc_large(size_t length, size_t align, bool *zeroed)
{
    void *block = large_alloc(max_size(length, ENGINE_LARGE_LEAST), align, zeroed);
    tick_for(length);
    if (block != NULL)
        count_large_alloc(large_bytes(block, "malloc"));
    return block;
}

static void *try_alloc(size_t length, size_t align, bool *zeroed)
{
    if (!engine_is_large(length, align))
        return alloc_cell(length, align, zeroed);
    void *block = alloc_large(length, align, zeroed);
    if (unlikely(block == NULL) && length == 0) /* too many blocks of no bytes are in use */
        block = try_alloc(1, align, zeroed);
    return block;
}

void *heap_alloc(size_t length, size_t align, bool *zeroed)
{
    if (length > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return NULL;
    keep_to_limit();
    void *block = try_alloc(length, align, zeroed);
    if (block == NULL) {
        heap_trim(); /* which brings free cells together, too */
        block = try_alloc(length, align, zeroed);
    }
    return block;
}

void heap_free(void *ptr, const char *call)
{
    if (ptr == NULL)
        return;
    count_bind();
    size_t class = engine_free_slow(ptr, call);
    if (class < ENGINE_CLASSES) {
        count_free(class);
    } else {
        size_t bytes = large_free(ptr, call);
        count_large_free(bytes);
        tick_for(bytes);
    }
}

static bool was_allocated(const void *ptr, size_t class, size_t length, size_t align,
                          const char *call)
{
    if (class < ENGINE_CLASSES)
        return engine_was_allocated(ptr, class, length, align, call);
    return engine_is_large(length, align) &&
           large_was_allocated(ptr, max_size(length, ENGINE_LARGE_LEAST), call);
}

/* A look at what a caller says of a block; returns its class. */
static size_t check_size(const void *ptr, size_t length, size_t align, const char *call)
{
    size_t class = engine_class_of(ptr, call);
    bool fits = was_allocated(ptr, class, length, align, call);
    if (!fits && length == 0 && ENGINE_LARGE_LEAST == 0) /* there was no address for it alone */
        fits = was_allocated(ptr, class, 1, align, call);
    if ((DUET_CHECKED || ENGINE_CHECKS_SIZES) && (!fits || !is_aligned((uintptr_t)ptr, align)))
        fatal_pointer(call, ptr, "was allocated with another size or alignment");
    return class;
}

void heap_free_sized(void *ptr, size_t length, size_t align)
{
    if (ptr == NULL)
        return;
    check_size(ptr, length, align, "free_sized");
    heap_free(ptr, "free_sized");
}

size_t heap_usable(const void *ptr, const char *call)
{
    size_t class = engine_class_of(ptr, call);
    return class < ENGINE_CLASSES ? engine_usable(ptr, class, call) : large_bytes(ptr, call);
}

/* ---- Changing sizes ---------------------------------------------------------------------- */

static void *realloc_by_copy(void *ptr, size_t old_bytes, size_t length)
{
    bool zeroed;
    void *block = heap_alloc(length, HEAP_ALIGN, &zeroed);
    if (block == NULL)
        return NULL;
    memcpy(block, ptr, min_size(old_bytes, length));
    heap_free(ptr, "realloc");
    count_renewed();
    return block;
}

static void *realloc_cell(void *ptr, size_t class, size_t length)
{
    if (engine_resize(ptr, class, length, HEAP_ALIGN, "realloc"))
        return ptr;
    return realloc_by_copy(ptr, engine_usable(ptr, class, "realloc"), length);
}

/* What became of a large block whose length was asked to change. */
static void count_change(size_t old_bytes, size_t new_bytes)
{
    if (old_bytes == new_bytes)
        return;
    count_large_free(old_bytes);
    count_large_alloc(new_bytes);
    count_renewed();
}

static void *remap_large(void *ptr, size_t length, size_t align, bool may_copy, const char *call)
{
    size_t old_bytes = large_bytes(ptr, call);
    void *block = large_remap(ptr, length, align, may_copy, call);
    if (block != NULL)
        count_change(old_bytes, large_bytes(block, call));
    return block;
}

static bool resize_large(void *ptr, size_t length, const char *call)
{
    size_t old_bytes = large_bytes(ptr, call);
    bool resized = large_resize(ptr, length, call);
    if (resized)
        count_change(old_bytes, large_bytes(ptr, call));
    return resized;
}

static void *realloc_large(void *ptr, size_t length)
{
    void *block = NULL;
    if (engine_is_large(length, HEAP_ALIGN))
        block = remap_large(ptr, length, HEAP_ALIGN, true, "realloc");
    return block != NULL ? block : realloc_by_copy(ptr, large_bytes(ptr, "realloc"), length);
}

void *heap_realloc(void *ptr, size_t length)
{
    size_t class = engine_class_of(ptr, "realloc");
    void *block =
        class < ENGINE_CLASSES ? realloc_cell(ptr, class, length) : realloc_large(ptr, length);
    if (block != NULL)
        count_realloc(block != ptr);
    return block;
}

/* What both forms of changing a length in place have in common: a cell changes as its engine lets
 * it, and nothing becomes a cell that was none, or the reverse. */
enum change { CHANGE_DONE, CHANGE_LARGE, CHANGE_REFUSED };

static enum change judge_change(void *ptr, size_t length, size_t align, size_t new_length,
                                const char *call)
{
    size_t class = check_size(ptr, length, align, call);
    if (class < ENGINE_CLASSES)
        return engine_resize(ptr, class, new_length, align, call) ? CHANGE_DONE : CHANGE_REFUSED;
    bool stays_large = engine_is_large(new_length, align) && new_length <= PTRDIFF_MAX;
    return stays_large ? CHANGE_LARGE : CHANGE_REFUSED;
}

bool heap_resize(void *ptr, size_t length, size_t align, size_t new_length)
{
    enum change change = judge_change(ptr, length, align, new_length, "duet_resize");
    return change == CHANGE_DONE ||
           (change == CHANGE_LARGE && resize_large(ptr, new_length, "duet_resize"));
}

void *heap_remap(void *ptr, size_t length, size_t align, size_t new_length)
{
    enum change change = judge_change(ptr, length, align, new_length, "duet_remap");
    if (change == CHANGE_LARGE)
        return remap_large(ptr, new_length, align, false, "duet_remap");
    return change == CHANGE_DONE ? ptr : NULL;
}

/* ---- The whole --------------------------------------------------------------------------- */

bool heap_trim(void)
{
    bool cells = engine_trim();
    bool large = large_trim();
    bool spans = spans_trim();
    return cells || large || spans;
}

const char *heap_engine(void)
{
    return ENGINE_NAME;
}

void heap_count(struct heap_count *count)
{
    struct engine_count cells;
    engine_count(&cells);
    struct large_count large = large_count();
    *count = (struct heap_count){
        .held_bytes = os_held_bytes(),
        .held_peak_bytes = os_held_peak_bytes(),
        .cells = cells.cells,
        .cell_bytes = cells.cell_bytes,
        .free_bytes = cells.free_bytes,
        .large_blocks = large.blocks,
        .large_bytes = large.bytes,
        .slots = cells.slots,
    };
}
