/*
 * How far threads may run ahead of each other. If each waited for all that came before, they would
 * run one after the other; if none waited, live memory would not be what it was in the program. So
 * a thread may do an operation once all others are done that lie more than a window before it. The
 * window has at most WINDOW_OPERATIONS operations, and as many as allocate and free WINDOW_SHARE of
 * the recorded peak; thus at any time what is live differs by less than twice that share from what
 * was live at some place in the recording, and the peak from the recorded one.
 *
 * Instead of a check before each operation, a thread that is about to leave what it knows to be
 * allowed has an entry to wait for the others, up to the middle of the window; so it waits once in
 * half a window. What it knows from this, its floor, also tells which places of cells and seats are
 * free for sure, and which waits are needless.
 *
 * No wait is in vain: it is always for operations that come before in the recording, and the thread
 * that is furthest behind never waits.
 */
#include "trace/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/places.h"
#include "common/say.h"
#include "trace/player/play_file.h"
#include "trace/reader.h"

#define PLAYER_FILE "duet-player"

#define WINDOW_OPERATIONS 4096u

/* A 64th of the peak: twice that is 3 %. */
#define WINDOW_SHARE 64

/* Places that a thread keeps for its own next cells, so that it comes back to those that are in the
 * cache. When it has all, it leaves the older half to everybody. */
#define KEPT_MOST 256

#define NOBODY UINT32_MAX

/* A place in the player's table that was freed, and when. */
struct vacancy {
    uint32_t place;
    uint32_t order;
};

/* What is known of a thread from reading the trace once. */
struct span {
    uint32_t first;
    uint32_t last;
};

struct thread {
    struct play_entry *entries;
    uint64_t count;
    uint64_t capacity;
    struct play_thread facts;
    uint32_t floor;  /* all operations below are known to it to be done */
    uint32_t *known; /* by seat: positions that it has waited for */
    uint32_t known_count;
    struct vacancy *kept;
    uint32_t kept_count;
};

/* A live cell, by the reader's number. */
struct cell {
    uint32_t place;
    uint32_t thread; /* that used it last ... */
    uint32_t order;  /* ... and when */
};

struct preparation {
    enum play_mode mode;
    const struct trace_head *head;
    struct span *spans;
    struct thread *threads;
    uint32_t thread_count; /* started */
    uint32_t *seats;       /* the thread that has each */
    uint32_t seat_count;
    uint32_t seat_capacity;
    struct cell *cells;
    uint64_t cell_capacity;
    uint32_t place_count;
    struct vacancy *left; /* places that are left to everybody, a ring, the oldest first */
    size_t left_first;
    size_t left_count;
    size_t left_capacity;
    uint64_t moved;                      /* bytes that were allocated and freed so far */
    uint64_t history[WINDOW_OPERATIONS]; /* what that was before each operation, as a ring */
    uint32_t required; /* operations below must be done before the one that is on */
};

static bool say_no_memory(void)
{
    say("not enough memory to prepare the trace");
    return false;
}

/* The array of so many elements in place of one of fewer; NULL, after a message: no memory. */
static void *grow(void *array, uint64_t count, size_t bytes_each)
{
    void *larger = count <= SIZE_MAX / bytes_each ? realloc(array, count * bytes_each) : NULL;

    if (larger == NULL)
        say_no_memory();
    return larger;
}

/* ---- The first reading ---------------------------------------------------------------------- */

/* Reads all of the trace, so that what follows can trust it; notes when threads begin and end. */
static bool read_spans(struct trace_reader *reader, struct span **spans)
{
    struct operation operation;
    enum read_result result;
    uint32_t count = 0;
    uint32_t capacity = 0;

    for (uint32_t order = 0; (result = reader_next(reader, &operation)) == READ_OPERATION;
         order++) {
        if (operation.thread == capacity) {
            const uint32_t first = 16;
            capacity = capacity != 0 ? 2 * capacity : first;
            struct span *larger = grow(*spans, capacity, sizeof *larger);
            if (larger == NULL)
                return false;
            *spans = larger;
        }
        if (operation.thread == count)
            (*spans)[count++].first = order;
        (*spans)[operation.thread].last = order;
    }
    return result == READ_END;
}

/* ---- Entries -------------------------------------------------------------------------------- */

