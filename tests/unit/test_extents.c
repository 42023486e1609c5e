/*
 * Extents against a model: a list of what is taken, each with stamps on its pages. The clock is the
 * test's own.
 */
#include "unit.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/os.h"
#include "sanitizers.h"
#include "spans/extents.h"
#include "spans/extents/bins.h"
#include "spans/extents/holder.h"

#define EXTENTS 150
#define OPERATIONS 12000
#define THREADS 4
#define SECOND_NS ((uint64_t)1000000000)

/* Some amount that is above all floors and a small part of the longest extent. */
#define MUCH (((size_t)1 << EXTENT_MAX_SHIFT) / 8)

struct taken {
    struct extent *extent;
    size_t length; /* as asked for */
    uint64_t stamp;
};

struct model {
    uint64_t random;
    struct taken taken[EXTENTS];
    size_t count;
};

static struct model model = {.random = 88172645463325252u};
static uint64_t now_ns = 1;

static size_t random_below(struct model *m, size_t limit)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (size_t)(m->random % limit);
}

/* ---- Stamps ------------------------------------------------------------------------------ */

static uint64_t *word_of_page(const struct taken *taken, size_t offset)
{
    return (uint64_t *)(void *)(taken->extent->start + offset);
}

static void stamp_from(const struct taken *taken, size_t offset)
{
    for (; offset < taken->length; offset += os_page_bytes())
        *word_of_page(taken, offset) = taken->stamp + offset;
}

static void assert_stamps(const struct taken *taken, size_t length)
{
    for (size_t offset = 0; offset < length; offset += os_page_bytes())
        if (*word_of_page(taken, offset) != taken->stamp + offset)
            fail_msg("overwritten at %zu of %zu", offset, taken->length);
}

static void assert_zero(const struct extent *extent)
{
    for (size_t offset = 0; offset < extent->length; offset += 1024)
        assert_int_equal(extent->start[offset], 0);
    assert_int_equal(extent->start[extent->length - 1], 0);
}

/* ---- Operations -------------------------------------------------------------------------- */

static struct extent *must_take(size_t length, size_t align, bool growing)
{
    bool zeroed;
    struct extent *extent = extent_take(length, align, growing, &zeroed);
    assert_non_null(extent);
    assert_true(extent->length >= length && extent->length >= BLOCK_BYTES);
    assert_true(is_aligned(extent->length, os_page_bytes()));
    assert_true(is_aligned((uintptr_t)extent->start, max_size(align, os_page_bytes())));
    if (zeroed)
        assert_zero(extent);
    return extent;
}

/* Whether there was memory, which there need not be while calls fail on purpose. */
static bool take_one(struct model *m, size_t length, size_t align, bool growing)
{
    struct taken *taken = &m->taken[m->count];
    bool zeroed;
    taken->extent = extent_take(length, align, growing, &zeroed);
    if (taken->extent == NULL)
        return false;
    assert_true(taken->extent->length >= max_size(length, BLOCK_BYTES));
    assert_true(is_aligned((uintptr_t)taken->extent->start, max_size(align, os_page_bytes())));
    if (zeroed)
        assert_zero(taken->extent);
    taken->length = length;
    taken->stamp = m->random;
    stamp_from(taken, 0);
    m->count++;
    return true;
}

static void give_one(struct model *m, size_t i)
{
    assert_stamps(&m->taken[i], m->taken[i].length);
    extent_give(m->taken[i].extent);
    m->taken[i] = m->taken[--m->count];
}

static void give_all(struct model *m)
{
    while (m->count > 0)
        give_one(m, m->count - 1);
}

static void resize_one(struct model *m, size_t i, size_t new_length)
{
    struct taken *taken = &m->taken[i];
    size_t kept = min_size(taken->length, new_length);
    bool shorter = new_length <= taken->length;
    bool resized = extent_resize(taken->extent, new_length);
    assert_true(resized || !shorter);
    assert_stamps(taken, kept);
    if (!resized)
        return;
    assert_true(taken->extent->length >= new_length);
    taken->length = new_length;
    stamp_from(taken, kept - kept % os_page_bytes());
}

