/*
 * Calls into the kernel that fail on purpose, with ENOMEM, in the checked and tiny builds, so that
 * tests see what happens then. In other builds nothing is left of this.
 *
 * The calls of each kind are numbered from 1, and a plan says which of them fail. Threads share the
 * numbers; a plan may be changed at any time, and who is between two looks sees a part of each.
 */
#ifndef DUET_OS_FAULT_H
#define DUET_OS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

enum fault_kind {
    FAULT_MAP,     /* mmap */
    FAULT_UNMAP,   /* munmap */
    FAULT_REMAP,   /* mremap */
    FAULT_ADVISE,  /* madvise */
    FAULT_PROTECT, /* mprotect */
    FAULT_BARRIER, /* membarrier */
    FAULT_LOOK,    /* mincore */
    FAULT_KINDS,
};

/* What fails: all that any field says. All zero: nothing. */
struct fault_plan {
    size_t once;     /* the call of this number */
    size_t every;    /* each call whose number is a multiple of this; 1: all of them */
    uint32_t share;  /* so many of FAULT_SHARES calls, chosen by chance: */
    uint32_t chance; /* each number has another choice */
};
#define FAULT_SHARES 1000

/* The plan from now on; the numbers begin anew. */
void fault_set(enum fault_kind kind, struct fault_plan plan);

/* One plan for calls of all kinds. */
void fault_set_all(struct fault_plan plan);

struct fault_count {
    size_t calls; /* since the plan was made, those that failed too */
    size_t failed;
};
struct fault_count fault_count(enum fault_kind kind);

/* Counts a call. True: it is to fail, and errno says so as the kernel would. */
bool fault_strikes(enum fault_kind kind);

static inline bool fault_is_due(enum fault_kind kind)
{
    return DUET_CHECKED && fault_strikes(kind);
}

#endif
