/* The packed file is held in memory, and unpacked through a window; of the content no more than a
 * block is there at a time. So the memory it takes is that of the file, of a block, and of the live
 * cells; what the head claims gets nothing. But live cells may be many: a small file can unpack to
 * billions of allocations, and their memory then runs out, with a message. */
#include "trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/say.h"

enum column_kind { COLUMN_KINDS, COLUMN_THREADS, COLUMN_SIZES, COLUMN_CELLS, COLUMN_COUNT };

#define WINDOW_BYTES ((size_t)64 * 1024)

/* Bytes of the longest number, and so of an operation's part in a column. */
#define NUMBER_MOST 10

/* A file is read in pieces that double from here. */
#define PIECE_FIRST ((size_t)64 * 1024)

/* ---- Messages ------------------------------------------------------------------------------- */

static bool say_damaged(const struct trace_reader *reader, const char *what)
{
    say("%s is damaged: %s", reader->name, what);
    return false;
}

static bool say_no_memory(const struct trace_reader *reader)
{
    say("not enough memory to read %s", reader->name);
    return false;
}

/* ---- The file ------------------------------------------------------------------------------- */

/* Reads up to `length` bytes; fewer: the file has ended there. -1: an error. */
static ssize_t read_up_to(int fd, void *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t got = read(fd, (char *)bytes + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static bool say_unreadable(const struct trace_reader *reader)
{
    say("cannot read %s: %s", reader->name, strerror(errno));
    return false;
}

/* Reads what follows the head. The head's word for how much that is decides no more than where to
 * stop. */
static bool read_packed(struct trace_reader *reader, int fd)
{
    uint64_t wanted = reader->head.packed_bytes;
    size_t capacity = 0;
    size_t length = 0;

    for (size_t piece = PIECE_FIRST; length < wanted; piece *= 2) {
        size_t more = wanted - length < piece ? (size_t)(wanted - length) : piece;
        unsigned char *larger = realloc(reader->packed, capacity + more);
        if (larger == NULL)
            return say_no_memory(reader);
        reader->packed = larger;
        capacity += more;
        ssize_t got = read_up_to(fd, reader->packed + length, more);
        if (got < 0)
            return say_unreadable(reader);
        length += (size_t)got;
        if ((size_t)got < more) {
            say("%s is cut short: %zu bytes are there of %" PRIu64, reader->name,
                TRACE_HEAD_BYTES + length, TRACE_HEAD_BYTES + wanted);
            return false;
        }
    }
    char beyond;
    ssize_t got = read_up_to(fd, &beyond, 1);
    if (got < 0)
        return say_unreadable(reader);
    return got == 0 || say_damaged(reader, "something follows its end");
}

static bool say_no_trace(const struct trace_reader *reader)
{
    say("%s is no trace of duet's", reader->name);
    return false;
}

/* The file is shorter than a head. */
static bool say_no_head(const struct trace_reader *reader, const unsigned char *bytes,
                        size_t length)
{
    size_t compared = length < strlen(TRACE_MAGIC) ? length : strlen(TRACE_MAGIC);

    if (length == 0)
        say("%s is empty", reader->name);
    else if (memcmp(bytes, TRACE_MAGIC, compared) != 0)
        return say_no_trace(reader);
    else
        say("%s is cut short: only %zu bytes are there", reader->name, length);
    return false;
}

static bool read_file(struct trace_reader *reader, int fd)
{
    unsigned char bytes[TRACE_HEAD_BYTES];
    uint64_t checksum = 0;
    ssize_t got = read_up_to(fd, bytes, sizeof bytes);

    if (got < 0)
        return say_unreadable(reader);
    if ((size_t)got < sizeof bytes)
        return say_no_head(reader, bytes, (size_t)got);
    switch (head_decode(&reader->head, &checksum, bytes)) {
    case HEAD_NO_TRACE:
        return say_no_trace(reader);
    case HEAD_OTHER_VERSION:
        say("%s has another version of the format than the one that is known here, %d",
            reader->name, TRACE_VERSION);
        return false;
    case HEAD_FINE:
        break;
    }
    if (!read_packed(reader, fd))
        return false;
    return head_checksum(bytes, reader->packed, reader->head.packed_bytes) == checksum ||
           say_damaged(reader, "its checksum is another");
}

bool reader_open(struct trace_reader *reader, const char *file)
{
    *reader = (struct trace_reader){.name = file};
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return say_unreadable(reader);
    bool opened = read_file(reader, fd);
    close(fd);
    if (opened) {
        reader->unpacker = ZSTD_createDCtx();
        reader->window = malloc(WINDOW_BYTES);
        if (reader->unpacker == NULL || reader->window == NULL)
            opened = say_no_memory(reader);
    }
    if (!opened)
        reader_close(reader);
    return opened;
}

bool reader_rewind(struct trace_reader *reader)
{
    struct trace_reader fresh = {
        .name = reader->name,
        .head = reader->head,
        .packed = reader->packed,
        .unpacker = ZSTD_createDCtx(),
        .window = malloc(WINDOW_BYTES),
    };

    reader->packed = NULL;
    reader_close(reader);
    *reader = fresh;
    return (fresh.unpacker != NULL && fresh.window != NULL) || say_no_memory(reader);
}

void reader_close(struct trace_reader *reader)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        free(reader->columns[i].start);
    free(reader->packed);
    free(reader->window);
    free(reader->free_ids);
    live_free(&reader->live);
    ZSTD_freeDCtx(reader->unpacker);
    *reader = (struct trace_reader){.name = reader->name};
}

/* ---- The content ---------------------------------------------------------------------------- */

/* Unpacks the next window. False: there is none, and said why. */
static bool fill_window(struct trace_reader *reader)
{
    ZSTD_inBuffer in = {
        .src = reader->packed, .size = reader->head.packed_bytes, .pos = reader->packed_read};
    ZSTD_outBuffer out = {.dst = reader->window, .size = WINDOW_BYTES};

    while (out.pos == 0) {
        if (reader->frame_ended)
            return say_damaged(reader, "its content ends too soon");
        size_t before = in.pos;
        size_t left = ZSTD_decompressStream(reader->unpacker, &out, &in);
        if (ZSTD_isError(left)) {
            say("%s is damaged: it cannot be unpacked: %s", reader->name, ZSTD_getErrorName(left));
            return false;
        }
        reader->frame_ended = left == 0;
        if (out.pos == 0 && in.pos == before && !reader->frame_ended)
            return say_damaged(reader, "its content ends too soon");
    }
    reader->packed_read = in.pos;
    reader->window_read = 0;
    reader->window_length = out.pos;
    reader->content_read += out.pos;
    return true;
}

static bool read_content(struct trace_reader *reader, unsigned char *bytes, size_t length)
{
    while (length > 0) {
        if (reader->window_read == reader->window_length && !fill_window(reader))
            return false;
        size_t there = reader->window_length - reader->window_read;
        size_t taken = there < length ? there : length;
        memcpy(bytes, reader->window + reader->window_read, taken);
        reader->window_read += taken;
        bytes += taken;
        length -= taken;
    }
    return true;
}

/* A number byte by byte. */
static bool read_number(struct trace_reader *reader, uint64_t *number)
{
    unsigned char byte = 0x80;

    *number = 0;
    for (unsigned i = 0; (byte & 0x80) != 0; i++) {
        if (i == NUMBER_MOST)
            return say_damaged(reader, "a number has no end");
        if (!read_content(reader, &byte, 1))
            return false;
        *number |= (uint64_t)(byte & 0x7f) << (7 * i);
    }
    return true;
}

/* ---- Blocks --------------------------------------------------------------------------------- */

static bool read_column(struct trace_reader *reader, struct column *column, uint64_t count)
{
    uint64_t length;

    if (!read_number(reader, &length))
        return false;
    if (length > count * NUMBER_MOST)
        return say_damaged(reader, "a column is too long for its block");
    if (length > column->capacity) {
        unsigned char *larger = realloc(column->start, length);
        if (larger == NULL)
            return say_no_memory(reader);
        column->start = larger;
        column->capacity = length;
    }
    column->length = length;
    column->read = 0;
    return read_content(reader, column->start, length);
}

/* Reads the next block, perhaps the last one, of no operations. */
static bool read_block(struct trace_reader *reader)
{
    uint64_t count;

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (reader->columns[i].read != reader->columns[i].length)
            return say_damaged(reader, "a column has more than its block");
    }
    if (!read_number(reader, &count))
        return false;
    if (count > TRACE_BLOCK_MOST)
        return say_damaged(reader, "a block is too long");
    for (size_t i = 0; count != 0 && i < COLUMN_COUNT; i++) {
        if (!read_column(reader, &reader->columns[i], count))
            return false;
    }
    if (reader->columns[COLUMN_KINDS].length != count && count != 0)
        return say_damaged(reader, "a block has not a kind for each operation");
    reader->block_left = (uint32_t)count;
    return true;
}

