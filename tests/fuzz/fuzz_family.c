/*
 * The family as a fuzz target: the bytes are records of operations, each a byte that says which and
 * as many more as it takes, over all functions of duet.h. A shadow model (model.h) knows what each
 * live block has to be; after each operation it is asked whether that is so.
 *
 * Operations are done by several threads in turns (baton.h): one runs at any time, so the same
 * input does the same each time, as far as the clock and the addresses let it. What threads do to
 * each other at the same moment is left to tests/torture.
 *
 * An operation may make the kernel refuse memory, or fail other calls, until further notice. Only
 * in this time may a request that could be served be refused. When all is done, all blocks are
 * freed, threads end, and the statistics must say that as much is in use as before.
 *
 * The heap outlives the input, and so do its faults: one that needs several inputs is repeated by
 * the same inputs in the same order, which is the fuzzer with the same seed.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "baton.h"
#include "duet.h"
#include "fuzz.h"
#include "input.h"
#include "kernel.h"
#include "memory.h"
#include "model.h"

#define ERRNO_MARK 4242

/* What the C names promise of every block. */
#define C_ALIGN ((size_t)16)

/* More forks, new threads, and looks at the statistics, which visit each free cell, tell nothing
 * new in an input, and take their time. */
#define FORKS_MOST 1
#define THREADS_MOST 16
#define LOOKS_MOST 3

/* Nor do more blocks at once than these, or more long ones that change their length, which may be
 * copied. */
#define MANY_BYTES_MOST ((size_t)1 << 20)
#define LONG_BYTES ((size_t)256 << 10)
#define LONG_CHANGES_MOST 3

/* All blocks are looked at, at their ends, after so many operations. */
#define LOOK_AROUND_AFTER 32

/* More than this is not held when all was freed and trimmed, whatever came before: metas stay, and
 * a segment or two of up to 16 MiB. What is lost at each input is more before long. (smp keeps
 * small memory, as much as there ever was.) */
#define HELD_MOST ((size_t)64 << 20)

static struct input input;
static size_t page_bytes;
static unsigned forks;
static unsigned threads;
static unsigned long_changes;
static unsigned looks; /* at the statistics */

/* Cells and large blocks in use that are not the model's: of the C library, where it runs on us. */
static size_t foreign_blocks;

