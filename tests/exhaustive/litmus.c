/*
 * The scheduler itself: pieces of two or three steps whose outcomes C's memory model settles. All
 * that it allows must come up in some execution, and nothing else in any. So it is known that what
 * the other scenarios do not show is not there, and that what they show can be.
 *
 * An outcome is a number, made of what was read: the first read is the highest bit.
 */
#include "scenarios.h"

#include "base/atomics.h"

static unsigned x, y;
static unsigned read[3];

static void nothing(void)
{
}

static void note_two(void)
{
    exh_outcome(2 * read[0] + read[1]);
}

static void note_three(void)
{
    exh_outcome(4 * read[0] + 2 * read[1] + read[2]);
}

#define ALL_OF_TWO 0xfu
#define ALL_OF_THREE 0xffu
#define BUT(outcome) ~(1u << (outcome))

#define LITMUS(id, name_, threads_, thread_, verify_, outcomes_)                                   \
    const struct scenario scenario_litmus_##id = {                                                 \
        .name = "litmus-" name_,                                                                   \
        .threads = (threads_),                                                                     \
        .bounds = {4, 3},                                                                          \
        .wider = {6, 6},                                                                           \
        .set_up = nothing,                                                                         \
        .thread = (thread_),                                                                       \
        .verify = (verify_),                                                                       \
        .outcomes = (outcomes_),                                                                   \
    };

/* ---- Each writes one word and reads the other's: both may come too early ----------------- */

static void store_and_load(unsigned number)
{
    store_release(number == 0 ? &x : &y, 1);
    read[number] = load_acquire(number == 0 ? &y : &x);
}
LITMUS(buffers, "buffers", 2, store_and_load, note_two, ALL_OF_TWO)

static void add_and_load_sequential(unsigned number)
{
    add_sequential(number == 0 ? &x : &y, 1);
    read[number] = load_sequential(number == 0 ? &y : &x);
}
LITMUS(sequential, "sequential", 2, add_and_load_sequential, note_two, ALL_OF_TWO &BUT(0))

/* ---- A word that is published by another ------------------------------------------------- */

static void publish(unsigned number)
{
    if (number == 0) {
        store_relaxed(&x, 1);
        store_release(&y, 1);
    } else {
        read[0] = load_acquire(&y);
        read[1] = load_relaxed(&x);
    }
}
LITMUS(message, "message", 2, publish, note_two, ALL_OF_TWO &BUT(2))

static void publish_without_release(unsigned number)
{
    if (number == 0) {
        store_relaxed(&x, 1);
        store_relaxed(&y, 1);
    } else {
        read[0] = load_acquire(&y);
        read[1] = load_relaxed(&x);
    }
}
LITMUS(no_release, "no-release", 2, publish_without_release, note_two, ALL_OF_TWO)

static void publish_without_acquire(unsigned number)
{
    if (number == 0) {
        store_relaxed(&x, 1);
        store_release(&y, 1);
    } else {
        read[0] = load_relaxed(&y);
        read[1] = load_relaxed(&x);
    }
}
LITMUS(no_acquire, "no-acquire", 2, publish_without_acquire, note_two, ALL_OF_TWO)

/* By read-modify-writes, of which the releasing one commits what was stored before. */
static void publish_by_changes(unsigned number)
{
    if (number == 0) {
        store_relaxed(&x, 1);
        or_release(&y, 1u);
    } else {
        read[0] = and_acquire(&y, 1u);
        read[1] = load_relaxed(&x);
    }
}
LITMUS(changes, "changes", 2, publish_by_changes, note_two, ALL_OF_TWO &BUT(2))

/* ---- One word ---------------------------------------------------------------------------- */

/* What was seen once is not overwritten by what was there before. */
static void read_twice(unsigned number)
{
    if (number == 0) {
        store_relaxed(&x, 1);
    } else {
        read[0] = load_relaxed(&x);
        read[1] = load_relaxed(&x);
    }
}
LITMUS(coherence, "coherence", 2, read_twice, note_two, ALL_OF_TWO &BUT(2))

/* ---- Two words, written in turn: which value stays --------------------------------------- */

static void write_both(unsigned number)
{
    store_relaxed(number == 0 ? &x : &y, 1);
    store_relaxed(number == 0 ? &y : &x, 2);
}

static void note_last(void)
{
    MUST(x >= 1 && x <= 2 && y >= 1 && y <= 2);
    exh_outcome(2 * (x - 1) + y - 1);
}
LITMUS(writes, "writes", 2, write_both, note_last, ALL_OF_TWO)

static void write_both_in_order(unsigned number)
{
    store_release(number == 0 ? &x : &y, 1);
    store_release(number == 0 ? &y : &x, 2);
}
/* Release alone does not forbid that both first stores stay; but it does with one memory. */
LITMUS(writes_in_order, "writes-in-order", 2, write_both_in_order, note_last, ALL_OF_TWO &BUT(0))

/* ---- What a second thread has seen, and tells a third ------------------------------------ */

static void pass_on(unsigned number)
{
    if (number == 0) {
        store_release(&x, 1);
    } else if (number == 1) {
        read[0] = load_acquire(&x);
        store_release(&y, 1);
    } else {
        read[1] = load_acquire(&y);
        read[2] = load_relaxed(&x);
    }
}
LITMUS(causality, "causality", 3, pass_on, note_three, ALL_OF_THREE &BUT(6))

/* Who acquires from a change that releases nothing acquires what was released before it. */
static void change_what_was_released(unsigned number)
{
    if (number == 0) {
        store_relaxed(&x, 1);
        store_release(&y, 1);
    } else if (number == 1) {
        read[0] = cas_relaxed(&y, 1u, 2u);
    } else {
        read[1] = load_acquire(&y) == 2;
        read[2] = load_relaxed(&x);
    }
}
/* The third cannot see the second's change if there was none. */
LITMUS(sequence, "sequence", 3, change_what_was_released, note_three,
       ALL_OF_THREE &BUT(6) & BUT(2) & BUT(3))
