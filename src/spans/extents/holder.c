#include "spans/extents/holder.h"

#include "base/atomics.h"
#include "base/bits.h"
#include "base/thread.h"
#include "os/latch.h"
#include "spans/extents/bins.h"
#include "spans/extents/neighbours.h"

size_t extents_recently_taken;

static struct latch latch;
static struct extent *left_over; /* for the next holder; pushed by anybody, taken whole */
static struct extent *purging;   /* claimed; the holder's */
static bool fork_holds; /* whether the latch was to be had for the fork that is under way */

/* ---- What the holder does ---------------------------------------------------------------- */

void extents_count_taken(size_t number, size_t bytes)
{
    extents_now.taken += number;
    extents_now.taken_bytes += bytes;
    extents_recently_taken = max_size(extents_recently_taken, extents_now.taken_bytes);
}

void extent_give_held(struct extent *extent)
{
    extents_count_taken((size_t)-1, -extent->length);
    extent_put_free(extent);
}

void extent_claim(struct extent *extent)
{
    extent->state = EXTENT_PURGING;
    extent->purger = thread_self();
    extent_list_add(&purging, extent);
    extents_now.purging_bytes += extent->length;
}

void extent_put_back(struct extent *extent)
{
    extent_list_remove(&purging, extent);
    extents_now.purging_bytes -= extent->length;
    extent->purger = 0;
    extent_put_free(extent);
}

/* ---- What is left to the next holder ----------------------------------------------------- */

void extent_leave(struct extent *extent)
{
    do
        extent->older = load_relaxed(&left_over);
    while (!cas_release(&left_over, extent->older, extent));
}

static void settle_left_over(void)
{
    if (likely(load_relaxed(&left_over) == NULL))
        return;
    for (struct extent *at = exchange_acquire(&left_over, NULL), *next; at != NULL; at = next) {
        next = at->older;
        at->older = NULL;
        if (at->state == EXTENT_PURGING)
            extent_put_back(at);
        else
            extent_give_held(at);
    }
}

/* ---- The latch, and fork ----------------------------------------------------------------- */

bool extents_hold_for(unsigned rounds)
{
    if (!latch_try_for(&latch, rounds))
        return false;
    settle_left_over();
    return true;
}

bool extents_hold(void)
{
    return extents_hold_for(EXTENTS_PATIENCE);
}

void extents_let_go(void)
{
    latch_release(&latch);
}

void extents_fork_prepare(void)
{
    fork_holds = latch_fork_prepare(&latch, EXTENTS_MORE_PATIENCE);
    lock_take(&extents_pool.lock);
}

/* The child's only thread may itself be inside a purge, if a signal handler forked. */
static void adopt_purging(void)
{
    for (struct extent *at = purging, *next; at != NULL; at = next) {
        next = at->next;
        if (at->purger != thread_self())
            extent_put_back(at);
    }
}

/* Where the latch was not to be had: if this is the thread that has it, it goes on with what the
 * handler that forked has interrupted, in the child too. What another left half done is not used
 * any more. */
void extents_fork_end(bool child)
{
    if (child && fork_holds) {
        if (extents_hold()) {
            adopt_purging();
            extents_let_go();
        }
    } else if (child && !latch_is_own(&latch)) {
        latch_lose(&latch);
    }
    lock_release(&extents_pool.lock);
    if (fork_holds)
        latch_fork_end(&latch);
}
