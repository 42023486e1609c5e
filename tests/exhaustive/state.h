/*
 * What the parts of the scheduler know of each other. All of it lies outside the program's own
 * data, which is put back before each execution.
 */
#ifndef TESTS_EXHAUSTIVE_STATE_H
#define TESTS_EXHAUSTIVE_STATE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

#include "base/atomics.h"
#include "scheduler.h"

/* ---- Time: what a thread knows to have happened ------------------------------------------ */

/* Of each thread so many of its steps; those and all before them. */
struct clock {
    uint32_t of[THREADS_MOST];
};

/* ---- Threads ----------------------------------------------------------------------------- */

/* Stores that a thread has done and that others have not seen. */
#define BUFFER_MOST 64

struct buffered {
    void *word;
    size_t size;
    uint64_t value;
    uint64_t order; /* among all threads' */
    uint32_t time;
    bool release;
    bool delayed;
    struct clock released; /* what who acquires it knows then; of a release only */
};

enum progress { READY, WAITING, ASLEEP, ENDED };

struct thread {
    jmp_buf context;
    char *stack;
    char *local; /* its thread-local variables, while another runs */
    enum progress progress;
    uint64_t waits_since; /* `changes` as it began to wait */
    const void *sleeps_on;
    struct clock clock;
    const void *loaded;      /* the word, if its last step was a load */
    const char *loaded_from; /* the place in the source */
    uint64_t loaded_at;      /* `changes` then */
    unsigned buffer_count;
    struct buffered buffer[BUFFER_MOST];
};

/* ---- Choices ----------------------------------------------------------------------------- */

enum cost { COST_NOTHING, COST_PREEMPTION, COST_DELAY };

/* At this choice of an execution, the n-th alternative and not the first. */
struct deviation {
    uint32_t choice;
    uint32_t taken;
};

#define DEVIATIONS_MOST 128

struct schedule {
    unsigned count;
    struct deviation deviations[DEVIATIONS_MOST];
};

/* ---- All of it --------------------------------------------------------------------------- */

struct state {
    const struct scenario *scenario;
    struct bounds bounds;
    bool running;   /* a thread is */
    bool replaying; /* one schedule, with its trace */
    unsigned current;
    unsigned last; /* the thread of the last line of the trace */
    jmp_buf main;
    ucontext_t main_start;
    struct thread threads[THREADS_MOST];

    /* Of the execution. */
    uint32_t execution; /* its number */
    uint32_t choices;   /* so far */
    unsigned applied;   /* deviations so far */
    struct bounds spent;
    uint64_t changes; /* of memory, so far */
    uint64_t stores;  /* so far: the order of what is buffered */
    unsigned idle;    /* waits in a row with no change */
    struct schedule schedule;

    /* memory.c's and plain.c's. */
    struct word *words;
    size_t word_count;
    struct granule *granules;

    /* Of the search. */
    bool begin_anew; /* a word turned out to be contended */
    uint32_t *pending;
    size_t pending_count, pending_room;
    uint64_t executions;
    uint32_t outcomes;
    uint32_t most_choices;
};
extern struct state *state;

/* One of the alternatives, from 0; 0 is the default one. The others are for executions to come, if
 * `worth`, and if the bounds allow. */
unsigned choose(unsigned alternatives, enum cost cost, bool worth);

/* A step is about to be made, at a word that others access if `contended`: another thread may go
 * first. */
void step(bool contended);

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- memory.c: words that are accessed by atomics.h -------------------------------------- */

void memory_begin(void);                 /* an execution */
void memory_commit_all(unsigned thread); /* what it has buffered is seen by all */
bool memory_commit_everything(void);     /* of all threads; whether there was anything */
void memory_settle_own(uintptr_t from, size_t length); /* plain access by the running thread */
void memory_forget(uintptr_t from, size_t length);     /* what was in words that are overwritten */
size_t memory_contended(void);                         /* words, so far */

/* ---- plain.c: all other accesses --------------------------------------------------------- */

enum access { PLAIN_READ, PLAIN_WRITE, ATOMIC_READ, ATOMIC_WRITE, ACCESSES };

/* Stops where an access of another thread may be at the same time, and one of both is plain and one
 * a write. */
void plain_note(uintptr_t from, size_t length, enum access access, const char *what);
void plain_begin(void);

/* ---- snapshot.c: memory as the set-up has left it ---------------------------------------- */

void snapshot_prepare(void); /* before the set-up */
void snapshot_take(void);
void snapshot_restore(void);
void snapshot_note_write(uintptr_t from, size_t length);

/* The place of an address among all that are watched, counted in bytes; SIZE_MAX: it is not. */
size_t snapshot_place(uintptr_t address);
size_t snapshot_bytes(void);

/* The thread-local variables of the program: where they lie, and how many bytes. */
char *snapshot_locals(size_t *bytes);

#endif
