/*
 * Writes a trace (format.h): operations one by one, then the file as a whole.
 */
#ifndef DUET_TOOL_TRACE_WRITER_H
#define DUET_TOOL_TRACE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/format.h"

/* A growing piece of memory. */
struct bytes {
    unsigned char *start;
    size_t length;
    size_t capacity;
};

struct trace_writer {
    struct trace_head head;
    struct bytes columns[4]; /* of the block that is being filled */
    uint32_t block_count;
    uint64_t last_number; /* in the column of cells */
    struct bytes packed;
    void *packer; /* of the library for compression */
};

/* `operations` is about how many there will be: many are packed faster and less tightly. False: no
 * memory, and said so, as for the next one. */
bool writer_begin(struct trace_writer *writer, const char *program, uint64_t operations);

/* Adds an operation, which concerns the cell of the allocation with this number. operation->cell is
 * not looked at. */
bool writer_add(struct trace_writer *writer, const struct operation *operation, uint64_t number);

/* Writes all to the open file, from where it stands. False, after a message that calls the file
 * `name`, if that cannot be done. writer->head is what was written. */
bool writer_end(struct trace_writer *writer, const struct trace_facts *facts, int fd,
                const char *name);

/* Frees what the writer holds; may come at any time after writer_begin. */
void writer_free(struct trace_writer *writer);

#endif
