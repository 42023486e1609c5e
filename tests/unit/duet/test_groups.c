/*
 * Groups and their depots, below all magazines: what is taken, what comes back, what goes back to
 * the OS, and what stops the program. All in kinds that nobody else uses (duet_tests.h).
 */
#include "duet_tests.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/thread.h"
#include "os/os.h"

#define MOST_HELD 4096
#define KINDS 6

static uint64_t seed = 1;
static struct shadow shadow;
static void *cells[MOST_HELD];

/* As many as are wanted; a single call may give fewer. */
static void take_all(size_t kind, void **into, size_t count)
{
    for (size_t taken = 0; taken < count;) {
        size_t more = take_cells(0, kind, into + taken, count - taken);
        assert_true(more > 0 && more <= count - taken);
        taken += more;
    }
}

/* A new group, all of it; the cells by address. */
static struct group *take_group(size_t kind, void **into)
{
    size_t count = cells_of_group(kind);
    assert_int_equal(take_cells(0, kind, into, count), count);
    for (size_t i = 0; i < count / 2; i++) {
        void *cell = into[i];
        into[i] = into[count - 1 - i];
        into[count - 1 - i] = cell;
    }
    return group_of(into[0], kind, "test");
}

static void assert_in_group(const void *cell, size_t kind)
{
    const struct group *group = group_of(cell, kind, "test");
    assert_int_equal(group->kind, kind);
    assert_int_equal(table_class(cell), kind);
    assert_true(group_cell_number(group, cell) < group->cells);
}

/* ---- Taking and returning ------------------------------------------------------------------ */

static void cells_of_every_kind_are_distinct_and_come_back(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t count = min_size(3 * cells_of_group(kind) + 1, MOST_HELD);
        take_all(kind, cells, count);
        for (size_t i = 0; i < count; i++) {
            assert_in_group(cells[i], kind);
            shadow_add(&shadow, cells[i]);
            cell_fill(cells[i], kind, i + 1);
        }
        for (size_t i = 0; i < count; i++)
            assert_true(cell_is_filled(cells[i], kind, i + 1));
        depots_check();
        shuffle(&seed, cells, count);
        for (size_t done = 0; done < count;) {
            size_t part = min_size(1 + random_below(&seed, 50), count - done);
            depot_return(kind, cells + done, part);
            done += part;
        }
        depots_check();
        take_all(kind, cells, count); /* the same again, of the same groups */
        for (size_t i = 0; i < count && is_unused(kind); i++)
            shadow_remove(&shadow, cells[i]);
        depot_return(kind, cells, count);
        memset(&shadow, 0, sizeof shadow);
    }
}

static void the_lowest_address_goes_first(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2);
    size_t count = min_size(cells_of_group(kind), MOST_HELD), bytes = duet_kind_bytes(kind);
    char *base = (char *)take_group(kind, cells)->base;
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(cells[i], base + i * bytes);
    bool free_cells[DUET_MOST_CELLS] = {false};
    for (int round = 0; round < 200; round++) {
        size_t returned = 0, again = 0;
        for (size_t i = 1; i < count; i++) { /* one stays */
            void *cell = base + i * bytes;
            if (!free_cells[i] && random_below(&seed, 4) == 0) {
                depot_return(kind, &cell, 1);
                free_cells[i] = true;
            }
            returned += free_cells[i];
        }
        if (returned == 0)
            continue;
        size_t want = 1 + random_below(&seed, returned);
        assert_int_equal(take_cells(0, kind, cells, want), want);
        for (size_t i = 0; again < want; i++)
            if (free_cells[i]) {
                assert_ptr_equal(cells[want - 1 - again++], base + i * bytes);
                free_cells[i] = false;
            }
    }
    for (size_t i = 0; i < count; i++) {
        void *cell = base + i * bytes;
        if (!free_cells[i])
            depot_return(kind, &cell, 1);
    }
    assert_true(is_unused(kind));
}

/* So that sparse ones drain. */
static void the_fullest_group_goes_first(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 2 * GROUP_LISTS);
    size_t count = cells_of_group(kind);
    void *others[DUET_MOST_CELLS], *cell;
    for (int round = 0; round < 2; round++) {
        struct group *sparse = take_group(kind, cells), *full = take_group(kind, others);
        if (round == 1) { /* whichever was made first */
            struct group *swapped = sparse;
            sparse = full;
            full = swapped;
        }
        void **of_sparse = round == 0 ? cells : others, **of_full = round == 0 ? others : cells;
        depot_return(kind, of_sparse + 1, count - 1);
        depot_return(kind, of_full + 1, 1);
        assert_int_equal(take_cells(0, kind, &cell, 1), 1);
        assert_ptr_equal(group_of(cell, kind, "test"), full);
        assert_ptr_equal(cell, of_full[1]);
        assert_int_equal(take_cells(0, kind, of_sparse + 1, 1), 1);
        assert_ptr_equal(group_of(of_sparse[1], kind, "test"), sparse);
        depots_check();
        depot_return(kind, of_full, count);
        depot_return(kind, of_sparse, 2);
        assert_true(is_unused(kind));
    }
}

