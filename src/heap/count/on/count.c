/*
 * The slow half of counting: shards, the record in the shared file, the peak.
 */
#include "count.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomics.h"
#include "os/os.h"

/* The table by class is written anew when the live bytes have grown by this share over the last
 * one, and by so many at least: so it is within 2 % of the peak, and written a few hundred times
 * while a heap grows to a GiB. */
#define SNAPSHOT_GROWTH 64
#define SNAPSHOT_LEAST_GROWTH (8 * 1024)

/* Where counts go until the library's constructor has run, and for good if there is no file. */
static struct count_record early_record;
static struct count_record *record = &early_record;
static uint32_t snapshot_busy;

/* Far enough below 0 that no process comes up from there or wraps around. */
struct count_shard count_nobodys = {.until_look = INT64_MIN / 2};

/* Read once: a program may clear its environment, or change its own name. */
static char file_path[256];
static char program_name[sizeof early_record.program];

static pthread_key_t shard_key; /* its destructor tells of threads that exit */
static bool shard_key_exists;

/* Shards that were never used are not looked at: reading them would make pages of them. The
 * file is open to others, so its word is not trusted. */
static uint32_t shards_used(const struct count_record *of)
{
    return (uint32_t)min_size(load_relaxed(&of->shards_used), COUNT_SHARDS);
}

static int64_t live_cells(const struct count_record *of, size_t row)
{
    int64_t cells = of->inherited_cells[row];
    for (uint32_t i = 0; i < shards_used(of); i++)
        cells += (int64_t)(of->shards[i].allocated[row] - of->shards[i].freed[row]);
    return cells;
}

