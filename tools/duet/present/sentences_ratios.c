/*
 * How an allocator stands beside another, in words. Figures of too few runs are told as what they
 * are: figures, and no difference.
 */
#include <math.h>
#include <string.h>

#include "present/teller.h"

/* ---- Over another -------------------------------------------------------------------------- */

/* "8 % faster than", "3.1 times as slow as". */
static const char *conjunction(const struct estimate *ratio)
{
    return ratio->median < PLAIN_BELOW ? "than" : "as";
}

/* "as fast as glibc within the noise (± 2 %)"; `than`: the name of what it is over, or "". */
static void tell_same(const struct teller *teller, enum metric metric, const struct estimate *ratio,
                      const char *than)
{
    char noise[SHOW_CHARS];

    fprintf(teller->stream, "%s%s%s within the noise (%s %s)", metrics[metric].same,
            than[0] != '\0' ? " as " : "", than, teller->glyphs->plus_minus,
            show_noise(noise, noise_of(ratio)));
}

static void tell_one(const struct teller *teller, enum metric metric, const struct estimate *ratio,
                     const char *than)
{
    char words[SHOW_CHARS];

    if (verdict_on(ratio) == VERDICT_SAME)
        tell_same(teller, metric, ratio, than);
    else if (than[0] == '\0')
        fputs(show_difference(words, metric, ratio), teller->stream);
    else
        fprintf(teller->stream, "%s %s %s", show_difference(words, metric, ratio),
                conjunction(ratio), than);
}

/* Time and memory over `than`, which is named as few times as grammar allows. */
static void tell_both(const struct teller *teller, const struct estimate *time,
                      const struct estimate *memory, const char *than)
{
    char words[SHOW_CHARS];
    enum verdict faster = verdict_on(time);
    enum verdict smaller = verdict_on(memory);
    bool against = faster + smaller == VERDICT_LESS + VERDICT_MORE && faster != smaller;

    if (faster == VERDICT_SAME && smaller == VERDICT_SAME) {
        fprintf(teller->stream, "as fast and as large as %s within the noise (%s %s", than,
                teller->glyphs->plus_minus, show_noise(words, noise_of(time)));
        fprintf(teller->stream, " and %s %s)", teller->glyphs->plus_minus,
                show_noise(words, noise_of(memory)));
    } else if (faster != VERDICT_SAME && smaller != VERDICT_SAME &&
               strcmp(conjunction(time), conjunction(memory)) == 0) {
        fprintf(teller->stream, "%s %s ", show_difference(words, METRIC_WALL, time),
                against ? "but" : "and");
        tell_one(teller, METRIC_PEAK_RSS, memory, than);
    } else {
        bool but = against || (faster == VERDICT_SAME && smaller == VERDICT_MORE);
        tell_one(teller, METRIC_WALL, time, than);
        fputs(but ? ", but " : ", and ", teller->stream);
        tell_one(teller, METRIC_PEAK_RSS, memory, "");
    }
}

/* What is known, where it is too little to speak of differences. */
static void tell_few(const struct teller *teller, const struct estimate *time,
                     const struct estimate *memory, const char *than)
{
    char words[SHOW_CHARS];

    fprintf(teller->stream, "%s times the time", show_ratio(words, time));
    fprintf(teller->stream, " and %s times the memory of %s, perhaps by chance",
            show_ratio(words, memory), than);
}

static bool tell_ratios(const struct teller *teller, unsigned of, int over, const char *than,
                        const char *before)
{
    struct estimate time = teller_ratio(teller, of, over, METRIC_WALL);
    struct estimate memory = teller_ratio(teller, of, over, METRIC_PEAK_RSS);

    if (time.count == 0 && memory.count == 0)
        return false;
    fputs(before, teller->stream);
    if (time.count == 0 || memory.count == 0)
        tell_one(teller, time.count > 0 ? METRIC_WALL : METRIC_PEAK_RSS,
                 time.count > 0 ? &time : &memory, than);
    else if (is_of_few_runs(&time) || is_of_few_runs(&memory))
        tell_few(teller, &time, &memory, than);
    else
        tell_both(teller, &time, &memory, than);
    return true;
}

