/*
 * What a recording has left in its folder: a file of raw records (raw.h) for each process image.
 * The files are as whole as their processes were when they ended.
 */
#ifndef DUET_TOOL_IMAGES_H
#define DUET_TOOL_IMAGES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace/raw.h"

struct image {
    int32_t pid;
    uint32_t start;
    int32_t parent_pid; /* 0: it came by exec */
    uint32_t parent_start;
    uint64_t parent_records;
    uint64_t allocations; /* of its own, without what it inherited */
    uint64_t failed;
    int error;        /* the errno that ended the recording before the process; 0: nothing did */
    char program[64]; /* clean, ends with a NUL */
};

struct images {
    const char *folder; /* the caller's */
    struct image *all;  /* the one with the most allocations first */
    size_t count;
};

/* A file that is mapped to be read. */
struct raw_file {
    void *start;
    size_t bytes;
    const struct raw_record *records;
    uint64_t count; /* perhaps more than were written */
};

/* Closes all files of the folder to further records and finds out what they have. False: could not,
 * and said so. */
bool images_collect(struct images *images, const char *folder);

/* The image with that number; NULL: there is none. */
const struct image *images_find(const struct images *images, int32_t pid, uint32_t start);

void images_free(struct images *images);

/* Maps the image's file; says why and returns false where it cannot. */
bool raw_open(struct raw_file *file, const struct images *images, const struct image *image);

void raw_close(struct raw_file *file);

#endif
