/*
 * One process per misuse. The table says what each does, and what each engine has to say to it, to
 * the letter and with the very address, before it aborts. Row 0 misuses nothing and crashes on
 * purpose in a way that the harness must report as expected; the row after it must be reported
 * as unexpected: a harness that calls everything fine would pass all others too.
 *
 * A misuse tells the address that it will be accused of through a page shared with its parent.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "engine_facts.h"
#include "memory.h"
#include "names.h"
#include "trim.h"

static uintptr_t *accused; /* in the shared page */
static int accused_fd;     /* of which it is */

static void *accuse(void *ptr)
{
    *accused = (uintptr_t)ptr;
    return opaque(ptr);
}

/* A cell with neighbours that are in use, so that whatever it lies in stays when it is freed. */
static unsigned char *cell_among_others(size_t size)
{
    unsigned char *cells[3];
    for (size_t i = 0; i < 3; i++) {
        cells[i] = malloc(opaque_size(size));
        CHECK(cells[i] != NULL);
        memset(cells[i], 0, size);
    }
    return opaque(cells[1]);
}

/* As memset, byte by byte: secure looks at what memset is about to do. */
static void write_bytes(void *start, unsigned char byte, size_t count)
{
    volatile unsigned char *bytes = opaque(start);
    for (size_t i = 0; i < count; i++)
        bytes[i] = byte;
}

/* ---- Pointers that are none, and what was freed ------------------------------------------- */

static unsigned char global[64] __attribute__((aligned(16)));

static void crash_on_purpose(void)
{
    static const char text[] = "duet: free: 0x10 is a rehearsal\n";
    accuse((void *)16);
    if (write(STDERR_FILENO, text, sizeof text - 1) > 0)
        abort();
}

static void do_nothing(void)
{
    free(malloc(opaque_size(10)));
}

static void free_stack(void)
{
    unsigned char local[64] __attribute__((aligned(16)));
    free(accuse(local));
}

static void free_global(void)
{
    free(accuse(global));
}

static void free_text(void)
{
    free(accuse((void *)(uintptr_t)free_global));
}

static void free_wild(void)
{
    free(accuse((void *)0x123456789000));
}

static void free_low(void)
{
    free(accuse((void *)0x10));
}

static void free_above_48_bits(void)
{
    free(accuse((void *)0x0123456789abc000));
}

static void free_top(void)
{
    free(accuse((void *)(UINTPTR_MAX - 15)));
}

/* What is above 48 bits must not be cut off: this is a live cell but for the top bits. */
static void free_tagged(void)
{
    uintptr_t cell = (uintptr_t)malloc(opaque_size(100));
    free(accuse((void *)(cell | (uintptr_t)0x5a << 56)));
}

static void free_mapped(void)
{
    void *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    free(accuse(page));
}

static void free_interior_of_small(void)
{
    free(accuse((unsigned char *)malloc(opaque_size(200)) + 32));
}

static void free_misaligned(void)
{
    free(accuse((unsigned char *)malloc(opaque_size(200)) + 1));
}

static void free_smallest_off_by_8(void)
{
    free(accuse((unsigned char *)malloc(opaque_size(1)) + 8));
}

static void free_second_half_of_cell(void)
{
    unsigned char *cell = malloc(opaque_size(1000));
    free(accuse(cell + malloc_usable_size(cell) / 32 * 16));
}

/* duet: in a group of several blocks, also in a tiny build. */
#define WIDE_BYTES 3000

static void free_interior_of_wide(void)
{
    free(accuse(cell_among_others(WIDE_BYTES) + 1024));
}

static void free_twice(size_t size)
{
    void *cell = cell_among_others(size);
    free(cell);
    free(accuse(cell));
}

static void free_smallest_twice(void)
{
    free_twice(0);
}

static void free_small_twice(void)
{
    free_twice(100);
}

static void free_middling_twice(void)
{
    free_twice(1000);
}

static void free_wide_twice(void)
{
    free_twice(WIDE_BYTES);
}

static void free_big_twice(void)
{
    free_twice(100000);
}

static void free_twice_after_realloc(void)
{
    void *cell = cell_among_others(100);
    void *moved = realloc(cell, opaque_size(100000));
    CHECK(moved != NULL && moved != opaque(cell));
    free(accuse(opaque(cell)));
}

static void free_twice_with_another_between(void)
{
    void *cell = cell_among_others(100);
    void *other = cell_among_others(100);
    free(cell);
    free(other);
    free(accuse(opaque(cell)));
}

static void free_twice_with_two_others_between(void)
{
    void *cell = cell_among_others(100);
    void *others[] = {cell_among_others(100), cell_among_others(100)};
    free(cell);
    free(others[0]);
    free(others[1]);
    free(accuse(opaque(cell)));
}

/* Then the two are side by side. */
static void free_twice_with_two_others_between_and_trim(void)
{
    free_twice_with_two_others_between();
    trim();
}

/* Then the first is where it belongs as the second comes. */
static void free_twice_with_a_trim_between(void)
{
    void *cell = cell_among_others(100);
    free(cell);
    trim();
    free(accuse(opaque(cell)));
    trim();
}

/* `count` mallocs and frees between the two, of this size. */
static void free_twice_at_distance(size_t count, size_t size)
{
    void *cell = cell_among_others(100);
    free(cell);
    for (size_t i = 0; i < count; i++)
        free(opaque(malloc(opaque_size(size))));
    free(accuse(opaque(cell)));
}