/* The first word of a cell that somebody holds is its own address; when it goes back, 0: so one
 * that is handed out twice is found, and so is one that another's content reaches. Plainly
 * written: that it is ordered between threads is the depot's promise. */
static void hold(void *cell, size_t kind)
{
    uint64_t *words = cell;
    assert_true(words[0] != (uintptr_t)cell);
    cell_fill(cell, kind, (uintptr_t)cell);
}

static void let_go(void *cell, size_t kind)
{
    assert_true(cell_is_filled(cell, kind, (uintptr_t)cell));
    *(uint64_t *)cell = 0;
}

/* What one thread holds of a kind. */
struct holding {
    size_t kind;
    size_t count;
    void *cells[MOST_HELD / KINDS];
};

static void hold_more(struct holding *holding, size_t most)
{
    void *taken[64];
    size_t count = take_cells(random_below(&seed, DUET_HOMES), holding->kind, taken, most);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_in_group(taken[i], holding->kind);
        shadow_add(&shadow, taken[i]);
        hold(taken[i], holding->kind);
        holding->cells[holding->count++] = taken[i];
    }
}

static void hold_less(struct holding *holding, size_t count)
{
    shuffle(&seed, holding->cells, holding->count);
    holding->count -= count;
    void **returned = holding->cells + holding->count;
    for (size_t i = 0; i < count; i++) {
        let_go(returned[i], holding->kind);
        shadow_remove(&shadow, returned[i]);
    }
    bool lock_is_taken = random_below(&seed, 2) == 0;
    unsigned held = lock_is_taken ? homes_take() : 0;
    depot_return(holding->kind, returned, count);
    homes_release(held);
}

static void no_cell_is_had_twice(void **state)
{
    (void)state;
    static struct holding holdings[KINDS];
    size_t kinds[KINDS];
    unused_kinds(kinds, KINDS);
    for (size_t i = 0; i < KINDS; i++)
        holdings[i].kind = kinds[i];
    for (int round = 0; round < 3000; round++) {
        struct holding *holding = &holdings[random_below(&seed, KINDS)];
        size_t room = sizeof holding->cells / sizeof holding->cells[0] - holding->count;
        size_t most = 1 + random_below(&seed, 64);
        if (random_below(&seed, 1000) < 1000 * room / (MOST_HELD / KINDS) && room >= most)
            hold_more(holding, most);
        else
            hold_less(holding, min_size(most, holding->count));
        if (round % 50 == 0)
            depots_purge((uint8_t)random_below(&seed, 3), random_below(&seed, 10));
        if (round % 100 == 0)
            depots_check();
    }
    for (size_t i = 0; i < KINDS; i++) {
        hold_less(&holdings[i], holdings[i].count);
        assert_true(is_unused(kinds[i]));
    }
    assert_int_equal(shadow.count, 0);
}

/* ---- Groups in no list --------------------------------------------------------------------- */

static uint64_t flags_of(const struct group *group)
{
    return load_acquire(&group->state) & (GROUP_FULL | GROUP_QUEUED);
}

/* As depot_return while somebody else has the home. */
static void return_unlocked(struct group *group, void *const *returned, size_t count)
{
    struct home *home = &home_array[group->home];
    assert_true(home_try(home));
    depot_return(group->kind, returned, count);
    home_release(home);
}

static void a_full_group_is_queued_by_the_first_cell_that_comes_back(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4), count = cells_of_group(kind);
    void *cell;
    struct group *group = take_group(kind, cells);
    assert_int_equal(flags_of(group), GROUP_FULL);
    assert_int_equal(group->list, GROUP_UNLISTED);
    for (size_t i = 0; i < 2; i++) { /* the second finds it QUEUED already */
        return_unlocked(group, &cells[i], 1);
        assert_int_equal(flags_of(group), GROUP_FULL | GROUP_QUEUED);
        depots_check();
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(take_cells(0, kind, &cell, 1), 1);
        assert_ptr_equal(cell, cells[i]);
        assert_int_equal(flags_of(group), i == 0 ? 0 : GROUP_FULL);
    }
    depots_check();
    return_unlocked(group, cells, 1);
    assert_int_equal(take_cells(0, kind, &cell, 1), 1);
    assert_ptr_equal(cell, cells[0]); /* no new group while one has cells */
    return_unlocked(group, cells, count);
    assert_int_equal(flags_of(group), GROUP_FULL | GROUP_QUEUED);
    assert_true(is_unused(kind));
}

