/* One line, with the time left as the rounds that are done promise it. */
#include "measure/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

/* Back to the start of the line, and clear it. */
#define WIPE "\r\033[K"

void progress_begin(struct progress *progress)
{
    *progress = (struct progress){.shown = isatty(STDERR_FILENO) == 1};
}

/* What is left, if the rounds to come take as long as those that are done. */
static void show_time_left(const struct progress *progress, unsigned round, unsigned rounds)
{
    double done = (double)(now_ns() - progress->start_ns) / 1e9;

    if (round > 1)
        fprintf(stderr, ", about %.0f s left", done / (round - 1) * (rounds - round + 1));
}

void progress_show(void *context, unsigned round, unsigned rounds, const char *allocator)
{
    struct progress *progress = context;

    if (!progress->shown)
        return;
    if (round == 1 && progress->start_ns == 0)
        progress->start_ns = now_ns();
    if (round == 0) {
        progress->start_ns = 0;
        fprintf(stderr, WIPE "warm-up: %s", allocator);
    } else {
        fprintf(stderr, WIPE "run %u of %u: %s", round, rounds, allocator);
        show_time_left(progress, round, rounds);
    }
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs(WIPE, stderr);
}
