#include "engine/duet/secure/engine.h"

#include <string.h>

#include "base/fatal.h"
#include "base/random.h"
#include "engine/duet/group.h"
#include "engine/duet/secure/pages.h"
#include "os/os.h"

uint64_t seal_secret, seal_multiplier;

const uint64_t seal_first_bytes[] = {
    0,          0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
    UINT64_MAX,
};

/* Threads that meet here come to the same result. */
void seal_begin(void)
{
    if (likely(load_acquire(&seal_multiplier) != 0))
        return;
    cas_relaxed(&seal_secret, (uint64_t)0, random_secret() | 1);
    uint64_t secret = load_relaxed(&seal_secret);
    secret = (secret ^ secret >> 32) * 0xd6e8feb86659fd93u;
    store_release(&seal_multiplier, (secret ^ secret >> 32) | 1);
}

/* ---- Pages that are not there ------------------------------------------------------------ */

COLD static bool are_all_zeros_in_pages(const char *start, size_t bytes, bool *sparse)
{
    struct pages pages;
    pages_look(&pages, start, bytes);
    return pages_are_zeros(&pages, start, bytes, sparse);
}

/* So many pages that are not there are worth to be asked for, each time the cell is used; fewer are
 * brought, by clearing them. */
#define PAGES_WORTH_A_CALL 8

static bool is_worth_a_call(const struct pages *pages, const char *start, const char *end)
{
    size_t missing = 0, run;
    bool there;
    for (const char *at = start; at < end; at += run) {
        run = pages_run(pages, at, end, &there);
        missing += there ? 0 : run;
    }
    return missing >= PAGES_WORTH_A_CALL * pages->page_bytes;
}

/* What is not there may have been written to, and be in swap space; so it is purged, as far as it
 * is whole pages. */
static void clear_run_without_pages(char *start, size_t bytes, size_t page)
{
    char *end = start + bytes;
    char *first = (char *)round_up((uintptr_t)start, page);
    char *last = (char *)round_down((uintptr_t)end, page);
    if (first >= last || !os_purge(first, (size_t)(last - first))) {
        memset(start, 0, bytes);
        return;
    }
    memset(start, 0, (size_t)(first - start));
    memset(last, 0, (size_t)(end - last));
}

/* False: all of it was cleared, and has its pages. */
COLD static bool clear_pages(char *start, size_t bytes)
{
    struct pages pages;
    bool there;
    size_t run;
    char *end = start + bytes;
    pages_look(&pages, start, bytes);
    if (!is_worth_a_call(&pages, start, end)) {
        memset(start, 0, bytes);
        return false;
    }
    for (char *at = start; at < end; at += run) {
        run = pages_run(&pages, at, end, &there);
        if (there)
            memset(at, 0, run);
        else
            clear_run_without_pages(at, run, pages.page_bytes);
    }
    return true;
}

/* ---- Zeros of cells of any length -------------------------------------------------------- */

static struct group *group_with_sparse(const void *cell, size_t kind, const char *call)
{
    return group_has_sparse(kind) ? group_of(cell, kind, call) : NULL;
}

/* As what is for short cells, of any. *sparse: whether pages of it are not there. */
ALWAYS_INLINE bool are_all_zeros_of_any(const void *cell, size_t kind, const char *call,
                                        bool *sparse)
{
    size_t bytes = duet_kind_bytes(kind);
    struct group *group = group_with_sparse(cell, kind, call);
    if (unlikely(group != NULL) && group_take_sparse(group, cell))
        return are_all_zeros_in_pages(cell, bytes, sparse);
    return zeros_are_all_long(cell, bytes);
}

ALWAYS_INLINE void put_zeros_in_any(void *cell, size_t kind, size_t bytes, bool sparse,
                                    const char *call)
{
    struct group *group = unlikely(sparse) ? group_with_sparse(cell, kind, call) : NULL;
    if (likely(group == NULL))
        memset(cell, 0, bytes);
    else if (clear_pages(cell, bytes))
        group_put_sparse(group, cell);
}

/* ---- What stops the program -------------------------------------------------------------- */

void secure_not_zero(const void *cell)
{
    fatal_pointer("malloc", cell, "was written to after it was freed");
}