static void a_full_group_is_listed_by_who_has_the_lock(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4), count = cells_of_group(kind);
    void *cell;
    struct group *group = take_group(kind, cells);
    for (int round = 0; round < 2; round++) {
        depot_return(kind, cells, 1);
        assert_int_equal(flags_of(group), 0);
        assert_int_equal(group->list, GROUP_LISTS - 1);
        depots_check();
        assert_int_equal(take_cells(0, kind, &cell, 1), 1);
        assert_ptr_equal(cell, cells[0]);
        assert_int_equal(flags_of(group), GROUP_FULL);
    }
    depot_return(kind, cells, count);
    assert_int_equal(flags_of(group), 0);
    assert_int_equal(group->list, 0);
    depots_check();
    assert_true(is_unused(kind));
}

/* Who has the lock lists a group that is on the stack, which does not make it come up there again;
 * and takes over what came back to `freed`, so that a group that is wholly free is known as
 * such. */
static void cells_come_back_in_both_ways(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4), count = cells_of_group(kind);
    void *cell;
    struct group *group = take_group(kind, cells);
    return_unlocked(group, cells, 1);
    depot_return(kind, cells + 1, 1);
    assert_int_equal(flags_of(group), GROUP_QUEUED);
    assert_int_equal(group->list, GROUP_LISTS - 1);
    assert_false(group_has_returned_cells(group));
    depots_check();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(take_cells(0, kind, &cell, 1), 1);
        assert_ptr_equal(cell, cells[i]);
    }
    depot_return(kind, cells, 1);
    return_unlocked(group, cells + 1, 1); /* listed, and not the last one */
    assert_int_equal(flags_of(group), 0);
    assert_true(group_has_returned_cells(group));
    depot_return(kind, cells + 2, count - 2);
    assert_false(group_has_returned_cells(group));
    assert_int_equal(group->list, 0);
    depots_check();
    assert_true(is_unused(kind));
}

static void a_listed_group_is_queued_by_the_last_cell_that_comes_back(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, 4);
    struct depots_count before, after;
    assert_int_equal(take_cells(0, kind, cells, 3), 3);
    struct group *group = group_of(cells[0], kind, "test");
    depots_count(&before);
    return_unlocked(group, cells, 2);
    assert_int_equal(flags_of(group), 0);
    return_unlocked(group, cells + 2, 1);
    assert_int_equal(flags_of(group), GROUP_QUEUED);
    depots_count(&after);
    assert_int_equal(after.cells, before.cells);
    assert_int_equal(after.free_cells, before.free_cells + 3);
    assert_int_equal(after.free_bytes, before.free_bytes + 3 * duet_kind_bytes(kind));
    depots_check();
    depots_trim();
    depots_count(&after);
    assert_int_equal(after.cells, before.cells - cells_of_group(kind));
    assert_int_equal(after.cell_bytes,
                     before.cell_bytes - cells_of_group(kind) * duet_kind_bytes(kind));
}

/* ---- Returning memory ---------------------------------------------------------------------- */

static void what_is_wholly_free_goes_back(void **state)
{
    (void)state;
    struct depots_count before, after;
    size_t kinds[KINDS];
    unused_kinds(kinds, KINDS);
    engine_trim();
    depots_count(&before);
    for (size_t i = 0; i < KINDS; i++) {
        size_t count = min_size(5 * cells_of_group(kinds[i]), MOST_HELD);
        take_all(kinds[i], cells, count);
        depots_count(&after);
        assert_true(after.cells >= before.cells + count);
        shuffle(&seed, cells, count);
        depot_return(kinds[i], cells, count);
        depots_trim();
        depots_count(&after);
        assert_int_equal(after.cells, before.cells);
        assert_int_equal(after.cell_bytes, before.cell_bytes);
        assert_int_equal(after.free_cells, before.free_cells);
        assert_int_equal(table_class(cells[0]), TABLE_FOREIGN);
    }
}

/* A group of another class needs no more than one: the others stay, to be used again by their
 * own. */
