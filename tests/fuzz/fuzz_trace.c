/*
 * Traces as a fuzz target: the file that duet trace and duet replay are given may come from
 * anybody. What is read is summed up, printed and laid out for the player, as those commands do.
 *
 * The first byte says what the others are: a file as it is; a file whose head gets the checksum and
 * the length that it should have, so that what lies behind them is met; or the content of a file,
 * to be packed under a head that is right, so that operations are met.
 *
 * Beyond what sanitizers find: whatever is refused is refused with one message, and whatever is not
 * with none; the three readings of a file are of one mind; and what is laid out for the player has
 * the operations that were read.
 */
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "common/say.h"
#include "fuzz.h"
#include "trace/player/play_file.h"
#include "trace/prepare.h"
#include "trace/reader.h"
#include "trace/show.h"

/* Content that is packed: longer inputs tell nothing new. */
#define CONTENT_MOST ((size_t)64 << 10)

enum form { FORM_FILE, FORM_MENDED, FORM_CONTENT, FORMS };

/* Where the length and the checksum stand in the head (format.h). */
#define PACKED_OFFSET 24

static int trace_fd, played_fd;
static char trace_path[64], played_path[64];
static FILE *nowhere;

/* ---- Messages ------------------------------------------------------------------------------- */

/* In the tool's place: what it says is counted, and put together as it would be. */
static unsigned messages;
static char last_message[2048];

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_message, sizeof last_message, format, arguments);
    va_end(arguments);
    messages++;
}

static void judge_messages(bool good, const char *what)
{
    if (messages != (good ? 0u : 1u))
        FINDING("%s %s with %u messages, the last: %s", what, good ? "works" : "refuses", messages,
                messages > 0 ? last_message : "none");
    messages = 0;
}

/* ---- Files ---------------------------------------------------------------------------------- */

static int make_file(const char *name, char path[64])
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        FINDING("no file in memory");
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void write_trace(const void *bytes, size_t length)
{
    if (ftruncate(trace_fd, 0) != 0 || pwrite(trace_fd, bytes, length, 0) != (ssize_t)length)
        FINDING("cannot write a file in memory");
}

/* ---- Forms ---------------------------------------------------------------------------------- */

static void write_mended(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(size > 0 ? size : 1);
    if (file == NULL)
        FINDING("no memory");
    memcpy(file, data, size);
    if (size >= TRACE_HEAD_BYTES) {
        uint64_t packed = size - TRACE_HEAD_BYTES;
        memcpy(file, TRACE_MAGIC, strlen(TRACE_MAGIC));
        memcpy(file + PACKED_OFFSET, &packed, sizeof packed); /* the machine is little-endian */
        uint64_t checksum = head_checksum(file, file + TRACE_HEAD_BYTES, packed);
        memcpy(file + TRACE_CHECKSUM_OFFSET, &checksum, sizeof checksum);
    }
    write_trace(file, size);
    free(file);
}

static void write_packed(const struct trace_head *head, const uint8_t *packed)
{
    uint8_t *file = malloc(TRACE_HEAD_BYTES + head->packed_bytes);
    if (file == NULL)
        FINDING("no memory");
    head_encode(head, packed, file);
    memcpy(file + TRACE_HEAD_BYTES, packed, head->packed_bytes);
    write_trace(file, TRACE_HEAD_BYTES + head->packed_bytes);
    free(file);
}

/* What operations add up to, as far as they can be read. */
static struct trace_totals read_totals(void)
{
    struct trace_reader reader;
    struct operation operation;
    struct trace_totals totals = {0};
    if (reader_open(&reader, trace_path)) {
        while (reader_next(&reader, &operation) == READ_OPERATION)
            continue;
        totals = reader.totals;
        reader_close(&reader);
    }
    messages = 0;
    return totals;
}

/* Two bytes are what the head says beyond the content, all others the content. */
static void write_content(const uint8_t *data, size_t size)
{
    struct trace_head head = {.program = "fuzz"};
    if (size >= 2) {
        head.facts = (struct trace_facts){.inherited = data[0],
                                          .failed = data[1] >> 4,
                                          .left_out = data[1] & 7,
                                          .cut = data[1] & 1};
        data += 2;
        size -= 2;
    }
    size = size < CONTENT_MOST ? size : CONTENT_MOST;
    size_t bound = ZSTD_compressBound(size);
    uint8_t *packed = malloc(bound);
    if (packed == NULL)
        FINDING("no memory");
    head.packed_bytes = ZSTD_compress(packed, bound, data, size, 1);
    head.content_bytes = size;
    if (ZSTD_isError(head.packed_bytes))
        FINDING("cannot pack");
    write_packed(&head, packed);
    head.totals = read_totals();
    write_packed(&head, packed);
    free(packed);
}

