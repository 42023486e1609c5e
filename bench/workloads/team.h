/*
 * The threads of a run. Each has a hand: what it needs for its own work, on cache lines of its
 * own, so that whatever cache line two threads fight for was the allocator's choice.
 *
 * A run with one thread has no other: its work is done in main's.
 */
#ifndef DUET_WORKLOADS_TEAM_H
#define DUET_WORKLOADS_TEAM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "workload.h"

/* Processors fetch lines of 64 bytes in pairs. */
#define LINE_BYTES 128

/* More than four to a CPU on any machine that we know. */
#define MOST_THREADS 1024

struct team;

struct hand {
    unsigned number;       /* from 0 */
    uint32_t serial;       /* of the cell made last: one of the thread's own share of all numbers */
    uint32_t first_serial; /* where it stood as the measured part began */
    uint32_t operations;   /* of the measured part */
    uint64_t random;
    void *shared; /* what team_run was given */
    struct team *team;
    pthread_t thread;
    double started;
    double stopped;
} __attribute__((aligned(LINE_BYTES)));

/* Runs the body once in each thread, and sets the run's operations and seconds. The body calls
 * hand_start and then hand_stop, once each. */
void team_run(struct run *run, void (*body)(struct hand *hand), void *shared);

/* The measured part begins, for all at once, or ends. Who stops waits until all have, so that
 * nothing that comes after is in anybody's figures. */
void hand_start(struct hand *hand);
void hand_stop(struct hand *hand);

const struct run *hand_run(const struct hand *hand);

/* The thread's part of so many operations, by the run's percentage; at least one. */
uint64_t hand_share(const struct hand *hand, uint64_t operations);

/* How many of its things each thread has: so many, as long as that is no more than `all` together.
 * With hundreds of threads, memory would otherwise be what a run is about. */
size_t thread_part(const struct run *run, size_t each, size_t all);

/* A thread, or the end of the program with a message. */
void thread_start(pthread_t *thread, void *(*body)(void *), void *argument);
void thread_join(pthread_t thread);

#endif