static size_t mostly_short(struct model *m)
{
    size_t most = random_below(m, 16) == 0 ? EXTENT_MAX_BYTES / 16 : 6 * BLOCK_BYTES;
    return 1 + random_below(m, most);
}

static size_t mostly_unaligned(struct model *m)
{
    return random_below(m, 8) == 0 ? (size_t)1 << random_below(m, 22) : 1;
}

static void operate(struct model *m)
{
    size_t choice = random_below(m, 8);
    if (m->count == 0 || (choice < 4 && m->count < EXTENTS))
        take_one(m, mostly_short(m), mostly_unaligned(m), random_below(m, 8) == 0);
    else if (choice < 7)
        give_one(m, random_below(m, m->count));
    else
        resize_one(m, random_below(m, m->count), mostly_short(m));
}

static void assert_apart(const struct model *m)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct extent *one = m->taken[i].extent;
        bytes += one->length;
        for (size_t j = 0; j < i; j++) {
            const struct extent *other = m->taken[j].extent;
            assert_true(one->start + one->length <= other->start ||
                        other->start + other->length <= one->start);
            assert_true((uintptr_t)one->start >> BLOCK_SHIFT !=
                        (uintptr_t)other->start >> BLOCK_SHIFT);
        }
    }
    struct extents_count count = extents_count();
    assert_int_equal(count.taken, m->count);
    assert_int_equal(count.taken_bytes, bytes);
    assert_int_equal(count.purging_bytes, 0);
}

/* Calls the tick so often in so many seconds. */
static void pass(unsigned seconds, unsigned calls_per_second)
{
    for (unsigned i = 0; i < seconds * calls_per_second; i++) {
        now_ns += SECOND_NS / calls_per_second;
        extents_tick(now_ns);
    }
}

static void tick_once(void)
{
    now_ns += SECOND_NS / 8;
    extents_tick(now_ns);
}

/* Nothing taken, nothing mapped, nothing that was live of late. */
static int start_afresh(void **state)
{
    (void)state;
    give_all(&model);
    pass(100, 1);
    extents_trim();
    extents_check();
    struct extents_count count = extents_count();
    return count.taken != 0 || count.mapped_bytes != 0;
}

/* ---- Tests ------------------------------------------------------------------------------- */

static void random_operations_stay_apart(void **state)
{
    (void)state;
    for (size_t operation = 1; operation <= OPERATIONS; operation++) {
        operate(&model);
        if (operation % 64 == 0)
            pass(1, 1 + (unsigned)random_below(&model, 20));
        if (operation % 1500 == 0)
            extents_trim();
        if (operation % 100 == 0) {
            extents_check();
            assert_apart(&model);
        }
    }
}

static void neighbours_are_joined(void **state)
{
    (void)state;
    const size_t length = 2 * BLOCK_BYTES;
    struct extent *parts[4];
    for (size_t i = 0; i < 4; i++) {
        parts[i] = must_take(length, 1, false);
        memset(parts[i]->start, 0x5a, length);
    }
    char *start = parts[0]->start;
    for (size_t i = 1; i < 4; i++)
        assert_ptr_equal(parts[i]->start, start + i * length); /* lowest address first */
    extent_give(parts[0]);
    extent_give(parts[2]);
    extent_give(parts[1]);
    extents_check();
    assert_int_equal(extents_count().dirty_bytes, 3 * length);
    bool zeroed;
    struct extent *all = extent_take(3 * length, 1, false, &zeroed);
    assert_ptr_equal(all->start, start);
    assert_false(zeroed);
    extent_give(all);

    /* And what was purged, with what was never touched. */
    pass(20, 2);
    assert_int_equal(extents_count().dirty_bytes, 0);
    extent_give(parts[3]);
    extents_trim();
    assert_int_equal(extents_count().mapped_bytes, 0);
}