static bool add_entry(struct thread *thread, enum play_kind kind, uint32_t cell, uint64_t size,
                      unsigned align_log2, uint32_t order)
{
    if (thread->count == thread->capacity) {
        const uint64_t first = 16;
        uint64_t capacity = thread->capacity != 0 ? 2 * thread->capacity : first;
        struct play_entry *larger = grow(thread->entries, capacity, sizeof *larger);
        if (larger == NULL)
            return false;
        thread->entries = larger;
        thread->capacity = capacity;
    }
    thread->entries[thread->count++] = (struct play_entry){
        .what = play_what(kind, align_log2, size),
        .cell = cell,
        .order = order,
    };
    return true;
}

/* ---- Seats ---------------------------------------------------------------------------------- */

/* A seat whose thread has ended, as far as whoever knows this floor can tell; else a new one. */
static bool take_seat(struct preparation *all, uint32_t taker, uint32_t floor)
{
    struct play_thread *facts = &all->threads[taker].facts;

    for (uint32_t i = 0; i < all->seat_count; i++) {
        uint32_t before = all->seats[i];
        if (all->spans[before].last < floor) {
            all->threads[before].facts.after = facts->first;
            all->seats[i] = taker;
            facts->seat = i;
            return true;
        }
    }
    if (all->seat_count == all->seat_capacity) {
        const uint32_t first = 16;
        uint32_t capacity = all->seat_capacity != 0 ? 2 * all->seat_capacity : first;
        uint32_t *larger = grow(all->seats, capacity, sizeof *larger);
        if (larger == NULL)
            return false;
        all->seats = larger;
        all->seat_capacity = capacity;
    }
    facts->seat = all->seat_count++;
    all->seats[facts->seat] = taker;
    return true;
}

/* The thread's first operation comes next; `starter` did the one before (NOBODY: there is none),
 * and starts it. What that one knows, the new one knows. */
static bool start_thread(struct preparation *all, uint32_t number, uint32_t starter)
{
    struct thread *thread = &all->threads[number];
    uint32_t first = all->spans[number].first;

    *thread = (struct thread){.facts = {.first = first, .after = PLAY_NEVER}};
    all->thread_count++;
    if (starter == NOBODY)
        return take_seat(all, number, 0);
    struct thread *parent = &all->threads[starter];
    thread->floor = all->mode == PLAY_SERIAL ? first : parent->floor;
    /* Its order is that of the operation before, which is not done until it is. */
    return take_seat(all, number, thread->floor) &&
           add_entry(parent, PLAY_START, number, 0, 0, first - 1);
}

/* ---- Places --------------------------------------------------------------------------------- */

static bool leave_place(struct preparation *all, struct vacancy vacancy)
{
    if (all->left_count == all->left_capacity) {
        const size_t first = 1024;
        size_t capacity = all->left_capacity != 0 ? 2 * all->left_capacity : first;
        struct vacancy *larger = calloc(capacity, sizeof *larger);
        if (larger == NULL)
            return say_no_memory();
        for (size_t i = 0; i < all->left_count; i++)
            larger[i] = all->left[(all->left_first + i) % all->left_capacity];
        free(all->left);
        all->left = larger;
        all->left_capacity = capacity;
        all->left_first = 0;
    }
    all->left[(all->left_first + all->left_count++) % all->left_capacity] = vacancy;
    return true;
}

static bool leave_places(struct preparation *all, struct thread *thread, uint32_t count)
{
    if (count == 0) /* perhaps there is not even an array */
        return true;
    for (uint32_t i = 0; i < count; i++) {
        if (!leave_place(all, thread->kept[i]))
            return false;
    }
    thread->kept_count -= count;
    memmove(thread->kept, thread->kept + count, thread->kept_count * sizeof *thread->kept);
    return true;
}

static bool keep_place(struct preparation *all, struct thread *thread, struct vacancy vacancy)
{
    if (thread->kept == NULL) {
        thread->kept = calloc(KEPT_MOST, sizeof *thread->kept);
        if (thread->kept == NULL)
            return say_no_memory();
    }
    if (thread->kept_count == KEPT_MOST && !leave_places(all, thread, KEPT_MOST / 2))
        return false;
    thread->kept[thread->kept_count++] = vacancy;
    return true;
}

