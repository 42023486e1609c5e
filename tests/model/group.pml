/*
 * How the engine duet returns cells to their groups without a lock, and releases groups: the model
 * of src/engine/duet/group.c and depot.c, whose names it has, without prefixes.
 *
 * Two processes of `returner`, or three, do what any thread may: depot_return, where the home's
 * lock cannot be had. `holder` is whoever has it: it settles, takes cells and puts cells back,
 * unlists, releases and makes groups, in any order
 * and for ever. The lock lets one in at a time, so one process stands for all who ever have it, and
 * n threads can do nothing that n returners and the holder cannot. Magazines, the program, and a
 * purge with the lock let go are `out`: any returner may be given any cell that is there.
 *
 * A step is one atomic operation of the C, together with what nobody but its thread can see. A
 * compare-and-swap loop is the step that succeeds, for one that fails changes nothing. The words of
 * a mask come in any order, as cells do. `returned` counts modulo 16 in place of 2^32, and wraps
 * below zero as it does there.
 *
 * What must hold: no cell is handed out twice; nobody touches a group that was released, so that
 * its record may be another group at once; and whenever all are at rest (check_rest) the counts are
 * right, each group is listed or FULL, is on the stack once if it is QUEUED and else not, and none
 * is forgotten: what came back to a FULL group, or a group's last cell, has put it on the stack.
 *
 * What is not looked at: memory is sequentially consistent here, so nothing is said about which
 * operation must acquire or release. For that there is the torture test, under ThreadSanitizer and
 * on aarch64. Nobody frees twice: the misuse tests do. Nobody forks.
 *
 * FAULT_...: the protocol with one mistake. scripts/check-models demands an error of each.
 */

#ifndef GROUPS
#define GROUPS 2 /* or 1 */
#endif
#ifndef CELLS
#define CELLS 2 /* of a group, 1 to 3 */
#endif
#ifndef CELLS_OF_1
#define CELLS_OF_1 CELLS /* of group 1, 1 to CELLS */
#endif
#ifndef WORDS
#define WORDS CELLS /* of a mask, 1 to CELLS */
#endif
#ifndef RETURNERS
#define RETURNERS 2 /* or 3 */
#endif

#define ALL ((1 << CELLS) - 1)
#define cells_of(g) ((g) == 0 -> CELLS : CELLS_OF_1)
#define all_of(g) ((1 << cells_of(g)) - 1)
#define NONE GROUPS /* no group */

/* A state is a byte: {returned: 4 bits, taken: 2 bits, QUEUED, FULL}. */
#define FULL 1
#define QUEUED 2
#define TAKEN 4
#define RETURNED 16
#define MODULUS 16
#define taken_of(s) (((s) / TAKEN) & 3)
#define returned_of(s) ((s) / RETURNED)
#define all_back(s) (returned_of(s) == taken_of(s))
#define count_of(mask) (((mask) & 1) + (((mask) >> 1) & 1) + ((mask) >> 2))

/* Cells in use, and those that came back and are not counted yet. Each returner may be about to
 * count a whole group, since cells are merged and handed out again meanwhile; and still there must
 * be fewer than the modulus, or 'all back' would be said of a group that is not. */
#define lacking_of(s) ((taken_of(s) - returned_of(s)) & (MODULUS - 1))
#define MOST_LACKING (CELLS * (RETURNERS + 1))
#if MOST_LACKING >= MODULUS
#error "returned has too few bits"
#endif

/* One option for each set of cells, and for each word. */
#if CELLS == 1
#define for_any_cells(do) :: do(1)
#elif CELLS == 2
#define for_any_cells(do) :: do(1) :: do(2) :: do(3)
#else
#define for_any_cells(do) :: do(1) :: do(2) :: do(3) :: do(4) :: do(5) :: do(6) :: do(7)
#endif
#if WORDS == 1
#define for_any_word(do) :: do(ALL)
#elif WORDS == 2
#define for_any_word(do) :: do(1) :: do(ALL - 1)
#else
#define for_any_word(do) :: do(1) :: do(2) :: do(4)
#endif