static bool is_power_of_two(size_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- What an allocation has to do ------------------------------------------------------------ */

struct request {
    size_t length;
    size_t align; /* as its sized free has to say it */
    enum family family;
    bool zeroed;
    int error; /* it has to fail with this; 0: it has to be served */
};

/* The error of a request that has no other fault than to be too much. */
static int error_of(size_t length, size_t align)
{
    return length >= BEYOND_ALL || align >= BEYOND_ALL ? ENOMEM : 0;
}

static bool fits_model(size_t length)
{
    return model_count() < BLOCKS_MOST && length <= MODEL_BYTES_MOST - model_bytes();
}

/* Whether so much may be asked for: what cannot be served may always. */
static bool may_ask(size_t length)
{
    return length >= BEYOND_ALL || fits_model(length);
}

/* A call returned NULL, or an error: was it right to? */
static void judge_failure(int error, int wanted)
{
    if (wanted == 0 && !kernel_is_refusing())
        FINDING("operation %u, %s: refused, though there is memory", model_operation, model_call);
    if (error != (wanted != 0 ? wanted : ENOMEM))
        FINDING("operation %u, %s: failed with errno %d", model_operation, model_call, error);
}

static void judge_errno(int error)
{
    if (error != ERRNO_MARK)
        FINDING("operation %u, %s: changed errno to %d", model_operation, model_call, error);
}

/* Takes what a call has returned, right after it. */
static void take_block(void *start, const struct request *request)
{
    int error = errno;
    if (start == NULL) {
        judge_failure(error, request->error);
        return;
    }
    if (request->error != 0)
        FINDING("operation %u, %s: served what it cannot, %zu bytes aligned to %zu",
                model_operation, model_call, request->length, request->align);
    judge_errno(error);
    model_add(start, request->length, request->align, request->family, request->zeroed);
}

/* ---- Allocating ----------------------------------------------------------------------------- */

static void do_malloc(size_t size)
{
    model_call = "malloc";
    if (!may_ask(size))
        return;
    errno = ERRNO_MARK;
    void *start = duet_malloc(size);
    take_block(start, &(struct request){
                          .length = size, .align = C_ALIGN, .error = error_of(size, C_ALIGN)});
}

/* The product, and the most that there is where it is more. */
static size_t product(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

static void do_calloc(void)
{
    size_t count = take_count(&input);
    size_t size = take_size(&input);
    size_t bytes = product(count, size);
    model_call = "calloc";
    if (!may_ask(bytes))
        return;
    errno = ERRNO_MARK;
    void *start = duet_calloc(count, size);
    take_block(start, &(struct request){.length = bytes,
                                        .align = C_ALIGN,
                                        .zeroed = true,
                                        .error = error_of(bytes, C_ALIGN)});
}

static void do_aligned_alloc(void)
{
    size_t align = take_align(&input);
    size_t size = take_size(&input);
    int error = is_power_of_two(align) ? error_of(size, align) : EINVAL;
    model_call = "aligned_alloc";
    if (!may_ask(size))
        return;
    errno = ERRNO_MARK;
    void *start = duet_aligned_alloc(align, size);
    take_block(start,
               &(struct request){.length = size, .align = larger(align, C_ALIGN), .error = error});
}

static void do_posix_memalign(void)
{
    static char unchanged;
    size_t align = take_align(&input);
    size_t size = take_size(&input);
    bool is_valid = is_power_of_two(align) && align >= sizeof(void *);
    int wanted = is_valid ? error_of(size, align) : EINVAL;
    model_call = "posix_memalign";
    if (!may_ask(size))
        return;
    void *start = &unchanged;
    errno = ERRNO_MARK;
    int error = duet_posix_memalign(&start, align, size);
    judge_errno(errno);
    if (error != 0) {
        judge_failure(error, wanted);
        if (start != &unchanged)
            FINDING("operation %u, posix_memalign: failed, and changed the pointer",
                    model_operation);
        return;
    }
    errno = ERRNO_MARK;
    take_block(start,
               &(struct request){.length = size, .align = larger(align, C_ALIGN), .error = wanted});
}

/* Rounds its alignment up to a power of two. */
static void do_memalign(void)
{
    size_t align = take_align(&input);
    size_t size = take_size(&input);
    size_t rounded = C_ALIGN;
    while (rounded < align && rounded < BEYOND_ALL)
        rounded *= 2;
    model_call = "memalign";
    if (!may_ask(size))
        return;
    errno = ERRNO_MARK;
    void *start = duet_memalign(align, size);
    take_block(start, &(struct request){
                          .length = size, .align = rounded, .error = error_of(size, rounded)});
}

static void do_valloc(void)
{
    size_t size = take_size(&input);
    model_call = "valloc";
    if (!may_ask(size))
        return;
    errno = ERRNO_MARK;
    void *start = duet_valloc(size);
    take_block(start,
               &(struct request){.length = size, .align = page_bytes, .error = error_of(size, 1)});
}

static void do_pvalloc(void)
{
    size_t size = take_size(&input);
    size_t pages = size / page_bytes + (size % page_bytes != 0 || size == 0);
    size_t rounded = product(pages, page_bytes);
    model_call = "pvalloc";
    if (!may_ask(rounded))
        return;
    errno = ERRNO_MARK;
    void *start = duet_pvalloc(size);
    take_block(start, &(struct request){
                          .length = rounded, .align = page_bytes, .error = error_of(rounded, 1)});
}

static void do_alloc(size_t length, size_t align)
{
    model_call = "duet_alloc";
    if (!may_ask(length))
        return;
    errno = ERRNO_MARK;
    void *start = duet_alloc(length, align);
    take_block(start, &(struct request){.length = length,
                                        .align = align,
                                        .family = FAMILY_LENGTHS,
                                        .error = is_power_of_two(align) ? error_of(length, align)
                                                                        : EINVAL});
}

/* ---- Changing lengths ----------------------------------------------------------------------- */

/* Takes what realloc has returned of a block. */
static void take_changed(struct block *block, void *start, size_t size)
{
    int error = errno;
    if (start == NULL) {
        judge_failure(error, error_of(size, C_ALIGN));
        model_verify(block);
        if (duet_usable_size(block->start) != block->extent)
            FINDING("operation %u, %s: failed, and changed the block's usable size",
                    model_operation, model_call);
        return;
    }
    if (error_of(size, C_ALIGN) != 0)
        FINDING("operation %u, %s: served %zu bytes", model_operation, model_call, size);
    judge_errno(error);
    model_change(block, start, size, C_ALIGN);
}

/* realloc, or reallocarray for a count of SIZE_MAX or less. */
static void *call_realloc(void *start, bool by_array, size_t count, size_t size)
{
    errno = ERRNO_MARK;
    return by_array ? duet_reallocarray(start, count, size) : duet_realloc(start, size);
}

/* Whether the change would be of a long block, and there were enough of these. */
static bool is_long_change(const struct block *block, size_t length)
{
    return block->extent > LONG_BYTES && length > LONG_BYTES && length < BEYOND_ALL &&
           long_changes++ >= LONG_CHANGES_MOST;
}

static void do_realloc(bool by_array)
{
    struct block *block = model_pick(FAMILY_C, take_byte(&input));
    size_t count = by_array ? take_count(&input) : 1;
    size_t size = take_size(&input);
    size_t bytes = product(count, size);
    model_call = by_array ? "reallocarray" : "realloc";
    if (!may_ask(bytes) || (block != NULL && is_long_change(block, bytes)))
        return;
    if (block == NULL) {
        take_block(call_realloc(NULL, by_array, count, size),
                   &(struct request){
                       .length = bytes, .align = C_ALIGN, .error = error_of(bytes, C_ALIGN)});
    } else if (bytes == 0) { /* as the C library's: the block is freed */
        unsigned char *start = block->start;
        model_remove(block);
        if (call_realloc(start, by_array, count, size) != NULL)
            FINDING("operation %u, %s: to 0 bytes gave a block", model_operation, model_call);
        judge_errno(errno);
    } else {
        model_verify(block);
        take_changed(block, call_realloc(block->start, by_array, count, size), bytes);
    }
}

/* duet_resize and duet_remap, which may always refuse, but then change nothing. */
static void do_resize(bool may_move)
{
    struct block *block = model_pick(FAMILY_LENGTHS, take_byte(&input));
    size_t length = take_size(&input);
    model_call = may_move ? "duet_remap" : "duet_resize";
    if (block == NULL || !may_ask(length))
        return;
    model_verify(block);
    errno = ERRNO_MARK;
    void *start;
    if (may_move)
        start = duet_remap(block->start, block->length, block->align, length);
    else
        start =
            duet_resize(block->start, block->length, block->align, length) ? block->start : NULL;
    judge_errno(errno);
    if (start == NULL)
        model_verify(block);
    else if (error_of(length, block->align) != 0)
        FINDING("operation %u, %s: served %zu bytes", model_operation, model_call, length);
    else
        model_change(block, start, length, block->align);
}

/* ---- Freeing -------------------------------------------------------------------------------- */

enum free_by { FREE_PLAIN, FREE_SIZED, FREE_ALIGNED_SIZED, FREE_WAYS };

static void free_block(struct block *block, enum free_by by)
{
    struct block was = *block;
    model_remove(block);
    errno = ERRNO_MARK;
    if (was.family == FAMILY_LENGTHS) {
        model_call = "duet_free";
        duet_free(was.start, was.length, was.align);
    } else if (by == FREE_PLAIN) {
        model_call = "free";
        duet_mfree(was.start);
    } else if (by == FREE_SIZED && was.align <= C_ALIGN) {
        model_call = "free_sized";
        duet_free_sized(was.start, was.length);
    } else {
        model_call = "free_aligned_sized";
        duet_free_aligned_sized(was.start, was.align, was.length);
    }
    judge_errno(errno);
}

static void do_free(enum family family, enum free_by by)
{
    struct block *block = model_pick(family, take_byte(&input));
    if (block != NULL)
        free_block(block, by);
}

static void do_free_null(void)
{
    model_call = "free of NULL";
    size_t size = take_size(&input);
    errno = ERRNO_MARK;
    duet_mfree(NULL);
    duet_free_sized(NULL, size);
    duet_free_aligned_sized(NULL, C_ALIGN, size);
    judge_errno(errno);
    if (duet_usable_size(NULL) != 0)
        FINDING("operation %u: NULL has usable bytes", model_operation);
}

/* Frees them all, each time the one that lies `step` behind in their list, by one way after the
 * other. */
static void free_all(unsigned step)
{
    for (enum family family = 0; family < FAMILIES; family++) {
        struct block *block;
        for (unsigned i = 0; (block = model_pick(family, i * step)) != NULL; i++)
            free_block(block, (enum free_by)(i % FREE_WAYS));
    }
}

/* ---- Many at once --------------------------------------------------------------------------- */

/* As many as fill a magazine, or a group, take few bytes of input. */
static void do_many(bool with_lengths)
{
    unsigned count = 1 + take_byte(&input) % 128;
    size_t size = take_size(&input);
    for (unsigned i = 0; i < count && size * i < MANY_BYTES_MOST && size < BEYOND_ALL; i++) {
        if (with_lengths)
            do_alloc(size, 1);
        else
            do_malloc(size);
    }
}

static void do_free_many(void)
{
    unsigned count = 1 + take_byte(&input) % 128;
    unsigned at = take_byte(&input);
    unsigned step = take_byte(&input);
    enum family family = (enum family)(step >> 7);
    for (unsigned i = 0; i < count; i++) {
        struct block *block = model_pick(family, at + i * (step & 15));
        if (block != NULL)
            free_block(block, (enum free_by)((step >> 4) % FREE_WAYS));
    }
}

/* ---- The heap as a whole -------------------------------------------------------------------- */

static size_t blocks_in_use(void)
{
    struct duet_heap_stats stats;
    duet_stats(&stats);
    return stats.cells + stats.large_blocks;
}

static void do_statistics(void)
{
    struct duet_heap_stats stats;
    model_call = "duet_stats";
    errno = ERRNO_MARK;
    duet_stats(&stats);
    judge_errno(errno);
    size_t in_use = stats.cells + stats.large_blocks;
    /* Without the barrier that a look into other threads' slots takes, the count is not exact. */
    if (!kernel_is_refusing() && in_use != foreign_blocks + model_count())
        FINDING("operation %u: %zu cells and %zu large blocks are counted, of %zu and %zu others",
                model_operation, stats.cells, stats.large_blocks, model_count(), foreign_blocks);
    if (stats.held_bytes < stats.cell_bytes + stats.large_bytes ||
        stats.held_peak_bytes < stats.held_bytes)
        FINDING("operation %u: held are %zu bytes, at most %zu, for %zu in cells and %zu in large "
                "blocks",
                model_operation, stats.held_bytes, stats.held_peak_bytes, stats.cell_bytes,
                stats.large_bytes);
}

static void do_trim(void)
{
    model_call = "duet_trim";
    errno = ERRNO_MARK;
    duet_trim();
    judge_errno(errno);
    model_verify_ends(true);
}

static void do_usable_size(void)
{
    const struct block *block = model_pick(FAMILY_C, take_byte(&input));
    model_call = "usable_size";
    errno = ERRNO_MARK;
    if (block != NULL && duet_usable_size(block->start) != block->extent)
        FINDING("operation %u: the usable size of %p is another than before", model_operation,
                (void *)block->start);
    judge_errno(errno);
}

static void do_rewrite(void)
{
    unsigned number = take_byte(&input);
    struct block *block = model_pick((enum family)(number & 1), number >> 1);
    if (block != NULL)
        model_rewrite(block);
}

/* ---- Threads and processes ------------------------------------------------------------------ */

/* What a thread's start or end leaves in use is not the model's. A sanitizer has a malloc of its
 * own; in all other builds it is ours, and the kernel has to let us count. */
static size_t count_before(void)
{
    if (UNDER_SANITIZER)
        return 0;
    kernel_refuse_nothing();
    return blocks_in_use();
}

static void count_foreign(size_t before)
{
    if (!UNDER_SANITIZER)
        foreign_blocks += blocks_in_use() - before;
}

static bool make_thread(unsigned player)
{
    if (threads == THREADS_MOST)
        return false;
    threads++;
    kernel_refuse_nothing();
    size_t before = count_before();
    if (!baton_make(player))
        FINDING("cannot start a thread");
    count_foreign(before);
    return true;
}

static void end_thread(unsigned player)
{
    size_t before = count_before();
    baton_leave(player);
    count_foreign(before);
}

static void do_switch(unsigned self)
{
    unsigned other = take_byte(&input) % PLAYERS;
    if (other != self && (baton_is_made(other) || make_thread(other)))
        baton_pass(self, other);
}

static void do_end_thread(unsigned self)
{
    unsigned other = take_byte(&input) % PLAYERS;
    model_call = "the end of a thread";
    if (other != self && other != 0 && baton_is_made(other))
        end_thread(other);
    model_verify_ends(true);
}

/* A child of fork finds all as it was, and can use it. */
static _Noreturn void be_child(void)
{
    model_call = "in a child of fork";
    model_verify_all();
    for (unsigned i = 0; i < 8; i++) {
        do_malloc((size_t)16 << i);
        do_alloc((size_t)3000 << i, 8);
    }
    free_all(5);
    do_statistics();
    _exit(0);
}

static void do_fork(void)
{
    if (forks++ >= FORKS_MOST)
        return;
    kernel_refuse_nothing();
    model_call = "fork";
    pid_t child = fork();
    if (child < 0)
        FINDING("cannot fork: %s", strerror(errno));
    if (child == 0)
        be_child();
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            FINDING("cannot wait for a child: %s", strerror(errno));
    if (status != 0)
        FINDING("operation %u: a child of fork ended with status %#x", model_operation,
                (unsigned)status);
}

/* ---- The records ---------------------------------------------------------------------------- */

static void operate(unsigned self)
{
    switch (take_byte(&input) % 32) {
    case 0 ... 2:
        do_malloc(take_size(&input));
        break;
    case 3:
        do_calloc();
        break;
    case 4 ... 5:
        do_realloc(false);
        break;
    case 6:
        do_realloc(true);
        break;
    case 7:
        do_aligned_alloc();
        break;
    case 8:
        do_posix_memalign();
        break;
    case 9:
        do_memalign();
        break;
    case 10:
        do_valloc();
        break;
    case 11:
        do_pvalloc();
        break;
    case 12 ... 13:
        do_free(FAMILY_C, FREE_PLAIN);
        break;
    case 14:
        do_free(FAMILY_C, FREE_SIZED);
        break;
    case 15:
        do_free(FAMILY_C, FREE_ALIGNED_SIZED);
        break;
    case 16:
        do_usable_size();
        break;
    case 17: {
        size_t align = take_align(&input);
        do_alloc(take_size(&input), align);
        break;
    }
    case 18:
        do_resize(false);
        break;
    case 19:
        do_resize(true);
        break;
    case 20:
        do_free(FAMILY_LENGTHS, FREE_PLAIN);
        break;
    case 21:
        do_trim();
        break;
    case 22:
        if (looks++ < LOOKS_MOST)
            do_statistics();
        break;
    case 23 ... 24:
        do_switch(self);
        break;
    case 25:
        do_end_thread(self);
        break;
    case 26:
        do_fork();
        break;
    case 27:
        kernel_refuse(take_byte(&input));
        break;
    case 28:
        do_many(false);
        break;
    case 29:
        do_many(true);
        break;
    case 30:
        do_free_many();
        break;
    default:
        if (take_byte(&input) % 2 == 0)
            do_rewrite();
        else
            do_free_null();
    }
}

static void play(unsigned self)
{
    while (!baton_is_over(self)) {
        if (input_is_empty(&input)) {
            baton_finish(self);
            return;
        }
        model_operation++;
        operate(self);
        if (!baton_is_over(self)) /* and it is this one's turn again */
            model_verify_ends(model_operation % LOOK_AROUND_AFTER == 0);
    }
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void begin(const uint8_t *data, size_t size)
{
    page_bytes = kernel_page_bytes();
    input = (struct input){.bytes = data, .left = size};
    forks = 0;
    threads = 0;
    long_changes = 0;
    looks = 0;
    kernel_refuse_nothing();
    model_begin();
    model_operation = 0;
    foreign_blocks = UNDER_SANITIZER ? 0 : blocks_in_use();
    baton_begin(play);
}

static void end(void)
{
    model_operation++;
    free_all(1); /* though the kernel may still refuse */
    kernel_refuse_nothing();
    for (unsigned i = 1; i < PLAYERS; i++)
        if (baton_is_made(i))
            end_thread(i);
    do_statistics();
    do_trim();
    struct duet_heap_stats stats;
    duet_stats(&stats);
    if (stats.held_bytes > HELD_MOST && strcmp(duet_engine(), "smp") != 0)
        FINDING("at the end %zu bytes are held for %zu in use", stats.held_bytes,
                stats.cell_bytes + stats.large_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin(data, size);
    play(0);
    end();
    return 0;
}
