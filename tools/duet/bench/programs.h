/*
 * The real programs among a bench's workloads: those that Debian has, each with an input of ours
 * (bench/programs) that keeps it busy for about a second.
 */
#ifndef DUET_TOOL_PROGRAMS_H
#define DUET_TOOL_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "measure/call.h"

struct real_program;

extern const struct real_program *const real_programs[]; /* up to a NULL */

const char *real_program_name(const struct real_program *real);
const char *real_program_description(const struct real_program *real);

/* What it needs and is not here, as "git (Debian's package git)"; "": nothing. */
void real_program_missing(const struct real_program *real, char *text, size_t capacity);

/* Whether it needs a folder to write in. */
bool real_program_writes(const struct real_program *real);

/* Makes the call. Scripts do so many percent of their work; the others do what they do. `folder` is
 * the one to write in. Says why and returns false where it cannot. */
bool real_program_call(const struct real_program *real, unsigned percent, const char *folder,
                       struct call *call, struct program *program);

#endif