static void one_wholly_free_group_makes_room_for_another(void **state)
{
    (void)state;
    struct depots_count before, after;
    size_t kinds[2];
    void *cell;
    kinds[0] = unused_kind(1, 2);
    kinds[1] = unused_kind(kinds[0] + 1, 2);
    assert_int_equal(bytes_of_group(kinds[0]), bytes_of_group(kinds[1]));
    engine_trim(); /* takes the blanks, too */
    size_t count = 3 * cells_of_group(kinds[0]);
    take_all(kinds[0], cells, count);
    depot_return(kinds[0], cells, count);
    depots_count(&before);
    assert_int_equal(take_cells(0, kinds[1], &cell, 1), 1);
    depots_count(&after);
    assert_int_equal(after.cells,
                     before.cells - cells_of_group(kinds[0]) + cells_of_group(kinds[1]));
    depots_check();
    take_all(kinds[0], cells, count); /* with a new one in place of the one that went */
    depot_return(kinds[0], cells, count);
    depot_return(kinds[1], &cell, 1);
    assert_true(is_unused(kinds[0]) && is_unused(kinds[1]));
}

/* Pages of the group that read as zero, once those that the kept cell has a byte in are left
 * out. */
static void count_purged(const struct group *group, const char *kept, size_t *pages, size_t *zeros)
{
    size_t page = os_page_bytes(), bytes = duet_kind_bytes(group->kind);
    const char *end = group->base + bytes_of_group(group->kind);
    *pages = *zeros = 0;
    for (const char *at = group->base; at + page <= end; at += page) {
        if (at < kept + bytes && kept < at + page)
            continue;
        ++*pages;
        const uint64_t *words = (const uint64_t *)at;
        size_t i = 0;
        while (i < page / sizeof *words && words[i] == 0)
            i++;
        *zeros += i == page / sizeof *words;
    }
}

/* A map of a group's pages has 32 places: where it has more pages, some at both edges of the
 * kept cell stay. */
static size_t may_stay(size_t kind)
{
    return 2 * (max_size(bytes_of_group(kind) / GROUP_PARTS / os_page_bytes(), 1) - 1);
}

/* Returns how many pages went. */
static size_t purge_but_one_cell(size_t kind)
{
    size_t pages, zeros, gone = 0;
    size_t count = cells_of_group(kind);
    struct group *group = take_group(kind, cells);
    char *kept = cells[random_below(&seed, count)];
    for (int round = 0; round < 3; round++) { /* later ones find pages that were purged before */
        for (size_t i = 0; i < count; i++)
            cell_fill(cells[i], kind, 0xa5a5a5a5a5a5a5a5u);
        for (size_t i = 0; i < count; i++)
            if (cells[i] != kept)
                depot_return(kind, &cells[i], 1);
        bool trimmed = depots_trim();
        depots_check();
        count_purged(group, kept, &pages, &zeros);
        assert_true(zeros + may_stay(kind) >= pages);
        assert_true(trimmed || zeros == 0);
        gone += zeros;
        assert_true(cell_is_filled(kept, kind, 0xa5a5a5a5a5a5a5a5u));
        assert_int_equal(take_cells(0, kind, cells, count - 1), count - 1);
        for (size_t i = 0; i + 1 < count; i++)
            assert_ptr_equal(group_of(cells[i], kind, "test"), group);
        cells[count - 1] = kept;
    }
    depot_return(kind, cells, count);
    assert_true(is_unused(kind));
    return gone;
}

static void free_pages_of_sparse_groups_go_back(void **state)
{
    (void)state;
    size_t tried = 0, gone = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        if (bytes_of_group(kind) < 2 * os_page_bytes() || cells_of_group(kind) < 2 ||
            !is_unused(kind))
            continue;
        gone += purge_but_one_cell(kind);
        tried++;
    }
    if (tried == 0)
        skip(); /* pages are as large as groups */
    assert_true(gone > 0);
}

/* A group in which something changes is left alone for as many calls as are asked for. */
static void what_changes_is_not_purged(void **state)
{
    (void)state;
    size_t kind = unused_kind(DUET_KINDS / 2, 4), count = cells_of_group(kind);
    take_group(kind, cells);
    depot_return(kind, cells + 1, count - 1);
    engine_trim(); /* nothing else is ripe; and this one neither, until a cell is taken */
    assert_int_equal(take_cells(0, kind, cells + 1, count - 1), count - 1);
    for (size_t i = 0; i < count; i++)
        cell_fill(cells[i], kind, i + 1);
    depot_return(kind, cells + 1, count - 1);
    for (int call = 0; call < 3; call++) {
        depots_purge(3, SIZE_MAX);
        for (size_t i = 0; i < count; i++)
            assert_true(cell_is_filled(cells[i], kind, i + 1));
    }
    if (bytes_of_group(kind) - duet_kind_bytes(kind) >= 2 * os_page_bytes()) {
        assert_true(depots_purge(3, SIZE_MAX));
        assert_false(cell_is_filled(cells[1], kind, 2)); /* of the highest address */
    }
    assert_true(cell_is_filled(cells[0], kind, 1));
    depot_return(kind, cells, 1);
    assert_true(is_unused(kind));
}