/* Whether there are enough runs to speak of differences to the best others. */
static bool can_tell_over_others(const struct teller *teller, unsigned index)
{
    struct estimate time = teller_ratio(teller, index, -1, METRIC_WALL);
    struct estimate memory = teller_ratio(teller, index, -1, METRIC_PEAK_RSS);

    return !is_of_few_runs(&time) && !is_of_few_runs(&memory);
}

void tell_allocator(const struct teller *teller, unsigned index)
{
    bool is_base = index == teller->results->base;
    char name[SHOW_CHARS];
    char start[SHOW_CHARS + PHRASE_CHARS];
    bool told = false;

    snprintf(start, sizeof start, "%s%s: ", teller->before, teller_name(name, teller, index));
    if (!is_base)
        told = tell_ratios(teller, index, (int)teller->results->base, teller->base, start);
    if (teller->trial == NULL && teller->results->allocators.count > 2 &&
        can_tell_over_others(teller, index))
        told = tell_ratios(teller, index, -1, "the best other of each workload",
                           told ? "; " : start) ||
               told;
    if (told)
        teller_end(teller);
}

/* ---- Where an engine of ours stands -------------------------------------------------------- */

/* Our engine with the least mean of the metric; -1: none has one. */
static int best_engine(const struct results *results, enum metric metric)
{
    double least = INFINITY;
    unsigned trials;
    int best = -1;

    for (unsigned k = 0; k < results->allocators.count; k++) {
        struct estimate mean = results_mean(results, k, (int)results->base, metric, &trials);
        if (results->allocators.all[k].kind == ALLOCATOR_DUET && mean.count > 0 &&
            mean.median < least) {
            least = mean.median;
            best = (int)k;
        }
    }
    return best;
}

/* A workload in which it is ahead of, or behind, the best other allocator. */
struct extreme {
    const struct trial *trial; /* NULL: there is none */
    int other;
    struct estimate ratio;
};

/* Where it is furthest on the side of the verdict. */
static struct extreme find_extreme(const struct results *results, unsigned engine,
                                   enum metric metric, enum verdict side)
{
    struct extreme found = {0};

    for (unsigned i = 0; i < results->count; i++) {
        const struct trial *trial = &results->trials[i];
        enum metric shown;
        if (!trial_counts_for(trial, metric, &shown))
            continue;
        int other = trial_best_other(results, trial, shown, (int)engine);
        if (other < 0)
            continue;
        struct estimate ratio = series_ratio(&trial->series[engine], &trial->series[other], shown);
        bool further =
            found.trial == NULL || (side == VERDICT_LESS ? ratio.median < found.ratio.median
                                                         : ratio.median > found.ratio.median);
        if (ratio.count > 0 && verdict_on(&ratio) == side && further)
            found = (struct extreme){.trial = trial, .other = other, .ratio = ratio};
    }
    return found;
}

static void tell_extreme(const struct teller *teller, const struct extreme *extreme,
                         enum metric metric, const char *direction)
{
    char workload[SHOW_CHARS];
    char name[SHOW_CHARS];

    if (extreme->trial == NULL) {
        fprintf(teller->stream, "nowhere measurably %s", direction);
        return;
    }
    fprintf(teller->stream, "furthest %s in %s (", direction,
            show_workload(workload, extreme->trial, teller->glyphs));
    tell_one(teller, metric, &extreme->ratio, teller_name(name, teller, (unsigned)extreme->other));
    fputs(")", teller->stream);
}

void tell_engine(const struct teller *teller, enum metric metric)
{
    int engine = best_engine(teller->results, metric);
    char name[SHOW_CHARS];

    if (engine < 0 || teller->results->allocators.count < 2 ||
        !can_tell_over_others(teller, (unsigned)engine))
        return;
    struct extreme ahead = find_extreme(teller->results, (unsigned)engine, metric, VERDICT_LESS);
    struct extreme behind = find_extreme(teller->results, (unsigned)engine, metric, VERDICT_MORE);
    teller_begin(teller);
    fprintf(teller->stream, "In %s, beside the best other of each workload, %s is ",
            metric == METRIC_WALL ? "time" : "memory", teller_name(name, teller, (unsigned)engine));
    tell_extreme(teller, &ahead, metric, "ahead");
    fputs(", and ", teller->stream);
    tell_extreme(teller, &behind, metric, "behind");
    teller_end(teller);
}
