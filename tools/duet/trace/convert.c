/*
 * The records are played through a table from addresses to live cells. Of a child of fork, the
 * parent's records up to the fork are played first, and its parent's before; what is live then goes
 * into the trace as allocations of the child's first thread, oldest first.
 *
 * Between the two records of a realloc its cell is in limbo: out of the table, since another thread
 * may get its address, and on a stack until the thread that reallocates it is done. In the trace it
 * is one operation, at the end.
 *
 * Nothing is lost in a recording but what a process that was killed was about to write. But a free
 * of what was never seen is left out and counted, and an address that is handed out twice was freed
 * in between.
 */
#include "trace/convert.h"

#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "trace/live.h"
#include "trace/writer.h"

/* Records between two questions whether to stop: some milliseconds. */
#define STOP_INTERVAL 65536

/* Generations of forks that are followed up. */
#define ANCESTORS_MOST 4096

/* A cell whose realloc has begun. */
struct limbo {
    uint32_t thread; /* as in the records */
    bool seen;       /* false: there was no such cell */
    struct live_cell cell;
};

struct converter {
    struct live_table live; /* by address */
    struct limbo *limbo;    /* in the order of beginning */
    size_t limbo_count;
    size_t limbo_capacity;
    uint32_t *threads; /* from the records' numbers to the trace's, plus 1; 0: none yet */
    size_t threads_capacity;
    uint32_t thread_count;
    uint64_t numbers; /* that were given to allocations */
    bool writing;     /* false: what is played belongs to an ancestor */
    struct trace_writer writer;
    struct trace_facts facts;
    bool (*stop)(void);
};

static bool say_no_memory(void)
{
    say("not enough memory to make the trace");
    return false;
}

/* ---- Threads -------------------------------------------------------------------------------- */