static int64_t live_large_bytes(const struct count_record *of, size_t row)
{
    int64_t bytes = of->inherited_large_bytes[row];
    for (uint32_t i = 0; i < shards_used(of); i++)
        bytes += (int64_t)(of->shards[i].large_allocated_bytes[row] -
                           of->shards[i].large_freed_bytes[row]);
    return bytes;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* For numbers that only this thread writes. */
static void raise_to(uint64_t *number, int64_t value)
{
    *number = (uint64_t)max_of((int64_t)*number, value);
}

static void take_snapshot(int64_t live_bytes)
{
    if (exchange_acquire(&snapshot_busy, 1u) != 0)
        return; /* another thread is at it */
    for (size_t row = 0; row < COUNT_ROWS; row++)
        record->snapshot_cells[row] = live_cells(record, row);
    for (size_t row = 0; row < COUNT_LARGE_ROWS; row++)
        record->snapshot_large_bytes[row] = live_large_bytes(record, row);
    store_relaxed(&record->snapshot_bytes, live_bytes);
    store_release(&snapshot_busy, 0u);
}

void count_held(void)
{
    store_relaxed(&record->held_bytes, (uint64_t)os_held_bytes());
    raise_relaxed(&record->held_peak_bytes, (uint64_t)os_held_peak_bytes());
}

/* `between` is how much more may have been live meanwhile than before and after. */
static void add_to_live(int64_t bytes, int64_t between)
{
    int64_t before = add_relaxed(&record->live_bytes, bytes);
    int64_t live = before + bytes;
    raise_relaxed(&record->live_peak_bytes, live);
    raise_relaxed(&record->live_peak_bound, max_of(before, live) + between);
    int64_t last = load_relaxed(&record->snapshot_bytes);
    if (live > last + max_of(last / SNAPSHOT_GROWTH, SNAPSHOT_LEAST_GROWTH))
        take_snapshot(live);
}

/* Brings the process's live bytes up to date with a shard of this thread's. */
static void look(struct count_shard *shard)
{
    int64_t live = shard->large_live;
    uint64_t allocated = 0;
    for (size_t class = 0; class < ENGINE_CLASSES; class++) {
        uint64_t bytes = engine_class_bytes(class);
        live += (int64_t)((shard->allocated[class] - shard->freed[class]) * bytes);
        allocated += shard->allocated[class] * bytes;
    }
    int64_t window_allocated = (int64_t)(allocated - shard->looked_allocated);
    int64_t window_freed = window_allocated - (live - shard->looked_live);
    raise_to(&shard->window_allocated, window_allocated);
    add_to_live(live - shard->looked_live, max_of(0, min_of(window_allocated, window_freed)));
    shard->looked_allocated = allocated;
    shard->looked_live = live;
    shard->until_look = COUNT_WINDOW;
}

static struct count_shard *find_free_shard(void)
{
    for (uint32_t i = 1; i < COUNT_SHARDS; i++) {
        if (cas_acquire(&record->shards[i].owned, (uint32_t)SHARD_FREE, (uint32_t)SHARD_OWNED)) {
            raise_relaxed(&record->shards_used, i + 1);
            return &record->shards[i];
        }
    }
    raise_relaxed(&record->shards_used, 1u);
    return &count_nobodys;
}

/* For a thread that has `before` in the place of one. A signal handler that allocates may come in
 * between and take one for the thread: then that is it, and this one goes back. */
static void take_shard(void *before)
{
    struct count_shard *shard = find_free_shard();
    bool is_ours = cas_relaxed(&slot_thread.companion, before, (void *)shard);
    if (shard == &count_nobodys)
        return;
    if (!is_ours)
        store_release(&shard->owned, (uint32_t)SHARD_FREE);
    else if (shard_key_exists)
        pthread_setspecific(shard_key, shard); /* may allocate, hence comes last */
}

void count_bind(void)
{
    if (slot_thread.companion == NULL)
        take_shard(NULL);
}

static void thread_exits(void *shard_of_thread)
{
    struct count_shard *shard = shard_of_thread;
    if (shard != slot_thread.companion)
        return; /* it belongs to the record of a parent */
    look(shard);
    raise_relaxed(&record->shards_used, 1u);
    slot_thread.companion = &count_nobodys;
    store_release(&shard->owned, (uint32_t)SHARD_FREE);
}

/* The shard to add to, by add: the thread's own or the common one. */
static struct count_shard *shard_to_use(void)
{
    count_bind();
    struct count_shard *shard = slot_thread.companion;
    return shard != &count_nobodys ? shard : &record->shards[0];
}

static bool is_common(const struct count_shard *shard)
{
    return shard == &record->shards[0];
}

static void add(const struct count_shard *shard, uint64_t *number, uint64_t value)
{
    if (is_common(shard))
        add_relaxed(number, value);
    else
        *number += value;
}

/* For a thread without a shard: gives it one, and counts there, or at nobody's. */
static void count_first(bool allocated, size_t class)
{
    struct count_shard *shard = shard_to_use();
    add(shard, allocated ? &shard->allocated[class] : &shard->freed[class], 1);
    if (is_common(shard)) {
        int64_t bytes = (int64_t)engine_class_bytes(class);
        add_to_live(allocated ? bytes : -bytes, 0);
    }
}

void *count_alloc_slow(struct count_shard *shard, size_t class, void *cell)
{
    if (shard == NULL || shard == &count_nobodys)
        count_first(true, class);
    else
        look(shard);
    return cell;
}

void count_free_slow(struct count_shard *shard, size_t class)
{
    if (shard == NULL || shard == &count_nobodys)
        count_first(false, class);
    else
        look(shard);
}

/* Row k has the blocks of at most 2^k pages of 4 KiB. */
static size_t large_row(size_t bytes)
{
    size_t pages = (bytes + 4095) / 4096;
    return min_size(pages <= 1 ? 0 : bit_width(pages - 1), COUNT_LARGE_ROWS - 1);
}

/* Large blocks are rare and weigh much: each is looked at. `bytes` is below 0 for a free. */
static void add_large(struct count_shard *shard, int64_t bytes)
{
    if (is_common(shard)) {
        add_to_live(bytes, 0);
    } else {
        look(shard); /* windows hold cells alone */
        shard->large_live += bytes;
        shard->looked_live += bytes;
        add_to_live(bytes, 0);
    }
    count_held();
}

void count_large_alloc(size_t bytes)
{
    struct count_shard *shard = shard_to_use();
    size_t row = large_row(bytes);
    add(shard, &shard->allocated[COUNT_SMALL_ROWS + row], 1);
    add(shard, &shard->large_allocated_bytes[row], bytes);
    add_large(shard, (int64_t)bytes);
}

void count_large_free(size_t bytes)
{
    struct count_shard *shard = shard_to_use();
    size_t row = large_row(bytes);
    add(shard, &shard->freed[COUNT_SMALL_ROWS + row], 1);
    add(shard, &shard->large_freed_bytes[row], bytes);
    add_large(shard, -(int64_t)bytes);
}

void count_realloc(bool moved)
{
    struct count_shard *shard = shard_to_use();
    add(shard, &shard->reallocs, 1);
    if (moved)
        add(shard, &shard->reallocs_moved, 1);
}

void count_renewed(void)
{
    struct count_shard *shard = shard_to_use();
    add(shard, &shard->renewed, 1);
}

void count_failure(void)
{
    struct count_shard *shard = shard_to_use();
    add(shard, &shard->failures, 1);
}

/* Takes the next record of the launcher's file. NULL: there is no launcher, or no room. */
static struct count_record *take_record(void)
{
    if (file_path[0] == '\0')
        return NULL;
    struct count_file_header *header = os_map_file(file_path, 0, COUNT_FILE_HEADER_BYTES);
    if (header == NULL)
        return NULL;
    struct count_record *taken = NULL;
    if (header->magic == COUNT_FILE_MAGIC && header->version == COUNT_FILE_VERSION &&
        header->record_stride == COUNT_RECORD_STRIDE) {
        uint64_t number = add_relaxed(&header->taken, 1);
        if (number < COUNT_FILE_RECORDS)
            taken = os_map_file(file_path, COUNT_FILE_HEADER_BYTES + number * COUNT_RECORD_STRIDE,
                                COUNT_RECORD_STRIDE);
    }
    os_unmap_file(header, COUNT_FILE_HEADER_BYTES);
    return taken;
}

static void describe_process(struct count_record *new_record)
{
    new_record->pid = getpid();
    new_record->parent_pid = getppid();
    new_record->start_ns = os_clock_ns();
    new_record->small_rows = ENGINE_CLASSES;
    for (size_t class = 0; class < ENGINE_CLASSES; class++)
        new_record->row_bytes[class] = engine_class_bytes(class);
    memcpy(new_record->program, program_name, sizeof new_record->program);
    strncpy(new_record->engine, ENGINE_NAME, sizeof new_record->engine - 1);
}

/* Makes `next` the process's record, in a process of one thread. The thread keeps having a shard
 * throughout, for the sake of signal handlers. */
static void change_record(struct count_record *next)
{
    slot_thread.companion = &count_nobodys;
    record = next;
    snapshot_busy = 0;
    store_release(&next->state, (uint32_t)COUNT_RUNNING);
    take_snapshot(next->live_bytes);
    take_shard(&count_nobodys);
    count_held();
}

static void remember_names(const char *program)
{
    const char *path = secure_getenv(COUNT_FILE_ENV);
    if (path != NULL && strlen(path) < sizeof file_path)
        strcpy(file_path, path);
    const char *slash = strrchr(program, '/');
    strncpy(program_name, slash != NULL ? slash + 1 : program, sizeof program_name - 1);
}

void count_start(const char *program)
{
    remember_names(program);
    shard_key_exists = pthread_key_create(&shard_key, thread_exits) == 0;
    struct count_record *own = take_record();
    if (own == NULL)
        return;
    describe_process(own);
    /* What the process did before now; the constructor runs in its only thread. */
    own->shards_used = early_record.shards_used;
    for (uint32_t i = 1; i < early_record.shards_used; i++) {
        look(&early_record.shards[i]);
        own->shards[i] = early_record.shards[i];
        own->shards[i].owned = SHARD_FREE;
    }
    own->live_bytes = early_record.live_bytes;
    own->live_peak_bytes = early_record.live_peak_bytes;
    own->live_peak_bound = early_record.live_peak_bound;
    change_record(own);
}

/* What the process has live, as its child will inherit it. Kept here, since the record goes on
 * changing while the child starts. */
static struct {
    int64_t cells[COUNT_ROWS];
    int64_t large_bytes[COUNT_LARGE_ROWS];
} at_fork;

void count_fork_prepare(void)
{
    for (size_t row = 0; row < COUNT_ROWS; row++)
        at_fork.cells[row] = live_cells(record, row);
    for (size_t row = 0; row < COUNT_LARGE_ROWS; row++)
        at_fork.large_bytes[row] = live_large_bytes(record, row);
}

static void inherit(struct count_record *child)
{
    for (size_t row = 0; row < COUNT_ROWS; row++) {
        child->inherited_cells[row] = at_fork.cells[row];
        if (row < ENGINE_CLASSES)
            child->live_bytes += at_fork.cells[row] * (int64_t)engine_class_bytes(row);
    }
    for (size_t row = 0; row < COUNT_LARGE_ROWS; row++) {
        child->inherited_large_bytes[row] = at_fork.large_bytes[row];
        child->live_bytes += at_fork.large_bytes[row];
    }
    child->live_peak_bytes = child->live_bytes;
}

void count_fork_child(void)
{
    struct count_record *parent = record;
    if (parent == &early_record)
        return;
    struct count_record *own = take_record();
    if (own != NULL) {
        describe_process(own);
        inherit(own);
    }
    change_record(own != NULL ? own : &early_record); /* in any case not the parent's */
    os_unmap_file(parent, COUNT_RECORD_STRIDE);
}

void count_end(void)
{
    struct count_shard *shard = shard_to_use();
    if (!is_common(shard))
        look(shard);
    count_held();
    record->peak_rss_kib = os_peak_rss_kib();
    record->end_ns = os_clock_ns();
    store_release(&record->state, (uint32_t)COUNT_EXITED);
}
