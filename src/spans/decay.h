/*
 * How what lies unused goes back to the OS: by half about every second, as the clock says and not
 * as often as somebody asks.
 *
 * Unused is what was there all the time between two ticks: the least there has been. So memory
 * that comes and goes with the program's work is left alone, however much it is. What is due in
 * part of a piece is owed until it makes a piece.
 *
 * Concurrency: any thread may ask whether time has passed, and one of them hears that it has. All
 * else is done under the lock of whose memory it is.
 */
#ifndef DUET_SPANS_DECAY_H
#define DUET_SPANS_DECAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/bits.h"

/* Ticks are an eighth of a second apart at least: what is due at once is then a twelfth of what is
 * unused, so nobody waits long for its purge, and a second has enough of them to look even. */
#define DECAY_TICK_NS 125000000u
#define DECAY_TICKS_PER_HALF 8

/* Fractions below are over this. */
#define DECAY_WHOLE 256

struct decay {
    uint64_t ticked_ns; /* when it ticked last, 0 if never */
    size_t least;       /* bytes, since then */
    size_t owed;        /* bytes that are due, and not purged yet */
};

/* Ticks that have passed since the last that anybody was told of. The first call starts it. */
static inline uint64_t decay_ticks(struct decay *decay, uint64_t now_ns)
{
    uint64_t last = load_relaxed(&decay->ticked_ns);
    if (last == 0) {
        cas_relaxed(&decay->ticked_ns, last, now_ns);
        return 0;
    }
    if (now_ns < last || now_ns - last < DECAY_TICK_NS)
        return 0; /* another thread's clock may have been ahead */
    uint64_t ticks = (now_ns - last) / DECAY_TICK_NS;
    return cas_relaxed(&decay->ticked_ns, last, last + ticks * DECAY_TICK_NS) ? ticks : 0;
}

/* What is left of so many bytes after these ticks. */
static inline size_t decay_left(size_t bytes, uint64_t ticks)
{
    /* 2^(-i/8) */
    static const uint16_t eighths[DECAY_TICKS_PER_HALF] = {256, 235, 215, 197, 181, 166, 152, 140};
    uint64_t halves = ticks / DECAY_TICKS_PER_HALF;
    if (halves >= sizeof bytes * 8)
        return 0;
    return (bytes >> halves) / DECAY_WHOLE * eighths[ticks % DECAY_TICKS_PER_HALF];
}

/* To be called whenever there is less than there was. */
static inline void decay_note(struct decay *decay, size_t bytes)
{
    decay->least = min_size(decay->least, bytes);
}

/* At a tick, of `bytes` that are there: owes what has become due, no more than was unused. */
static inline void decay_owe(struct decay *decay, size_t bytes, uint64_t ticks)
{
    size_t unused = min_size(decay->least, bytes);
    size_t due = load_relaxed(&decay->owed) + unused - decay_left(unused, ticks);
    store_relaxed(&decay->owed, min_size(due, unused));
    decay->least = bytes;
}

/* Some of it was purged; or it is given up, where the kernel refuses. */
static inline void decay_paid(struct decay *decay, size_t bytes)
{
    size_t owed = load_relaxed(&decay->owed);
    store_relaxed(&decay->owed, owed - min_size(owed, bytes));
}

#endif