void secure_freed_at_once(const void *cell, const char *call)
{
    fatal_pointer(call, cell, "was freed already");
}

/* Looks anew: another thread may be freeing it. */
void secure_broken(const void *cell, size_t kind, const char *call)
{
    uint64_t word = load_relaxed(seal_word((void *)(uintptr_t)cell, kind));
    bool sparse = false, freed = word == 0 && are_all_zeros_of_any(cell, kind, call, &sparse);
    fatal_pointer(call, cell, freed ? "was freed already" : "was written to behind its end");
}

/* ---- Freeing ----------------------------------------------------------------------------- */

ALWAYS_INLINE void free_any(void *cell, size_t kind, uint64_t word, const struct seal *found,
                            const char *call)
{
    secure_break_seal(cell, kind, word, call);
    put_zeros_in_any(cell, kind, seal_covered_bytes(kind, found), found->sparse, call);
    secure_give(cell, kind);
}

void secure_free(void *cell, size_t kind, uint64_t word, const struct seal *found, const char *call)
{
    free_any(cell, kind, word, found, call);
}

void secure_free_any(void *cell, size_t kind)
{
    struct seal found;
    uint64_t word = secure_verify(cell, kind, "free", &found);
    free_any(cell, kind, word, &found, "free");
}

bool secure_free_long(void *ptr, size_t kind)
{
    if (!duet_is_long_start(ptr, kind))
        return false;
    secure_free_any(ptr, kind);
    return true;
}

size_t engine_free_slow(void *ptr, const char *call)
{
    size_t class = engine_class_of(ptr, call), kind = class + 1;
    if (class >= ENGINE_CLASSES)
        return class;
    struct seal found;
    uint64_t word = secure_verify(ptr, kind, call, &found);
    secure_free(ptr, kind, word, &found, call);
    return class;
}

/* ---- Allocating -------------------------------------------------------------------------- */

void *secure_hand_out(void *cell, size_t kind, size_t length, size_t align)
{
    struct seal seal = {.length = length, .align = align};
    if (unlikely(!are_all_zeros_of_any(cell, kind, "malloc", &seal.sparse)))
        secure_not_zero(cell);
    seal_write(cell, kind, &seal);
    return cell;
}

void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed)
{
    seal_begin(); /* nobody gets a first cell without having been here */
    size_t kind = secure_kind_for(length, align);
    bool read_as_zero; /* once; it may have been written to since */
    void *cell = cells_take(length + SEAL_BYTES, align, &kind, &read_as_zero);
    *class = kind - 1;
    *zeroed = true;
    if (cell == NULL)
        return NULL;
    return secure_hand_out(cell, kind, length, align);
}

/* ---- What a cell was asked for ----------------------------------------------------------- */

size_t engine_usable(const void *cell, size_t class, const char *call)
{
    struct seal found;
    secure_verify(cell, class + 1, call, &found);
    return found.length;
}

bool engine_was_allocated(const void *cell, size_t class, size_t length, size_t align,
                          const char *call)
{
    struct seal found;
    secure_verify(cell, class + 1, call, &found);
    return found.length == length && found.align == align;
}

/* What is not the user's any more is cleared: it reads as zero when it is the user's again. What
 * stays is the user's all the time, who may copy it meanwhile. */
bool engine_resize(void *cell, size_t class, size_t length, size_t align, const char *call)
{
    struct seal found;
    size_t kind = class + 1;
    secure_verify(cell, kind, call, &found);
    if (secure_kind_for(length, align) != kind &&
        !(secure_is_cell(length) && duet_fits(length + SEAL_BYTES, duet_kind_bytes(kind))))
        return false;
    size_t kept = min_size(found.length, length);
    struct seal changing = {.length = kept, .align = SEAL_CHANGING, .sparse = found.sparse};
    store_relaxed(seal_word(cell, kind), seal_word_for(cell, &changing, kind));
    fence_signal();
    memset((char *)cell + kept, 0, seal_covered_bytes(kind, &found) - kept);
    found.length = length;
    found.align = align;
    seal_rewrite(cell, kind, &found);
    return true;
}