/* Groups, by index. */
byte avail[GROUPS]; /* the holder's */
byte freed[GROUPS];
byte state[GROUPS];
byte next_returned[GROUPS];
bool listed[GROUPS];   /* the holder's */
bool is_empty[GROUPS]; /* the holder's: in the list of those of which no cell is taken */
byte returned = NONE;  /* the top of the stack */

/* What C does not have. */
bool alive[GROUPS];        /* made and not released */
byte out[GROUPS];          /* cells that anybody may return */
byte hand[RETURNERS];      /* cells that a returner has and has not or-ed yet */
byte at[RETURNERS] = NONE; /* the group that a returner is going to touch again */

#define in_hand_of(who, g) (at[who] == g -> hand[who] : 0)
#if RETURNERS == 2
#define any_hand (hand[0] | hand[1])
#define somebody_at(g) (at[0] == g || at[1] == g)
#define in_hand(g) (in_hand_of(0, g) | in_hand_of(1, g))
#else
#define any_hand (hand[0] | hand[1] | hand[2])
#define somebody_at(g) (at[0] == g || at[1] == g || at[2] == g)
#define in_hand(g) (in_hand_of(0, g) | in_hand_of(1, g) | in_hand_of(2, g))
#endif
#if GROUPS == 1
#define somebody_returns (any_hand || somebody_at(0))
#else
#define somebody_returns (any_hand || somebody_at(0) || somebody_at(1))
#endif

/* ---- Returning, without a lock -------------------------------------------------------------- */

inline be_given(group, cells)
{
    d_step {
        (out[group] & (cells)) == (cells) ->
        out[group] = out[group] & ~(cells);
        g = group;
        count = count_of(cells);
        at[_pid] = group;
        hand[_pid] = cells
    }
}

#define be_given_of_0(cells) be_given(0, cells)
#define be_given_of_1(cells) be_given(1, cells)

inline return_bits(word)
{
    d_step {
        hand[_pid] & (word) ->
        assert(alive[g]);
        assert(!(freed[g] & hand[_pid] & (word)));
        freed[g] = freed[g] | (hand[_pid] & (word));
        hand[_pid] = hand[_pid] & ~(word)
    }
}

#ifdef FAULT_BITS_AFTER_COUNT
#define may_count true
#else
#define may_count (hand[_pid] == 0)
#endif

#define must_queue(s) ((all_back(s) || (s) & FULL) && !((s) & QUEUED))

/* The last touch, unless it sets QUEUED. */
inline count_returned()
{
#ifndef FAULT_QUEUED_IN_A_SECOND_STEP
    d_step {
        may_count ->
        assert(alive[g]);
        state[g] = state[g] + count * RETURNED;
        assert(lacking_of(state[g]) <= MOST_LACKING);
        if
        :: must_queue(state[g]) -> state[g] = state[g] | QUEUED
        :: else -> at[_pid] = NONE
        fi
    }
#else
    d_step {
        may_count ->
        assert(alive[g]);
        state[g] = state[g] + count * RETURNED;
        if
        :: must_queue(state[g]) -> skip
        :: else -> at[_pid] = NONE
        fi
    };
    d_step {
        if
        :: at[_pid] == NONE -> skip
        :: else ->
            assert(alive[g]);
            if
            :: state[g] & QUEUED -> at[_pid] = NONE
            :: else -> state[g] = state[g] | QUEUED
            fi
        fi
    }
#endif
}

inline push_returned()
{
    do
    :: at[_pid] != NONE ->
       first = returned;
       d_step { assert(alive[g]); next_returned[g] = first };
       d_step {
           if
           :: returned == first -> returned = g; at[_pid] = NONE
           :: else
           fi;
           first = 0
       }
    :: else -> break
    od
}

active [RETURNERS] proctype returner()
{
    byte g, count, first;

    do
    :: if
       for_any_cells(be_given_of_0)
#if GROUPS > 1
       for_any_cells(be_given_of_1)
#endif
       fi;
       do
       for_any_word(return_bits)
       :: count_returned(); break
       od;
#ifdef FAULT_BITS_AFTER_COUNT
       do
       for_any_word(return_bits)
       :: hand[_pid] == 0 -> break
       od;
#endif
       push_returned();
       g = 0;
       count = 0
    od
}