/* ---- Misuse -------------------------------------------------------------------------------- */

struct misuse {
    size_t kind;
    void *kept;    /* so that the group stays */
    void *accused; /* another cell of it, or in one */
};

static void return_twice_at_once(void *argument)
{
    struct misuse *misuse = argument;
    depot_return(misuse->kind, (void *[]){misuse->accused, misuse->accused}, 2);
}

static void return_twice_in_two_words(void *argument)
{
    struct misuse *misuse = argument;
    struct group *group = group_of(misuse->accused, misuse->kind, "test");
    size_t last = group->cells - (size_t)1;
    void *far = group->base + last * duet_kind_bytes(misuse->kind);
    depot_return(misuse->kind, (void *[]){misuse->accused, far, misuse->accused}, 3);
}

static void return_twice(void *argument)
{
    struct misuse *misuse = argument;
    depot_return(misuse->kind, &misuse->accused, 1);
    depot_return(misuse->kind, &misuse->accused, 1);
}

static void return_twice_unlocked(void *argument)
{
    struct misuse *misuse = argument;
    homes_take();
    depot_return(misuse->kind, &misuse->accused, 1);
    depot_return(misuse->kind, &misuse->accused, 1);
}

/* The first time into one mask, the second time into the other. */
static void return_twice_in_both_ways(void *argument)
{
    struct misuse *misuse = argument;
    unsigned held = homes_take();
    depot_return(misuse->kind, &misuse->accused, 1);
    homes_release(held);
    depot_return(misuse->kind, &misuse->accused, 1);
}

/* The bit lies in the other mask by then: found when they meet. */
static void return_twice_with_a_merge_between(void *argument)
{
    struct misuse *misuse = argument;
    struct group *group = group_of(misuse->accused, misuse->kind, "test");
    void *cell;
    return_unlocked(group, (void *[]){misuse->kept, misuse->accused}, 2);
    take_cells(0, misuse->kind, &cell, 1); /* the lower one */
    return_unlocked(group, &misuse->accused, 1);
    take_cells(0, misuse->kind, &cell, 1);
}

static void return_once(void *argument)
{
    struct misuse *misuse = argument;
    depot_return(misuse->kind, &misuse->accused, 1);
}

static void return_of_a_released_group(void *argument)
{
    struct misuse *misuse = argument;
    struct group *group = group_of(misuse->accused, misuse->kind, "test");
    for (size_t i = 0; i < group->cells; i++) {
        void *cell = group->base + i * duet_kind_bytes(misuse->kind);
        depot_return(misuse->kind, &cell, 1);
    }
    depots_trim();
    depot_return(misuse->kind, &misuse->accused, 1);
}

static void a_cell_that_comes_back_twice_stops_the_program(void **state)
{
    (void)state;
    size_t kind = unused_kind(1, MASK_BITS + 2), count = cells_of_group(kind);
    struct misuse misuse = {.kind = kind};
    take_group(kind, cells);
    misuse.kept = cells[2];
    misuse.accused = cells[3];
    assert_accuses(return_twice_at_once, &misuse, misuse.accused, "was freed twice");
    assert_accuses(return_twice_in_two_words, &misuse, misuse.accused, "was freed twice");
    assert_accuses(return_twice, &misuse, misuse.accused, "was freed twice");
    assert_accuses(return_twice_unlocked, &misuse, misuse.accused, "was freed twice");
    assert_accuses(return_twice_in_both_ways, &misuse, misuse.accused, "was freed twice");
    assert_accuses(return_twice_with_a_merge_between, &misuse, misuse.accused, "was freed twice");
    misuse.accused = cells[count - 1]; /* of another word */
    assert_accuses(return_twice, &misuse, misuse.accused, "was freed twice");
    assert_accuses(return_of_a_released_group, &misuse, misuse.accused,
                   "is not from this heap, or was freed already");
    depot_return(kind, cells, count);
}

