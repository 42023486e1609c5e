/*
 * Threads that take turns: one of them runs at any time, and who is next is said by whoever runs.
 * So an input does the same each time, though several threads, and their slots, have a part in it.
 *
 * Player 0 is the thread that began; the others are threads of their own, made when they are first
 * passed the baton. A player that is told to leave ends as a thread, and the next one of its number
 * is a new thread.
 */
#ifndef TESTS_FUZZ_BATON_H
#define TESTS_FUZZ_BATON_H

#include <stdbool.h>

#define PLAYERS 8

/* `play` is what each player does in its turn: it returns when baton_is_over says so. */
void baton_begin(void (*play)(unsigned self));

/* Makes the player's thread, which waits for its turn. False: there is no memory for one. */
bool baton_make(unsigned player);

bool baton_is_made(unsigned player);

/* Lets the other one play, and returns when it is the caller's turn again. */
void baton_pass(unsigned self, unsigned other);

/* Whether the player has to return: it is to leave, or all has been played. */
bool baton_is_over(unsigned self);

/* Ends a player's thread that waits for its turn, and waits for its end. Not for player 0. */
void baton_leave(unsigned player);

/* All has been played. It is player 0's turn, and the others that there are wait until they are
 * told to leave. */
void baton_finish(unsigned self);

#endif
