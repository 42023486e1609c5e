/*
 * Shelves: stacks of magazines that need no lock; the model of src/engine/duet/magazine.c.
 *
 * There are two shelves, `spares` with empty magazines and `transfers` with full ones. Threads take
 * a magazine from the one, fill or empty it, and put it on the other, for ever. A head is the top
 * magazine and a tag, changed by one compare-and-swap; the link below the top is a word of its own,
 * and read while another thread may have taken that magazine and put it elsewhere.
 *
 * The tag is taken to be so wide that it never comes round while a thread looks away: so all that a
 * compare-and-swap learns from it is whether it was counted up since, which `outrun` says. With
 * COUNT_TAKEN_ONLY it counts only what is taken, as that of spans/metas.c does; else every change.
 *
 * What must hold: nobody takes what another has; what is taken from a shelf is as it was put there;
 * and whenever nobody is in the middle of it, each magazine is on one shelf, once, or in one hand.
 *
 * What is not looked at: memory order (in the tsan flavour, the torture test does), and the pools
 * that magazines come from when there is no spare one.
 *
 * FAULT_...: the same with one mistake. scripts/check-models demands an error of each.
 */

#ifndef MAGAZINES
#define MAGAZINES 3
#endif
#ifndef THREADS
#define THREADS 2 /* or 3 */
#endif

#define NONE MAGAZINES /* no magazine */

#define SPARES 0
#define TRANSFERS 1
#define SHELVES 2

byte head[SHELVES] = NONE;
byte next[MAGAZINES];

/* What C does not have, but for the tags. */
bool has_cells[MAGAZINES];
byte hand[THREADS] = NONE;      /* the magazine that a thread has */
byte looks_at[THREADS] = SHELVES; /* the shelf whose head it has read */
bool outrun[THREADS];           /* that head has another tag now */

#if THREADS == 2
#define is_in_a_hand(m) (hand[0] == m || hand[1] == m)
#define hands_holding(m) ((hand[0] == m) + (hand[1] == m))
#define nobody_is_in_the_middle (looks_at[0] == SHELVES && looks_at[1] == SHELVES)
#else
#define is_in_a_hand(m) (hand[0] == m || hand[1] == m || hand[2] == m)
#define hands_holding(m) ((hand[0] == m) + (hand[1] == m) + (hand[2] == m))
#define nobody_is_in_the_middle \
    (looks_at[0] == SHELVES && looks_at[1] == SHELVES && looks_at[2] == SHELVES)
#endif

/* The tag goes up: who has read this head has another one now. */
inline count_up(shelf)
{
    for (i : 0 .. THREADS - 1) {
        outrun[i] = (outrun[i] || looks_at[i] == shelf)
    };
    i = 0
}

inline forget_head()
{
    looks_at[me] = SHELVES;
    outrun[me] = false;
    top = 0;
    below = 0
}

#ifdef FAULT_NO_TAG
#define unchanged(shelf) (head[shelf] == top)
#else
#define unchanged(shelf) (head[shelf] == top && !outrun[me])
#endif

inline read_head(shelf)
{
    top = head[shelf];
    looks_at[me] = shelf;
    outrun[me] = false
}

/* `hand` is the magazine, or NONE. */
inline shelf_pop(shelf)
{
    do
    :: d_step { read_head(shelf) };
       if
       :: d_step { top == NONE -> forget_head() }; break
       :: else
       fi;
       below = next[top];
#ifdef FAULT_TAG_READ_LATER
       outrun[me] = false;
#endif
       if
       :: d_step {
           unchanged(shelf) ->
           head[shelf] = below;
           assert(!is_in_a_hand(top));
           assert(has_cells[top] == (shelf == TRANSFERS));
           hand[me] = top;
           count_up(shelf);
           forget_head()
       }; break
       :: d_step { !unchanged(shelf) -> forget_head() }
       fi
    od
}

/* hand[me] is NONE as soon as others can take it. */
inline shelf_push(shelf)
{
    do
    :: d_step { read_head(shelf) };
#ifndef FAULT_LINKED_AFTER_PUSH
       next[hand[me]] = top;
#endif
       if
       :: d_step {
           unchanged(shelf) ->
           head[shelf] = hand[me];
           below = hand[me];
           hand[me] = NONE;
#ifndef COUNT_TAKEN_ONLY
           count_up(shelf);
#endif
#ifndef FAULT_LINKED_AFTER_PUSH
           forget_head()
#endif
       }; break
       :: d_step { !unchanged(shelf) -> forget_head() }
       fi
    od;
#ifdef FAULT_LINKED_AFTER_PUSH
    next[below] = top;
    d_step { forget_head() }
#endif
}

proctype thread(byte me)
{
    byte top, below, i;

    do
    :: shelf_pop(SPARES);
       if
       :: hand[me] != NONE -> has_cells[hand[me]] = true; shelf_push(TRANSFERS)
       :: else
       fi
    :: shelf_pop(TRANSFERS);
       if
       :: hand[me] != NONE -> has_cells[hand[me]] = false; shelf_push(SPARES)
       :: else
       fi
    od
}

inline count_shelf(shelf)
{
    m = head[shelf];
    do
    :: m != NONE ->
        found[m]++;
        assert(found[m] == 1);
        assert(has_cells[m] == (shelf == TRANSFERS));
        m = next[m]
    :: else -> break
    od
}

proctype observer()
{
    byte m;
    byte found[MAGAZINES];

    do
    :: d_step {
        nobody_is_in_the_middle ->
        count_shelf(SPARES);
        count_shelf(TRANSFERS);
        for (m : 0 .. MAGAZINES - 1) {
            assert(found[m] + hands_holding(m) == 1);
            found[m] = 0
        };
        m = 0
    }
    od
}

init
{
    byte m;

    atomic {
        for (m : 0 .. MAGAZINES - 1) {
            next[m] = head[SPARES];
            head[SPARES] = m
        };
        m = 0;
        run thread(0);
        run thread(1);
#if THREADS == 3
        run thread(2);
#endif
        run observer()
    }
}