/* A place for a new cell of the thread's, which need not wait for it. */
static uint32_t take_place(struct preparation *all, struct thread *thread)
{
    if (thread->kept_count > 0)
        return thread->kept[--thread->kept_count].place;
    if (all->left_count > 0 && all->left[all->left_first].order < thread->floor) {
        uint32_t place = all->left[all->left_first].place;
        all->left_first = (all->left_first + 1) % all->left_capacity;
        all->left_count--;
        return place;
    }
    return all->place_count++;
}

/* ---- Keeping together ----------------------------------------------------------------------- */

/* Moves `required` up so that what lies between it and the operation that is on fits the window. */
static void move_window(struct preparation *all, const struct operation *operation, uint32_t order)
{
    uint64_t share = all->head->totals.peak_live_bytes / WINDOW_SHARE;

    all->history[order % WINDOW_OPERATIONS] = all->moved;
    all->moved += operation->size + operation->old_size;
    while (all->required < order &&
           (order - all->required >= WINDOW_OPERATIONS ||
            all->moved - all->history[all->required % WINDOW_OPERATIONS] > share))
        all->required++;
}

static bool keep_pace(struct preparation *all, struct thread *thread, uint32_t order)
{
    if (all->mode == PLAY_SERIAL || all->head->totals.threads == 1) {
        thread->floor = order;
        return true;
    }
    if (thread->floor >= all->required)
        return true;
    thread->floor = all->required + (order - all->required) / 2;
    return add_entry(thread, PLAY_PACE, 0, thread->floor, 0, order);
}

/* Waits for the last operation on the cell, if another thread did it and it may not be done. */
static bool wait_for_cell(struct preparation *all, struct thread *thread, const struct cell *cell,
                          uint32_t order)
{
    const struct thread *other = &all->threads[cell->thread];
    uint32_t seat = other->facts.seat;

    if (other == thread || cell->order < thread->floor ||
        (seat < thread->known_count && cell->order < thread->known[seat]))
        return true;
    if (seat >= thread->known_count) {
        uint32_t *larger = grow(thread->known, (uint64_t)seat + 1, sizeof *larger);
        if (larger == NULL)
            return false;
        memset(larger + thread->known_count, 0, (seat + 1 - thread->known_count) * sizeof *larger);
        thread->known = larger;
        thread->known_count = seat + 1;
    }
    thread->known[seat] = cell->order + 1;
    return add_entry(thread, PLAY_WAIT, seat, cell->order + 1, 0, order);
}

/* ---- Operations ----------------------------------------------------------------------------- */

static struct cell *cell_at(struct preparation *all, uint32_t number)
{
    if (number >= all->cell_capacity) {
        const uint64_t first = 1024;
        uint64_t capacity = all->cell_capacity != 0 ? 2 * all->cell_capacity : first;
        struct cell *larger = grow(all->cells, capacity, sizeof *larger);
        if (larger == NULL)
            return NULL;
        all->cells = larger;
        all->cell_capacity = capacity;
    }
    return &all->cells[number];
}

static enum play_kind kind_of(enum operation_kind kind)
{
    static const enum play_kind kinds[] = {
        [OPERATION_MALLOC] = PLAY_MALLOC,   [OPERATION_CALLOC] = PLAY_CALLOC,
        [OPERATION_ALIGNED] = PLAY_ALIGNED, [OPERATION_REALLOC] = PLAY_REALLOC,
        [OPERATION_FREE] = PLAY_FREE,
    };

    return kinds[kind];
}

static bool lay_operation(struct preparation *all, const struct operation *operation,
                          uint32_t order)
{
    struct thread *thread = &all->threads[operation->thread];
    struct cell *cell = cell_at(all, operation->cell);
    bool is_free = operation->kind == OPERATION_FREE;
    bool is_new = !is_free && operation->kind != OPERATION_REALLOC;

    if (cell == NULL || !keep_pace(all, thread, order))
        return false;
    if (is_new)
        cell->place = take_place(all, thread);
    else if (!wait_for_cell(all, thread, cell, order))
        return false;
    cell->thread = operation->thread;
    cell->order = order;
    return add_entry(thread, kind_of(operation->kind), cell->place,
                     is_free ? operation->old_size : operation->size, operation->align_log2,
                     order) &&
           (!is_free || keep_place(all, thread, (struct vacancy){cell->place, order}));
}

