/* What is left is guessed from what is done: workloads are about equally long. */
#include "bench/bench_progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/format.h"

/* Back to the start of the line, and clear it. */
#define WIPE "\r\033[K"

#define DURATION_CHARS 32
#define LINE_CHARS 512

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

/* Over what stood on the line, and no wider than it: the rest would go on the next one and stay. */
static void rewrite_line(char *line, size_t capacity)
{
    struct winsize size;
    int columns =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;

    shorten(line, capacity, columns - 1, glyphs_for_locale()->ellipsis);
    fprintf(stderr, WIPE "%s", line);
    fflush(stderr);
}

/* If the others take as long as those that are done did. */
static double expected_seconds(const struct bench_progress *progress)
{
    double before = (double)(progress->trial_start_ns - progress->start_ns) / 1e9;
    unsigned left = progress->count - progress->taken - progress->done;
    double expected = before / progress->done * left - seconds_since(progress->trial_start_ns);

    return expected > 0 ? expected : 0;
}

void bench_progress_run(void *context, unsigned round, unsigned rounds, const char *allocator)
{
    const struct bench_progress *progress = context;
    char line[LINE_CHARS];
    char so_far[DURATION_CHARS];
    char left[DURATION_CHARS] = "";
    char what[NUMBER_CHARS] = "warm-up";

    if (!progress->terminal)
        return;
    if (round > 0)
        snprintf(what, sizeof what, "run %u of %u", round, rounds);
    if (progress->done > 0)
        format_duration(left, expected_seconds(progress));
    snprintf(line, sizeof line, "%u of %u: %s: %s: %s; %s so far%s%s%s",
             progress->taken + progress->done + 1, progress->count, progress->trial, what,
             allocator, format_duration(so_far, seconds_since(progress->start_ns)),
             left[0] != '\0' ? ", about " : "", left, left[0] != '\0' ? " left" : "");
    rewrite_line(line, sizeof line);
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