static void the_best_fit_is_taken_and_dirty_first(void **state)
{
    (void)state;
    static const size_t blocks[] = {4, 1, 2, 1, 3, 1, 2, 1};
    struct extent *parts[8];
    for (size_t i = 0; i < 8; i++)
        parts[i] = must_take(blocks[i] * BLOCK_BYTES, 1, false);
    char *shorter = parts[2]->start, *longer = parts[4]->start;
    for (size_t i = 0; i < 8; i += 2)
        extent_give(parts[i]);
    parts[2] = must_take(2 * BLOCK_BYTES, 1, false);
    assert_ptr_equal(parts[2]->start, shorter); /* of two that fit, the one below */
    parts[4] = must_take(3 * BLOCK_BYTES, 1, false);
    assert_ptr_equal(parts[4]->start, longer);
    for (size_t i = 1; i < 6; i++)
        extent_give(parts[i]);
    extent_give(parts[7]);
}

static void free_neighbours_of_both_kinds_serve_together(void **state)
{
    (void)state;
    const size_t length = MUCH * 5;
    struct extent *segment = must_take(EXTENT_MAX_BYTES, 1, false);
    char *start = segment->start;
    extent_give(segment);
    while (extents_count().dirty_bytes >= length)
        tick_once(); /* purges its far end */
    struct extents_count count = extents_count();
    assert_true(count.dirty_bytes > 0 && count.clean_bytes < length);
    struct extent *across = must_take(length, 1, false);
    assert_ptr_equal(across->start, start);
    assert_int_equal(extents_count().mapped_bytes, count.mapped_bytes);
    extents_check();
    extent_give(across);
}

static void any_alignment_is_served(void **state)
{
    (void)state;
    for (size_t align = 1; align <= EXTENT_MAX_BYTES; align *= 2) {
        struct extent *one = must_take(BLOCK_BYTES + 1, align, false);
        struct extent *other = must_take(1, align, align % 3 == 1);
        memset(one->start, 1, one->length);
        memset(other->start, 2, other->length);
        extents_check();
        extent_give(one);
        extent_give(other);
    }
    bool zeroed;
    assert_null(extent_take(EXTENT_MAX_BYTES + 1, 1, false, &zeroed));
    assert_null(extent_take(EXTENT_MAX_BYTES, (size_t)1 << 62, false, &zeroed));
}

static void resizing_keeps_the_content_and_frees_the_end(void **state)
{
    (void)state;
    assert_true(take_one(&model, 4 * BLOCK_BYTES, 1, false));
    assert_true(take_one(&model, 4 * BLOCK_BYTES, 1, false));
    assert_false(extent_resize(model.taken[0].extent, 5 * BLOCK_BYTES)); /* there is the other */
    resize_one(&model, 0, 2 * BLOCK_BYTES);
    assert_int_equal(model.taken[0].extent->length, 2 * BLOCK_BYTES);
    assert_int_equal(extents_count().dirty_bytes, 2 * BLOCK_BYTES);
    resize_one(&model, 0, 3 * BLOCK_BYTES);
    assert_int_equal(model.taken[0].extent->length, 3 * BLOCK_BYTES);
    resize_one(&model, 0, 1);
    assert_int_equal(model.taken[0].extent->length, BLOCK_BYTES);
    resize_one(&model, 1, 5 * BLOCK_BYTES); /* what is behind was never taken */
    assert_int_equal(model.taken[1].extent->length, 5 * BLOCK_BYTES);
    assert_false(extent_resize(model.taken[1].extent, EXTENT_MAX_BYTES + 1));
    extents_check();
}

/* What realloc does. Returns whether it had to move. */
static bool grow_block(struct taken *taken, size_t new_length)
{
    if (extent_resize(taken->extent, new_length)) {
        taken->length = new_length;
        return false;
    }
    struct extent *old = taken->extent;
    taken->extent = must_take(new_length, 1, true);
    memcpy(taken->extent->start, old->start, taken->length);
    extent_give(old);
    taken->length = new_length;
    return true;
}

