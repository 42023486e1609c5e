/*
 * What the files of sentences.c share: where a sentence goes, what it is about, and how one
 * allocator stands over another. Of a compare the one workload speaks, of a bench the geometric
 * means.
 */
#ifndef DUET_TOOL_TELLER_H
#define DUET_TOOL_TELLER_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/results.h"
#include "present/show.h"

/* Names in a list, after which the rest is only counted. */
#define LIST_MOST 4

struct teller {
    FILE *stream;
    const struct results *results;
    const struct trial *trial; /* a compare's only one; NULL: a bench */
    const char *before;
    const char *after;
    const struct glyphs *glyphs;
    char base[SHOW_CHARS]; /* its name */
};

/* Around each sentence; the second writes its full stop. */
void teller_begin(const struct teller *teller);
void teller_end(const struct teller *teller);

/* One whole sentence, without its full stop. */
void tell(const struct teller *teller, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An allocator's name. */
const char *teller_name(char buffer[SHOW_CHARS], const struct teller *teller, unsigned index);

/* What one allocator is over another, or over the best other (-1), in time (METRIC_WALL) or memory
 * (METRIC_PEAK_RSS). */
struct estimate teller_ratio(const struct teller *teller, unsigned of, int over,
                             enum metric metric);

/* "smp: 8 % faster and 21 % smaller than glibc", and of a bench also over the best others. */
void tell_allocator(const struct teller *teller, unsigned index);

/* Where our best engine by the metric wins and loses most, beside the best other allocator. */
void tell_engine(const struct teller *teller, enum metric metric);

/* Which to take. */
void tell_conclusion(const struct teller *teller);

#endif
