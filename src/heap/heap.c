#include "heap/heap.h"

#include <pthread.h>
#include <string.h>

#include "base/config.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "count.h"
#include "engine.h"
#include "heap/large.h"
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

static void fork_end_in(bool child)
{
    if (--fork_depth == 0) {
        if (child)
            count_fork_child(); /* before anything is let go, a signal handler too */
        spans_fork_end();
        large_fork_end();
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
}

void heap_start(const struct heap_options *options)
{
    os_allow_huge_pages(options->huge_pages);
    engine_configure(options->slots);
    if (pthread_atfork(fork_prepare, fork_end, fork_end_child) != 0)
        fatal("no memory for the fork handlers");
    count_start(options->program);
}

void heap_end(void)
{
    count_end();
}

/* ---- Allocating and freeing -------------------------------------------------------------- */

static void *alloc_cell(size_t class, bool *zeroed)
{
    count_bind();
    void *cell = engine_alloc(class, zeroed);
    if (cell == NULL) {
        cell = engine_alloc_slow(class, zeroed);
        count_held();
    }
    return cell == NULL ? NULL : count_alloc(class, cell);
}

static void *try_alloc(size_t length, size_t align, bool *zeroed)
{
    size_t class = engine_class(length, align);
    return class < ENGINE_CLASSES ? alloc_cell(class, zeroed)
                                  : large_alloc(max_size(length, 1), align, zeroed);
}

void *heap_alloc(size_t length, size_t align, bool *zeroed)
{
    if (length > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return NULL;
    void *block = try_alloc(length, align, zeroed);
    if (block == NULL && heap_trim())
        block = try_alloc(length, align, zeroed);
    return block;
}

static void free_cell(void *ptr, size_t class)
{
    count_bind();
    count_free(class);
    if (!engine_free(ptr, class))
        engine_free_slow(ptr, class);
}

/* Of what kind a pointer is; stops the program where it is of none. At least ENGINE_CLASSES for
 * a large block. */
static size_t class_of(const void *ptr, const char *call)
{
    size_t class = engine_class_at(ptr);
    if (class < ENGINE_CLASSES && !engine_is_cell(ptr, class))
        fatal_pointer(call, ptr, "is not the start of a cell");
    return class;
}

void heap_free(void *ptr, const char *call)
{
    if (ptr == NULL)
        return;
    size_t class = class_of(ptr, call);
    if (class < ENGINE_CLASSES)
        free_cell(ptr, class);
    else
        large_free(ptr, call);
}

/* The checked build's look at what a caller says of a block. */
static void check_size(const void *ptr, size_t length, size_t align, const char *call)
{
    size_t class = engine_class(length, align);
    size_t found = class_of(ptr, call);
    if (!is_aligned((uintptr_t)ptr, align) ||
        (class < ENGINE_CLASSES ? class != found : found < ENGINE_CLASSES))
        fatal_pointer(call, ptr, "was allocated with another size or alignment");
}

void heap_free_sized(void *ptr, size_t length, size_t align)
{
    if (ptr == NULL)
        return;
    if (DUET_CHECKED)
        check_size(ptr, length, align, "free_sized");
    size_t class = engine_class(length, align);
    if (class < ENGINE_CLASSES)
        free_cell(ptr, class);
    else
        large_free(ptr, "free_sized");
}

size_t heap_usable(const void *ptr, const char *call)
{
    size_t class = class_of(ptr, call);
    return class < ENGINE_CLASSES ? engine_class_bytes(class) : large_bytes(ptr, call);
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
    if (engine_class(length, HEAP_ALIGN) == class)
        return ptr;
    return realloc_by_copy(ptr, engine_class_bytes(class), length);
}

static void *realloc_large(void *ptr, size_t length)
{
    size_t old_bytes = large_bytes(ptr, "realloc");
    void *block = NULL;
    if (engine_class(length, HEAP_ALIGN) >= ENGINE_CLASSES)
        block = large_remap(ptr, length, BLOCK_BYTES, "realloc");
    return block != NULL ? block : realloc_by_copy(ptr, old_bytes, length);
}

void *heap_realloc(void *ptr, size_t length)
{
    size_t class = class_of(ptr, "realloc");
    void *block =
        class < ENGINE_CLASSES ? realloc_cell(ptr, class, length) : realloc_large(ptr, length);
    if (block != NULL)
        count_realloc(block != ptr);
    return block;
}

/* What both forms of changing a length in place have in common: a cell stays within its class,
 * and nothing becomes a cell that was none, or the reverse. */
enum change { CHANGE_NONE, CHANGE_LARGE, CHANGE_REFUSED };

static enum change judge_change(void *ptr, size_t length, size_t align, size_t new_length,
                                const char *call)
{
    if (DUET_CHECKED)
        check_size(ptr, length, align, call);
    size_t class = engine_class(length, align);
    size_t new_class = engine_class(new_length, align);
    if (class < ENGINE_CLASSES)
        return new_class == class ? CHANGE_NONE : CHANGE_REFUSED;
    return new_class >= ENGINE_CLASSES && new_length <= PTRDIFF_MAX ? CHANGE_LARGE : CHANGE_REFUSED;
}

bool heap_resize(void *ptr, size_t length, size_t align, size_t new_length)
{
    enum change change = judge_change(ptr, length, align, new_length, "duet_resize");
    return change == CHANGE_NONE ||
           (change == CHANGE_LARGE && large_resize(ptr, max_size(new_length, 1), "duet_resize"));
}

void *heap_remap(void *ptr, size_t length, size_t align, size_t new_length)
{
    enum change change = judge_change(ptr, length, align, new_length, "duet_remap");
    if (change == CHANGE_LARGE)
        return large_remap(ptr, max_size(new_length, 1), align, "duet_remap");
    return change == CHANGE_NONE ? ptr : NULL;
}

/* ---- The whole --------------------------------------------------------------------------- */

bool heap_trim(void)
{
    bool large = large_trim();
    bool spans = spans_trim();
    return large || spans;
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
