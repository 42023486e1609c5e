/*
 * A random workload, in which every group of every context is verified after every operation.
 *
 * Beside the heap there is a book of all blocks: address, length, alignment and what each was
 * filled with. In the end all is freed, and what is left has to be explained.
 */
#include "ng_tests.h"

#define BLOCKS 256
#ifdef __SANITIZE_THREAD__ /* under which an operation takes twenty times as long */
#define OPERATIONS 4000
#else
#define OPERATIONS 20000
#endif
#define SEEDS 3

/* Large blocks are filled and compared at their ends alone. */
#define FILLED_AT_EACH_END ((size_t)2048)

struct block {
    unsigned char *ptr; /* NULL: there is none */
    size_t length;
    size_t align;
    unsigned char filling;
};

static struct workload {
    struct block blocks[BLOCKS];
    uint64_t seed, random;
    size_t operation;
    struct context *context; /* NULL: those of the process */
} work;

#define expect(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %lu, operation %zu: %s", (unsigned long)work.seed, work.operation,      \
                     #condition);                                                                  \
    } while (0)

/* ---- Blocks -------------------------------------------------------------------------------- */

static size_t end_length(size_t length)
{
    return min_size(length, FILLED_AT_EACH_END);
}

static void fill(struct block *block)
{
    block->filling = (unsigned char)(1 + random_below(&work.random, 255));
    size_t end = end_length(block->length);
    memset(block->ptr, block->filling, end);
    memset(block->ptr + block->length - end, block->filling, end);
}

