/*
 * Blocks beyond the size of a page.
 *
 * large: a few of 64 KiB to 32 MiB, replaced at random; each page is written once, as a program
 * does that reads a file into a buffer. So page faults are most of the time, unless an allocator
 * keeps what was freed; and keeping it shows in memory.
 *
 * realloc: buffers that grow by appends, several at once: lines of text (a few hundred bytes at a
 * time), vectors (half as much again), and files (tens of KiB at a time, to MiBs). What was
 * written is verified at the seam after each realloc, and all of it at the end.
 */
#include "cell.h"
#include "support.h"

enum { PAGE_BYTES = 4096 };

/* ---- large -------------------------------------------------------------------------------- */

enum {
    BLOCKS = 8,
    BLOCK_LEAST_LOG = 16,
    BLOCK_LIMIT_LOG = 25,
};
#define BLOCKS_IN_ALL 200

static void block_make(struct hand *hand, struct cell *block)
{
    cell_make(hand, block, random_log(&hand->random, BLOCK_LEAST_LOG, BLOCK_LIMIT_LOG));
    cell_write_content(block, PAGE_BYTES);
}

static void block_drop(const struct cell *block)
{
    cell_check_content(block, PAGE_BYTES);
    cell_drop(block);
}

static void large_body(struct hand *hand)
{
    struct cell blocks[BLOCKS];
    uint64_t replacements = hand_share(hand, BLOCKS_IN_ALL);

    hand_start(hand);
    for (size_t i = 0; i < BLOCKS; i++)
        block_make(hand, &blocks[i]);
    for (uint64_t i = 0; i < replacements; i++) {
        struct cell *block = &blocks[random_below(&hand->random, BLOCKS)];
        block_drop(block);
        block_make(hand, block);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        block_drop(&blocks[i]);
    hand_stop(hand);
}

static void large_run(struct run *run)
{
    team_run(run, large_body, NULL);
}

const struct workload workload_large = {
    .name = "large",
    .run = large_run,
    .figures = FIGURES_BOTH,
    .large = true,
    .description = "Eight blocks of 64 KiB to 32 MiB, replaced at random, each page written.",
};

/* ---- realloc ------------------------------------------------------------------------------ */

enum {
    BUFFERS = 24,
    WORD_EVERY = 64, /* bytes from one word of the content to the next: a cache line */
    BUFFER_LEAST = 32,
    KINDS = 24, /* of which one is vectors, one files, and all others are lines */
};
#define APPENDS_IN_ALL 800000

enum growth { BY_LINES, BY_HALVES, BY_FILES };

struct buffer {
    struct cell cell;
    enum growth growth;
    size_t limit; /* beyond it, the buffer is freed */
};

/* The words are of the buffer as it was at first: realloc must not change them. */
static uint64_t buffer_key(const struct cell *cell)
{
    return cell_stamp(&(struct cell){.bytes = BUFFER_LEAST, .serial = cell->serial});
}

/* The first word that begins at `from` or later. */
static size_t first_word(size_t from)
{
    return (from + WORD_EVERY - 1) / WORD_EVERY * WORD_EVERY;
}

/* Where the last word begins of those that lie in the cell. */
static size_t last_word(size_t bytes)
{
    return (bytes - sizeof(cell_word)) / WORD_EVERY * WORD_EVERY;
}

static void buffer_fill(const struct cell *cell, size_t from)
{
    uint64_t key = buffer_key(cell);

    for (size_t at = first_word(from); at <= last_word(cell->bytes); at += WORD_EVERY)
        *(cell_word *)(cell->start + at) = cell_content(key, at);
}

static bool buffer_holds(const struct cell *cell, size_t at)
{
    return *(const cell_word *)(cell->start + at) == cell_content(buffer_key(cell), at);
}

/* Most are strings that grow by lines. Vectors and files are few, but have most of the bytes. */
static void buffer_begin(struct hand *hand, struct buffer *buffer)
{
    size_t kind = random_below(&hand->random, KINDS);

    buffer->growth = kind == 0 ? BY_HALVES : kind == 1 ? BY_FILES : BY_LINES;
    if (buffer->growth == BY_LINES)
        buffer->limit = random_log(&hand->random, 10, 16);
    else
        buffer->limit = random_log(&hand->random, 15, 21);
    cell_adopt(hand, &buffer->cell, malloc(BUFFER_LEAST), BUFFER_LEAST,
               cell_natural_align(BUFFER_LEAST));
    buffer_fill(&buffer->cell, 0);
}

static void buffer_end(struct buffer *buffer)
{
    const struct cell *cell = &buffer->cell;

    for (size_t at = 0; at <= last_word(cell->bytes); at += WORD_EVERY)
        if (!buffer_holds(cell, at))
            cell_has_changed(cell, at);
    free(escaped(cell->start));
}

static size_t buffer_growth(struct hand *hand, const struct buffer *buffer)
{
    switch (buffer->growth) {
    case BY_HALVES:
        return buffer->cell.bytes / 2;
    case BY_FILES:
        return random_log(&hand->random, 13, 16);
    default:
        return random_between(&hand->random, 16, 512);
    }
}

static void buffer_append(struct hand *hand, struct buffer *buffer)
{
    struct cell *cell = &buffer->cell;
    struct cell before = *cell;
    size_t seam = last_word(before.bytes);
    size_t bytes = before.bytes + buffer_growth(hand, buffer);

    if (!buffer_holds(cell, 0) || !buffer_holds(cell, seam))
        cell_has_changed(cell, buffer_holds(cell, 0) ? seam : 0);
    cell_adopt(hand, cell, realloc(escaped(before.start), bytes), bytes, cell_natural_align(bytes));
    cell->serial = before.serial; /* the content goes by it */
    if (!buffer_holds(cell, 0) || !buffer_holds(cell, seam))
        cell_has_lost(cell, buffer_holds(cell, 0) ? seam : 0);
    buffer_fill(cell, seam + 1);
}

static void realloc_body(struct hand *hand)
{
    struct buffer buffers[BUFFERS];
    uint64_t appends = hand_share(hand, APPENDS_IN_ALL);

    hand_start(hand);
    for (size_t i = 0; i < BUFFERS; i++)
        buffer_begin(hand, &buffers[i]);
    for (uint64_t i = 0; i < appends; i++) {
        struct buffer *buffer = &buffers[random_below(&hand->random, BUFFERS)];
        buffer_append(hand, buffer);
        if (buffer->cell.bytes >= buffer->limit) {
            buffer_end(buffer);
            buffer_begin(hand, buffer);
        }
    }
    for (size_t i = 0; i < BUFFERS; i++)
        buffer_end(&buffers[i]);
    hand_stop(hand);
}

static void realloc_run(struct run *run)
{
    team_run(run, realloc_body, NULL);
}

const struct workload workload_realloc = {
    .name = "realloc",
    .run = realloc_run,
    .figures = FIGURES_BOTH,
    .description = "Buffers that grow by appends, to KiBs by lines, or to MiBs by files or halves, "
                   "24 at once.",
};
