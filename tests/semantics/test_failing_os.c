/*
 * What if the kernel says no? A seccomp filter makes chosen system calls fail with ENOMEM, for
 * good, so each test runs in a child of its own and reports through its exit status.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"
#include "cmocka_tests.h"
#include "engine_facts.h"
#include "in_child.h"
#include "refused_calls.h"

#define ERRNO_MARK 4242

static void free_with_munmap_and_madvise_refused(void)
{
    enum { COUNT = 8 };
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(opaque_size((size_t)1 << (14 + i)));
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 0xaa, (size_t)1 << (14 + i));
    }
    const int calls[] = {SYS_munmap, SYS_madvise, SYS_mremap};
    refuse_system_calls(calls, 3);
    CHECK(munmap(blocks[COUNT - 1], (size_t)sysconf(_SC_PAGESIZE)) != 0); /* it works */
    for (size_t i = 0; i < COUNT; i++) {
        errno = ERRNO_MARK;
        free(blocks[i]);
        CHECK(errno == ERRNO_MARK);
    }
    /* The heap lives on, and what could not be unmapped is not handed out as zero. */
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = (size_t)1 << (14 + i);
        unsigned char *zeroed = calloc(1, opaque_size(size));
        CHECK(zeroed != NULL);
        CHECK(is_filled(zeroed, 0, size));
        memset(zeroed, 0xaa, size);
        free(zeroed);
    }
}

static void realloc_with_mremap_refused(void)
{
    size_t size = (size_t)1 << 20;
    unsigned char *block = malloc(opaque_size(size));
    CHECK(block != NULL);
    memset(block, 0x42, size);
    const int calls[] = {SYS_mremap};
    refuse_system_calls(calls, 1);
    block = realloc(block, opaque_size(size * 8));
    CHECK(block != NULL);
    CHECK(is_filled(block, 0x42, size));
    block = realloc(block, opaque_size(size / 2));
    CHECK(block != NULL);
    CHECK(is_filled(block, 0x42, size / 2));
    free(block);
}

/* A size that every engine serves from one class alone, whatever else there is. */
#define CELL_BYTES 80

/* Up to so many cells, linked in the order in which they came. Returns how many. */
static size_t take_cells(void **first, size_t most)
{
    void **last = first;
    size_t count = 0;
    for (void **cell; count < most && (cell = malloc(CELL_BYTES)) != NULL; count++) {
        *last = cell;
        last = cell;
    }
    *last = NULL;
    return count;
}

/* Returns how many. */
static size_t free_every_other_cell(void **first)
{
    size_t count = 0;
    for (void **cell = *first; cell != NULL && *cell != NULL; cell = *cell, count++) {
        void **other = *cell;
        *cell = *other;
        free(other);
    }
    return count;
}

static void free_all_cells(void **first)
{
    for (void **cell = *first, **next; cell != NULL; cell = next) {
        next = *cell;
        free(cell);
    }
}

/* Whoever holds a lock of the heap has signals held off: so none is left behind. */
static bool is_held_off(int number)
{
    sigset_t mask;
    CHECK(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    return sigismember(&mask, number) == 1;
}

static void no_more_memory(void)
{
    size_t size = (size_t)1 << 20;
    unsigned char *block = malloc(opaque_size(size));
    CHECK(block != NULL);
    memset(block, 0x42, size);
    enum { EARLY = 100, MOST = 1 << 24 };
    void *early, *late;
    CHECK(take_cells(&early, EARLY) == EARLY);
    const int calls[] = {SYS_mmap, SYS_mremap, SYS_mprotect};
    refuse_system_calls(calls, 3);
    errno = 0;
    CHECK(realloc(opaque(block), opaque_size(size * 64)) == NULL);
    CHECK(errno == ENOMEM);
    CHECK(is_filled(block, 0x42, size));
    errno = 0;
    CHECK(malloc(opaque_size(size * 64)) == NULL);
    CHECK(errno == ENOMEM);
    errno = 0;
    CHECK(calloc(64, opaque_size(size)) == NULL);
    CHECK(errno == ENOMEM);
    errno = 0;
    CHECK(aligned_alloc(1 << 21, opaque_size(size * 64)) == NULL);
    CHECK(errno == ENOMEM);
    void *out = &out;
    errno = ERRNO_MARK;
    CHECK(posix_memalign(&out, 1 << 21, opaque_size(size * 64)) == ENOMEM);
    CHECK(errno == ERRNO_MARK && out == &out);

    /* Small ones come until what is held has run out, and again as many as are freed. */
    errno = 0;
    size_t count = take_cells(&late, MOST);
    CHECK(count < MOST && errno == ENOMEM);
    CHECK(!is_held_off(SIGUSR1));
    size_t freed = free_every_other_cell(&early);
    CHECK(freed == EARLY / 2);
    for (; freed > 0; freed--)
        CHECK(malloc(CELL_BYTES) != NULL);
    free_all_cells(&late);
    for (freed = engine_facts()->keeps_small_memory ? count : 0; freed > 0; freed--)
        CHECK(malloc(CELL_BYTES) != NULL);
    free(block);
}

/* And not an address alone, which has no bytes. ng and secure say of each what was asked for. */
static bool is_a_block(void *ptr)
{
    const char *engine = engine_facts()->name;
    return malloc_usable_size(ptr) > 0 || strcmp(engine, "ng") == 0 ||
           strcmp(engine, "secure") == 0;
}

/* Where there is no address for it alone it is another block, of any alignment for which there is
 * memory; of which a sized free says no bytes all the same. */
static void no_bytes_with_mmap_refused(void)
{
    const int calls[] = {SYS_mmap};
    enum { COUNT = 200 };
    void *early[COUNT];
    for (size_t i = 0; i < COUNT; i++) /* so that there are free cells, and extents */
        early[i] = malloc(opaque_size(i % 100 == 0 ? 300000 : CELL_BYTES));
    for (size_t i = 0; i < COUNT; i++)
        free(early[i]);
    refuse_system_calls(calls, 1);
    for (size_t align = 16; align <= 65536; align *= 2) {
        errno = 0;
        void *block = aligned_alloc(align, opaque_size(0));
        CHECK(block != NULL ? is_a_block(block) : errno == ENOMEM);
        if (has_sized_free())
            free_aligned_sized(block, align, opaque_size(0));
        else
            free(block);
    }
    void *block = malloc(opaque_size(0));
    CHECK(block != NULL && is_a_block(block));
    if (has_sized_free())
        free_sized(block, opaque_size(0));
    else
        free(block);
}

static void free_keeps_errno_when_the_kernel_refuses(void **state)
{
    (void)state;
    in_child(free_with_munmap_and_madvise_refused);
}

static void realloc_copies_when_pages_cannot_move(void **state)
{
    (void)state;
    in_child(realloc_with_mremap_refused);
}

static void blocks_of_no_bytes_are_had_all_the_same(void **state)
{
    (void)state;
    in_child(no_bytes_with_mmap_refused);
}

static void allocation_fails_cleanly_and_recovers(void **state)
{
    (void)state;
    in_child(no_more_memory);
}

int main(void)
{
    require_duet();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_keeps_errno_when_the_kernel_refuses),
        cmocka_unit_test(blocks_of_no_bytes_are_had_all_the_same),
        cmocka_unit_test(realloc_copies_when_pages_cannot_move),
        cmocka_unit_test(allocation_fails_cleanly_and_recovers),
    };
    return cmocka_run_group_tests_name("failing os", tests, NULL, NULL);
}