/* From one block to MUCH, with others that grow and some that don't in between. */
static void blocks_that_grow_move_a_few_times(void **state)
{
    (void)state;
    enum { BLOCKS = 3 };
    const unsigned doublings = bit_width(MUCH / BLOCK_BYTES);
    struct taken blocks[BLOCKS] = {0};
    unsigned moves = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = (struct taken){must_take(BLOCK_BYTES, 1, false), BLOCK_BYTES, i};
        stamp_from(&blocks[i], 0);
    }
    for (size_t length = BLOCK_BYTES; length <= MUCH; length += os_page_bytes()) {
        for (size_t i = 0; i < BLOCKS; i++) {
            size_t kept = blocks[i].length;
            moves += grow_block(&blocks[i], length);
            stamp_from(&blocks[i], kept);
        }
        if (length % (MUCH / 128) == 0)
            assert_true(take_one(&model, BLOCK_BYTES, 1, false));
    }
    extents_check();
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_stamps(&blocks[i], blocks[i].length);
        extent_give(blocks[i].extent);
    }
    assert_true(moves <= BLOCKS * (doublings + 2));
}

/* MUCH that is dirty and free, below as much that is taken. */
static struct extent *leave_dirty(void)
{
    struct extent *other = must_take(MUCH, 1, false);
    struct extent *taken = must_take(MUCH, 1, false);
    extents_tick(now_ns);
    extent_give(other);
    assert_int_equal(extents_count().dirty_bytes, MUCH);
    pass(1, 8); /* so far it was not unused the whole time; now it is */
    return taken;
}

static void dirty_memory_halves_in_a_second(void **state)
{
    (void)state;
    static const unsigned calls_per_second[] = {1, 2, 7, 100, 5000};
    for (size_t i = 0; i < sizeof calls_per_second / sizeof *calls_per_second; i++) {
        struct extent *taken = leave_dirty();
        for (int second = 0; second < 2; second++) {
            size_t before = extents_count().dirty_bytes;
            pass(1, calls_per_second[i]);
            size_t after = extents_count().dirty_bytes;
            assert_in_range(after, before * 35 / 100, before * 65 / 100);
        }
        extents_check();
        pass(20, calls_per_second[i]);
        assert_int_equal(extents_count().dirty_bytes, 0);
        extent_give(taken);
        start_afresh(NULL);
    }
}

static void what_is_used_again_does_not_decay(void **state)
{
    (void)state;
    struct extent *taken = leave_dirty();
    extent_give(must_take(MUCH, 1, false));
    for (unsigned i = 0; i < 100; i++) {
        extent_give(must_take(MUCH, 1, false));
        now_ns += SECOND_NS / 10;
        extents_tick(now_ns);
    }
    assert_int_equal(extents_count().dirty_bytes, MUCH);
    extent_give(taken);
}

static void dirty_memory_is_bounded_by_what_is_live(void **state)
{
    (void)state;
    enum { MANY = 48 };
    struct extent *extents[MANY];
    bool zeroed;
    for (size_t i = 0; i < MANY; i++)
        assert_non_null(extents[i] = extent_take(MUCH, 1, false, &zeroed));
    for (size_t i = 0; i < MANY; i++) {
        extent_give(extents[i]);
        struct extents_count count = extents_count();
        assert_true(count.dirty_bytes <= max_size(count.taken_bytes, EXTENT_MAX_BYTES));
    }
    extents_check();
    assert_true(extents_count().dirty_bytes >= EXTENT_MAX_BYTES / 2); /* it was live just now */
    pass(30, 2);
    assert_int_equal(extents_count().dirty_bytes, 0);
    assert_true(extents_count().mapped_bytes <= 256 * BLOCK_BYTES); /* one segment */
}

static void trim_returns_everything(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXTENTS; i++)
        assert_true(take_one(&model, 1 + i * 999, 1, false));
    for (size_t i = model.count; i-- > 0;)
        if (i % 2 == 0)
            give_one(&model, i);
    assert_true(extents_trim());
    assert_int_equal(extents_count().dirty_bytes, 0);
    assert_false(extents_trim());
    give_all(&model);
    assert_true(extents_trim());
    assert_int_equal(extents_count().mapped_bytes, 0);
}