/* ---- The readings --------------------------------------------------------------------------- */

static bool sum_up(struct trace_head *head)
{
    static struct trace_summary summary;
    bool good = summary_read(&summary, trace_path);
    judge_messages(good, "the summary");
    if (good) {
        summary_print(nowhere, &summary, false);
        summary_print(nowhere, &summary, true);
        if (!summary_write_json(nowhere, &summary))
            FINDING("the summary cannot be written as JSON");
        *head = summary.head;
    }
    return good;
}

/* Counts the operations in the player's file, and looks whether its numbers lead anywhere. */
static void judge_entries(const struct play_head *head, const struct play_entry *entries,
                          uint64_t kinds[PLAY_KINDS])
{
    for (uint64_t i = 0; i < head->entries; i++) {
        unsigned kind = play_kind_of(entries[i].what);
        if (kind >= PLAY_KINDS)
            FINDING("entry %zu of the player's file is of kind %u", (size_t)i, kind);
        uint64_t limit = head->cells;
        if (kind == PLAY_START || kind == PLAY_TURN)
            limit = head->threads;
        else if (kind == PLAY_WAIT)
            limit = head->seats;
        if (entries[i].cell >= limit && kind != PLAY_PACE)
            FINDING("entry %zu of the player's file, of kind %u, leads to %u of %zu", (size_t)i,
                    kind, (unsigned)entries[i].cell, (size_t)limit);
        kinds[kind]++;
    }
}

static void judge_played(const struct trace_head *trace)
{
    struct stat status;
    uint64_t kinds[PLAY_KINDS] = {0};
    if (fstat(played_fd, &status) != 0)
        FINDING("the player's file has no length");
    size_t bytes = (size_t)status.st_size;
    const struct play_head *head = mmap(NULL, bytes, PROT_READ, MAP_SHARED, played_fd, 0);
    if (head == MAP_FAILED)
        FINDING("the player's file cannot be mapped");
    const struct play_thread *threads = (const struct play_thread *)(head + 1);
    if (bytes < sizeof *head || head->file_bytes != bytes ||
        head->threads != trace->totals.threads ||
        sizeof *head + head->threads * sizeof *threads +
                head->entries * sizeof(struct play_entry) !=
            bytes)
        FINDING("the player's file of %zu bytes has another length than its head says", bytes);
    judge_entries(head, (const struct play_entry *)(threads + head->threads), kinds);
    const struct trace_totals *totals = &trace->totals;
    if (kinds[PLAY_FREE] != totals->frees || kinds[PLAY_REALLOC] != totals->reallocs ||
        kinds[PLAY_MALLOC] + kinds[PLAY_CALLOC] + kinds[PLAY_ALIGNED] != totals->allocations)
        FINDING("the player's file has other operations than the trace");
    munmap((void *)head, bytes);
}

static void lay_out(enum play_mode mode, bool is_good)
{
    struct trace_head head;
    bool good = trace_prepare(trace_path, played_path, mode, &head);
    judge_messages(good, "the preparation");
    if (good != is_good)
        FINDING("the summary %s what the preparation %s", is_good ? "reads" : "refuses",
                good ? "reads" : "refuses");
    if (good)
        judge_played(&head);
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void begin(void)
{
    if (nowhere != NULL)
        return;
    setlocale(LC_CTYPE, "C.UTF-8");
    trace_fd = make_file("trace", trace_path);
    played_fd = make_file("played", played_path);
    nowhere = fopen("/dev/null", "we");
    if (nowhere == NULL)
        FINDING("cannot open /dev/null");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin();
    if (size == 0)
        return 0;
    enum form form = (enum form)(data[0] % FORMS);
    data++;
    size--;
    if (form == FORM_FILE)
        write_trace(data, size);
    else if (form == FORM_MENDED)
        write_mended(data, size);
    else
        write_content(data, size);
    struct trace_head head;
    bool good = sum_up(&head);
    lay_out(PLAY_PARALLEL, good);
    lay_out(PLAY_SERIAL, good);
    return 0;
}
