/*
 * One process per misuse. The table says what each does, by which signal it has to end, and what
 * it has to say, to the letter and with the very address. Row 0 misuses nothing and crashes on
 * purpose in a way that the harness must report as expected; the row after it must be reported
 * as unexpected: a harness that calls everything fine would pass all others too.
 *
 * A misuse tells the address that it will be accused of through a page shared with its parent.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "memory.h"
#include "names.h"

static uintptr_t *accused; /* in the shared page */

static void *accuse(void *ptr)
{
    *accused = (uintptr_t)ptr;
    return opaque(ptr);
}

/* ---- Misuses ------------------------------------------------------------------------------ */

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
    free(accuse(cell + malloc_usable_size(cell) / 2));
}

static void free_twice_in_a_row(void)
{
    void *cell = malloc(opaque_size(100));
    free(cell);
    free(accuse(cell));
}

static void free_smallest_twice(void)
{
    void *cell = malloc(opaque_size(0));
    free(cell);
    free(accuse(cell));
}

static void free_twice_after_realloc(void)
{
    void *cell = malloc(opaque_size(100));
    void *moved = realloc(cell, opaque_size(100000));
    CHECK(moved != NULL && moved != opaque(cell));
    free(accuse(opaque(cell)));
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

/* ---- What the checked build finds as well -------------------------------------------------- */

static void free_twice_with_another_between(void)
{
    void *cell = malloc(opaque_size(100));
    void *other = malloc(opaque_size(100));
    free(cell);
    free(other);
    free(accuse(opaque(cell)));
}

static void free_never_handed_out(void)
{
    unsigned char *cell = malloc(opaque_size(100));
    size_t bytes = malloc_usable_size(cell);
    free(accuse(cell + bytes)); /* the cell behind, in a slab just begun */
}

static void free_with_a_larger_size(void)
{
    if (has_sized_free())
        free_sized(accuse(malloc(opaque_size(100))), 1000);
}

static void free_with_a_smaller_size(void)
{
    if (has_sized_free())
        free_sized(accuse(malloc(opaque_size(1000))), 100);
}

static void free_large_as_small(void)
{
    if (has_sized_free())
        free_sized(accuse(malloc(opaque_size((size_t)10 << 20))), 100);
}

/* ---- The table ---------------------------------------------------------------------------- */

#define NOT_OURS "is not from this heap, or was freed already"
#define NOT_A_CELL "is not the start of a cell"
#define NOT_A_BLOCK "is not the start of a block"
#define OTHER_SIZE "was allocated with another size or alignment"
#define TWICE "was freed twice"

struct misuse {
    const char *name;
    void (*body)(void);
    int signal;
    const char *call;
    const char *what;
    bool only_checked; /* other builds cannot know */
};

static const struct misuse misuses[] = {
    {"crash on purpose", crash_on_purpose, SIGABRT, "free", "is a rehearsal", false},
    {"do nothing", do_nothing, SIGABRT, "free", "is a rehearsal", false},

    {"free of the stack", free_stack, SIGABRT, "free", NOT_OURS, false},
    {"free of a global", free_global, SIGABRT, "free", NOT_OURS, false},
    {"free of a function", free_text, SIGABRT, "free", NOT_OURS, false},
    {"free of a wild pointer", free_wild, SIGABRT, "free", NOT_OURS, false},
    {"free of a small integer", free_low, SIGABRT, "free", NOT_OURS, false},
    {"free of more than 48 bits", free_above_48_bits, SIGABRT, "free", NOT_OURS, false},
    {"free of the last address", free_top, SIGABRT, "free", NOT_OURS, false},
    {"free of a tagged cell", free_tagged, SIGABRT, "free", NOT_OURS, false},
    {"free of a mapping", free_mapped, SIGABRT, "free", NOT_OURS, false},
    {"free inside a small cell", free_interior_of_small, SIGABRT, "free", NOT_A_CELL, false},
    {"free of an odd address", free_misaligned, SIGABRT, "free", NOT_A_CELL, false},
    {"free 8 bytes into the smallest", free_smallest_off_by_8, SIGABRT, "free", NOT_A_CELL, false},
    {"free half way in a cell", free_second_half_of_cell, SIGABRT, "free", NOT_A_CELL, false},
    {"free twice in a row", free_twice_in_a_row, SIGABRT, "free", TWICE, false},
    {"free the smallest twice", free_smallest_twice, SIGABRT, "free", TWICE, false},
    {"free after realloc moved it", free_twice_after_realloc, SIGABRT, "free", TWICE, false},
    {"free a large block twice", free_large_twice, SIGABRT, "free", NOT_OURS, false},
    {"free inside a large block", free_interior_of_large, SIGABRT, "free", NOT_A_BLOCK, false},
    {"free of a page of a large block", free_page_of_large, SIGABRT, "free", NOT_A_BLOCK, false},
    {"realloc of the stack", realloc_stack, SIGABRT, "realloc", NOT_OURS, false},
    {"realloc inside a cell", realloc_interior, SIGABRT, "realloc", NOT_A_CELL, false},
    {"usable size of a global", usable_size_of_global, SIGABRT, "malloc_usable_size", NOT_OURS,
     false},
    {"usable size inside a cell", usable_size_of_interior, SIGABRT, "malloc_usable_size",
     NOT_A_CELL, false},
    {"usable size inside a large block", usable_size_inside_large, SIGABRT, "malloc_usable_size",
     NOT_A_BLOCK, false},

    {"free twice, not in a row", free_twice_with_another_between, SIGABRT, "free", TWICE, true},
    {"free what was never handed out", free_never_handed_out, SIGABRT, "free", TWICE, true},
    {"free with a larger size", free_with_a_larger_size, SIGABRT, "free_sized", OTHER_SIZE, true},
    {"free with a smaller size", free_with_a_smaller_size, SIGABRT, "free_sized", OTHER_SIZE, true},
    {"free a large block as small", free_large_as_small, SIGABRT, "free_sized", OTHER_SIZE, true},
};

enum { ROW_UNEXPECTED = 1, FIRST_REAL_ROW = 2 };

/* ---- The harness -------------------------------------------------------------------------- */

struct outcome {
    int status;
    char said[4096];
};

static void misuse_in_child(const struct misuse *misuse, int error_fd)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    CHECK(dup2(error_fd, STDERR_FILENO) >= 0);
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

static bool is_as_expected(const struct misuse *misuse)
{
    struct outcome outcome = watch(misuse);
    char expected[256];
    snprintf(expected, sizeof expected, "duet: %s: 0x%zx %s\n", misuse->call, (size_t)*accused,
             misuse->what);
    bool as_expected = WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == misuse->signal &&
                       strcmp(outcome.said, expected) == 0;
    if (!as_expected)
        printf("  status %#x, said: %s  expected:           %s", (unsigned)outcome.status,
               outcome.said[0] != '\0' ? outcome.said : "nothing\n", expected);
    return as_expected;
}

int main(void)
{
    require_duet();
    setvbuf(stdout, NULL, _IONBF, 0); /* nothing for a child to flush again */
    accused = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(accused != MAP_FAILED);

    CHECK(is_as_expected(&misuses[0]));
    CHECK(!is_as_expected(&misuses[ROW_UNEXPECTED]));

    size_t failures = 0;
    for (size_t i = FIRST_REAL_ROW; i < sizeof misuses / sizeof misuses[0]; i++) {
        if (misuses[i].only_checked && !DUET_CHECKED)
            continue;
        bool passed = is_as_expected(&misuses[i]);
        printf("%s: %s\n", passed ? "ok" : "FAILED", misuses[i].name);
        failures += !passed;
    }
    return failures != 0;
}
