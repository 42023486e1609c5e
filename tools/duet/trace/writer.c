/* A block is filled column by column and packed when it is full. What is packed stays in memory
 * until the end, since the head, which comes first in the file, has the sums of all. */
#include "trace/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/say.h"

enum column { COLUMN_KINDS, COLUMN_THREADS, COLUMN_SIZES, COLUMN_CELLS, COLUMN_COUNT };

_Static_assert(COLUMN_COUNT ==
                   sizeof(((struct trace_writer *)NULL)->columns) / sizeof(struct bytes),
               "a buffer for each column");

/* The best that can be had takes a second for a million operations; it is not worth minutes. It
 * also takes 90 MiB of memory, where the other takes 17. */
#define LEVEL_TIGHT 19
#define LEVEL_FAST 9
#define OPERATIONS_TIGHT_MOST ((uint64_t)8 * 1000 * 1000)

/* Bytes of the longest number. */
#define NUMBER_MOST 10

/* ---- Memory --------------------------------------------------------------------------------- */

/* Makes room for so many bytes more. */
static bool reserve(struct bytes *bytes, size_t more)
{
    const size_t first = 4096;

    if (bytes->capacity - bytes->length >= more)
        return true;
    size_t capacity = bytes->capacity != 0 ? bytes->capacity : first;
    while (capacity - bytes->length < more)
        capacity *= 2;
    unsigned char *start = realloc(bytes->start, capacity);
    if (start == NULL) {
        say("not enough memory for the trace");
        return false;
    }
    bytes->start = start;
    bytes->capacity = capacity;
    return true;
}

/* There must be room for NUMBER_MOST. */
static void put_number(struct bytes *bytes, uint64_t number)
{
    while (number >= 0x80) {
        bytes->start[bytes->length++] = (unsigned char)(number | 0x80);
        number >>= 7;
    }
    bytes->start[bytes->length++] = (unsigned char)number;
}

static bool add_number(struct bytes *bytes, uint64_t number)
{
    if (!reserve(bytes, NUMBER_MOST))
        return false;
    put_number(bytes, number);
    return true;
}

/* ---- Packing -------------------------------------------------------------------------------- */

static bool set_level(struct trace_writer *writer, int level)
{
    size_t result = ZSTD_CCtx_setParameter(writer->packer, ZSTD_c_compressionLevel, level);

    return !ZSTD_isError(result);
}

/* Packs some of what is there. The first time is when the library takes its memory; where there is
 * too little of it, there may be enough for the lower level. Returns as ZSTD_compressStream2. */
static size_t pack_some(struct trace_writer *writer, ZSTD_inBuffer *in, ZSTD_EndDirective what)
{
    bool is_first = writer->packed.length == 0 && in->pos == 0;
    ZSTD_outBuffer out = {
        .dst = writer->packed.start + writer->packed.length,
        .size = writer->packed.capacity - writer->packed.length,
    };
    size_t left = ZSTD_compressStream2(writer->packer, &out, in, what);

    if (is_first && ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation) {
        ZSTD_CCtx_reset(writer->packer, ZSTD_reset_session_only);
        if (set_level(writer, LEVEL_FAST))
            left = ZSTD_compressStream2(writer->packer, &out, in, what);
    }
    writer->packed.length += out.pos;
    return left;
}

static bool pack(struct trace_writer *writer, const void *content, size_t length,
                 ZSTD_EndDirective what)
{
    ZSTD_inBuffer in = {.src = content, .size = length};
    size_t left;

    writer->head.content_bytes += length;
    do {
        if (!reserve(&writer->packed, ZSTD_CStreamOutSize()))
            return false;
        left = pack_some(writer, &in, what);
        if (ZSTD_isError(left)) {
            say("cannot pack the trace: %s", ZSTD_getErrorName(left));
            return false;
        }
    } while (what == ZSTD_e_continue ? in.pos < in.size : left != 0);
    return true;
}

static bool pack_number(struct trace_writer *writer, uint64_t number)
{
    unsigned char space[NUMBER_MOST];
    struct bytes bytes = {.start = space, .capacity = sizeof space};

    put_number(&bytes, number);
    return pack(writer, bytes.start, bytes.length, ZSTD_e_continue);
}

static bool pack_block(struct trace_writer *writer)
{
    if (!pack_number(writer, writer->block_count))
        return false;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        struct bytes *column = &writer->columns[i];
        if (!pack_number(writer, column->length) ||
            !pack(writer, column->start, column->length, ZSTD_e_continue))
            return false;
        column->length = 0;
    }
    writer->block_count = 0;
    return true;
}

/* ---- The writer ----------------------------------------------------------------------------- */

bool writer_begin(struct trace_writer *writer, const char *program, uint64_t operations)
{
    *writer = (struct trace_writer){.packer = ZSTD_createCCtx()};
    strncpy(writer->head.program, program, sizeof writer->head.program - 1);
    int level = operations <= OPERATIONS_TIGHT_MOST ? LEVEL_TIGHT : LEVEL_FAST;
    if (writer->packer != NULL && set_level(writer, level))
        return true;
    say("not enough memory to pack the trace");
    return false;
}

/* Numbers near 0 on either side become small ones. */
static uint64_t fold(uint64_t difference)
{
    return difference << 1 ^ (difference >> 63 != 0 ? UINT64_MAX : 0);
}

bool writer_add(struct trace_writer *writer, const struct operation *operation, uint64_t number)
{
    struct bytes *columns = writer->columns;
    uint64_t kind = (uint64_t)operation->kind | (uint64_t)operation->align_log2 << TRACE_KIND_BITS;
    bool added = add_number(&columns[COLUMN_THREADS], operation->thread) &&
                 reserve(&columns[COLUMN_KINDS], 1);

    if (added)
        columns[COLUMN_KINDS].start[columns[COLUMN_KINDS].length++] = (unsigned char)kind;
    if (operation->kind != OPERATION_FREE)
        added = added && add_number(&columns[COLUMN_SIZES], operation->size);
    if (operation->kind == OPERATION_FREE || operation->kind == OPERATION_REALLOC) {
        added = added && add_number(&columns[COLUMN_CELLS], fold(number - writer->last_number));
        writer->last_number = number;
    }
    if (added && !totals_add(&writer->head.totals, operation)) {
        say("the sizes in the trace are beyond any sum");
        return false;
    }
    if (added && ++writer->block_count == TRACE_BLOCK_MOST)
        return pack_block(writer);
    return added;
}

static bool write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

bool writer_end(struct trace_writer *writer, const struct trace_facts *facts, int fd,
                const char *name)
{
    unsigned char head[TRACE_HEAD_BYTES];

    if ((writer->block_count != 0 && !pack_block(writer)) || !pack_number(writer, 0) ||
        !pack(writer, NULL, 0, ZSTD_e_end))
        return false;
    writer->head.packed_bytes = writer->packed.length;
    writer->head.facts = *facts;
    head_encode(&writer->head, writer->packed.start, head);
    if (write_all(fd, head, sizeof head) &&
        write_all(fd, writer->packed.start, writer->packed.length))
        return true;
    say("cannot write %s: %s", name, strerror(errno));
    return false;
}

void writer_free(struct trace_writer *writer)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        free(writer->columns[i].start);
    free(writer->packed.start);
    ZSTD_freeCCtx(writer->packer);
    *writer = (struct trace_writer){0};
}