/* ---- With the lock held --------------------------------------------------------------------- */

inline merge_word(word)
{
    d_step {
        assert(!(avail[g] & freed[g] & (word)));
        merged = merged + count_of(freed[g] & (word));
        avail[g] = avail[g] | (freed[g] & (word));
        freed[g] = freed[g] & ~(word)
    }
}

inline merge()
{
#if WORDS == 1
    merge_word(ALL);
#elif WORDS == 2
    merge_word(1);
    merge_word(ALL - 1);
#else
    merge_word(1);
    merge_word(2);
    merge_word(4);
#endif
    d_step {
        state[g] = state[g] - merged * (TAKEN + RETURNED);
        merged = 0
    }
}

#if defined(FAULT_FREE_THOUGH_QUEUED)
#define is_free (taken_of(state[g]) == 0 && returned_of(state[g]) == 0)
#elif defined(FAULT_FREE_BY_AVAIL)
#define is_free (avail[g] == all_of(g) && !(state[g] & QUEUED))
#else
#define is_free (taken_of(state[g]) == 0 && returned_of(state[g]) == 0 && !(state[g] & QUEUED))
#endif

inline release()
{
    assert(alive[g] && listed[g]);
    assert(out[g] == 0);
    assert(!somebody_at(g));
    alive[g] = false;
    listed[g] = false;
    is_empty[g] = false;
    avail[g] = 0;
    freed[g] = 0;
    state[g] = 0;
    g = 0
}

inline list_again()
{
    d_step {
        listed[g] = true;
        is_empty[g] = (taken_of(state[g]) == 0)
    }
}

inline settle()
{
    d_step { returned != NONE -> index = returned; returned = NONE };
    do
    :: index != NONE ->
#if defined(FAULT_NEXT_READ_LATER)
       g = index;
       state[g] = state[g] & ~(FULL | QUEUED);
       index = next_returned[g];
       merge();
#elif defined(FAULT_MERGED_BEFORE_CLEARING)
       d_step { g = index; index = next_returned[g]; next_returned[g] = 0 };
       merge();
       state[g] = state[g] & ~(FULL | QUEUED);
#else
       d_step { g = index; index = next_returned[g]; next_returned[g] = 0 };
       state[g] = state[g] & ~(FULL | QUEUED); /* from now on it may be pushed again */
       merge();
#endif
       list_again()
    :: else -> break
    od;
    g = 0
}

/* Only the holder sees avail: it matters when cells are counted, not when they leave avail. */
inline take_cells(cells)
{
#ifndef FAULT_TAKEN_COUNTED_LATER
    d_step {
        avail[g] != 0 && (avail[g] & (cells)) == (cells) ->
        assert(!((out[g] | in_hand(g) | freed[g]) & (cells)));
        avail[g] = avail[g] & ~(cells);
        is_empty[g] = false;
        state[g] = state[g] + count_of(cells) * TAKEN;
        out[g] = out[g] | (cells)
    }
#else
    d_step {
        avail[g] != 0 && (avail[g] & (cells)) == (cells) ->
        avail[g] = avail[g] & ~(cells);
        is_empty[g] = false;
        out[g] = out[g] | (cells)
    };
    state[g] = state[g] + count_of(cells) * TAKEN
#endif
}

/* What the program has goes back at once: into avail, and out of the count, in the same change of
 * the state in which a FULL group is so no more. */
inline put_back(cells)
{
    d_step {
        (out[g] & (cells)) == (cells) ->
        assert(!((avail[g] | freed[g]) & (cells)));
        out[g] = out[g] & ~(cells);
        avail[g] = avail[g] | (cells)
    };
    d_step {
        s = state[g];
        state[g] = s - count_of(cells) * TAKEN - (listed[g] -> 0 : FULL)
    };
    if
#ifndef FAULT_PUT_BACK_WITHOUT_MERGE
    :: d_step { returned_of(s) != 0 -> s = 0 }; merge()
#else
    :: d_step { returned_of(s) != 0 -> s = 0 }
#endif
    :: d_step { returned_of(s) == 0 -> s = 0 }
    fi;
    if
    :: !listed[g] || taken_of(state[g]) == 0 -> list_again()
    :: else
    fi
}

