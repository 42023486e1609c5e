/*
 * Slots (slots/slots.c): a thread binds to one, and rotates to another where that is taken. Two are
 * in rotation. Nobody is in one with another thread, each finds what the one before has left there,
 * and none stays taken.
 *
 * Bound slots (slots/bound.c): the owner enters its own by plain stores, while another thread,
 * which has no slot yet, revokes it by a barrier of all threads and looks into it.
 */
#include "scenarios.h"

#include <stdalign.h>

#include "os/os.h"
#include "slots/bound.h"
#include "slots/slots.h"

/* ---- Shared slots ------------------------------------------------------------------------ */

struct shared {
    alignas(CACHE_LINE_PAIR) struct slot slot;
    unsigned visits;
};
static struct shared shared[SLOTS_STATIC];
static struct slot_set set = SLOT_SET_INITIAL(shared);

static void nothing(void)
{
}

static void visit(void)
{
    struct shared *own = (struct shared *)slot_take(&set);
    MUST(own != NULL);
    own->visits++;
    slot_release(&own->slot);
}

static void visit_once(unsigned number)
{
    (void)number;
    visit();
}

static void visit_twice(unsigned number)
{
    (void)number;
    visit();
    visit();
}

static void verify_visits(unsigned visits)
{
    for (size_t i = 0; i < SLOTS_STATIC; i++)
        MUST(shared[i].slot.owner == 0);
    MUST(set.count == SLOTS_LEAST && set.reserves == NULL);
    MUST(shared[0].visits + shared[1].visits == visits && shared[2].visits == 0);
}

static void verify_two_twice(void)
{
    verify_visits(4);
}

const struct scenario scenario_slots = {
    .name = "slots",
    .threads = 2,
    .bounds = {3, 1},
    .wider = {4, 2},
    .set_up = nothing,
    .thread = visit_twice,
    .verify = verify_two_twice,
};

static void verify_three(void)
{
    verify_visits(3);
}

const struct scenario scenario_slots_3 = {
    .name = "slots-3",
    .threads = 3,
    .bounds = {2, 1},
    .wider = {3, 1},
    .set_up = nothing,
    .thread = visit_once,
    .verify = verify_three,
};

/* One is in a slot, another revokes all in turn. */
static void look_into(struct slot *slot, void *context)
{
    unsigned *looked = context;
    ((struct shared *)slot)->visits += 10;
    ++*looked;
}

static void visit_or_revoke(unsigned number)
{
    unsigned looked = 0;
    if (number == 0) {
        visit();
        visit();
    } else {
        slots_visit(&set, look_into, &looked);
        MUST(looked == SLOTS_STATIC);
    }
}

static void verify_revoked(void)
{
    MUST(shared[0].visits + shared[1].visits == 2 + 10 + 10 && shared[2].visits == 10);
    for (size_t i = 0; i < SLOTS_STATIC; i++)
        MUST(shared[i].slot.owner == 0);
}

const struct scenario scenario_slots_visit = {
    .name = "slots-visit",
    .threads = 2,
    .bounds = {3, 1},
    .wider = {4, 2},
    .set_up = nothing,
    .thread = visit_or_revoke,
    .verify = verify_revoked,
};

/* With DUET_RWLOCK alone: one owns a slot, another reads there meanwhile, or not. */
static void own_or_read(unsigned number)
{
    struct shared *one = &shared[0];
    if (number == 0) {
        while (!slot_try_by_cas(&one->slot, thread_self()))
            os_back_off(0);
        one->visits++;
        slot_release(&one->slot);
    } else {
        while (!slot_try_reading(&one->slot))
            os_back_off(0);
        MUST(one->visits <= 1);
        slot_end_reading(&one->slot);
    }
}

static void verify_read(void)
{
    MUST(shared[0].visits == 1 && shared[0].slot.owner == 0 && shared[0].slot.readers == 0);
}

const struct scenario scenario_slots_read = {
    .name = "slots-read",
    .threads = 2,
    .bounds = {4, 2},
    .wider = {6, 3},
    .set_up = nothing,
    .thread = own_or_read,
    .verify = verify_read,
};

/* ---- Bound slots ------------------------------------------------------------------------- */

struct bound_one {
    alignas(CACHE_LINE_PAIR) struct bound_slot slot;
    unsigned begun; /* by atomics.h, as the tops of a cache: a place for another thread to go on */
    unsigned entries, visits;
};
static struct bound_one first;
static unsigned refusals;

static void prepare(struct bound_slot *slot)
{
    ((struct bound_one *)slot)->entries = 0;
}

static void retire(struct bound_slot *slot)
{
    (void)slot;
}

static struct bound_set bound = BOUND_SET_INITIAL(&first, prepare, retire);

static void enter(void)
{
    struct bound_one *own = (struct bound_one *)bound_enter();
    if (own == NULL) {
        refusals++;
        return;
    }
    store_relaxed(&own->begun, load_relaxed(&own->begun) + 1);
    own->entries++;
    bound_leave(&own->slot);
}

static void look_into_bound(struct bound_slot *slot, void *context)
{
    struct bound_one *other = (struct bound_one *)slot;
    unsigned *looked = context;
    other->visits++;
    *looked = other->entries;
    MUST(load_relaxed(&other->begun) == other->entries);
}

/* Only the first has a slot: the limit is one. */
static void enter_or_revoke(unsigned number)
{
    if (number == 0) {
        bound_bind(&bound);
        MUST(bound_thread == &first.slot);
        enter();
        enter();
    } else {
        unsigned looked = 0;
        bound_visit(&bound, NULL, look_into_bound, &looked);
        MUST(looked <= 2);
    }
}

static void verify_bound(void)
{
    MUST(first.entries + refusals == 2 && first.visits <= 1);
    MUST(first.slot.state == BOUND_IDLE && first.slot.revoked == 0 && bound.lock.owner == 0);
}

const struct scenario scenario_bound = {
    .name = "bound",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {4, 3},
    .set_up = nothing,
    .thread = enter_or_revoke,
    .verify = verify_bound,
};
