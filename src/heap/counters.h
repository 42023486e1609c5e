/*
 * The counters of one process, as they lie in memory that a launcher shares with it.
 *
 * Counting is a flavour of the library (src/heap/count/on), never a branch in the plain one. The
 * counters are sharded by thread so that counting needs no atomic read-modify-write: a thread
 * owns a shard, and adds to it with plain stores that any reader may watch. Shard 0 belongs to
 * nobody: threads that found no free shard, and those past their cleanup, add to it atomically.
 *
 * Rows. The first `small_rows` rows are the engine's size classes; all cells of a row have
 * `row_bytes[row]` bytes. The rows from COUNT_SMALL_ROWS on are blocks with a mapping of their
 * own, by the power of two that holds them: row COUNT_SMALL_ROWS + k has those of more than
 * 2^(k-1) and at most 2^k pages of 4 KiB; their bytes are summed apart, since they differ.
 *
 * Live bytes. Every COUNT_WINDOW operations, and at each large block, a shard's owner looks at what
 * the shard has live, adds the change to the process's `live_bytes` and raises the peak. What a
 * shard had live in a window, between two looks, exceeds neither what it had at the start by more
 * than was allocated in it, nor what it had at the end by more than was freed: so it exceeds the
 * larger of the two by at most the smaller of these. `live_peak_bound` is the most that this makes
 * possible, and the peak of a process with one shard in use lies between `live_peak_bytes` and it.
 * With more shards, of which the others are in the middle of their windows, the peak is off by at
 * most the sum of their `window_allocated`. Sums over the rows are exact once the process is at
 * rest.
 */
#ifndef DUET_HEAP_COUNTERS_H
#define DUET_HEAP_COUNTERS_H

#include <stdint.h>

#define COUNT_SMALL_ROWS 80
#define COUNT_LARGE_ROWS 36 /* up to 2^35 pages: all of a 47-bit address space */
#define COUNT_ROWS (COUNT_SMALL_ROWS + COUNT_LARGE_ROWS)
#define COUNT_SHARDS 256
#define COUNT_WINDOW 64

struct count_shard {
    uint32_t owned; /* 0: free to be taken. Shard 0 is never taken. */
    uint32_t unused;
    int64_t until_look;        /* operations */
    int64_t looked_live;       /* bytes live here when it was looked last */
    uint64_t looked_allocated; /* bytes ever allocated in small rows, then */
    int64_t large_live;        /* bytes live in large rows */
    uint64_t window_allocated; /* the most bytes allocated in small rows in one window */
    uint64_t reallocs;         /* calls of the realloc family on an existing block */
    uint64_t reallocs_moved;   /* of these, how many ended in another block */
    uint64_t renewed;          /* cells counted as freed and allocated that are old ones, of another
                                length or in another place */
    uint64_t failures;         /* calls that returned NULL for want of memory */
    uint64_t allocated[COUNT_ROWS]; /* cells handed out, also by reallocs that changed rows */
    uint64_t freed[COUNT_ROWS];
    uint64_t large_allocated_bytes[COUNT_LARGE_ROWS];
    uint64_t large_freed_bytes[COUNT_LARGE_ROWS];
};

enum count_state {
    COUNT_UNUSED = 0,
    COUNT_RUNNING = 1, /* or ended without its destructors: killed, _exit, exec */
    COUNT_EXITED = 2,  /* the destructors have run */
};

/* One process image, from the loading of the library to exit or exec. Times are CLOCK_MONOTONIC.
 * A child of fork starts a record of its own, with its parent's live cells as inherited. */
struct count_record {
    uint32_t state; /* enum count_state */
    int32_t pid;
    int32_t parent_pid;
    uint32_t small_rows;
    uint32_t shards_used; /* shards from this number on were never added to */
    uint32_t unused;
    uint64_t start_ns;
    uint64_t end_ns;       /* 0 until COUNT_EXITED */
    uint64_t peak_rss_kib; /* VmHWM when the destructors ran, else 0 */
    char program[64];      /* the name it was started by, without its folder; cut to fit */
    char engine[16];
    uint64_t row_bytes[COUNT_SMALL_ROWS];

    uint64_t held_bytes; /* mapped, touched or not, now and at most */
    uint64_t held_peak_bytes;

    int64_t live_bytes; /* as of the shards' last looks, with what was inherited */
    int64_t live_peak_bytes;
    int64_t live_peak_bound;
    int64_t snapshot_bytes;             /* live_bytes when the rows below were written: within */
    int64_t snapshot_cells[COUNT_ROWS]; /* 2 % of the peak once the peak is above 1 MiB */
    int64_t snapshot_large_bytes[COUNT_LARGE_ROWS];
    int64_t inherited_cells[COUNT_ROWS]; /* what a fork brought along */
    int64_t inherited_large_bytes[COUNT_LARGE_ROWS];

    struct count_shard shards[COUNT_SHARDS];
};

/* The file: a header, then records. The launcher makes it (sparse, COUNT_FILE_BYTES long), fills
 * in the header and names it in COUNT_FILE_ENV; each process takes the next record by an atomic
 * add to `taken`, which may run past COUNT_FILE_RECORDS: those processes were not counted. */
#define COUNT_FILE_ENV "DUET_COUNTERS"
#define COUNT_FILE_MAGIC 0x3174656e756f6344u
#define COUNT_FILE_VERSION 1
#define COUNT_FILE_RECORDS 4096
#define COUNT_FILE_HEADER_BYTES 65536 /* the largest page, so that every record can be mapped */
#define COUNT_RECORD_STRIDE                                                                        \
    ((sizeof(struct count_record) + COUNT_FILE_HEADER_BYTES - 1) / COUNT_FILE_HEADER_BYTES *       \
     COUNT_FILE_HEADER_BYTES)
#define COUNT_FILE_BYTES                                                                           \
    (COUNT_FILE_HEADER_BYTES + (uint64_t)COUNT_FILE_RECORDS * COUNT_RECORD_STRIDE)

struct count_file_header {
    uint64_t magic;
    uint32_t version;
    uint32_t record_stride;
    uint32_t taken;
    uint32_t unused;
};

#endif