static bool is_all(const unsigned char *bytes, size_t length, unsigned char byte)
{
    return length == 0 || (bytes[0] == byte && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Of a block that was shortened, or is longer now, only the first bytes are known. */
static void expect_filled(const struct block *block, size_t known)
{
    expect(is_all(block->ptr, end_length(min_size(known, block->length)), block->filling));
    size_t end = end_length(block->length);
    if (known == block->length)
        expect(is_all(block->ptr + known - end, end, block->filling));
}

static void expect_is_as_asked_for(const struct block *block)
{
    expect(block->ptr != NULL);
    expect((uintptr_t)block->ptr % block->align == 0);
    /* Of 0 bytes a large block has 1; there is no large one without an alignment. */
    bool may_be_longer = block->length == 0 && block->align > 16;
    expect(duet_usable_size(block->ptr) == block->length ||
           (may_be_longer && duet_usable_size(block->ptr) == 1));
}

/* Half of all lengths are small, a few are large. */
static size_t random_length(void)
{
    static const size_t limits[] = {16, 64, 64, 256, 256, 1024, 2048, 6000, 20000, 140000, 400000};
    size_t kind = random_below(&work.random, 16);
    size_t limit = kind < sizeof limits / sizeof *limits ? limits[kind] : 128;
    return random_below(&work.random, limit);
}

/* ---- Operations ----------------------------------------------------------------------------- */

static void do_malloc(struct block *block)
{
    *block = (struct block){.length = random_length(), .align = 16};
    block->ptr = duet_malloc(block->length);
    expect_is_as_asked_for(block);
    fill(block);
}

static void do_calloc(struct block *block)
{
    *block = (struct block){.length = random_length(), .align = 16};
    block->ptr = duet_calloc(1, block->length);
    expect_is_as_asked_for(block);
    expect(is_all(block->ptr, block->length, 0));
    fill(block);
}

static void do_aligned_alloc(struct block *block)
{
    size_t align = (size_t)16 << random_below(&work.random, 10);
    *block = (struct block){.length = random_length(), .align = align};
    block->ptr = duet_aligned_alloc(align, block->length);
    expect_is_as_asked_for(block);
    fill(block);
}

static void do_free(struct block *block)
{
    expect_filled(block, block->length);
    if (random_below(&work.random, 4) == 0)
        duet_free_aligned_sized(block->ptr, block->align, duet_usable_size(block->ptr));
    else
        duet_mfree(block->ptr);
    block->ptr = NULL;
}

static void do_realloc(struct block *block)
{
    expect_filled(block, block->length);
    size_t known = block->length;
    block->length =
        1 + (random_below(&work.random, 2) == 0 ? random_length()
                                                : random_below(&work.random, 2 * (known + 8)));
    block->align = 16;
    block->ptr = duet_realloc(block->ptr, block->length);
    expect_is_as_asked_for(block);
    expect_filled(block, known);
    fill(block);
}

static void operate(void)
{
    struct block *block = &work.blocks[random_below(&work.random, BLOCKS)];
    size_t what = random_below(&work.random, 16);
    if (block->ptr != NULL && what < 5)
        do_realloc(block);
    else if (block->ptr != NULL)
        do_free(block);
    else if (what < 2)
        do_aligned_alloc(block);
    else if (what < 6)
        do_calloc(block);
    else
        do_malloc(block);
}

static void verify(void)
{
    if (work.context != NULL)
        ng_check_context(work.context);
    else
        check_all_contexts();
}

static void run(uint64_t seed, struct context *context)
{
    print_message("seed %lu\n", (unsigned long)seed); /* should the program be stopped */
    work = (struct workload){.seed = seed, .random = seed, .context = context};
    struct slot *before = slot_thread.current;
    if (context != NULL)
        work_in(context);
    for (; work.operation < OPERATIONS; work.operation++) {
        operate();
        verify();
    }
    for (size_t i = 0; i < BLOCKS; i++, work.operation++) {
        if (work.blocks[i].ptr != NULL)
            do_free(&work.blocks[i]);
        verify();
    }
    go_back_to(before);
}

/* ---- What is left ---------------------------------------------------------------------------- */

/* A group without a cell in use is kept only where the next one is expected at once. */
static void assert_is_kept_for_a_reason(const struct context *context, const struct group *group)
{
    size_t class = group_class(group);
    assert_int_equal(free_mask(group), mask_to(group_last(group)));
    assert_true(group->pages != 0);
    assert_true(bounce_is_on(&context->bounce, class));
    assert_ptr_equal(group_next(group), group); /* no more than one of a class */
}

static void of_a_context_nothing_is_left(void **state)
{
    (void)state;
    static struct context context;
    struct duet_heap_stats before, after;
    duet_stats(&before);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed, &context);
        size_t kept = 0;
        for (uint32_t index = 1; index < group_indices_end(); index++) {
            const struct group *group = group_at(index);
            if (!is_group_of(&context, group))
                continue;
            assert_is_kept_for_a_reason(&context, group);
            kept++;
        }
        assert_int_equal(count_groups(&context), kept);
    }
    group_trim(&context);
    ng_check_context(&context);
    assert_int_equal(count_groups(&context), 0);
    for (size_t class = 0; class < NG_CLASSES; class++)
        assert_true(context.active[class] == NULL && context.usage[class] == 0);
    for (size_t i = 0; i < MAPPINGS_KEPT; i++)
        assert_null(context.kept[i].start);
    duet_stats(&after);
    assert_int_equal(after.cells, before.cells);
    assert_int_equal(after.cell_bytes, before.cell_bytes);
    assert_int_equal(after.free_bytes, before.free_bytes);
    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_int_equal(after.large_bytes, before.large_bytes);
}

/* A trim leaves no group without a cell in use, and no more free bytes than their groups have. */
static void of_the_process_nothing_is_left_but_what_it_had(void **state)
{
    (void)state;
    struct duet_heap_stats before, after;
    print_message("seed 0\n"); /* the output has its buffer now */
    duet_trim();
    duet_stats(&before);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed + SEEDS, NULL);
    duet_trim();
    check_all_contexts();
    duet_stats(&after);
    assert_int_equal(after.cells, before.cells);
    assert_int_equal(after.cell_bytes, before.cell_bytes);
    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_int_equal(after.large_bytes, before.large_bytes);
    size_t free_bytes = 0;
    for (uint32_t index = 1; index < group_indices_end(); index++) {
        const struct group *group = group_at(index);
        if (group == NULL || group->base == NULL || group_class(group) == NG_CLASS_LARGE)
            continue;
        assert_int_not_equal(free_mask(group), mask_to(group_last(group)));
        free_bytes += (size_t)__builtin_popcount(free_mask(group)) * group_stride(group);
    }
    assert_int_equal(after.free_bytes, free_bytes);
    assert_true(after.free_bytes <= before.free_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_context_nothing_is_left),
        cmocka_unit_test(of_the_process_nothing_is_left_but_what_it_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