static bool take_number(struct trace_reader *reader, enum column_kind which, uint64_t *number)
{
    struct column *column = &reader->columns[which];
    unsigned char byte = 0x80;

    *number = 0;
    for (unsigned i = 0; (byte & 0x80) != 0; i++) {
        if (column->read == column->length || i == NUMBER_MOST)
            return say_damaged(reader, "a column ends within a number");
        byte = column->start[column->read++];
        *number |= (uint64_t)(byte & 0x7f) << (7 * i);
    }
    return true;
}

/* ---- Cells ---------------------------------------------------------------------------------- */

static bool keep_id(struct trace_reader *reader, uint32_t id)
{
    if (reader->free_count == reader->free_capacity) {
        const size_t first = 1024;
        size_t capacity = reader->free_capacity != 0 ? 2 * reader->free_capacity : first;
        uint32_t *larger = realloc(reader->free_ids, capacity * sizeof *larger);
        if (larger == NULL)
            return say_no_memory(reader);
        reader->free_ids = larger;
        reader->free_capacity = capacity;
    }
    reader->free_ids[reader->free_count++] = id;
    return true;
}

static bool begin_cell(struct trace_reader *reader, struct operation *operation)
{
    struct live_cell *cell = live_add(&reader->live, reader->totals.allocations + 1);

    if (cell == NULL)
        return say_no_memory(reader);
    cell->id = reader->free_count > 0 ? reader->free_ids[--reader->free_count] : reader->ids++;
    cell->size = operation->size;
    operation->cell = cell->id;
    operation->old_size = 0;
    return true;
}

