#include "engine/duet/home.h"

#include "base/fatal.h"
#include "base/thread.h"
#include "os/os.h"

struct home home_array[DUET_HOMES];

/* A holder is done after some hundred instructions, unless it was preempted. */
#define TRIES_BEFORE_ANOTHER 6

/* A thread's number has its low bits clear. The forking thread alone finds its homes at rest. */
#define HELD_FOR_FORK ((uintptr_t)1)

bool home_try(struct home *home)
{
    uintptr_t rest = load_relaxed(&home->rest);
    if (likely(rest != (thread_self() | HELD_FOR_FORK)))
        rest = 0;
    if (load_relaxed(&home->owner) != rest)
        return false;
    if (thread_is_alone()) {
        store_relaxed(&home->owner, thread_self());
        fence_signal();
        return true;
    }
    return cas_acquire(&home->owner, rest, thread_self());
}

static bool home_is_own(const struct home *home)
{
    return load_relaxed(&home->owner) == thread_self();
}

void home_release(struct home *home)
{
    check(home_is_own(home));
    store_release(&home->owner, load_relaxed(&home->rest));
}

bool home_try_for(struct home *home, unsigned rounds)
{
    for (unsigned round = 0; !home_try(home); round++) {
        if (round >= rounds || home_is_own(home))
            return false;
        os_back_off(round);
    }
    return true;
}

struct home *home_take(size_t number)
{
    for (unsigned round = 0;; round++) {
        size_t own = 0;
        for (size_t i = 0; i < DUET_HOMES; i++) {
            struct home *home = &home_array[(number + i) % DUET_HOMES];
            if (home_try_for(home, i == 0 ? TRIES_BEFORE_ANOTHER : 0))
                return home;
            own += home_is_own(home);
        }
        if (own == DUET_HOMES)
            return NULL;
        os_back_off(round);
    }
}

unsigned homes_take(void)
{
    unsigned held = 0;
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if (home_try_for(&home_array[number], HOME_PATIENCE))
            held |= 1u << number;
    return held;
}

void homes_release(unsigned held)
{
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if ((held >> number & 1) != 0)
            home_release(&home_array[number]);
}

/* One whose holder does not come out, since it is in a signal handler or stopped, is left; and so is
 * one in which this thread was interrupted itself, and will go on. */
static unsigned held_for_fork;

/* Lets go of them to the forking thread alone, or to all. */
static void set_rest(uintptr_t rest)
{
    for (unsigned number = 0; number < DUET_HOMES; number++) {
        if ((held_for_fork >> number & 1) != 0) {
            store_relaxed(&home_array[number].rest, rest);
            store_release(&home_array[number].owner, rest);
        }
    }
}

void homes_fork_prepare(void)
{
    held_for_fork = homes_take();
    set_rest(thread_self() | HELD_FOR_FORK);
}

void homes_fork_end(void)
{
    set_rest(0);
}

unsigned homes_held_for_fork(void)
{
    return held_for_fork;
}
