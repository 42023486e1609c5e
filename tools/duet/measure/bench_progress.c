/* What is left is guessed from what is done: workloads are about equally long. */
#include "measure/bench_progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

/* Back to the start of the line, and clear it. */
#define WIPE "\r\033[K"

#define DURATION_CHARS 32

static double seconds_since(uint64_t start_ns)
{
    return (double)(now_ns() - start_ns) / 1e9;
}

/* "21 s", "3 min 5 s". */
static const char *format_duration(char text[DURATION_CHARS], double seconds)
{
    int whole = (int)(seconds + 0.5);

    if (whole < 60)
        snprintf(text, DURATION_CHARS, "%d s", whole);
    else
        snprintf(text, DURATION_CHARS, "%d min %d s", whole / 60, whole % 60);
    return text;
}

void bench_progress_begin(struct bench_progress *progress, unsigned count)
{
    *progress = (struct bench_progress){
        .terminal = isatty(STDERR_FILENO) == 1, .count = count, .start_ns = now_ns()};
}

void bench_progress_take(struct bench_progress *progress)
{
    progress->taken++;
}

void bench_progress_trial(struct bench_progress *progress, const struct trial *trial)
{
    progress->trial_start_ns = now_ns();
    if (trial->threads == 0)
        snprintf(progress->trial, sizeof progress->trial, "%s", trial->workload);
    else
        snprintf(progress->trial, sizeof progress->trial, "%s, %u thread%s", trial->workload,
                 trial->threads, trial->threads == 1 ? "" : "s");
}

void bench_progress_run(void *context, unsigned round, unsigned rounds, const char *allocator)
{
    const struct bench_progress *progress = context;
    char text[DURATION_CHARS];

    if (!progress->terminal)
        return;
    fprintf(stderr, WIPE "%u of %u: %s: ", progress->taken + progress->done + 1, progress->count,
            progress->trial);
    if (round == 0)
        fprintf(stderr, "warm-up: %s", allocator);
    else
        fprintf(stderr, "run %u of %u: %s", round, rounds, allocator);
    double seconds = seconds_since(progress->start_ns);
    fprintf(stderr, "; %s so far", format_duration(text, seconds));
    if (progress->done > 0) {
        unsigned left = progress->count - progress->taken - progress->done;
        double until_trial = seconds - seconds_since(progress->trial_start_ns);
        double expected = until_trial / progress->done * left + until_trial - seconds;
        fprintf(stderr, ", about %s left", format_duration(text, expected > 0 ? expected : 0));
    }
    fflush(stderr);
}

void bench_progress_done(struct bench_progress *progress, const struct results *results,
                         const struct trial *trial)
{
    char text[DURATION_CHARS];

    progress->done++;
    if (progress->terminal)
        return;
    fprintf(stderr, "%u of %u: %s: %s", progress->taken + progress->done, progress->count,
            progress->trial, format_duration(text, seconds_since(progress->trial_start_ns)));
    for (unsigned i = 0; i < results->allocators.count; i++) {
        if (trial->series[i].outcome != OUTCOME_FINE)
            fprintf(stderr, "; %s: %s", results->allocators.all[i].name,
                    outcome_word(trial->series[i].outcome));
    }
    fputc('\n', stderr);
}

void bench_progress_end(const struct bench_progress *progress)
{
    if (progress->terminal)
        fputs(WIPE, stderr);
}