/* The trace's number of a thread. */
static bool number_thread(struct converter *converter, uint32_t raw, uint32_t *thread)
{
    if (raw >= converter->threads_capacity) {
        size_t capacity = ((size_t)raw + 1) * 2;
        uint32_t *larger = realloc(converter->threads, capacity * sizeof *larger);
        if (larger == NULL)
            return say_no_memory();
        memset(larger + converter->threads_capacity, 0,
               (capacity - converter->threads_capacity) * sizeof *larger);
        converter->threads = larger;
        converter->threads_capacity = capacity;
    }
    if (converter->threads[raw] == 0)
        converter->threads[raw] = ++converter->thread_count;
    *thread = converter->threads[raw] - 1;
    return true;
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* Adds an operation of the raw thread to the trace, if it belongs there. */
static bool write_operation(struct converter *converter, struct operation operation, uint32_t raw,
                            uint64_t number)
{
    if (!converter->writing)
        return true;
    if (converter->writer.head.totals.operations >= TRACE_OPERATIONS_MOST) {
        converter->facts.cut = 1;
        return true;
    }
    return number_thread(converter, raw, &operation.thread) &&
           writer_add(&converter->writer, &operation, number);
}

static bool write_free(struct converter *converter, const struct live_cell *cell, uint32_t raw)
{
    struct operation operation = {.kind = OPERATION_FREE, .old_size = cell->size};

    return write_operation(converter, operation, raw, cell->number);
}

static bool write_allocation(struct converter *converter, const struct live_cell *cell,
                             uint32_t raw)
{
    struct operation operation = {
        .kind = (enum operation_kind)cell->kind,
        .align_log2 = cell->align_log2,
        .size = cell->size,
    };

    return write_operation(converter, operation, raw, cell->number);
}

/* ---- Records -------------------------------------------------------------------------------- */

/* A new entry for an address that is handed out. */
static struct live_cell *occupy(struct converter *converter, uint64_t address, uint32_t raw)
{
    struct live_cell *before = live_find(&converter->live, address);

    if (before != NULL) { /* its free was lost */
        converter->facts.left_out++;
        if (!write_free(converter, before, raw))
            return NULL;
        live_remove(&converter->live, before);
    }
    struct live_cell *cell = live_add(&converter->live, address);
    if (cell == NULL)
        say_no_memory();
    return cell;
}

static bool begin_cell(struct converter *converter, const struct raw_record *record, uint64_t what,
                       enum operation_kind kind)
{
    uint32_t raw = raw_thread_of(what);
    struct live_cell *cell = occupy(converter, record->address, raw);
    unsigned align_log2 = raw_align_of(what);

    if (cell == NULL)
        return false;
    cell->size = record->size <= TRACE_SIZE_MOST ? record->size : TRACE_SIZE_MOST;
    cell->kind = (uint8_t)kind;
    cell->align_log2 =
        (uint8_t)(align_log2 < TRACE_ALIGN_LOG2_MOST ? align_log2 : TRACE_ALIGN_LOG2_MOST);
    cell->number = converter->numbers++;
    return write_allocation(converter, cell, raw);
}

static bool end_cell(struct converter *converter, const struct raw_record *record, uint64_t what)
{
    struct live_cell *cell = live_find(&converter->live, record->address);

    if (cell == NULL) {
        converter->facts.left_out++;
        return true;
    }
    if (!write_free(converter, cell, raw_thread_of(what)))
        return false;
    live_remove(&converter->live, cell);
    return true;
}

static bool begin_realloc(struct converter *converter, const struct raw_record *record,
                          uint64_t what)
{
    struct live_cell *cell = live_find(&converter->live, record->address);
    struct limbo limbo = {.thread = raw_thread_of(what), .seen = cell != NULL};

    if (converter->limbo_count == converter->limbo_capacity) {
        const size_t first = 16;
        size_t capacity = converter->limbo_capacity != 0 ? 2 * converter->limbo_capacity : first;
        struct limbo *larger = realloc(converter->limbo, capacity * sizeof *larger);
        if (larger == NULL)
            return say_no_memory();
        converter->limbo = larger;
        converter->limbo_capacity = capacity;
    }
    if (cell != NULL) {
        limbo.cell = *cell;
        live_remove(&converter->live, cell);
    }
    converter->limbo[converter->limbo_count++] = limbo;
    return true;
}

/* Takes what the thread began last from the stack: a signal handler that interrupts a realloc ends
 * its own first. */
static bool leave_limbo(struct converter *converter, uint32_t thread, struct limbo *left)
{
    for (size_t i = converter->limbo_count; i-- > 0;) {
        if (converter->limbo[i].thread != thread)
            continue;
        *left = converter->limbo[i];
        converter->limbo_count--;
        memmove(&converter->limbo[i], &converter->limbo[i + 1],
                (converter->limbo_count - i) * sizeof *converter->limbo);
        return true;
    }
    return false;
}

/* Puts a cell from limbo back, under its old address or a new one. */
static struct live_cell *put_back(struct converter *converter, const struct limbo *limbo,
                                  uint64_t address)
{
    struct live_cell *cell = occupy(converter, address, limbo->thread);

    if (cell != NULL) {
        *cell = limbo->cell;
        cell->key = address;
    }
    return cell;
}

static bool end_realloc(struct converter *converter, const struct raw_record *record, uint64_t what)
{
    struct limbo limbo;

    if (!leave_limbo(converter, raw_thread_of(what), &limbo) || !limbo.seen) {
        converter->facts.left_out++;
        return record->address == 0 || begin_cell(converter, record, what, OPERATION_MALLOC);
    }
    if (record->address == 0) /* it failed */
        return put_back(converter, &limbo, limbo.cell.key) != NULL;
    struct live_cell *cell = put_back(converter, &limbo, record->address);
    if (cell == NULL)
        return false;
    struct operation operation = {
        .kind = OPERATION_REALLOC,
        .size = record->size <= TRACE_SIZE_MOST ? record->size : TRACE_SIZE_MOST,
        .old_size = cell->size,
    };
    cell->size = operation.size;
    cell->kind = OPERATION_MALLOC;
    cell->align_log2 = 0;
    return write_operation(converter, operation, limbo.thread, cell->number);
}

static bool play_record(struct converter *converter, const struct raw_record *record, uint64_t what)
{
    switch (raw_kind_of(what)) {
    case RAW_MALLOC:
        return begin_cell(converter, record, what, OPERATION_MALLOC);
    case RAW_CALLOC:
        return begin_cell(converter, record, what, OPERATION_CALLOC);
    case RAW_ALIGNED:
        return begin_cell(converter, record, what, OPERATION_ALIGNED);
    case RAW_FREE:
        return end_cell(converter, record, what);
    case RAW_REALLOC_BEGIN:
        return begin_realloc(converter, record, what);
    case RAW_REALLOC_END:
        return end_realloc(converter, record, what);
    default:
        return true; /* claimed, and never written */
    }
}

static enum converted play_file(struct converter *converter, const struct raw_file *file,
                                uint64_t count)
{
    for (uint64_t i = 0; i < count && i < file->count; i++) {
        const struct raw_record *record = &file->records[i];
        uint64_t what = atomic_load_explicit(&record->what, memory_order_acquire);
        if (i % STOP_INTERVAL == 0 && converter->stop())
            return CONVERT_INTERRUPTED;
        if (!play_record(converter, record, what))
            return CONVERT_FAILED;
    }
    return CONVERTED;
}

/* ---- Ancestors ------------------------------------------------------------------------------ */

static int by_number(const void *left, const void *right)
{
    const struct live_cell *a = left;
    const struct live_cell *b = right;

    return (a->number > b->number) - (a->number < b->number);
}

/* What was half done when the child was forked was not the child's: its cells are as they were. */
static bool empty_limbo(struct converter *converter)
{
    while (converter->limbo_count > 0) {
        const struct limbo *limbo = &converter->limbo[--converter->limbo_count];
        if (limbo->seen && put_back(converter, limbo, limbo->cell.key) == NULL)
            return false;
    }
    return true;
}

/* From here on the child's own. What is live goes ahead, numbered anew, as the raw thread's. */
static bool begin_child(struct converter *converter, uint32_t raw)
{
    size_t count = converter->live.count;
    struct live_cell *inherited = calloc(count + 1, sizeof *inherited);
    size_t found = 0;

    if (inherited == NULL)
        return say_no_memory();
    for (size_t i = 0; i < converter->live.capacity; i++) {
        if (converter->live.places[i].key != 0)
            inherited[found++] = converter->live.places[i];
    }
    qsort(inherited, found, sizeof *inherited, by_number);
    converter->writing = true;
    converter->facts = (struct trace_facts){.inherited = found};
    bool good = true;
    for (size_t i = 0; good && i < found; i++) {
        struct live_cell *cell = live_find(&converter->live, inherited[i].key);
        cell->number = i;
        good = write_allocation(converter, cell, raw);
    }
    converter->numbers = found;
    free(inherited);
    return good;
}

/* The thread of the first record, which is the one that forked. */
static uint32_t first_thread(const struct raw_file *file)
{
    for (uint64_t i = 0; i < file->count; i++) {
        uint64_t what = atomic_load_explicit(&file->records[i].what, memory_order_acquire);
        if (raw_kind_of(what) != RAW_NOTHING)
            return raw_thread_of(what);
    }
    return 0;
}

/* Plays the records of one image, up to the fork of `child`, or all if that is NULL. */
static enum converted play_image(struct converter *converter, const struct images *images,
                                 const struct image *image, const struct image *child)
{
    struct raw_file file;

    if (!raw_open(&file, images, image))
        return CONVERT_FAILED;
    enum converted done = CONVERT_FAILED;
    if (child != NULL || begin_child(converter, first_thread(&file)))
        done = play_file(converter, &file, child != NULL ? child->parent_records : UINT64_MAX);
    if (done == CONVERTED && child != NULL && !empty_limbo(converter))
        done = CONVERT_FAILED;
    raw_close(&file);
    return done;
}

/* The image, its parent, and so on, up to one that came by exec, or whose parent has no file. */
static size_t find_ancestors(const struct images *images, const struct image *image,
                             const struct image *line[ANCESTORS_MOST])
{
    size_t count = 0;

    while (image != NULL && count < ANCESTORS_MOST) {
        line[count++] = image;
        image = image->parent_pid != 0 ? images_find(images, image->parent_pid, image->parent_start)
                                       : NULL;
    }
    return count;
}

/* ---- The whole ------------------------------------------------------------------------------ */

static enum converted play_all(struct converter *converter, const struct images *images,
                               const struct image *image)
{
    const struct image **line = calloc(ANCESTORS_MOST, sizeof(const struct image *));

    if (line == NULL) {
        say_no_memory();
        return CONVERT_FAILED;
    }
    enum converted done = CONVERTED;
    for (size_t i = find_ancestors(images, image, line); done == CONVERTED && i-- > 0;)
        done = play_image(converter, images, line[i], i > 0 ? line[i - 1] : NULL);
    free(line);
    return done;
}

enum converted convert_image(const struct images *images, const struct image *image, int fd,
                             const char *name, bool (*stop)(void), struct trace_head *head)
{
    struct converter converter = {.stop = stop};
    enum converted done = CONVERT_FAILED;

    if (writer_begin(&converter.writer, image->program, image->allocations))
        done = play_all(&converter, images, image);
    converter.facts.failed = image->failed;
    if (image->error != 0)
        converter.facts.cut = 1;
    if (done == CONVERTED && !writer_end(&converter.writer, &converter.facts, fd, name))
        done = CONVERT_FAILED;
    *head = converter.writer.head;
    writer_free(&converter.writer);
    live_free(&converter.live);
    free(converter.limbo);
    free(converter.threads);
    return done;
}
