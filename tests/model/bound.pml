/*
 * Bound slots: a slot that its thread enters with plain stores, and that another thread may revoke;
 * the model of src/slots/bound.h and bound.c.
 *
 * The owner is process 0 of `thread`. Processes 1 and 2 are signal handlers, which interrupt it, or
 * each other, between any two steps, and then do as it does: try to enter, and operate or be
 * refused. An operation reads the slot's `top` and then stores another. `revoker` is whoever holds
 * the set's lock: it announces, has a barrier from all threads, waits as long as it likes, takes
 * what is in the slot if the mark was clear, and lets go.
 *
 * The owner's stores go through a store buffer, in order, and reach memory some time; it reads its
 * own stores before they do. So it may have read `revoked` while nobody sees it busy yet. The
 * barrier (membarrier) empties the buffer. It has room for an operation and the next one's mark.
 *
 * What must hold: nobody operates while another does, and the revoker finds all that was done.
 *
 * What is not looked at: loads that overtake loads, which acquire forbids where they could (an
 * owner that sees itself let go must see what was taken); and a thread that retires, which takes
 * the lock for it.
 *
 * FAULT_...: the same with one mistake. scripts/check-models demands an error of each.
 */

#ifndef HANDLERS
#define HANDLERS 2
#endif

/* Words of the slot. */
#define BUSY 0
#define TOP 1

#define TOPS 3 /* values of TOP */

byte memory[2];
bool revoked;
byte running; /* who has the owner's CPU: 0, the thread, or a handler */

/* The owner's store buffer: words and what they are to be, the oldest first. */
#define ROOM 4
byte buffered;
byte word[ROOM];
byte value[ROOM];

/* What C does not have: what TOP is, as those who change it in turn know. */
byte truth;

/* ---- Through the store buffer --------------------------------------------------------------- */

#define is_newest(i, w) (buffered > i && word[i] == w)
#define load(w) \
    (is_newest(3, w) -> value[3] : (is_newest(2, w) -> value[2] : \
    (is_newest(1, w) -> value[1] : (is_newest(0, w) -> value[0] : memory[w]))))

inline store(w, v)
{
    d_step {
        buffered < ROOM ->
        word[buffered] = w;
        value[buffered] = v;
        buffered++
    }
}

inline write_one_back()
{
    memory[word[0]] = value[0];
    for (i : 1 .. ROOM - 1) {
        word[i - 1] = word[i];
        value[i - 1] = value[i]
    };
    word[ROOM - 1] = 0;
    value[ROOM - 1] = 0;
    i = 0;
    buffered--
}

/* ---- The owner and its handlers ------------------------------------------------------------- */

#ifdef FAULT_MARK_NOT_TESTED
#define may_enter !revoked
#else
#define may_enter (busy == 0 && !revoked)
#endif

inline operate()
{
    d_step { top = load(TOP); assert(top == truth) };
#ifdef FAULT_LEFT_TOO_EARLY
    store(BUSY, 0);
#endif
    d_step {
        buffered < ROOM ->
        assert(top == truth);
        word[buffered] = TOP;
        value[buffered] = (top + 1) % TOPS;
        buffered++;
        truth = (top + 1) % TOPS;
        top = 0
    }
#ifndef FAULT_LEFT_TOO_EARLY
    ;
    store(BUSY, 0)
#endif
}

/* The first processes that there are, so these are 0, 1, ... */
active [HANDLERS + 1] proctype thread() provided (running == _pid)
{
    byte busy, top;

    do
    :: busy = load(BUSY);
#ifdef FAULT_REVOKED_READ_FIRST
       if
       :: may_enter -> store(BUSY, 1); operate()
       :: else
       fi;
#else
       store(BUSY, 1);
       if
       :: may_enter -> operate()
#ifdef FAULT_MARK_CLEARED_WHEN_REFUSED
       :: else -> store(BUSY, 0)
#else
       :: else -> store(BUSY, busy)
#endif
       fi;
#endif
       d_step {
           busy = 0;
           if
           :: _pid > 0 -> running-- /* a handler returns */
           :: else
           fi
       }
    od
}

/* ---- The revoker ---------------------------------------------------------------------------- */

inline barrier()
{
    d_step {
        do
        :: buffered > 0 -> write_one_back()
        :: else -> break
        od
    }
}

#ifdef FAULT_MARK_NOT_AWAITED
#define is_out true
#else
#define is_out (memory[BUSY] == 0)
#endif

inline visit()
{
    d_step { found = memory[TOP]; assert(found == truth) };
    d_step {
        assert(found == truth);
        memory[TOP] = 0;
        truth = 0;
        found = 0
    }
}

active proctype revoker()
{
    byte found, i;

    do
    ::
#ifdef FAULT_BARRIER_TOO_EARLY
       barrier();
#endif
       revoked = true;
#if !defined(FAULT_NO_BARRIER) && !defined(FAULT_BARRIER_TOO_EARLY)
       barrier();
#endif
       if
       :: is_out -> visit()
       :: skip /* it has waited too long */
       fi;
       revoked = false
    od
}

/* ---- The owner's CPU ------------------------------------------------------------------------ */

active proctype store_buffer()
{
    byte i;

    do
    :: d_step { buffered > 0 -> write_one_back() }
    od
}

active proctype interrupts()
{
    do
    :: running < HANDLERS -> running++
    od
}