/* Of every kind, since each has an inverse of its own. */
static void what_is_not_the_start_of_a_cell_stops_the_program(void **state)
{
    (void)state;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t bytes = duet_kind_bytes(kind);
        void *cell;
        assert_int_equal(take_cells(0, kind, &cell, 1), 1);
        struct group *group = group_of(cell, kind, "test");
        size_t tail = bytes_of_group(kind) - group->cells * bytes;
        const size_t offsets[] = {1, bytes / 2, bytes - 1};
        struct misuse misuse = {.kind = kind};
        for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
            misuse.accused = (char *)cell + offsets[i];
            assert_true(group_cell_number(group, misuse.accused) >= DUET_MOST_CELLS);
        }
        assert_accuses(return_once, &misuse, misuse.accused, "is not the start of a cell");
        misuse.accused = group->base + group->cells * bytes; /* behind the last */
        if (tail > 0)
            assert_accuses(return_once, &misuse, misuse.accused, "is not the start of a cell");
        depot_return(kind, &cell, 1);
    }
}

/* ---- Zeros --------------------------------------------------------------------------------- */

static bool reads_as_zero(const char *cell, size_t bytes)
{
    return cell[0] == 0 && memcmp(cell, cell + 1, bytes - 1) == 0;
}

/* Takes up to so many, fills them, and returns how many. *zeroed: whether the first was known to
 * read as zero. */
static size_t take_and_fill(size_t kind, void **into, size_t most, bool *zeroed)
{
    *zeroed = false;
    size_t count = depot_take(0, kind, into, most, zeroed);
    assert_in_range(count, 1, most);
    if (*zeroed)
        assert_true(reads_as_zero(into[count - 1], duet_kind_bytes(kind)));
    for (size_t i = 0; i < count; i++)
        memset(into[i], 0xa5, duet_kind_bytes(kind));
    return count;
}

/* Of long cells as of short ones, which share pages: a cell that is said to read as zero does so,
 * and one that was never handed out, or was purged since, is known to. */
static void what_was_never_written_is_known(void **state)
{
    (void)state;
    static const size_t lengths[] = {48, 1000, BLOCK_BYTES / 2, DUET_MOST_BYTES};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t kind = unused_kind(duet_kind_for(lengths[i]), 2);
        size_t known = 0, had = 0, all = cells_of_group(kind) * 2;
        bool zeroed;
        for (size_t round = 0; round < 400; round++) {
            size_t few = 1 + random_below(&seed, 3);
            if (had + few > all || random_below(&seed, 20) == 0) {
                shuffle(&seed, cells, had);
                size_t back = random_below(&seed, 3) == 0 ? had : random_below(&seed, had + 1);
                had -= back;
                depot_return(kind, cells + had, back);
                if (random_below(&seed, 2) == 0) {
                    depots_trim();
                    spans_trim();
                }
                continue;
            }
            had += take_and_fill(kind, cells + had, few, &zeroed);
            known += zeroed;
        }
        assert_true(known > 0);
        depot_return(kind, cells, had);
        depots_trim();
        spans_trim();
        take_and_fill(kind, cells, 1, &zeroed);
        assert_true(zeroed);
        take_and_fill(kind, cells + 1, 1, &zeroed);
        if (duet_kind_bytes(kind) < os_page_bytes() / 2) /* on the page of the first one */
            assert_false(zeroed);
        depot_return(kind, cells, 2);
    }
}

/* One that begins in a part that has cells in use, and ends in one that was purged. */
static void what_is_purged_in_part_is_not_known(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        size_t part = (size_t)1 << group_part_shift(kind), bytes = duet_kind_bytes(kind);
        size_t across = (part - 1) / bytes, count = cells_of_group(kind);
        if (across == 0 || (across + 1) * bytes == part || 2 * part > bytes_of_group(kind) ||
            !is_unused(kind))
            continue;
        struct group *group = take_group(kind, cells);
        for (size_t i = 0; i < count; i++)
            cell_fill(cells[i], kind, UINT64_MAX);
        void *cell = cells[across];
        depot_return(kind, cells + across, count - across);
        depots_trim();
        tried += (group->purged & 3) == 2;
        bool zeroed = false;
        assert_int_equal(depot_take(0, kind, &cells[across], 1, &zeroed), 1);
        assert_ptr_equal(cells[across], cell);
        assert_false(zeroed);
        depot_return(kind, cells, across + 1);
    }
    if (tried == 0)
        skip(); /* pages are as large as groups */
}

