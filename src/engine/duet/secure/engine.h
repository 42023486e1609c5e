/*
 * The secure flavour of the engine duet: the same cells, magazines and groups, and around each cell
 * what finds misuse, or makes it harmless. Start reading here; then seal.h, zeros.h, pages.h,
 * large_guard.h, ../guard.h, access.h, inspect.c.
 *
 *   malloc   a cell that holds 8 bytes more; it must read as zero, or somebody has written to freed
 *            memory; its seal says what was asked for.
 *   free     the seal must be whole, or the cell was freed before, or overflowed; the cell is
 *            cleared, and waits before it can be handed out again (../waiting.h).
 *   groups   have inaccessible memory behind them, and hand out their cells in no order.
 *   large    blocks have an inaccessible page behind them, a seal before it, and are inaccessible
 *            as a whole once they are freed, if the kernel has marks for that, or else cleared;
 *            their addresses wait, too.
 *   copies   of memcpy and its like must lie within one block (access.h), in the shared library.
 *   exit     all that is free is looked at once more, and, while there is one thread, all seals.
 *
 * What it gives up: time, and 8 bytes a cell. A cell that was handed out again can be freed by who
 * had it before; reading behind a cell, up to its group's end, is not noticed, but by copies.
 */
#ifndef DUET_ENGINE_DUET_SECURE_ENGINE_H
#define DUET_ENGINE_DUET_SECURE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"
#include "engine/contract.h"
#include "engine/duet/cells.h"
#include "engine/duet/secure/seal.h"
#include "engine/duet/secure/zeros.h"

#define ENGINE_NAME "secure"

/* A block of no bytes is a large one: an address alone (heap/large/empty.h) or, where there is none
 * for it, a guard alone (large_guard.h). */
#define ENGINE_LARGE_LEAST 0

/* Whether this is the length of a cell, with its seal: not 0, which wraps round. */
ALWAYS_INLINE bool secure_is_cell(size_t length)
{
    return length - 1 < DUET_MOST_BYTES - SEAL_BYTES;
}

/* The kind for a length with its seal; 0: it is large. */
ALWAYS_INLINE size_t secure_kind_for(size_t length, size_t align)
{
    return !secure_is_cell(length) ? 0 : duet_kind_for_aligned(length + SEAL_BYTES, align);
}

ALWAYS_INLINE bool engine_is_large(size_t length, size_t align)
{
    return secure_kind_for(length, align) == 0;
}

/* These stop the program: for a cell that was written to while it was free, for one that another
 * thread frees at the same moment, and for one whose seal is not as it was made. */
_Noreturn COLD void secure_not_zero(const void *cell);
_Noreturn COLD void secure_freed_at_once(const void *cell, const char *call);
_Noreturn COLD void secure_broken(const void *cell, size_t kind, const char *call);

/* ---- Handing out ------------------------------------------------------------------------- */

/* Seals a cell that is to be handed out, and must be as it was left. The first is for any, the
 * other for short ones; apart, so that the fast path needs no register saved. */
__attribute__((returns_nonnull)) void *secure_hand_out(void *cell, size_t kind, size_t length,
                                                       size_t align);

ALWAYS_INLINE void *secure_hand_out_short(void *cell, size_t kind, size_t length, size_t align)
{
    if (unlikely(!zeros_are_all(cell, duet_kind_bytes(kind))))
        secure_not_zero(cell);
    seal_write(cell, kind, &(struct seal){.length = length, .align = align});
    return cell;
}

ALWAYS_INLINE void *engine_alloc(size_t length, size_t align, size_t *class, bool *zeroed)
{
    if (unlikely(length >= duet_fast_end) || unlikely(!secure_is_cell(length)) ||
        unlikely(align > DUET_UNIT))
        return NULL;
    size_t kind = duet_kind_for(length + SEAL_BYTES);
    void *cell = duet_pop(kind);
    if (unlikely(cell == NULL))
        return NULL;
    *class = kind - 1;
    *zeroed = true;
    if (unlikely(duet_kind_bytes(kind) > ZEROS_SHORT_BYTES))
        return secure_hand_out(cell, kind, length, align);
    return secure_hand_out_short(cell, kind, length, align);
}

