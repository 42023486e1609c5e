#include "os/latch.h"

#include "os/os.h"

bool latch_try_for(struct latch *latch, unsigned rounds)
{
    for (unsigned round = 0; !latch_try(latch); round++) {
        if (round >= rounds || latch_never_comes(latch))
            return false;
        os_back_off(round);
    }
    return true;
}

bool latch_fork_prepare(struct latch *latch, unsigned rounds)
{
    if (!latch_try_for(latch, rounds))
        return false;
    store_relaxed(&latch->rest, thread_self() | LATCH_FORKING);
    latch_release(latch);
    return true;
}

void latch_fork_end(struct latch *latch)
{
    check(load_relaxed(&latch->owner) == (thread_self() | LATCH_FORKING));
    store_relaxed(&latch->rest, 0);
    store_release(&latch->owner, 0);
}

void latch_lose(struct latch *latch)
{
    store_relaxed(&latch->owner, LATCH_LOST);
}

void latch_renew(struct latch *latch)
{
    store_release(&latch->owner, 0);
}