static size_t resident_pages(void *start, size_t bytes)
{
    unsigned char resident[BLOCK_BYTES / 4096];
    size_t count = 0;
    assert_int_equal(mincore(start, bytes, resident), 0);
    for (size_t page = 0; page < bytes / os_page_bytes(); page++)
        count += resident[page] & 1;
    return count;
}

static bool can_populate(void)
{
    size_t page = os_page_bytes();
    char *probe = os_map(page, page);
    os_populate(probe, page);
    bool populated = resident_pages(probe, page) == 1;
    os_unmap(probe, page);
    return populated;
}

/* The first groups get pages as cells are used; those that come later get all at once. */
static void later_groups_have_their_pages(void **state)
{
    (void)state;
    if (BLOCK_BYTES <= os_page_bytes() || !can_populate())
        skip();
    size_t kind = unused_kind(1, BLOCK_BYTES / 256), had = 0;
    bool one_by_one = false;
    spans_trim();
    const struct group *last = NULL;
    for (size_t groups = 0; groups < 8 && had < MOST_HELD; had++) {
        assert_int_equal(take_cells(0, kind, &cells[had], 1), 1);
        const struct group *group = group_of(cells[had], kind, "test");
        if (group == last)
            continue;
        last = group;
        if (groups++ == 0)
            one_by_one = resident_pages(group->base, BLOCK_BYTES) <= 1;
        else if (groups > 2)
            assert_int_equal(resident_pages(group->base, BLOCK_BYTES),
                             BLOCK_BYTES / os_page_bytes());
    }
    assert_true(one_by_one);
    depot_return(kind, cells, had);
}

/* ---- Threads ------------------------------------------------------------------------------- */

#define THREADS 4
#define SHELF 64 /* cells of each kind that lie between the threads */
#define BATCH 24
#define THREAD_ROUNDS (DUET_CHECKED || DUET_TINY ? 3000 : 10000)

static void *between[KINDS][SHELF];
static size_t thread_kinds[KINDS];
static unsigned running;

/* Some are taken, each is left to the others, and what they left before goes back. */
static void exchange_some(uint64_t *random, size_t number)
{
    size_t kind = thread_kinds[number];
    void *taken[BATCH];
    size_t count =
        take_cells(random_below(random, DUET_HOMES), kind, taken, 1 + random_below(random, BATCH));
    assert_true(count > 0);
    size_t back = 0;
    for (size_t i = 0; i < count; i++) {
        hold(taken[i], kind);
        void *other = __atomic_exchange_n(&between[number][random_below(random, SHELF)], taken[i],
                                          __ATOMIC_ACQ_REL);
        if (other == NULL)
            continue;
        let_go(other, kind);
        taken[back++] = other;
    }
    depot_return(kind, taken, back);
}

static void *exchange(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    for (int round = 0; round < THREAD_ROUNDS; round++) {
        exchange_some(&random, random_below(&random, KINDS));
        if (round % 512 == 0)
            depots_check();
    }
    sub_release(&running, 1);
    return NULL;
}

static void threads_share_depots(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unused_kinds(thread_kinds, KINDS);
    running = THREADS;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)), 0);
    for (unsigned round = 0; load_acquire(&running) > 0; round++) {
        if (round % 3 == 0)
            depots_check();
        else
            depots_purge((uint8_t)(round % 2), 1 + round % 8);
        sched_yield();
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    depots_check();
    for (size_t number = 0; number < KINDS; number++) {
        for (size_t i = 0; i < SHELF; i++) {
            if (between[number][i] == NULL)
                continue;
            let_go(between[number][i], thread_kinds[number]);
            depot_return(thread_kinds[number], &between[number][i], 1);
        }
        assert_true(is_unused(thread_kinds[number])); /* nothing was lost */
    }
    depots_check();
}

/* Another thread returns a cell, without the lock, while another cell comes back with it, or while
 * the last one that is free is taken: between the look that finds nothing and the mark that the
 * group is full, a cell may have come back. It is had again, and no other. */
struct handed {
    size_t kind;
    void *cell; /* to be returned; NULL: it was */
};

#define LOOKS 5000 /* before the CPU is left to others: who returns is to be quick */

static void *return_what_is_handed(void *argument)
{
    struct handed *handed = argument;
    while (load_acquire(&running) > 0) {
        void *cell = NULL;
        for (int look = 0; look < LOOKS && cell == NULL; look++)
            cell = load_acquire(&handed->cell);
        if (cell == NULL) {
            sched_yield();
            continue;
        }
        group_return(group_of(cell, handed->kind, "test"), &cell, 1);
        store_release(&handed->cell, NULL);
    }
    return NULL;
}

