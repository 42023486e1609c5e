/*
 * What a recorded process writes down, as it lies in a file that it maps: a head, and then records
 * of one size, one for each thing that happened to a cell, in the order in which they were claimed.
 *
 * The claim order is the recorded order. An allocation claims its record once it has its cell, and
 * a free before it gives the cell up; so whoever gets the same address next comes later in the
 * file, whatever thread it is. A realloc has two records: where it begins, from which on the old
 * address may be anybody's, and where it ends.
 *
 * A record whose `what` is 0 was never written, and those behind the last are 0 too: so the file of
 * a process that was killed is as good as any other.
 *
 * Each process image has a file of its own, PID.START in the folder that the environment names;
 * START counts what exec has made of one process. A child of fork has one too, which says where in
 * its parent's file it began: what was live there is live in the child.
 */
#ifndef DUET_TOOL_RAW_H
#define DUET_TOOL_RAW_H

#include <stdatomic.h>
#include <stdint.h>

/* The folder of the files, as an absolute path. */
#define RAW_ENV "DUET_RECORD"

#define RAW_MAGIC UINT64_C(0x3177617274657564) /* "duetraw1" */

/* Records start here: a multiple of every page size that Linux has. */
#define RAW_HEAD_BYTES ((uint64_t)64 * 1024)

/* More would not fit the numbers of a trace, and take 96 GiB. */
#define RAW_RECORDS_MOST ((uint64_t)UINT32_MAX)

enum raw_kind {
    RAW_NOTHING = 0,
    RAW_MALLOC,
    RAW_CALLOC,
    RAW_ALIGNED,
    RAW_FREE,
    RAW_REALLOC_BEGIN, /* `address` is the old one */
    RAW_REALLOC_END,   /* `address` is the new one; 0: it failed, and all is as it was */
    RAW_KINDS
};

struct raw_record {
    uint64_t address;
    uint64_t size;          /* as asked for */
    _Atomic(uint64_t) what; /* see raw_what; written last */
};

/* The kind, the alignment as a power of two, and the number of the thread, all in one word, so that
 * a record is there as a whole or not at all. */
static inline uint64_t raw_what(enum raw_kind kind, unsigned align_log2, uint32_t thread)
{
    return (uint64_t)thread << 32 | (uint64_t)align_log2 << 8 | (uint64_t)kind;
}

static inline unsigned raw_kind_of(uint64_t what)
{
    return what & 0xff;
}

static inline unsigned raw_align_of(uint64_t what)
{
    return what >> 8 & 0xff;
}

static inline uint32_t raw_thread_of(uint64_t what)
{
    return (uint32_t)(what >> 32);
}

struct raw_head {
    _Atomic(uint64_t) magic; /* written last, when the rest stands */
    uint64_t record_bytes;   /* sizeof(struct raw_record) */
    int32_t pid;
    uint32_t start;
    int32_t parent_pid; /* whose child of fork it is; 0: of nobody, it came by exec */
    uint32_t parent_start;
    uint64_t parent_records;  /* of the parent's, those that come before the fork */
    _Atomic(uint64_t) failed; /* allocations for which there was no memory */
    _Atomic(uint32_t) closed; /* nothing more is to be written; the launcher may say so, too */
    int32_t error;            /* the errno that closed it, or 0 */
    char program[64];         /* as it was started, without its folder */
};

_Static_assert(sizeof(struct raw_record) == 24, "a record has no gaps");
_Static_assert(sizeof(struct raw_head) <= RAW_HEAD_BYTES, "the head fits its place");

#endif
