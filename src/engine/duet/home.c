#include "engine/duet/home.h"

#include "os/os.h"

struct home home_array[DUET_HOMES];
uint32_t homes_with_groups;

/* A holder is done after some hundred instructions, unless it was preempted. */
#define TRIES_BEFORE_ANOTHER 6

bool home_try(struct home *home)
{
    return latch_try(&home->latch);
}

bool home_try_for(struct home *home, unsigned rounds)
{
    return latch_try_for(&home->latch, rounds);
}

void home_release(struct home *home)
{
    latch_release(&home->latch);
}

struct home *home_take(size_t number)
{
    for (unsigned round = 0;; round++) {
        size_t never = 0;
        for (size_t i = 0; i < DUET_HOMES; i++) {
            struct home *home = &home_array[(number + i) % DUET_HOMES];
            if (home_try_for(home, i == 0 ? TRIES_BEFORE_ANOTHER : 0))
                return home;
            never += latch_never_comes(&home->latch);
        }
        if (never == DUET_HOMES)
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

/* One whose holder does not come out, since it is in a signal handler or stopped, is left; and so
 * is one in which this thread was interrupted itself, and will go on. */
static unsigned held_for_fork;

void homes_fork_prepare(void)
{
    held_for_fork = 0;
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if (latch_fork_prepare(&home_array[number].latch, HOME_PATIENCE))
            held_for_fork |= 1u << number;
}

void homes_fork_end(void)
{
    for (unsigned number = 0; number < DUET_HOMES; number++)
        if ((held_for_fork >> number & 1) != 0)
            latch_fork_end(&home_array[number].latch);
}

bool home_is_held_for_fork(size_t number)
{
    return (held_for_fork >> number & 1) != 0;
}

void homes_lose(void)
{
    for (size_t number = 0; number < DUET_HOMES; number++)
        if (!home_is_held_for_fork(number) && !latch_is_own(&home_array[number].latch))
            latch_lose(&home_array[number].latch);
}
