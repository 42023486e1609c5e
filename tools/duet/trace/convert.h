/*
 * From the raw records of a process image (raw.h) to a trace (format.h).
 */
#ifndef DUET_TOOL_CONVERT_H
#define DUET_TOOL_CONVERT_H

#include <stdbool.h>

#include "trace/format.h"
#include "trace/images.h"

enum converted {
    CONVERTED,
    CONVERT_FAILED,      /* and said why */
    CONVERT_INTERRUPTED, /* as `stop` wanted it */
};

/* Writes the image's trace to the open file, which messages call `name`, and its head to *head.
 * `stop` is asked now and then whether nobody wants it any more. */
enum converted convert_image(const struct images *images, const struct image *image, int fd,
                             const char *name, bool (*stop)(void), struct trace_head *head);

#endif
