/*
 * Threads wait for each other at a barrier, before the measured part and after it. The measured
 * time goes from the first that starts to the last that stops, each by its own look at the clock:
 * with more threads than CPUs, whoever woke up last would otherwise decide when it all began.
 */
#include "team.h"

#include <string.h>

#include "random.h"
#include "support.h"

struct team {
    struct run *run;
    struct hand *hands;
    void (*body)(struct hand *hand);
    pthread_barrier_t barrier;
};

void thread_start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    int error = pthread_create(thread, NULL, body, argument);

    if (error != 0)
        fail(WORKLOAD_FAILED, "cannot start a thread: %s", strerror(error));
}

void thread_join(pthread_t thread)
{
    int error = pthread_join(thread, NULL);

    if (error != 0)
        fail(WORKLOAD_FAILED, "cannot wait for a thread: %s", strerror(error));
}

void hand_start(struct hand *hand)
{
    pthread_barrier_wait(&hand->team->barrier);
    hand->first_serial = hand->serial;
    hand->started = now_seconds();
}

void hand_stop(struct hand *hand)
{
    hand->stopped = now_seconds();
    hand->operations = hand->serial - hand->first_serial;
    pthread_barrier_wait(&hand->team->barrier);
}

const struct run *hand_run(const struct hand *hand)
{
    return hand->team->run;
}

uint64_t hand_share(const struct hand *hand, uint64_t operations)
{
    const struct run *run = hand->team->run;
    uint64_t share = operations * run->percent / 100 / run->threads;

    return share > 0 ? share : 1;
}

size_t thread_part(const struct run *run, size_t each, size_t all)
{
    size_t part = all / run->threads;

    return part < each ? part : each;
}

static void *body_in_thread(void *argument)
{
    struct hand *hand = argument;

    hand->team->body(hand);
    return NULL;
}

static void run_bodies(struct team *team)
{
    unsigned threads = team->run->threads;

    if (threads == 1) {
        team->body(&team->hands[0]);
        return;
    }
    for (unsigned i = 0; i < threads; i++)
        thread_start(&team->hands[i].thread, body_in_thread, &team->hands[i]);
    for (unsigned i = 0; i < threads; i++)
        thread_join(team->hands[i].thread);
}

/* Every number belongs to one thread, so that no two cells that are live at once are alike. */
static uint32_t serials_begin(unsigned number, unsigned threads)
{
    return UINT32_MAX / threads * number;
}

static void sum_up(struct run *run, const struct hand *hands)
{
    double started = hands[0].started;
    double stopped = hands[0].stopped;

    run->operations = 0;
    for (unsigned i = 0; i < run->threads; i++) {
        run->operations += hands[i].operations;
        started = hands[i].started < started ? hands[i].started : started;
        stopped = hands[i].stopped > stopped ? hands[i].stopped : stopped;
    }
    run->seconds = stopped - started;
}

void team_run(struct run *run, void (*body)(struct hand *hand), void *shared)
{
    struct hand *hands = table_make(run->threads, sizeof *hands);
    struct team team = {.run = run, .hands = hands, .body = body};

    pthread_barrier_init(&team.barrier, NULL, run->threads);
    for (unsigned i = 0; i < run->threads; i++) {
        hands[i].number = i;
        hands[i].serial = serials_begin(i, run->threads);
        hands[i].random = random_seed(i);
        hands[i].shared = shared;
        hands[i].team = &team;
    }
    run_bodies(&team);
    pthread_barrier_destroy(&team.barrier);
    sum_up(run, hands);
}
