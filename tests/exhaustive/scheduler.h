/*
 * Exhaustive tests: short pieces of the library, as two or three threads, in every order of their
 * steps up to a bound. What runs is the real C; in the place of src/base/atomics.h,
 * src/base/thread.h and src/os/os.c, by the include path and by the linker, stand those of this
 * folder.
 *
 * The threads are coroutines of one, so that each execution is what its choices make it: an access
 * by atomics.h is a step, before which another thread may go on. scheduler.c runs one execution
 * after the other; each is the default one but for a list of choices that went otherwise, and what
 * others it could have had are the executions to come. So no two are alike, and when none is left
 * the space is exhausted.
 *
 * Bounds, of one execution:
 *   preemptions   another thread goes on where this one could have. (Musuvathi and Qadeer's bound;
 *                 who waits, or has ended, is followed by any other for nothing.)
 *   delays        a store is not seen yet, or a load sees what was there before (memory.c).
 * A thread that has waited (os_back_off) does not go on until another has changed something, if
 * there is another; so time does not run out, and patience lasts.
 *
 * Only accesses to words that two threads have accessed, one of them to change it, in any execution
 * so far, are places for a preemption: at all others it would be the same a little later. Where one
 * turns out to be such a word all begins anew. Nor is the place before a load that is made again,
 * in the same line as just before, while nothing has changed: that is a loop which waits, and it
 * would be the same a round earlier.
 *
 * What is not shown: signals within a thread, and slots of CPUs, which are entered by what only the
 * kernel can interrupt; a load that sees a store before its writer's earlier loads have been made
 * (load buffering), which no word of ours is meant to stand; another thread's barrier between two
 * plain accesses, if there is no step between them; and what needs more preemptions, delays,
 * threads or operations than there are.
 */
#ifndef TESTS_EXHAUSTIVE_SCHEDULER_H
#define TESTS_EXHAUSTIVE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREADS_MOST 3

struct bounds {
    unsigned preemptions;
    unsigned delays;
};

struct scenario {
    const char *name;
    unsigned threads;
    struct bounds bounds; /* of `make test` */
    struct bounds wider;  /* of `make torture` */
    void (*set_up)(void); /* once; then each execution begins with memory as that has left it */
    void (*thread)(unsigned number);
    void (*verify)(void); /* after each execution, all stores done */
    uint32_t outcomes;    /* all that come up in the end, a bit each; 0: it has none */
};

extern const struct scenario *const scenarios[];
extern const size_t scenario_count;

/* What must hold, in a thread or afterwards. */
#define MUST(condition) ((condition) ? (void)0 : exh_fail(__FILE_NAME__, __LINE__, #condition))
_Noreturn void exh_fail(const char *file, int line, const char *what);

/* One of up to 32, of an execution. */
void exh_outcome(unsigned outcome);

/* ---- For the stand-ins ------------------------------------------------------------------- */

/* The running thread waits until another has changed something. */
void exh_yield(void);

/* It sleeps until it is woken by the same address: a system call. */
void exh_sleep(const void *address);
void exh_wake(const void *address);

/* All threads pass a full barrier. */
void exh_barrier(void);

uintptr_t exh_thread_self(void);

/* Memory of the arena, zeroed: as it was at the snapshot when an execution begins. NULL: there is
 * no more. */
void *exh_map(size_t length, size_t align);

#endif
