/*
 * The file that duet-player plays: a trace laid out for it by prepare.c, thread by thread, with all
 * that has to be known about the others worked out beforehand. It is made right before it is
 * played, on the same machine, so it has the machine's own numbers.
 *
 *     struct play_head
 *     struct play_thread, one for each thread
 *     struct play_entry, those of the first thread, of the second, and so on
 *
 * Orders. An operation's order is its place in the recording, from 0. A thread's position is the
 * order of what it does next; so all of its operations below are done.
 *
 * Seats. Each thread has a seat, where its position is kept. A seat is given to another thread when
 * everybody who could look at it knows that the one before is done; so there are about as many
 * seats as threads were alive at once.
 *
 * Cells. Each live cell has a place in a table. It is given to another cell when it is known to
 * whoever allocates that one that the free is done; so the threads need not agree on it.
 *
 * When the threads run in parallel, two kinds of entry keep them together. PLAY_WAIT stands before
 * an operation on a cell that another thread had before. PLAY_PACE stands wherever a thread would
 * get too far ahead of the slowest: see prepare.c. When they run one after the other, PLAY_TURN
 * hands over to the thread that comes next in the recording.
 */
#ifndef DUET_PLAY_FILE_H
#define DUET_PLAY_FILE_H

#include <stdint.h>

#define PLAY_MAGIC UINT64_C(0x3279616c70746475) /* "udtplay2" */

/* The position of a seat that nobody will have any more. */
#define PLAY_NEVER UINT32_MAX

struct play_head {
    uint64_t magic;
    uint64_t file_bytes;
    uint64_t entries;
    uint64_t peak_live_bytes; /* as recorded */
    uint64_t end_live_bytes;  /* likewise: of what is never freed */
    uint32_t threads;
    uint32_t seats;
    uint32_t cells;  /* places in the table */
    uint32_t serial; /* 1: the threads run one after the other */
};

struct play_thread {
    uint64_t entries; /* how many it has; never 0 */
    uint32_t seat;
    uint32_t first; /* the order of its first operation */
    uint32_t after; /* the seat's position once it has ended: the next one's first, or PLAY_NEVER */
    uint32_t unused;
};

enum play_kind {
    PLAY_MALLOC,
    PLAY_CALLOC,
    PLAY_ALIGNED,
    PLAY_REALLOC,
    PLAY_FREE,
    PLAY_START, /* start the thread `cell` */
    PLAY_WAIT,  /* until the position of the seat `cell` is at least `size` */
    PLAY_PACE,  /* until those of all seats are at least `size` */
    PLAY_TURN,  /* let the thread `cell` go on, and wait for one's own turn */
    PLAY_KINDS
};

/* 16 bytes, so that reading them costs a cache line for four operations. */
struct play_entry {
    uint64_t what; /* see play_what */
    uint32_t cell; /* a place in the table */
    uint32_t order;
};

#define PLAY_KIND_BITS 4
#define PLAY_ALIGN_BITS 6
#define PLAY_SIZE_SHIFT (PLAY_KIND_BITS + PLAY_ALIGN_BITS)

/* The size is as asked for; of a free, as it was. */
static inline uint64_t play_what(enum play_kind kind, unsigned align_log2, uint64_t size)
{
    return (uint64_t)kind | (uint64_t)align_log2 << PLAY_KIND_BITS | size << PLAY_SIZE_SHIFT;
}

static inline unsigned play_kind_of(uint64_t what)
{
    return what & ((1u << PLAY_KIND_BITS) - 1);
}

static inline unsigned play_align_of(uint64_t what)
{
    return what >> PLAY_KIND_BITS & ((1u << PLAY_ALIGN_BITS) - 1);
}

static inline uint64_t play_size_of(uint64_t what)
{
    return what >> PLAY_SIZE_SHIFT;
}

_Static_assert(sizeof(struct play_entry) == 16, "an entry has no gaps");
_Static_assert(sizeof(struct play_thread) == 24, "nor has a thread");

#endif