/* Finds the cell of a free or a realloc, and ends or changes it. */
static bool use_cell(struct trace_reader *reader, struct operation *operation)
{
    uint64_t folded;

    if (!take_number(reader, COLUMN_CELLS, &folded))
        return false;
    reader->last_number += folded >> 1 ^ ((folded & 1) != 0 ? UINT64_MAX : 0);
    struct live_cell *cell = NULL;
    if (reader->last_number < reader->totals.allocations)
        cell = live_find(&reader->live, reader->last_number + 1);
    if (cell == NULL)
        return say_damaged(reader, operation->kind == OPERATION_FREE
                                       ? "a cell is freed that is not live"
                                       : "a cell is reallocated that is not live");
    operation->cell = cell->id;
    operation->old_size = cell->size;
    if (operation->kind == OPERATION_REALLOC) {
        cell->size = operation->size;
        return true;
    }
    live_remove(&reader->live, cell);
    return keep_id(reader, operation->cell);
}

/* ---- Operations ----------------------------------------------------------------------------- */

static bool take_kind(struct trace_reader *reader, struct operation *operation)
{
    struct column *kinds = &reader->columns[COLUMN_KINDS];
    unsigned byte = kinds->start[kinds->read++];
    unsigned kind = byte & ((1u << TRACE_KIND_BITS) - 1);

    operation->align_log2 = byte >> TRACE_KIND_BITS;
    if (kind >= OPERATION_KINDS)
        return say_damaged(reader, "an operation is of no known kind");
    operation->kind = (enum operation_kind)kind;
    if (operation->align_log2 != 0 && operation->kind != OPERATION_ALIGNED)
        return say_damaged(reader, "an operation has an alignment that should have none");
    return true;
}

static bool take_thread(struct trace_reader *reader, struct operation *operation)
{
    uint64_t thread;

    if (!take_number(reader, COLUMN_THREADS, &thread))
        return false;
    if (thread > reader->totals.threads)
        return say_damaged(reader, "a thread is not the next one");
    operation->thread = (uint32_t)thread;
    return true;
}

static bool take_operation(struct trace_reader *reader, struct operation *operation)
{
    operation->size = 0;
    if (reader->totals.operations >= TRACE_OPERATIONS_MOST)
        return say_damaged(reader, "it has too many operations");
    if (!take_kind(reader, operation) || !take_thread(reader, operation))
        return false;
    if (operation->kind != OPERATION_FREE) {
        if (!take_number(reader, COLUMN_SIZES, &operation->size))
            return false;
        if (operation->size > TRACE_SIZE_MOST)
            return say_damaged(reader, "a size is beyond all memory");
        if (operation->size == 0 && operation->kind == OPERATION_REALLOC)
            return say_damaged(reader, "a cell is reallocated to nothing");
    }
    bool is_new = operation->kind != OPERATION_FREE && operation->kind != OPERATION_REALLOC;
    if (!is_new && reader->totals.operations < reader->head.facts.inherited)
        return say_damaged(reader, "what it inherited does not come first");
    if (!(is_new ? begin_cell(reader, operation) : use_cell(reader, operation)))
        return false;
    return totals_add(&reader->totals, operation) ||
           say_damaged(reader, "its sizes are beyond any sum");
}

/* All operations have been read: now the head can be judged, and the end of the packed content. */
static bool check_end(struct trace_reader *reader)
{
    unsigned char beyond;
    ZSTD_inBuffer in = {
        .src = reader->packed, .size = reader->head.packed_bytes, .pos = reader->packed_read};
    ZSTD_outBuffer out = {.dst = &beyond, .size = 1};
    const struct trace_facts *facts = &reader->head.facts;

    if (reader->window_read != reader->window_length)
        return say_damaged(reader, "its content goes on behind its end");
    if (!reader->frame_ended) {
        size_t left = ZSTD_decompressStream(reader->unpacker, &out, &in);
        if (ZSTD_isError(left) || left != 0 || out.pos != 0)
            return say_damaged(reader, "its content goes on behind its end");
    }
    if (in.pos != in.size)
        return say_damaged(reader, "something follows its content");
    if (reader->content_read != reader->head.content_bytes ||
        memcmp(&reader->totals, &reader->head.totals, sizeof reader->totals) != 0 ||
        facts->inherited > reader->totals.allocations || facts->cut > 1)
        return say_damaged(reader, "it does not have what its head says");
    return true;
}

enum read_result reader_next(struct trace_reader *reader, struct operation *operation)
{
    if (reader->block_left == 0) {
        if (!read_block(reader))
            return READ_BROKEN;
        if (reader->block_left == 0)
            return check_end(reader) ? READ_END : READ_BROKEN;
    }
    reader->block_left--;
    return take_operation(reader, operation) ? READ_OPERATION : READ_BROKEN;
}