static void free_twice_100_others_between(void)
{
    free_twice_at_distance(100, 500);
}

static void free_twice_100000_others_between(void)
{
    free_twice_at_distance(100000, 500);
}

static void free_twice_100000_of_its_size_between(void)
{
    free_twice_at_distance(100000, 100);
}

static void *free_in_thread(void *ptr)
{
    free(ptr);
    return NULL;
}

static void free_twice_in_two_threads(void)
{
    void *cell = cell_among_others(100);
    pthread_t thread;
    free(cell);
    CHECK(pthread_create(&thread, NULL, free_in_thread, accuse(opaque(cell))) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void free_never_handed_out(void)
{
    unsigned char *cell = cell_among_others(100);
    free(accuse(cell + 2 * engine_facts()->cell_of_100)); /* in a group just begun */
}

static void free_never_handed_out_and_trim(void)
{
    free_never_handed_out();
    trim();
}

static void free_large_twice(void)
{
    void *block = malloc(opaque_size((size_t)10 << 20));
    free(block);
    free(accuse(opaque(block)));
}

static void free_interior_of_large(void)
{
    free(accuse((unsigned char *)malloc(opaque_size((size_t)10 << 20)) + 16));
}

static void free_page_of_large(void)
{
    free(accuse((unsigned char *)malloc(opaque_size((size_t)10 << 20)) + ((size_t)1 << 20)));
}

static void realloc_stack(void)
{
    unsigned char local[64] __attribute__((aligned(16)));
    free(realloc(accuse(local), opaque_size(1000)));
}

static void realloc_interior(void)
{
    free(realloc(accuse((unsigned char *)malloc(opaque_size(200)) + 16), opaque_size(1000)));
}

static void realloc_freed(void)
{
    void *cell = cell_among_others(100);
    free(cell);
    free(realloc(accuse(opaque(cell)), opaque_size(1000)));
}

/* As another allocator's would be. */
static void free_from_another_heap(void)
{
    unsigned char *heap = sbrk(4096);
    CHECK(heap != (void *)-1);
    free(accuse((void *)(((uintptr_t)heap + 31) & ~(uintptr_t)15)));
}

static void usable_size_of_global(void)
{
    if (malloc_usable_size(accuse(global)) != 0)
        _exit(3);
}

static void usable_size_of_interior(void)
{
    if (malloc_usable_size(accuse((unsigned char *)malloc(opaque_size(200)) + 16)) != 0)
        _exit(3);
}

static void usable_size_inside_large(void)
{
    unsigned char *block = malloc(opaque_size((size_t)10 << 20));
    if (malloc_usable_size(accuse(block + ((size_t)9 << 20))) != 0)
        _exit(3);
}

/* ---- Sizes that are not the block's ------------------------------------------------------- */

static void free_with_a_larger_size(void)
{
    free_sized(accuse(malloc(opaque_size(100))), 1000);
}

static void free_with_a_smaller_size(void)
{
    free_sized(accuse(malloc(opaque_size(1000))), 100);
}

static void free_with_a_size_off_by_one(void)
{
    free_sized(accuse(malloc(opaque_size(100))), 99);
}

static void free_large_as_small(void)
{
    free_sized(accuse(malloc(opaque_size((size_t)10 << 20))), 100);
}

static void free_small_as_large(void)
{
    free_sized(accuse(malloc(opaque_size(100))), (size_t)10 << 20);
}

static void free_with_another_alignment(void)
{
    unsigned char *cell = cell_among_others(100);
    while (is_aligned(cell, 4096))
        cell = cell_among_others(100);
    free_aligned_sized(accuse(cell), 4096, 100);
}

static void free_with_less_than_its_alignment(void)
{
    free_aligned_sized(accuse(aligned_alloc(64, opaque_size(100))), 16, 100);
}

/* ---- What was written where nothing may be written ---------------------------------------- */

/* Writes `count` bytes behind the end of a block of `size` bytes. */
static unsigned char *overflow(size_t size, size_t count)
{
    unsigned char *cell = cell_among_others(size);
    write_bytes(cell + size, 'A', count);
    return accuse(cell);
}

/* The largest request that a cell of the class of 100 serves: what lies behind is not the
 * cell's. */
static size_t filling_size(void)
{
    enum { HEADER_BYTES = 4 };
    return engine_facts()->cell_of_100 - HEADER_BYTES;
}

static void free_after_a_byte_too_many(void)
{
    free(overflow(100, 1));
}

static void free_after_a_byte_too_many_in_a_full_cell(void)
{
    free(overflow(filling_size(), 1));
}

static void free_after_filling_the_slack(void)
{
    free(overflow(101, filling_size() - 101));
}

static void free_after_overwriting_the_next_header(void)
{
    free(overflow(filling_size(), 4));
}

static void free_after_writing_into_the_next_cell(void)
{
    free(overflow(filling_size(), 64));
}

static void free_after_8_bytes_too_many(void)
{
    free(overflow(100, 8));
}

static void free_after_16_bytes_too_many(void)
{
    free(overflow(100, 16));
}

/* The terminator of a string that is too long. */
static void free_after_a_zero_too_many(void)
{
    unsigned char *cell = cell_among_others(100);
    *(unsigned char *)opaque(cell + 100) = 0;
    free(accuse(cell));
}

/* Cells of 100 bytes. */
#define MANY 200

static void many_cells(unsigned char *cells[MANY])
{
    for (size_t i = 0; i < MANY; i++) {
        cells[i] = malloc(opaque_size(100));
        CHECK(cells[i] != NULL);
        memset(cells[i], 0, 100);
    }
}

static bool is_on_page(uintptr_t page, unsigned char *const cells[MANY])
{
    for (size_t i = 0; i < MANY; i++)
        if ((uintptr_t)cells[i] / 4096 == page)
            return true;
    return false;
}

/* To the end of the next page, where that has one of the cells, too; else it may not be mapped, and
 * what is written ends with the cell's own page. */
static void free_after_a_page_too_many(void)
{
    unsigned char *cells[MANY], *cell;
    many_cells(cells);
    size_t i = MANY;
    do
        cell = cells[--i];
    while (i > 0 && !is_on_page((uintptr_t)cell / 4096 + 1, cells));
    size_t pages = is_on_page((uintptr_t)cell / 4096 + 1, cells) ? 2 : 1;
    write_bytes(cell + 100, 'A', pages * 4096 - (uintptr_t)cell % 4096 - 100);
    free(accuse(cell));
}

/* The byte before a cell is of the cell before it: of two side by side. */
static void free_of_the_cell_before_an_underflow(void)
{
    unsigned char *cells[MANY];
    many_cells(cells);
    for (size_t i = 0; i < MANY * MANY; i++) {
        unsigned char *before = cells[i / MANY], *cell = cells[i % MANY];
        if (cell != before + engine_facts()->cell_of_100)
            continue;
        *(unsigned char *)opaque(cell - 1) ^= 1; /* whatever stands there */
        free(accuse(before));
    }
}

static void write_a_page_behind_a_large_block(void)
{
    unsigned char *block = malloc(opaque_size((size_t)10 << 20));
    *(volatile unsigned char *)opaque(block + ((size_t)10 << 20) + 4095) = 'A';
    free(block);
}

/* As many mallocs and frees as it takes until the cell is handed out again. */
#define UNTIL_ITS_TURN 20000

static void write_after_free(size_t size)
{
    unsigned char *cell = cell_among_others(size);
    free(cell);
    write_bytes((unsigned char *)accuse(cell) + size / 2, 'A', 8);
    for (size_t i = 0; i < UNTIL_ITS_TURN; i++)
        free(opaque(malloc(opaque_size(size))));
}

static void write_to_a_freed_small_cell(void)
{
    write_after_free(100);
}

static void write_to_a_freed_middling_cell(void)
{
    write_after_free(1000);
}

static void write_to_a_freed_large_block(void)
{
    unsigned char *block = malloc(opaque_size((size_t)10 << 20));
    free(block);
    *(volatile unsigned char *)opaque(block + 5000) = 'A';
}

/* What nobody comes upon any more is found as the process ends. */
static void end_after_a_write_to_a_freed_cell(void)
{
    unsigned char *cell = cell_among_others(100);
    free(cell);
    write_bytes((unsigned char *)accuse(cell) + 50, 'A', 8);
    exit(0);
}

static void *do_nothing_in_thread(void *unused)
{
    do_nothing();
    return unused;
}

static void end_after_a_write_to_a_freed_cell_with_threads(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, do_nothing_in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    end_after_a_write_to_a_freed_cell();
}

/* Found out when the cell is to be handed out again, though its pages went in between. */
static void write_to_a_freed_cell_without_pages(void)
{
    unsigned char *cell = cell_among_others(4000);
    memset(cell, 'A', 4000);
    free(cell);
    trim();
    *(unsigned char *)opaque(cell + 2000) = 'A';
    accuse(cell);
    for (size_t i = 0; i < 1000; i++)
        opaque(malloc(opaque_size(4000)));
}

/* Ends well if nothing of what was there is seen. */
static void read_after_free(size_t size)
{
    unsigned char *cell = cell_among_others(size);
    memset(cell, 'A', size);
    free(cell);
    const volatile unsigned char *freed = opaque(cell);
    for (size_t i = 0; i < size; i++)
        if (freed[i] == 'A')
            _exit(3);
}

static void read_a_freed_small_cell(void)
{
    read_after_free(100);
}

static void read_a_freed_big_cell(void)
{
    read_after_free(50000);
}

static void read_a_freed_large_block(void)
{
    read_after_free((size_t)10 << 20);
}

/* What is in the cell is a function of nothing, on x86-64. */
static void run_a_cell(void)
{
    unsigned char *cell = cell_among_others(100);
    memset(cell, 0xc3, 100);
    ((void (*)(void))(uintptr_t)opaque(cell))();
}

static void free_of_a_middling_cell_after_a_byte_too_many(void)
{
    free(overflow(1000, 1));
}

static void free_of_a_big_cell_after_a_byte_too_many(void)
{
    free(overflow(100000, 1));
}

static void free_of_a_large_block_after_a_byte_too_many(void)
{
    free(overflow(((size_t)10 << 20) + 1000, 1));
}

/* There is no room for a seal before secure's guard. */
static void free_of_whole_pages_after_a_byte_too_many(void)
{
    free(overflow((size_t)10 << 20, 1));
}

static void free_of_whole_pages_after_32_zeros_too_many(void)
{
    unsigned char *block = overflow((size_t)10 << 20, 0);
    write_bytes(block + ((size_t)10 << 20), 0, 32);
    free(block);
}

static void realloc_of_a_large_block_after_a_byte(void)
{
    free(realloc(overflow(1000000, 1), opaque_size(1000001)));
}

static void end_after_a_byte_too_many(void)
{
    accuse(overflow(100, 1));
    exit(0);
}

static void end_after_a_byte_too_many_in_a_large_block(void)
{
    accuse(overflow(1000001, 1));
    exit(0);
}

static void free_after_a_byte_where_there_is_none(void)
{
    free(overflow(0, 1));
}

static void realloc_after_a_byte_too_many(void)
{
    free(realloc(overflow(100, 1), opaque_size(101)));
}

static void realloc_elsewhere_after_a_byte_too_many(void)
{
    free(realloc(overflow(100, 1), opaque_size(100000)));
}

static void usable_size_after_a_byte_too_many(void)
{
    if (malloc_usable_size(overflow(100, 1)) != 0)
        _exit(3);
}

static void free_with_an_overwritten_header(void)
{
    unsigned char *cell = cell_among_others(100);
    write_bytes(cell - 4, 'A', 4);
    free(accuse(cell));
}

/* The first cell of a group has one of zeros, or nearly. */
static void free_with_a_header_of_zeros(void)
{
    unsigned char *cell = cell_among_others(100);
    while (cell[-2] == 0)
        cell = cell_among_others(100);
    write_bytes(cell - 4, 0, 4);
    free(accuse(cell));
}

/* Found out when the cell is to be handed out again. */
static void write_behind_the_end_and_into_a_free_cell(void)
{
    unsigned char *cell = cell_among_others(filling_size());
    free(cell);
    *(unsigned char *)opaque(cell - 4) = 'A';
    accuse(cell);
    for (size_t i = 0; i < 1000; i++)
        opaque(malloc(opaque_size(filling_size())));
}

/* ---- What the C library is asked to do ---------------------------------------------------- */

static unsigned char other[WIDE_BYTES + 1000];

static void copy_behind_a_cell(void)
{
    unsigned char *cell = accuse(cell_among_others(100));
    memcpy(cell + 90, other, opaque_size(11));
}

static void copy_behind_a_wide_cell(void)
{
    unsigned char *cell = accuse(cell_among_others(WIDE_BYTES));
    memcpy(cell, other, opaque_size(WIDE_BYTES + 1));
}

/* Of two cells side by side: the byte before the one is the other's. */
static void copy_before_a_cell(void)
{
    unsigned char *cells[MANY];
    many_cells(cells);
    for (size_t i = 0; i < MANY * MANY; i++) {
        unsigned char *before = cells[i / MANY], *cell = cells[i % MANY];
        if (cell == before + engine_facts()->cell_of_100) {
            accuse(before);
            memcpy(opaque(cell - 1), other, opaque_size(100));
        }
    }
}

static void copy_from_behind_a_cell(void)
{
    const unsigned char *cell = accuse(cell_among_others(100));
    memcpy(other, cell, opaque_size(101));
}

static void move_behind_a_cell(void)
{
    unsigned char *cell = accuse(cell_among_others(100));
    memmove(cell + 1, cell, opaque_size(100));
}

static void fill_behind_a_cell(void)
{
    memset(accuse(cell_among_others(100)), 0, opaque_size(101));
}

static void copy_into_a_freed_cell(void)
{
    unsigned char *cell = cell_among_others(100);
    free(cell);
    memcpy(accuse(opaque(cell)), other, opaque_size(10));
}

static void copy_from_a_freed_cell(void)
{
    unsigned char *cell = cell_among_others(100);
    free(cell);
    memcpy(other, accuse(opaque(cell)), opaque_size(10));
}

/* ---- What looks like a cell --------------------------------------------------------------- */

/* ng: what lies before a group's cells; and a cell's header, in its last 4 bytes. */
struct forged_group {
    uint32_t meta;
    uint32_t unused[2];
    uint8_t far_offset;
    uint8_t index_and_reserve;
    uint16_t offset; /* from the first cell, in units of 16 bytes */
    unsigned char cell[96];
};

/* A group and its first cell, made by hand inside a live cell, of this meta. */
static void free_in_a_forged_group(uint32_t meta)
{
    struct forged_group *forged = (struct forged_group *)cell_among_others(1000);
    *forged = (struct forged_group){.meta = meta};
    free(accuse(forged->cell));
}

/* What is read without asking, as ng would. */
static void read_bytes(void *to, const void *from, size_t count)
{
    const volatile unsigned char *bytes = opaque((void *)(uintptr_t)from);
    for (size_t i = 0; i < count; i++)
        ((unsigned char *)to)[i] = bytes[i];
}

/* The start of the group that a cell is in, as its header leads to it. */
static unsigned char *group_of(unsigned char *cell)
{
    uint16_t offset;
    read_bytes(&offset, cell - 2, sizeof offset);
    return cell - (offset + (size_t)1) * 16;
}

/* The index of its meta. */
static uint32_t meta_of(unsigned char *cell)
{
    uint32_t meta;
    read_bytes(&meta, group_of(cell), sizeof meta);
    return meta;
}

static void free_in_a_forged_group_of_a_real_meta(void)
{
    free_in_a_forged_group(meta_of(cell_among_others(100)));
}

static void free_in_a_forged_group_of_no_meta(void)
{
    free_in_a_forged_group(UINT32_MAX - 1);
}

/* The cell of a larger class in which the smallest cells' group lies. */
static void free_the_cell_of_a_nested_group(void)
{
    free(accuse(group_of(cell_among_others(0))));
}

/* ---- The table ---------------------------------------------------------------------------- */

#define REHEARSAL "is a rehearsal"
#define NOT_OURS "is not from this heap, or was freed already"
#define NOT_A_CELL "is not the start of a cell"
#define NOT_A_CELL_OR_HEADER "is not the start of a cell, or its header was overwritten"
#define NOT_A_BLOCK "is not the start of a block"
#define OTHER_SIZE "was allocated with another size or alignment"
#define TWICE "was freed twice"
#define ALREADY "was freed already"
#define WRITTEN "was written to after it was freed"
#define BEHIND "was written to behind its end"
#define NO_WRITING "was to be written to behind its end"
#define NO_READING "was to be read behind its end"
#define FREE_AND_WRITTEN "is free, and was written to; or the cell before it was, behind its end"

/* Not a message: the access itself is refused; or does no harm. */
#define FAULTS "(fault)"
#define HARMLESS "(harmless)"

/* Builds that are not checked cannot know. */
#define IF_CHECKED(what) (DUET_CHECKED ? (what) : NULL)

/* The checked build is the first to see it, by a broken invariant. */
#define UNLESS_CHECKED(what) (DUET_CHECKED ? NULL : (what))

/* Not where the sanitizer has a thread of its own. */
#define IF_ALONE(what) (UNDER_TSAN ? NULL : (what))

/* Only secure's shared library looks. */
#ifdef DUET_NAMES
#define IF_SHARED(what) NULL
#else
#define IF_SHARED(what) (what)
#endif

/* In smp's tiny build WIDE_BYTES are beyond the classes. */
#define IF_TINY(block, cell) (DUET_TINY ? (block) : (cell))

struct misuse {
    const char *name;
    void (*body)(void);
    const char *call;
    /* What each engine says; NULL: it cannot know, or what it says is chance, and the row is left
     * out. */
    const char *duet;
    const char *smp;
    const char *ng;
    const char *secure;
};

static const struct misuse misuses[] = {
    {"crash on purpose", crash_on_purpose, "free", REHEARSAL, REHEARSAL, REHEARSAL, REHEARSAL},
    {"do nothing", do_nothing, "free", REHEARSAL, REHEARSAL, REHEARSAL, REHEARSAL},

    {"free of the stack", free_stack, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of a global", free_global, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of a function", free_text, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of a wild pointer", free_wild, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of a small integer", free_low, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of more than 48 bits", free_above_48_bits, "free", NOT_OURS, NOT_OURS, NOT_OURS,
     NOT_OURS},
    {"free of the last address", free_top, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of a tagged cell", free_tagged, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free of a mapping", free_mapped, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free from another heap", free_from_another_heap, "free", NOT_OURS, NOT_OURS, NOT_OURS,
     NOT_OURS},
    {"free inside a small cell", free_interior_of_small, "free", NOT_A_CELL, NOT_A_CELL,
     NOT_A_CELL_OR_HEADER, NOT_A_CELL},
    {"free of an odd address", free_misaligned, "free", NOT_A_CELL, NOT_A_CELL, NOT_A_CELL,
     NOT_A_CELL},
    {"free 8 bytes into the smallest", free_smallest_off_by_8, "free", NOT_A_CELL, NOT_A_CELL,
     NOT_A_CELL, NOT_A_CELL},
    {"free half way in a cell", free_second_half_of_cell, "free", NOT_A_CELL, NOT_A_CELL,
     NOT_A_CELL_OR_HEADER, NOT_A_CELL},
    {"free inside a wide cell", free_interior_of_wide, "free", NOT_A_CELL,
     IF_TINY(NOT_A_BLOCK, NOT_A_CELL), NOT_A_CELL_OR_HEADER, NOT_A_CELL},
    {"free the smallest twice", free_smallest_twice, "free", TWICE, TWICE, TWICE, TWICE},
    {"free a small cell twice", free_small_twice, "free", TWICE, TWICE, TWICE, ALREADY},
    {"free a middling cell twice", free_middling_twice, "free", TWICE, TWICE, TWICE, ALREADY},
    {"free a wide cell twice", free_wide_twice, "free", TWICE, IF_TINY(NOT_OURS, TWICE), NOT_OURS,
     ALREADY},
    {"free after realloc moved it", free_twice_after_realloc, "free", TWICE, TWICE, TWICE, ALREADY},
    {"free twice, another between", free_twice_with_another_between, "free", TWICE,
     IF_CHECKED(TWICE), TWICE, ALREADY},
    {"free twice, two others between", free_twice_with_two_others_between, "free",
     IF_CHECKED(TWICE), IF_CHECKED(TWICE), TWICE, ALREADY},
    {"free twice, two others between, and trim", free_twice_with_two_others_between_and_trim,
     "free", TWICE, IF_CHECKED(TWICE), TWICE, ALREADY},
    {"free twice, with a trim between", free_twice_with_a_trim_between, "free", TWICE, TWICE, TWICE,
     ALREADY},
    {"free twice, 100 others between", free_twice_100_others_between, "free", TWICE, TWICE, TWICE,
     ALREADY},
    {"free twice, 100,000 others between", free_twice_100000_others_between, "free", TWICE, TWICE,
     TWICE, ALREADY},
    {"free twice, 100,000 of its size between", free_twice_100000_of_its_size_between, "free",
     TWICE, TWICE, TWICE, ALREADY},
    {"free twice, in two threads", free_twice_in_two_threads, "free", IF_CHECKED(TWICE),
     IF_CHECKED(TWICE), TWICE, ALREADY},
    {"free what was never handed out", free_never_handed_out, "free", IF_CHECKED(TWICE),
     IF_CHECKED(TWICE), NOT_A_CELL_OR_HEADER, NULL},
    {"free what was never handed out, and trim", free_never_handed_out_and_trim, "free", TWICE,
     IF_CHECKED(TWICE), NOT_A_CELL_OR_HEADER, NULL},
    {"free a big cell twice", free_big_twice, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free a large block twice", free_large_twice, "free", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"free inside a large block", free_interior_of_large, "free", NOT_A_BLOCK, NOT_A_BLOCK,
     NOT_A_CELL_OR_HEADER, NOT_A_BLOCK},
    {"free of a page of a large block", free_page_of_large, "free", NOT_A_BLOCK, NOT_A_BLOCK,
     NOT_A_BLOCK, NOT_A_BLOCK},
    {"realloc of the stack", realloc_stack, "realloc", NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS},
    {"realloc inside a cell", realloc_interior, "realloc", NOT_A_CELL, NOT_A_CELL,
     NOT_A_CELL_OR_HEADER, NOT_A_CELL},
    {"realloc of a freed cell", realloc_freed, "realloc", NULL, NULL, TWICE, ALREADY},
    {"usable size of a global", usable_size_of_global, "malloc_usable_size", NOT_OURS, NOT_OURS,
     NOT_OURS, NOT_OURS},
    {"usable size inside a cell", usable_size_of_interior, "malloc_usable_size", NOT_A_CELL,
     NOT_A_CELL, NOT_A_CELL_OR_HEADER, NOT_A_CELL},
    {"usable size inside a large block", usable_size_inside_large, "malloc_usable_size",
     NOT_A_BLOCK, NOT_A_BLOCK, NOT_A_BLOCK, NOT_A_BLOCK},

    {"free with a larger size", free_with_a_larger_size, "free_sized", OTHER_SIZE,
     IF_CHECKED(OTHER_SIZE), OTHER_SIZE, OTHER_SIZE},
    {"free with a smaller size", free_with_a_smaller_size, "free_sized", OTHER_SIZE,
     IF_CHECKED(OTHER_SIZE), OTHER_SIZE, OTHER_SIZE},
    {"free with a size off by one", free_with_a_size_off_by_one, "free_sized", NULL, NULL,
     OTHER_SIZE, OTHER_SIZE},
    {"free a large block as small", free_large_as_small, "free_sized", OTHER_SIZE,
     IF_CHECKED(OTHER_SIZE), OTHER_SIZE, OTHER_SIZE},
    {"free a small cell as large", free_small_as_large, "free_sized", OTHER_SIZE,
     IF_CHECKED(OTHER_SIZE), OTHER_SIZE, OTHER_SIZE},
    {"free with another alignment", free_with_another_alignment, "free_sized", OTHER_SIZE,
     IF_CHECKED(OTHER_SIZE), OTHER_SIZE, OTHER_SIZE},
    {"free with less than its alignment", free_with_less_than_its_alignment, "free_sized", NULL,
     NULL, NULL, OTHER_SIZE},

    {"a byte too many", free_after_a_byte_too_many, "free", NULL, NULL, BEHIND, BEHIND},
    {"a zero too many", free_after_a_zero_too_many, "free", NULL, NULL, NULL, BEHIND},
    {"a byte where there is none", free_after_a_byte_where_there_is_none, "free", FAULTS, NULL,
     BEHIND, FAULTS},
    {"8 bytes too many", free_after_8_bytes_too_many, "free", NULL, NULL, BEHIND, BEHIND},
    {"16 bytes too many", free_after_16_bytes_too_many, "free", NULL, NULL, BEHIND, BEHIND},
    {"a page too many", free_after_a_page_too_many, "free", NULL, NULL, BEHIND, BEHIND},
    {"a byte too many in a full cell", free_after_a_byte_too_many_in_a_full_cell, "free", NULL,
     NULL, BEHIND, BEHIND},
    {"all that the cell has left", free_after_filling_the_slack, "free", NULL, NULL, BEHIND,
     BEHIND},
    {"the next cell's header", free_after_overwriting_the_next_header, "free", NULL, NULL, BEHIND,
     BEHIND},
    {"into the next cell", free_after_writing_into_the_next_cell, "free", NULL, NULL, BEHIND,
     BEHIND},
    {"a byte too many, middling cell", free_of_a_middling_cell_after_a_byte_too_many, "free", NULL,
     NULL, BEHIND, BEHIND},
    {"a byte too many, big cell", free_of_a_big_cell_after_a_byte_too_many, "free", NULL, NULL,
     BEHIND, BEHIND},
    {"a byte too many, large block", free_of_a_large_block_after_a_byte_too_many, "free", BEHIND,
     NULL, BEHIND, BEHIND},
    {"a byte too many, large block of whole pages", free_of_whole_pages_after_a_byte_too_many,
     "free", BEHIND, NULL, BEHIND, NULL},
    {"32 zeros too many, large block of whole pages", free_of_whole_pages_after_32_zeros_too_many,
     "free", BEHIND, NULL, NULL, NULL},
    {"a byte too many, large block, found by realloc", realloc_of_a_large_block_after_a_byte,
     "realloc", BEHIND, NULL, BEHIND, BEHIND},
    {"a byte too many, found by realloc in place", realloc_after_a_byte_too_many, "realloc", NULL,
     NULL, BEHIND, BEHIND},
    {"a byte too many, found by realloc elsewhere", realloc_elsewhere_after_a_byte_too_many,
     "realloc", NULL, NULL, BEHIND, BEHIND},
    {"a byte too many, found by asking for the size", usable_size_after_a_byte_too_many,
     "malloc_usable_size", NULL, NULL, BEHIND, BEHIND},
    {"a byte too many, found at the end", end_after_a_byte_too_many, "exit", NULL, NULL, NULL,
     IF_ALONE(BEHIND)},
    {"a byte too many, large block, found at the end", end_after_a_byte_too_many_in_a_large_block,
     "exit", IF_ALONE(BEHIND), NULL, NULL, IF_ALONE(BEHIND)},
    {"a byte before a cell", free_of_the_cell_before_an_underflow, "free", NULL, NULL, NULL,
     BEHIND},
    {"a page behind a large block", write_a_page_behind_a_large_block, NULL, NULL, NULL, NULL,
     FAULTS},
    {"a header of letters", free_with_an_overwritten_header, "free", NULL, NULL,
     NOT_A_CELL_OR_HEADER, NULL},
    {"a header of zeros", free_with_a_header_of_zeros, "free", NULL, NULL, NOT_A_CELL_OR_HEADER,
     NULL},
    {"into a free cell", write_behind_the_end_and_into_a_free_cell, "malloc", NULL, NULL,
     UNLESS_CHECKED(FREE_AND_WRITTEN), NULL},
    {"into a freed cell", write_to_a_freed_small_cell, "malloc", NULL, NULL, NULL, WRITTEN},
    {"into a freed middling cell", write_to_a_freed_middling_cell, "malloc", NULL, NULL, NULL,
     WRITTEN},
    {"into a freed cell whose pages went", write_to_a_freed_cell_without_pages, "malloc", NULL,
     NULL, NULL, WRITTEN},
    {"into a freed cell, found at the end", end_after_a_write_to_a_freed_cell, "exit", NULL, NULL,
     NULL, WRITTEN},
    {"into a freed cell, found at the end of threads",
     end_after_a_write_to_a_freed_cell_with_threads, "exit", NULL, NULL, NULL, WRITTEN},
    {"into a freed large block", write_to_a_freed_large_block, NULL, NULL, FAULTS, FAULTS, FAULTS},
    {"memcpy behind a cell", copy_behind_a_cell, "memcpy", NULL, NULL, NULL, IF_SHARED(NO_WRITING)},
    {"memcpy behind a wide cell", copy_behind_a_wide_cell, "memcpy", NULL, NULL, NULL,
     IF_SHARED(NO_WRITING)},
    {"memcpy from before a cell on", copy_before_a_cell, "memcpy", NULL, NULL, NULL,
     IF_SHARED(NO_WRITING)},
    {"memcpy from behind a cell", copy_from_behind_a_cell, "memcpy", NULL, NULL, NULL,
     IF_SHARED(NO_READING)},
    {"memmove behind a cell", move_behind_a_cell, "memmove", NULL, NULL, NULL,
     IF_SHARED(NO_WRITING)},
    {"memset behind a cell", fill_behind_a_cell, "memset", NULL, NULL, NULL, IF_SHARED(NO_WRITING)},
    {"memcpy into a freed cell", copy_into_a_freed_cell, "memcpy", NULL, NULL, NULL,
     IF_SHARED(ALREADY)},
    {"memcpy from a freed cell", copy_from_a_freed_cell, "memcpy", NULL, NULL, NULL,
     IF_SHARED(ALREADY)},
    {"reading a freed cell", read_a_freed_small_cell, NULL, NULL, NULL, NULL, HARMLESS},
    {"reading a freed big cell", read_a_freed_big_cell, NULL, NULL, NULL, FAULTS,
     IF_TINY(FAULTS, HARMLESS)},
    {"reading a freed large block", read_a_freed_large_block, NULL, NULL, FAULTS, FAULTS, FAULTS},
    {"running what is in a cell", run_a_cell, NULL, FAULTS, FAULTS, FAULTS, FAULTS},

    {"a forged group, a real meta", free_in_a_forged_group_of_a_real_meta, "free", NULL, NULL,
     NOT_A_CELL_OR_HEADER, NULL},
    {"a forged group, no meta", free_in_a_forged_group_of_no_meta, "free", NOT_A_CELL, NOT_A_CELL,
     NOT_A_CELL_OR_HEADER, NOT_A_CELL},
    {"free of a cell that holds a group", free_the_cell_of_a_nested_group, "free", NULL, NULL,
     NOT_A_CELL, NULL},
};

enum { ROW_UNEXPECTED = 1, FIRST_REAL_ROW = 2 };

static const char *what_is_said(const struct misuse *misuse)
{
    const char *engine = engine_facts()->name;
    if (strcmp(engine, "duet") == 0)
        return misuse->duet;
    if (strcmp(engine, "secure") == 0)
        return misuse->secure;
    return strcmp(engine, "smp") == 0 ? misuse->smp : misuse->ng;
}

/* ---- The harness -------------------------------------------------------------------------- */

struct outcome {
    int status;
    char said[4096];
};

/* A forked child has no last look; so who is to have one is another program. */
static void misuse_in_program(const struct misuse *misuse)
{
    char row[32], fd[32];
    snprintf(row, sizeof row, "%zu", (size_t)(misuse - misuses));
    snprintf(fd, sizeof fd, "%d", accused_fd);
    execl("/proc/self/exe", "misuse", row, fd, (char *)NULL);
    _exit(2);
}

static void misuse_in_child(const struct misuse *misuse, int error_fd)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    CHECK(dup2(error_fd, STDERR_FILENO) >= 0);
    signal(SIGSEGV, SIG_DFL); /* which the sanitizers catch */
    if (misuse->call != NULL && strcmp(misuse->call, "exit") == 0)
        misuse_in_program(misuse);
    misuse->body();
    _exit(0);
}

static struct outcome watch(const struct misuse *misuse)
{
    struct outcome outcome = {.status = 0};
    int fds[2];
    *accused = 0;
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        misuse_in_child(misuse, fds[1]);
    close(fds[1]);
    size_t length = 0;
    for (ssize_t got = 1; got > 0 && length < sizeof outcome.said - 1; length += (size_t)got) {
        got = read(fds[0], outcome.said + length, sizeof outcome.said - 1 - length);
        CHECK(got >= 0);
    }
    close(fds[0]);
    CHECK(waitpid(child, &outcome.status, 0) == child);
    return outcome;
}

static bool has_outcome(const struct outcome *outcome, const struct misuse *misuse,
                        const char *expected)
{
    if (strcmp(expected, FAULTS) == 0)
        return WIFSIGNALED(outcome->status) && WTERMSIG(outcome->status) == SIGSEGV;
    if (strcmp(expected, HARMLESS) == 0)
        return outcome->status == 0 && outcome->said[0] == '\0';
    char said[256];
    snprintf(said, sizeof said, "duet: %s: 0x%zx %s\n", misuse->call, (size_t)*accused, expected);
    return WIFSIGNALED(outcome->status) && WTERMSIG(outcome->status) == SIGABRT &&
           strcmp(outcome->said, said) == 0;
}

static bool is_as_expected(const struct misuse *misuse)
{
    struct outcome outcome = watch(misuse);
    const char *expected = what_is_said(misuse);
    bool as_expected = has_outcome(&outcome, misuse, expected);
    if (!as_expected)
        printf("  status %#x, said: %s  expected, of %#zx: %s\n", (unsigned)outcome.status,
               outcome.said[0] != '\0' ? outcome.said : "nothing\n", (size_t)*accused, expected);
    return as_expected;
}

/* What came of a row, in words. */
static void print_outcome(const struct misuse *misuse)
{
    struct outcome outcome = watch(misuse);
    const char *expected = what_is_said(misuse);
    char *said = strchr(outcome.said, '\n');
    if (said != NULL)
        *said = '\0';
    printf("%s\t", misuse->name);
    if (WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT)
        printf("%s\n", outcome.said);
    else if (WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGSEGV)
        printf("%s\n", FAULTS);
    else
        printf("%s\n", expected == NULL ? "" : HARMLESS);
}

static void share_page(int fd)
{
    accused_fd = fd;
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    accused = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(accused != MAP_FAILED);
}

/* With --table: a line for each row, of what this engine says, to be read by scripts/misuse-table;
 * also of what an engine cannot know. With the number of a row and a file's: that row alone, by
 * this program's own, which tells through the file. */
int main(int count, char **arguments)
{
    bool table = count == 2 && strcmp(arguments[1], "--table") == 0;
    require_duet();
    if (count == 3) {
        share_page(atoi(arguments[2]));
        misuses[atoi(arguments[1])].body();
        _exit(0);
    }
    setvbuf(stdout, NULL, _IONBF, 0); /* nothing for a child to flush again */
    share_page(memfd_create("misuse", 0));

    CHECK(has_sized_free());
    if (table) {
        for (size_t i = FIRST_REAL_ROW; i < sizeof misuses / sizeof misuses[0]; i++)
            print_outcome(&misuses[i]);
        return 0;
    }
    CHECK(is_as_expected(&misuses[0]));
    CHECK(!is_as_expected(&misuses[ROW_UNEXPECTED]));

    size_t failures = 0;
    for (size_t i = FIRST_REAL_ROW; i < sizeof misuses / sizeof misuses[0]; i++) {
        if (what_is_said(&misuses[i]) == NULL)
            continue;
        bool passed = is_as_expected(&misuses[i]);
        printf("%s: %s\n", passed ? "ok" : "FAILED", misuses[i].name);
        failures += !passed;
    }
    return failures != 0;
}
