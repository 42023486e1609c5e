/*
 * What the workloads need beside an allocator, made so that the allocator does not notice: tables
 * from mmap, a clock, the process's memory, and messages that never go through stdio, which
 * would ask for a buffer.
 */
#ifndef DUET_WORKLOADS_SUPPORT_H
#define DUET_WORKLOADS_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* One line on stderr, under the program's name and that of the workload, if one was set. Any
 * thread may; where several fail at once the first is heard, and the others wait for the end. */
_Noreturn void fail(enum workload_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* The name of the workload that messages are about. */
void fail_as(const char *name);

/* Text on stdout, at most 4 KiB. An output that cannot be written to ends the program. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

double now_seconds(void);

/* Zeroed memory that no malloc knows of, with all its pages there from the start. It is kept until
 * the process ends, so that its share of any figure is known. */
void *table_make(size_t count, size_t bytes_each);

/* What all tables hold. */
uint64_t bookkeeping_kib(void);

/* The process's memory now, and at most since its start. */
uint64_t rss_kib(void);
uint64_t peak_rss_kib(void);

/* What is in memory now beside the tables. */
uint64_t rss_beside_tables_kib(void);

#endif