/* The sanitizers make mlock do nothing. */
static void what_cannot_be_purged_stays_dirty(void **state)
{
    (void)state;
    struct extent *locked = must_take(BLOCK_BYTES, 1, false);
    struct extent *taken = must_take(BLOCK_BYTES, 1, false);
    memset(locked->start, 0x77, BLOCK_BYTES);
    if (UNDER_SANITIZER || mlock(locked->start, BLOCK_BYTES) != 0) {
        extent_give(locked);
        extent_give(taken);
        skip();
    }
    char *start = locked->start;
    extent_give(locked);
    pass(20, 2);
    extents_trim();
    extents_check();
    assert_int_equal(extents_count().dirty_bytes, BLOCK_BYTES);
    bool zeroed;
    locked = extent_take(BLOCK_BYTES, 1, false, &zeroed);
    assert_ptr_equal(locked->start, start);
    assert_false(zeroed);
    munlock(start, BLOCK_BYTES);
    extent_give(locked);
    assert_true(extents_trim());
    locked = must_take(BLOCK_BYTES, 1, false);
    extent_give(locked);
    extent_give(taken);
}

static void failing_calls_are_survived(void **state)
{
    (void)state;
    if (!DUET_CHECKED)
        skip();
    for (unsigned every = 1; every <= 5; every++) {
        fault_set_all((struct fault_plan){.every = every});
        for (size_t operation = 1; operation <= 1000; operation++) {
            operate(&model);
            if (operation % 50 == 0) {
                pass(1, 4);
                extents_trim();
                extents_check();
                assert_apart(&model);
            }
        }
        fault_set_all((struct fault_plan){0});
        give_all(&model);
    }
}

/* Runs in a child, which has room for less than the next segment. */
static void take_in_little_space(void *unused)
{
    (void)unused;
    leave_room(3 * MUCH / 2 - os_page_bytes());
    bool zeroed;
    struct extent *extent = extent_take(MUCH, 1, true, &zeroed);
    if (extent == NULL || extent_take(MUCH, 1, true, &zeroed) != NULL)
        abort();
    struct extent *odd = extent_take(MUCH / 4 + os_page_bytes(), 1, false, &zeroed);
    struct extent *least = extent_take(os_page_bytes(), 1, false, &zeroed);
    if (odd == NULL || least == NULL)
        abort();
    extent_give(least);
    extent_give(odd);
    extent_give(extent);
    extents_check();
}

static void segments_are_shorter_where_space_is_short(void **state)
{
    (void)state;
    if (UNDER_SANITIZER)
        skip();
    char text[256];
    struct extent *extents[8]; /* segments have grown to their last length */
    for (size_t i = 0; i < 8; i++)
        extents[i] = must_take(MUCH, 1, false);
    for (size_t i = 0; i < 8; i++)
        extent_give(extents[i]);
    start_afresh(NULL);
    assert_int_equal(signal_of(take_in_little_space, NULL, text, sizeof text), 0);
}

static void *operate_in_a_thread(void *argument)
{
    struct model *m = argument;
    for (size_t operation = 1; operation <= OPERATIONS / 8; operation++) {
        operate(m);
        if (operation % 100 == 0)
            extents_tick(os_clock_ns());
        if (operation % 500 == 0)
            extents_trim();
    }
    give_all(m);
    return NULL;
}

static struct model models[THREADS];

static void start_threads(pthread_t *threads)
{
    for (size_t i = 0; i < THREADS; i++) {
        models[i].random = 88172645463325252u + i;
        assert_int_equal(pthread_create(&threads[i], NULL, operate_in_a_thread, &models[i]), 0);
    }
}

static void join_threads(const pthread_t *threads)
{
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    extents_check();
}

static void threads_do_not_meet(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    join_threads(threads);
    assert_int_equal(extents_count().purging_bytes, 0);
    now_ns = max_size(now_ns, os_clock_ns());
}

