/*
 * Reads a trace (format.h), operation by operation. Nothing in the file is believed: whatever does
 * not add up ends in one message, and no operation is handed out that could not have been.
 */
#ifndef DUET_TOOL_TRACE_READER_H
#define DUET_TOOL_TRACE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/format.h"
#include "trace/live.h"

struct column {
    unsigned char *start;
    size_t length;
    size_t read;
    size_t capacity;
};

struct trace_reader {
    const char *name; /* what messages call the file; the caller's */
    struct trace_head head;
    unsigned char *packed;

    void *unpacker; /* of the library for compression */
    size_t packed_read;
    unsigned char *window; /* unpacked and not looked at yet */
    size_t window_read;
    size_t window_length;
    uint64_t content_read;
    bool frame_ended;

    struct column columns[4]; /* of the block that is being read */
    uint32_t block_left;
    uint64_t last_number;

    struct trace_totals totals; /* of what was read */
    struct live_table live;     /* by the number of the allocation, plus 1 */
    uint32_t *free_ids;         /* of cells that were freed, the last on top */
    size_t free_count;
    size_t free_capacity;
    uint32_t ids; /* that were given so far */
};

/* Opens the file and reads its head. Says why and returns false where it is no trace or damaged. */
bool reader_open(struct trace_reader *reader, const char *file);

enum read_result {
    READ_OPERATION,
    READ_END,    /* all was read, and is as the head says */
    READ_BROKEN, /* and it was said why */
};

enum read_result reader_next(struct trace_reader *reader, struct operation *operation);

/* Goes back to the first operation. False: no memory, and said so. */
bool reader_rewind(struct trace_reader *reader);

void reader_close(struct trace_reader *reader);

#endif