static void no_group_is_lost_between_full_and_returned(void **state)
{
    (void)state;
    static struct handed handed;
    handed.kind = unused_kind(DUET_KINDS / 2, 3);
    size_t count = cells_of_group(handed.kind);
    pthread_t thread;
    running = 1;
    assert_int_equal(pthread_create(&thread, NULL, return_what_is_handed, &handed), 0);
    struct group *group = take_group(handed.kind, cells);
    for (size_t round = 0; round < (size_t)10 * THREAD_ROUNDS; round++) {
        void *cell;
        bool full = random_below(&seed, 2) == 0;
        if (!full)
            depot_return(handed.kind, &cells[1], 1);
        store_release(&handed.cell, cells[0]);
        for (size_t i = random_below(&seed, 4000); i > 0; i--)
            fence_signal(); /* so that they meet here and there */
        if (full)
            depot_return(handed.kind, &cells[1], 1);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(take_cells(0, handed.kind, &cell, 1), 1);
            assert_ptr_equal(group_of(cell, handed.kind, "test"), group);
            cells[i] = cell;
            while (load_acquire(&handed.cell) != NULL)
                sched_yield();
        }
    }
    store_release(&running, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    depots_check();
    depot_return(handed.kind, cells, count);
    assert_true(is_unused(handed.kind));
}

/* The same, by a signal handler: far oftener between two instructions of whoever has the lock. */
#define ALARMS 3000
#define ALARMS_APART 100 /* us */

static struct handed by_handler;
static volatile sig_atomic_t alarms;

static void *take_from_handler(void)
{
    return __atomic_exchange_n(&by_handler.cell, NULL, __ATOMIC_ACQ_REL);
}

static void return_in_the_middle(int signal)
{
    (void)signal;
    void *cell = take_from_handler();
    if (cell != NULL)
        group_return(group_of(cell, by_handler.kind, "test"), &cell, 1);
    alarms++;
}

static void no_group_is_lost_to_who_interrupts(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = return_in_the_middle, .sa_flags = SA_RESTART}, before;
    struct itimerval often = {{0, ALARMS_APART}, {0, ALARMS_APART}}, never = {{0, 0}, {0, 0}};
    size_t kind = by_handler.kind = unused_kind(DUET_KINDS / 2, 3), count = cells_of_group(kind);
    struct group *group = take_group(kind, cells);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    for (size_t round = 0; alarms < ALARMS; round++) {
        depot_return(kind, &cells[1], 1);
        store_release(&by_handler.cell, cells[0]);
        assert_int_equal(take_cells(0, kind, &cells[1], 1), 1); /* the last, unless it came back */
        void *left = take_from_handler();
        if (left == NULL)
            assert_int_equal(take_cells(0, kind, &left, 1), 1);
        assert_ptr_equal(group_of(cells[1], kind, "test"), group);
        assert_ptr_equal(group_of(left, kind, "test"), group);
        cells[0] = left;
        if (round % 64 == 0)
            sched_yield(); /* ThreadSanitizer hands signals on at calls like this */
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    depots_check();
    depot_return(kind, cells, count);
    assert_true(is_unused(kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_every_kind_are_distinct_and_come_back),
        cmocka_unit_test(the_lowest_address_goes_first),
        cmocka_unit_test(the_fullest_group_goes_first),
        cmocka_unit_test(no_cell_is_had_twice),
        cmocka_unit_test(a_full_group_is_queued_by_the_first_cell_that_comes_back),
        cmocka_unit_test(a_full_group_is_listed_by_who_has_the_lock),
        cmocka_unit_test(cells_come_back_in_both_ways),
        cmocka_unit_test(a_listed_group_is_queued_by_the_last_cell_that_comes_back),
        cmocka_unit_test(what_is_wholly_free_goes_back),
        cmocka_unit_test(one_wholly_free_group_makes_room_for_another),
        cmocka_unit_test(free_pages_of_sparse_groups_go_back),
        cmocka_unit_test(what_changes_is_not_purged),
        cmocka_unit_test(a_cell_that_comes_back_twice_stops_the_program),
        cmocka_unit_test(what_is_not_the_start_of_a_cell_stops_the_program),
        cmocka_unit_test(what_was_never_written_is_known),
        cmocka_unit_test(what_is_purged_in_part_is_not_known),
        cmocka_unit_test(later_groups_have_their_pages),
        cmocka_unit_test(threads_share_depots),
        cmocka_unit_test(no_group_is_lost_between_full_and_returned),
        cmocka_unit_test(no_group_is_lost_to_who_interrupts),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
