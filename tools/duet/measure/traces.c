/* The file is laid out for the player anew for each trial, always in the same place. */
#include "measure/traces.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/format.h"
#include "common/say.h"
#include "trace/player/status.h"
#include "trace/prepare.h"
#include "trace/reader.h"

/* Names of traces are told from those of programs by this. */
#define NAME_PREFIX "trace-"
#define SUFFIX ".trace"

#define PLAYER_NAME "duet-player"
#define PLAYED_FILE "played"

/* A trace is repeated until it comes to so many operations: half a second or so, so that the
 * player's start and what the kernel does by the way are little of it. */
#define OPERATIONS_WANTED 10000000u

static void name_from_path(const char *path, char *name, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(base);

    if (length > strlen(SUFFIX) && strcmp(base + length - strlen(SUFFIX), SUFFIX) == 0)
        length -= strlen(SUFFIX);
    const char *prefix = strncmp(base, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 ? "" : NAME_PREFIX;
    snprintf(name, capacity, "%s%.*s", prefix, (int)length, base);
}

bool trace_describe(const char *path, char *name, size_t name_capacity, char *description,
                    size_t description_capacity)
{
    struct trace_reader reader;
    char allocations[PHRASE_CHARS];
    char threads[PHRASE_CHARS];
    char peak[NUMBER_CHARS];

    if (!reader_open(&reader, path))
        return false;
    const struct trace_totals *totals = &reader.head.totals;
    name_from_path(path, name, name_capacity);
    snprintf(description, description_capacity, "What %s did: %s by %s, %s live at most.",
             reader.head.program, format_things(allocations, totals->allocations, "allocation"),
             format_things(threads, totals->threads, "thread"),
             format_bytes(peak, totals->peak_live_bytes));
    reader_close(&reader);
    return true;
}

/* How often the trace is to be played. */
static uint64_t repeats_for(const struct trace_totals *totals, unsigned percent)
{
    uint64_t wanted = (uint64_t)OPERATIONS_WANTED * percent / 100;
    uint64_t repeats = totals->operations > 0 ? wanted / totals->operations : 0;

    if (repeats > PLAYER_REPEATS_MOST)
        return PLAYER_REPEATS_MOST;
    return repeats > 0 ? repeats : 1;
}

bool trace_call(const char *path, unsigned percent, const char *folder, struct call *call,
                struct program *program)
{
    char player[PATH_MAX];
    char played[PATH_MAX];
    struct trace_head head;

    if (snprintf(played, sizeof played, "%s/" PLAYED_FILE, folder) >= (int)sizeof played) {
        say("the name of the folder %s is too long", folder);
        return false;
    }
    if (!player_find(player) || !trace_prepare(path, played, PLAY_PARALLEL, &head))
        return false;
    call_begin(call, player);
    call_add_word(call, "%s", PLAYER_NAME);
    call_add_word(call, "%s", played);
    call_add_word(call, "%llu", (unsigned long long)repeats_for(&head.totals, percent));
    *program = (struct program){.own_status = true, .one_cpu = head.totals.threads == 1};
    return call_finish(call, program);
}