static struct model handlers_model = {.random = 12345};
static volatile sig_atomic_t signals;

static void operate_in_a_handler(int signal)
{
    (void)signal;
    operate(&handlers_model);
    operate(&handlers_model);
    signals++;
}

/* Some of them interrupt an operation, with and without other threads. */
static void signal_handlers_do_not_wait(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = operate_in_a_handler, .sa_flags = SA_RESTART}, before;
    sigaction(SIGALRM, &action, &before);
    const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    while (signals < 1000) {
        operate(&model);
        if (signals % 64 == 0) {
            tick_once();
            extents_trim();
        }
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    give_all(&handlers_model);
    extents_check();
    assert_apart(&model);
}

/* What others were purging is free in the child. */
static void a_child_puts_back_what_others_purged(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    for (int i = 0; i < 40; i++) {
        extents_fork_prepare();
        pid_t child = fork();
        extents_fork_end(child == 0);
        if (child == 0) {
            extents_check();
            bool zeroed;
            struct extent *extent = extent_take(MUCH, 1, false, &zeroed);
            if (extent == NULL || extents_count().purging_bytes != 0)
                abort();
            extent_give(extent);
            extents_trim();
            extents_check();
            _exit(extents_count().dirty_bytes != 0);
        }
        assert_true(child > 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    join_threads(threads);
    now_ns = max_size(now_ns, os_clock_ns());
}

static void check_nothing_is_purged(void *unused)
{
    (void)unused;
    extents_fork_end(true);
    if (extents_count().purging_bytes != 0)
        abort();
    extents_check();
}

/* The same, of a purge that is under way for certain, by a thread that the child does not have. */
static void a_purge_under_way_is_nobodys_in_the_child(void **state)
{
    (void)state;
    char text[256];
    extent_give(must_take(BLOCK_BYTES, 1, false));
    assert_true(extents_hold());
    struct extent *extent = extents_oldest_dirty;
    bins_remove(extent);
    extent_claim(extent);
    extent->purger = (uintptr_t)&model;
    extents_let_go();
    extents_fork_prepare();
    int signal = signal_of(check_nothing_is_purged, NULL, text, sizeof text);
    extents_fork_end(false);
    assert_int_equal(signal, 0);
    assert_int_equal(extents_count().purging_bytes, extent->length);
    assert_true(extents_hold());
    extent_put_back(extent);
    extents_let_go();
}

static void give_twice(void *unused)
{
    (void)unused;
    struct extent *extent = must_take(1, 1, false);
    extent_give(extent);
    extent_give(extent);
}

static void giving_twice_stops_the_program(void **state)
{
    (void)state;
    char text[256];
    assert_int_equal(signal_of(give_twice, NULL, text, sizeof text), SIGABRT);
    assert_non_null(strstr(text, "duet: invariant broken at extents.c"));
}

#define AFRESH(test) cmocka_unit_test_setup_teardown(test, start_afresh, start_afresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AFRESH(random_operations_stay_apart),
        AFRESH(neighbours_are_joined),
        AFRESH(the_best_fit_is_taken_and_dirty_first),
        AFRESH(free_neighbours_of_both_kinds_serve_together),
        AFRESH(any_alignment_is_served),
        AFRESH(resizing_keeps_the_content_and_frees_the_end),
        AFRESH(blocks_that_grow_move_a_few_times),
        AFRESH(dirty_memory_halves_in_a_second),
        AFRESH(what_is_used_again_does_not_decay),
        AFRESH(dirty_memory_is_bounded_by_what_is_live),
        AFRESH(trim_returns_everything),
        AFRESH(what_cannot_be_purged_stays_dirty),
        AFRESH(failing_calls_are_survived),
        AFRESH(segments_are_shorter_where_space_is_short),
        AFRESH(threads_do_not_meet),
        AFRESH(signal_handlers_do_not_wait),
        AFRESH(a_child_puts_back_what_others_purged),
        AFRESH(a_purge_under_way_is_nobodys_in_the_child),
        AFRESH(giving_twice_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
