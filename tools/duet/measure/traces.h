/*
 * Traces of programs as workloads of a bench.
 */
#ifndef DUET_TOOL_TRACES_H
#define DUET_TOOL_TRACES_H

#include <stdbool.h>
#include <stddef.h>

#include "measure/call.h"

/* How the workload in this file is called, and what it is, in a sentence. Says why and returns
 * false where it is no trace. */
bool trace_describe(const char *path, char *name, size_t name_capacity, char *description,
                    size_t description_capacity);

/* Makes the call that plays the trace, as often as is worth measuring; `percent` is of that. What
 * the player needs is written in the folder. Says why and returns false where it cannot. */
bool trace_call(const char *path, unsigned percent, const char *folder, struct call *call,
                struct program *program);

#endif
