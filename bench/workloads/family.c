/*
 * Malloc's relatives.
 *
 * calloc: cells that must read as zero, though those freed before were full of other things. An
 * allocator that knows what is zero already can do without clearing; one that clears what the
 * kernel has just cleared does it twice.
 *
 * aligned: cells at alignments from 32 to 4,096, by posix_memalign and aligned_alloc in turn.
 */
#include "cell.h"
#include "support.h"

enum { LINE = 64 };

/* ---- calloc ------------------------------------------------------------------------------- */

enum {
    CALLOC_CELLS = 2000,
    CALLOC_LEAST_LOG = 4, /* 16 bytes to below 16 KiB; each cell in so many of up to 1 MiB */
    CALLOC_LIMIT_LOG = 14,
    CALLOC_LARGE_ONCE_IN = 1000,
    CALLOC_LARGE_LEAST_LOG = 16,
    CALLOC_LARGE_LIMIT_LOG = 20,
};
#define CALLOCS_IN_ALL 1000000

/* Looks where it writes later: a word on every line, the last one, and the second, in which
 * freelists keep things. */
static void expect_zero(const struct cell *cell)
{
    size_t last = cell->bytes - sizeof(cell_word);

    for (size_t at = 0; at < last; at += LINE)
        if (*(const cell_word *)(cell->start + at) != 0)
            cell_is_not_zero(cell, at);
    if (*(const cell_word *)(cell->start + sizeof(cell_word)) != 0)
        cell_is_not_zero(cell, sizeof(cell_word));
    if (*(const cell_word *)(cell->start + last) != 0)
        cell_is_not_zero(cell, last);
}

static size_t calloc_size(struct hand *hand)
{
    if (random_once_in(&hand->random, CALLOC_LARGE_ONCE_IN))
        return random_log(&hand->random, CALLOC_LARGE_LEAST_LOG, CALLOC_LARGE_LIMIT_LOG);
    return random_log(&hand->random, CALLOC_LEAST_LOG, CALLOC_LIMIT_LOG);
}

/* By elements of 8 bytes. What is freed is dirty on every line. */
static void zeroed_make(struct hand *hand, struct cell *cell)
{
    size_t elements = (calloc_size(hand) + sizeof(cell_word) - 1) / sizeof(cell_word);
    size_t bytes = elements * sizeof(cell_word);

    cell_adopt(hand, cell, calloc(elements, sizeof(cell_word)), bytes, cell_natural_align(bytes));
    expect_zero(cell);
    *(cell_word *)(cell->start + sizeof(cell_word)) = cell->serial;
    cell_write_content(cell, LINE);
    cell_write_stamp(cell);
}

static void calloc_body(struct hand *hand)
{
    struct cell *cells = hand->shared;
    uint64_t replacements = hand_share(hand, CALLOCS_IN_ALL);

    hand_start(hand);
    for (size_t i = 0; i < CALLOC_CELLS; i++)
        zeroed_make(hand, &cells[i]);
    for (uint64_t i = 0; i < replacements; i++) {
        struct cell *cell = &cells[random_below(&hand->random, CALLOC_CELLS)];
        cell_drop(cell);
        zeroed_make(hand, cell);
    }
    for (size_t i = 0; i < CALLOC_CELLS; i++)
        cell_drop(&cells[i]);
    hand_stop(hand);
}

static void calloc_run(struct run *run)
{
    team_run(run, calloc_body, table_make(CALLOC_CELLS, sizeof(struct cell)));
}

const struct workload workload_calloc = {
    .name = "calloc",
    .run = calloc_run,
    .figures = FIGURES_BOTH,
    .description = "calloc of 16 bytes to 16 KiB, few of up to 1 MiB, replaced at random and made "
                   "dirty, checked for zeros.",
};

/* ---- aligned ------------------------------------------------------------------------------ */

enum {
    ALIGNED_CELLS = 4000,
    ALIGN_LEAST_LOG = 5,
    ALIGN_MOST_LOG = 12,
    ALIGNED_LEAST_LOG = 4, /* 16 bytes to below 16 KiB, fewer the larger they are */
    ALIGNED_LIMIT_LOG = 14,
};
#define ALIGNED_IN_ALL 3000000

/* Every other one by aligned_alloc, to which C gives only multiples of the alignment. */
static void aligned_make(struct hand *hand, struct cell *cell, uint64_t turn)
{
    size_t align = (size_t)1 << random_between(&hand->random, ALIGN_LEAST_LOG, ALIGN_MOST_LOG);
    size_t bytes = random_power(&hand->random, ALIGNED_LEAST_LOG, ALIGNED_LIMIT_LOG);
    void *start = NULL;

    if (turn % 2 == 0) {
        if (posix_memalign(&start, align, bytes) != 0)
            start = NULL;
    } else {
        bytes = (bytes + align - 1) / align * align;
        start = aligned_alloc(align, bytes);
    }
    cell_adopt(hand, cell, start, bytes, align);
    cell_write_stamp(cell);
}

static void aligned_body(struct hand *hand)
{
    struct cell *cells = hand->shared;
    uint64_t replacements = hand_share(hand, ALIGNED_IN_ALL);

    hand_start(hand);
    for (size_t i = 0; i < ALIGNED_CELLS; i++)
        aligned_make(hand, &cells[i], i);
    for (uint64_t i = 0; i < replacements; i++) {
        struct cell *cell = &cells[random_below(&hand->random, ALIGNED_CELLS)];
        cell_drop(cell);
        aligned_make(hand, cell, i);
    }
    for (size_t i = 0; i < ALIGNED_CELLS; i++)
        cell_drop(&cells[i]);
    hand_stop(hand);
}

static void aligned_run(struct run *run)
{
    team_run(run, aligned_body, table_make(ALIGNED_CELLS, sizeof(struct cell)));
}

const struct workload workload_aligned = {
    .name = "aligned",
    .run = aligned_run,
    .figures = FIGURES_BOTH,
    .description = "Cells aligned to 32 to 4,096 bytes, sizes by a power law, replaced at random.",
};