/* What the thread need not have any more. */
static bool end_thread(struct preparation *all, struct thread *thread)
{
    bool left = leave_places(all, thread, thread->kept_count);

    free(thread->kept);
    free(thread->known);
    thread->kept = NULL;
    thread->known = NULL;
    thread->known_count = 0;
    return left;
}

/* The second reading. */
static bool lay_out(struct preparation *all, struct trace_reader *reader)
{
    struct operation operation;
    enum read_result result;
    uint32_t before = NOBODY;

    for (uint32_t order = 0; (result = reader_next(reader, &operation)) == READ_OPERATION;
         order++) {
        struct thread *thread = &all->threads[operation.thread];
        if (operation.thread == all->thread_count && !start_thread(all, operation.thread, before))
            return false;
        if (all->mode == PLAY_SERIAL && before != NOBODY && before != operation.thread &&
            !add_entry(&all->threads[before], PLAY_TURN, operation.thread, 0, 0, order - 1))
            return false;
        move_window(all, &operation, order);
        if (!lay_operation(all, &operation, order))
            return false;
        if (all->spans[operation.thread].last == order && !end_thread(all, thread))
            return false;
        before = operation.thread;
    }
    return result == READ_END;
}

/* ---- The file ------------------------------------------------------------------------------- */

static bool write_file(const struct preparation *all, FILE *stream)
{
    struct play_head head = {
        .magic = PLAY_MAGIC,
        .peak_live_bytes = all->head->totals.peak_live_bytes,
        .end_live_bytes = all->head->totals.end_live_bytes,
        .threads = all->thread_count,
        .seats = all->seat_count,
        .cells = all->place_count,
        .serial = all->mode == PLAY_SERIAL,
    };

    for (uint32_t i = 0; i < all->thread_count; i++) {
        all->threads[i].facts.entries = all->threads[i].count;
        head.entries += all->threads[i].count;
    }
    head.file_bytes = sizeof head + all->thread_count * sizeof(struct play_thread) +
                      head.entries * sizeof(struct play_entry);
    bool good = fwrite(&head, sizeof head, 1, stream) == 1;
    for (uint32_t i = 0; good && i < all->thread_count; i++)
        good = fwrite(&all->threads[i].facts, sizeof all->threads[i].facts, 1, stream) == 1;
    for (uint32_t i = 0; good && i < all->thread_count; i++) {
        const struct thread *thread = &all->threads[i];
        good = fwrite(thread->entries, sizeof *thread->entries, thread->count, stream) ==
               thread->count;
    }
    return good;
}

static bool write_to(const struct preparation *all, const char *file)
{
    FILE *stream = fopen(file, "we");
    bool good = stream != NULL && write_file(all, stream);
    int error = errno;

    if (stream != NULL && fclose(stream) != 0 && good) {
        good = false;
        error = errno;
    }
    if (!good)
        say("cannot write %s: %s", file, strerror(error));
    return good;
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void free_all(struct preparation *all)
{
    for (uint32_t i = 0; i < all->thread_count; i++) {
        free(all->threads[i].entries);
        free(all->threads[i].known);
        free(all->threads[i].kept);
    }
    free(all->spans);
    free(all->threads);
    free(all->seats);
    free(all->cells);
    free(all->left);
    free(all);
}

static bool prepare(struct trace_reader *reader, const char *file, enum play_mode mode)
{
    struct preparation *all = calloc(1, sizeof *all);

    if (all == NULL)
        return say_no_memory();
    all->mode = mode;
    all->head = &reader->head;
    bool good = read_spans(reader, &all->spans);
    if (good) {
        all->threads = calloc(reader->head.totals.threads + 1, sizeof *all->threads);
        good = all->threads != NULL || say_no_memory();
    }
    good = good && reader_rewind(reader) && lay_out(all, reader) && write_to(all, file);
    free_all(all);
    return good;
}

bool trace_prepare(const char *trace, const char *file, enum play_mode mode,
                   struct trace_head *head)
{
    struct trace_reader reader;

    if (!reader_open(&reader, trace))
        return false;
    bool good = prepare(&reader, file, mode);
    *head = reader.head;
    reader_close(&reader);
    return good;
}

bool player_find(char path[PATH_MAX])
{
    return place_file(PLACE_PROGRAMS, PLAYER_FILE, path);
}
