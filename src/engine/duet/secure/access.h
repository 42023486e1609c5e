/*
 * What somebody is about to read or write: by the address alone it is known which cell that is in,
 * and by the cell's seal whether it is in use, and how long its block is. Large blocks are not
 * looked at: what lies behind them is inaccessible, or sealed (large_guard.h). Nor is memory that
 * is not ours.
 */
#ifndef DUET_ENGINE_DUET_SECURE_ACCESS_H
#define DUET_ENGINE_DUET_SECURE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "engine/duet/classes.h"
#include "engine/duet/secure/seal.h"
#include "spans/table.h"

enum access { ACCESS_READ, ACCESS_WRITE };

/* The cell that has the byte at `ptr`, which is at this offset of its group; of what lies behind
 * the last cell, that one. */
ALWAYS_INLINE char *access_cell(const void *ptr, size_t kind, size_t offset)
{
    size_t last = duet_tables.kinds[kind].cells - (size_t)1;
    size_t number = min_size(duet_cell_at(kind, offset), last);
    return (char *)(uintptr_t)ptr - (offset - number * duet_kind_bytes(kind));
}

/* Whether all `length` bytes from an address at this offset of a group are those of a block in use,
 * as far as its seal's word says. Whether that is whole is for free to find out. */
ALWAYS_INLINE bool access_is_within(const void *start, size_t length, size_t kind, size_t offset)
{
    char *cell = access_cell(start, kind, offset);
    uint64_t word = load_relaxed(seal_word(cell, kind));
    const char *end = cell + seal_length(word, kind);
    return word != 0 && length <= (size_t)(end - (const char *)start) && (const char *)start <= end;
}

/* Of a kind whose groups have several blocks; stops the program, in the name of `call`. */
bool access_is_within_long(const void *start, size_t length, size_t kind);
_Noreturn COLD void access_refuse(const void *start, size_t kind, enum access access,
                                  const char *call);

/* Stops the program, in the name of `call`, unless all `length` bytes from `start` are one block's
 * that is in use, as far as they begin in a cell. Takes no lock and writes nothing. */
ALWAYS_INLINE void access_check(const void *start, size_t length, enum access access,
                                const char *call)
{
    size_t kind = table_class(start);
    if (kind - 1 >= (size_t)DUET_CLASSES || unlikely(length == 0))
        return;
    bool within = likely(duet_tables.kinds[kind].blocks == 1)
                      ? access_is_within(start, length, kind, (uintptr_t)start % BLOCK_BYTES)
                      : access_is_within_long(start, length, kind);
    if (unlikely(!within))
        access_refuse(start, kind, access, call);
}

#endif
