/*
 * The file of a trace: all allocations of one process, with their threads, in the recorded order.
 * It says nothing of the allocator that the program ran on when it was recorded.
 *
 * A file is a head of TRACE_HEAD_BYTES and the packed content.
 *
 *     offset 0    8 bytes   the magic, "duettrc\n"
 *            8    8         the version of the format
 *           16    8         a checksum of all other bytes, see trace_checksum
 *           24    8         bytes of the packed content; the file ends with it
 *           32    8         bytes of the content
 *           40    ...       what the content adds up to: the fields of struct trace_totals, and
 *                           those of struct trace_facts, in their order, 8 bytes each
 *          192    64        the program's name, filled up with zeros
 *
 * Numbers are little-endian. The content is packed as one frame of Zstandard. It is a sequence of
 * blocks of up to TRACE_BLOCK_MOST operations, and ends with a block of none. A block is the number
 * of its operations, then four columns, each as the number of its bytes and the bytes:
 *
 *     kinds     of each operation a byte: enum operation_kind, and in the high bits, where it is
 *               OPERATION_ALIGNED, the alignment as a power of two
 *     threads   of each operation its thread; they are numbered by their first operations, from 0
 *     sizes     of each allocation and realloc the size that was asked for
 *     cells     of each free and realloc which cell it is: allocations are numbered from 0, and
 *               what stands here is the difference to the number in the free or realloc before
 *
 * All numbers in a block are of 7 bits a byte, the lowest first, with the eighth bit set in all
 * bytes but the last. Those of `cells`, which can be below 0, are doubled, and those below 0
 * negated and made odd.
 *
 * A realloc keeps its cell's number, and its size is not 0: what frees is a free. The live bytes
 * are of the sizes asked for: how much more the program could have used depends on the allocator,
 * and is not recorded.
 */
#ifndef DUET_TOOL_TRACE_FORMAT_H
#define DUET_TOOL_TRACE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "duettrc\n"
#define TRACE_VERSION 1

#define TRACE_HEAD_BYTES 256
#define TRACE_NAME_BYTES 64
#define TRACE_NAME_OFFSET (TRACE_HEAD_BYTES - TRACE_NAME_BYTES)
#define TRACE_CHECKSUM_OFFSET 16

/* Small enough to sit in a cache, large enough that the columns pack well. */
#define TRACE_BLOCK_MOST 65536u

/* More than any address space has, and few enough bits that the player can pack it with others. */
#define TRACE_SIZE_MOST (((uint64_t)1 << 54) - 1)

#define TRACE_OPERATIONS_MOST ((uint64_t)UINT32_MAX)
#define TRACE_ALIGN_LOG2_MOST 31

enum operation_kind {
    OPERATION_MALLOC,
    OPERATION_CALLOC,
    OPERATION_ALIGNED,
    OPERATION_REALLOC,
    OPERATION_FREE,
    OPERATION_KINDS
};

/* In the byte of the column `kinds`, the bits below these. */
#define TRACE_KIND_BITS 3

struct operation {
    enum operation_kind kind;
    unsigned align_log2; /* of OPERATION_ALIGNED */
    uint32_t thread;
    uint32_t cell;     /* numbered from 0; the number of a cell that was freed is used again */
    uint64_t size;     /* as asked for, now; 0 for a free */
    uint64_t old_size; /* of a free or realloc: as asked for when the cell got its size */
};

/* What operations add up to. */
struct trace_totals {
    uint64_t operations;
    uint64_t allocations; /* without reallocs */
    uint64_t reallocs;
    uint64_t frees;
    uint64_t threads;
    uint64_t cells_most;      /* live at once */
    uint64_t allocated_bytes; /* asked for in all, by reallocs that grew what they added */
    uint64_t peak_live_bytes;
    uint64_t peak_operation; /* the number of the one that made the peak, from 0 */
    uint64_t end_cells;      /* never freed */
    uint64_t end_live_bytes;
};
#define TRACE_TOTALS 11

/* What else is known of the recording. */
struct trace_facts {
    uint64_t inherited; /* how many of the allocations, the first ones, stand for what a child of
                           fork found live */
    uint64_t failed; /* allocations and reallocs for which there was no memory; not in the trace */
    uint64_t left_out; /* frees and reallocs of cells that were never seen, likewise */
    uint64_t cut;      /* 1: the recording ended before the program */
};
#define TRACE_FACTS 4

struct trace_head {
    uint64_t packed_bytes;
    uint64_t content_bytes;
    struct trace_totals totals;
    struct trace_facts facts;
    char program[TRACE_NAME_BYTES]; /* ends with a NUL */
};

_Static_assert(sizeof(struct trace_totals) == TRACE_TOTALS * 8, "totals are all of 8 bytes");
_Static_assert(sizeof(struct trace_facts) == TRACE_FACTS * 8, "and so are facts");
_Static_assert((5 + TRACE_TOTALS + TRACE_FACTS) * 8 <= TRACE_NAME_OFFSET, "the head holds them");

/* Adds an operation; false: the sums do not fit their numbers any more. */
bool totals_add(struct trace_totals *totals, const struct operation *operation);

/* FNV-1a of 64 bits, of the head but for the checksum's own bytes, and then of the content. */
#define TRACE_CHECKSUM_START UINT64_C(0xcbf29ce484222325)
uint64_t trace_checksum(uint64_t checksum, const void *bytes, size_t length);

/* The head as it stands in the file, with its checksum for this packed content. */
void head_encode(const struct trace_head *head, const void *packed,
                 unsigned char bytes[TRACE_HEAD_BYTES]);

enum head_verdict { HEAD_FINE, HEAD_NO_TRACE, HEAD_OTHER_VERSION };

/* Reads the head; `*checksum` is what the file says. */
enum head_verdict head_decode(struct trace_head *head, uint64_t *checksum,
                              const unsigned char bytes[TRACE_HEAD_BYTES]);

/* The checksum of a head and its packed content. */
uint64_t head_checksum(const unsigned char bytes[TRACE_HEAD_BYTES], const void *packed,
                       uint64_t packed_bytes);

#endif
