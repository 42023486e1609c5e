/*
 * Locks (base/lock.c), whose waiters sleep in the kernel, and latches (os/latch.c), which are only
 * tried. What they guard is written by one thread at a time, and each finds what the one before has
 * left; nobody sleeps for ever.
 */
#include "scenarios.h"

#include "base/lock.h"
#include "os/latch.h"

/* More than a latch is tried for here: nobody's patience ends. */
#define ROUNDS 100

static struct lock lock = LOCK_INITIAL(LOCK_RANK_LARGE);
static struct latch latch;
static unsigned guarded;

static void nothing(void)
{
}

static void count_with_lock(unsigned number)
{
    (void)number;
    lock_take(&lock);
    guarded++;
    lock_release(&lock);
}

static void verify_two(void)
{
    MUST(guarded == 2 && lock.owner == 0 && latch.owner == 0);
}

static void verify_three(void)
{
    MUST(guarded == 3 && lock.owner == 0);
}

const struct scenario scenario_lock = {
    .name = "lock",
    .threads = 2,
    .bounds = {4, 2},
    .wider = {6, 3},
    .set_up = nothing,
    .thread = count_with_lock,
    .verify = verify_two,
};

const struct scenario scenario_lock_3 = {
    .name = "lock-3",
    .threads = 3,
    .bounds = {3, 0},
    .wider = {3, 1},
    .set_up = nothing,
    .thread = count_with_lock,
    .verify = verify_three,
};

static void count_with_latch(unsigned number)
{
    (void)number;
    MUST(latch_try_for(&latch, ROUNDS));
    guarded++;
    latch_release(&latch);
}

const struct scenario scenario_latch = {
    .name = "latch",
    .threads = 2,
    .bounds = {4, 2},
    .wider = {6, 3},
    .set_up = nothing,
    .thread = count_with_latch,
    .verify = verify_two,
};
