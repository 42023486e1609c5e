/*
 * The file through which the program's processes hand their counters to the launcher; its layout
 * is heap/counters.h.
 *
 * It must be there by name as long as the program runs, since every new process opens it, and be
 * gone afterwards, come what may: the launcher removes it on every path that it can catch, and
 * holds a lock on it, by which the next launcher knows and removes what a killed one left.
 */
#ifndef DUET_TOOL_COUNTERS_FILE_H
#define DUET_TOOL_COUNTERS_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "heap/counters.h"

struct counters_file {
    char path[PATH_MAX];
    int fd;
    struct count_file_header *header;
    bool shut;              /* no process may join any more: see counters_guard_room */
    uint32_t taken_at_shut; /* records that were taken before that */
};

/* Creates the file and fills in its header. Says why and returns false on failure. */
bool counters_create(struct counters_file *file);

/* Removes the file's name. The counters stay readable. May be called again. */
void counters_remove(struct counters_file *file);

/* Removes the file, unmaps and closes. */
void counters_close(struct counters_file *file);

/* How many records have been taken, and how many processes found none left. */
uint32_t counters_taken(const struct counters_file *file);
uint32_t counters_refused(const struct counters_file *file);

/* Copies what stands before the rows (state, pid, times, names) out of a record; the rest of
 * *record is left alone. False: no process has filled in this record yet. */
bool counters_read_head(const struct counters_file *file, uint32_t index,
                        struct count_record *record);

/* Copies a whole record out. */
bool counters_read(const struct counters_file *file, uint32_t index, struct count_record *record);

/* A process that writes into the file where its filesystem is full is killed by SIGBUS. So while
 * there is still room for those that run, no more are let in. To be called now and then. */
void counters_guard_room(struct counters_file *file);

#endif