/* ---- Taking back ------------------------------------------------------------------------- */

/* The seal of a cell that is in use, or the program stops. Returns the word. */
ALWAYS_INLINE uint64_t secure_verify(const void *cell, size_t kind, const char *call,
                                     struct seal *found)
{
    uint64_t word = load_relaxed(seal_word((void *)(uintptr_t)cell, kind));
    if (unlikely(!seal_read(word, cell, kind, found)) ||
        unlikely(!seal_pattern_is_whole(cell, kind, found, word)) ||
        unlikely(!seal_gap_is_zero(cell, kind, found)))
        secure_broken(cell, kind, call);
    return word;
}

/* Of two threads that free a cell at once one finds that the other was there, and the program
 * stops. */
ALWAYS_INLINE void secure_break_seal(void *cell, size_t kind, uint64_t word, const char *call)
{
    if (thread_is_alone())
        store_relaxed(seal_word(cell, kind), (uint64_t)0);
    else if (unlikely(!cas_acquire(seal_word(cell, kind), word, (uint64_t)0)))
        secure_freed_at_once(cell, call);
}

/* It waits, and one that has waited is put back. */
ALWAYS_INLINE void secure_give(void *cell, size_t kind)
{
    if (unlikely(!duet_wait(&cell, kind)))
        cells_give_later(cell, kind);
    else if (cell != NULL && unlikely(!duet_push(cell, kind)))
        cells_give(cell, kind);
}

/* Frees a cell that this was found of; the first any, the other short ones. */
void secure_free(void *cell, size_t kind, uint64_t word, const struct seal *found,
                 const char *call);

ALWAYS_INLINE void secure_free_short(void *cell, size_t kind, uint64_t word,
                                     const struct seal *found, const char *call)
{
    secure_break_seal(cell, kind, word, call);
    zeros_put(cell, seal_covered_bytes(kind, found));
    secure_give(cell, kind);
}

/* Of any cell; looks at the seal, too. False: in a group of several blocks there begins none. */
void secure_free_any(void *cell, size_t kind);
bool secure_free_long(void *ptr, size_t kind);

/* False: there begins no cell; nothing was done. Stops the program where the seal is broken. */
ALWAYS_INLINE bool engine_free(void *ptr, size_t *class)
{
    size_t kind = table_class(ptr);
    *class = kind - 1;
    if (unlikely(!duet_is_cell(ptr, kind)))
        return secure_free_long(ptr, kind);
    if (unlikely(duet_kind_bytes(kind) > ZEROS_SHORT_BYTES)) {
        secure_free_any(ptr, kind);
        return true;
    }
    struct seal found;
    uint64_t word = secure_verify(ptr, kind, "free", &found);
    secure_free_short(ptr, kind, word, &found, "free");
    return true;
}

/* As engine_free, if that is what the seal says. */
ALWAYS_INLINE bool engine_free_sized(void *ptr, size_t length, size_t align, size_t *class)
{
    size_t kind = table_class(ptr);
    *class = kind - 1;
    if (unlikely(!duet_is_cell(ptr, kind)) && !duet_is_long_start(ptr, kind))
        return false;
    struct seal found;
    uint64_t word = secure_verify(ptr, kind, "free_sized", &found);
    if (unlikely(found.length != length) || unlikely(found.align != align))
        return false;
    secure_free(ptr, kind, word, &found, "free_sized");
    return true;
}

/* ---- Where there is more to do ----------------------------------------------------------- */

COLD void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed);
COLD size_t engine_free_slow(void *ptr, const char *call);

/* What was asked for. Stops the program where the seal is broken. */
size_t engine_usable(const void *cell, size_t class, const char *call);

bool engine_was_allocated(const void *cell, size_t class, size_t length, size_t align,
                          const char *call);
bool engine_resize(void *cell, size_t class, size_t length, size_t align, const char *call);

/* The last look (inspect.c). */
void engine_end(void);

#endif
