/*
 * Curves as JSON, one object: the machine and the allocators as in a bench's results; in `curves`
 * what each goes over, with its points; and in `results` an entry for each curve and allocator,
 * with its costs at these points, in nanoseconds: medians, what is told of them, and those of every
 * run.
 */
#ifndef DUET_TOOL_CURVES_JSON_H
#define DUET_TOOL_CURVES_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "measure/curves.h"

/* Raised when a field changes its name or meaning. */
#define CURVES_FORMAT 1

bool curves_json_write(FILE *stream, const struct curves *curves);

#endif
