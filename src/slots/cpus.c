#include "slots/cpus.h"

#include "base/atomics.h"
#include "base/thread.h"
#include "os/os.h"

struct cpus_table cpus_table;

/* Pauses of this thread that are not over. */
static __thread uint32_t own_pauses;

static bool is_made(const struct cpus_set *set, size_t number)
{
    return (load_acquire(&set->made[number / 64]) >> number % 64 & 1) != 0;
}

static cpus_slot *slot_at(const struct cpus_set *set, size_t number)
{
    return number == 0 ? set->first : (cpus_slot *)(set->others + (number - 1) * set->stride);
}

static void stop(const struct cpus_set *set, size_t number)
{
    store_relaxed(&cpus_table.slots[number], set->stopped);
}

static void stop_all(const struct cpus_set *set)
{
    for (size_t number = 0; number < set->most; number++)
        stop(set, number);
}

/* Unless all are to be stopped. */
static void let_go(const struct cpus_set *set, size_t number)
{
    if (is_made(set, number) && set->paused == 0 && !set->off)
        store_release(&cpus_table.slots[number], slot_at(set, number));
}

/* From here on nobody is in a slot that was stopped before. */
static bool restart_all(void)
{
    return thread_is_alone() || os_restart_sequences();
}

/* ---- Start and end ----------------------------------------------------------------------- */

bool cpus_start(struct cpus_set *set)
{
    lock_take(&set->lock);
    if (set->most == 0 && !set->off) {
        uint32_t most = rseq_has_numbers() ? os_cpu_numbers() : 0;
        if (most > 0 && most <= CPUS_MOST && os_allow_restarts()) {
            store_relaxed(&cpus_table.area, rseq_area());
            store_relaxed(&set->most, most);
            stop_all(set);
        } else {
            store_relaxed(&cpus_table.area, rseq_area_of_nobody());
            store_relaxed(&set->off, true);
        }
    }
    bool started = !set->off;
    lock_release(&set->lock);
    return started;
}

void cpus_end(struct cpus_set *set)
{
    lock_take(&set->lock);
    store_relaxed(&set->off, true);
    stop_all(set);
    (void)restart_all(); /* refused: who is under way ends what he does */
    store_relaxed(&cpus_table.area, rseq_area_of_nobody());
    lock_release(&set->lock);
}

/* ---- Slots -------------------------------------------------------------------------------- */

bool cpus_are_mine(const struct cpus_set *set)
{
    return load_relaxed(&set->most) > 0 && !load_relaxed(&set->off) &&
           rseq_is_registered(load_relaxed(&cpus_table.area));
}

static bool make_room(struct cpus_set *set, size_t number)
{
    if (number == 0 || set->others != NULL)
        return true;
    size_t bytes = round_up((set->most - (size_t)1) * set->stride, os_page_bytes());
    set->others = os_map_sparse(bytes);
    return set->others != NULL;
}

static void make(struct cpus_set *set, size_t number)
{
    lock_take(&set->lock);
    if (!is_made(set, number) && make_room(set, number)) {
        set->prepare(slot_at(set, number), number);
        or_release(&set->made[number / 64], (uint64_t)1 << number % 64);
        let_go(set, number);
    }
    lock_release(&set->lock);
}

void *cpus_slot_now(struct cpus_set *set)
{
    size_t number = rseq_number(load_relaxed(&cpus_table.area));
    if (unlikely(number >= set->most)) /* they have just ended */
        return NULL;
    if (unlikely(!is_made(set, number)))
        make(set, number);
    cpus_slot *slot = load_acquire(&cpus_table.slots[number]);
    return slot == set->stopped ? NULL : slot;
}

void **cpus_exchange(const struct cpus_set *set, size_t word, void **top, void **slot)
{
    return rseq_exchange(cpus_table.area, cpus_table.slots, word, top, set->stopped, slot);
}

uint32_t cpus_count(const struct cpus_set *set)
{
    uint32_t count = 0;
    for (size_t i = 0; !load_relaxed(&set->off) && i < (load_relaxed(&set->most) + (size_t)63) / 64;
         i++)
        count += (uint32_t)__builtin_popcountll(load_relaxed(&set->made[i]));
    return count;
}

/* ---- Stopping ----------------------------------------------------------------------------- */

void cpus_visit(struct cpus_set *set, bool (*wanted)(void *slot, void *context),
                void (*visit)(void *slot, void *context), void *context)
{
    uint64_t chosen[CPUS_MOST / 64] = {0};
    bool any = false;
    if (load_relaxed(&set->most) == 0)
        return;
    lock_take(&set->lock);
    for (size_t number = 0; number < set->most; number++) {
        if (!is_made(set, number) || (wanted != NULL && !wanted(slot_at(set, number), context)))
            continue;
        chosen[number / 64] |= (uint64_t)1 << number % 64;
        stop(set, number);
        any = true;
    }
    bool stopped = any && restart_all();
    for (size_t number = 0; any && number < set->most; number++) {
        if ((chosen[number / 64] >> number % 64 & 1) == 0)
            continue;
        if (stopped)
            visit(slot_at(set, number), context);
        let_go(set, number);
    }
    lock_release(&set->lock);
}

void cpus_pause(struct cpus_set *set)
{
    lock_take(&set->lock);
    own_pauses++;
    if (set->paused++ == 0)
        stop_all(set);
    lock_release(&set->lock);
}

static void let_all_go(const struct cpus_set *set)
{
    for (size_t number = 0; number < set->most; number++)
        let_go(set, number);
}

void cpus_resume(struct cpus_set *set)
{
    lock_take(&set->lock);
    own_pauses--;
    if (--set->paused == 0)
        let_all_go(set);
    lock_release(&set->lock);
}

/* ---- Fork --------------------------------------------------------------------------------- */

void cpus_fork_prepare(struct cpus_set *set)
{
    lock_take(&set->lock);
}

void cpus_fork_end(struct cpus_set *set)
{
    lock_release(&set->lock);
}

/* A child of vfork that forks has its parent's thread-local storage, and is as little registered as
 * its own child. */
void cpus_fork_end_child(struct cpus_set *set)
{
    bool were_paused = set->paused > 0;
    set->paused = own_pauses;
    if (were_paused && own_pauses == 0)
        let_all_go(set);
    lock_release(&set->lock);
}
