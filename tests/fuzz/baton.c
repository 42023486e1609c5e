/* A semaphore for each player says that it is its turn. All else here is written by whoever has the
 * baton, and the semaphores order that. */
#include "baton.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "fuzz.h"

struct player {
    pthread_t thread;
    sem_t turn;
    unsigned number;
    bool made;
    bool leaves;
};

static struct player players[PLAYERS];
static void (*play_turns)(unsigned self);
static bool finished;

static void wait_for_turn(struct player *player)
{
    while (sem_wait(&player->turn) != 0)
        if (errno != EINTR)
            FINDING("cannot wait for a turn: %s", strerror(errno));
}

static void give_turn(unsigned player)
{
    if (sem_post(&players[player].turn) != 0)
        FINDING("cannot give a turn: %s", strerror(errno));
}

void baton_begin(void (*play)(unsigned self))
{
    play_turns = play;
    finished = false;
    for (unsigned i = 0; i < PLAYERS; i++) {
        players[i] = (struct player){.number = i, .made = i == 0};
        if (sem_init(&players[i].turn, 0, 0) != 0)
            FINDING("no semaphore: %s", strerror(errno));
    }
}

static void *run(void *argument)
{
    struct player *player = argument;
    wait_for_turn(player);
    play_turns(player->number);
    return NULL;
}

bool baton_make(unsigned player)
{
    struct player *made = &players[player];
    made->leaves = false;
    made->made = pthread_create(&made->thread, NULL, run, made) == 0;
    return made->made;
}

bool baton_is_made(unsigned player)
{
    return players[player].made;
}

void baton_pass(unsigned self, unsigned other)
{
    give_turn(other);
    wait_for_turn(&players[self]);
}

bool baton_is_over(unsigned self)
{
    return finished || players[self].leaves;
}

void baton_leave(unsigned player)
{
    players[player].leaves = true;
    give_turn(player);
    pthread_join(players[player].thread, NULL);
    players[player].made = false;
}

void baton_finish(unsigned self)
{
    finished = true;
    if (self != 0)
        baton_pass(self, 0);
}