inline look_at_freed()
{
#if WORDS == 1
    came_back = ((freed[g] & ALL) != 0)
#elif WORDS == 2
    came_back = ((freed[g] & 1) != 0);
    came_back = (came_back || (freed[g] & (ALL - 1)) != 0)
#else
    came_back = ((freed[g] & 1) != 0);
    came_back = (came_back || (freed[g] & 2) != 0);
    came_back = (came_back || (freed[g] & 4) != 0)
#endif
}

/* If something came back the group stays listed. That it is merged then is a step of its own. */
inline set_full()
{
    do
#ifdef FAULT_FULL_BY_A_LATER_STATE
    :: avail[g] == 0 ->
       look_at_freed();
       s = state[g];
#else
    :: d_step { avail[g] == 0 -> s = state[g] };
       look_at_freed();
#endif
       if
       :: d_step { came_back -> came_back = false; s = 0 }; break
#ifdef FAULT_FULL_UNCOMPARED
       :: d_step { !came_back -> state[g] = state[g] | FULL; listed[g] = false; s = 0 }; break
#else
       :: d_step { !came_back && state[g] == s -> state[g] = s | FULL; listed[g] = false; s = 0 };
          break
       :: d_step { !came_back && state[g] != s -> s = 0 }
#endif
       fi
    od
}

inline make_group()
{
    assert(!listed[g] && !out[g] && !somebody_at(g));
    avail[g] = all_of(g);
    listed[g] = true;
    is_empty[g] = true;
    alive[g] = true;
    g = 0
}

/* Nobody returns cells, and nobody has the lock. */
inline check_rest()
{
    d_step {
        !somebody_returns ->
        i = returned;
        do
        :: i != NONE ->
            links[i]++;
            assert(links[i] == 1);
            i = next_returned[i]
        :: else -> break
        od;
        for (i : 0 .. GROUPS - 1) {
            if
            :: alive[i] ->
                assert((avail[i] | freed[i] | out[i]) == all_of(i));
                assert(count_of(avail[i]) + count_of(freed[i]) + count_of(out[i]) == cells_of(i));
                assert(taken_of(state[i]) == cells_of(i) - count_of(avail[i]));
                assert(returned_of(state[i]) == count_of(freed[i]));
                assert(links[i] == ((state[i] & QUEUED) != 0));
                assert(listed[i] == ((state[i] & FULL) == 0));
                assert(listed[i] || avail[i] == 0);
                assert(listed[i] || links[i] || freed[i] == 0);
                assert(out[i] != 0 || links[i] || avail[i] == all_of(i));
                assert(state[i] != 0 || is_empty[i])
            :: else -> assert(!links[i] && !listed[i] && !is_empty[i] && out[i] == 0)
            fi;
            links[i] = 0
        };
        i = 0
    }
}

active proctype holder()
{
    byte g, index = NONE, merged, s, i;
    bool came_back;
    byte links[GROUPS];

    do
    :: settle()
    :: d_step { !alive[0] -> g = 0; make_group() }
#if GROUPS > 1
    :: d_step { !alive[1] -> g = 1; make_group() }
#endif
    :: if
       :: d_step { listed[0] -> g = 0 }
#if GROUPS > 1
       :: d_step { listed[1] -> g = 1 }
#endif
       fi;
       if
       for_any_cells(take_cells)
       :: set_full()
       :: merge();
          if
          :: d_step { is_free -> release() } /* as a sweep does */
          :: d_step { !is_free -> skip }
          :: list_again()
          fi
       :: d_step { is_empty[g] && is_free -> release() } /* as is done before memory is mapped */
       fi;
       g = 0
    :: if
       :: d_step { alive[0] -> g = 0 }
#if GROUPS > 1
       :: d_step { alive[1] -> g = 1 }
#endif
       fi;
       if
       for_any_cells(put_back)
       :: skip
       fi;
       g = 0
    :: check_rest()
    od
}
