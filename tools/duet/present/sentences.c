/*
 * A sentence for each failure, one for each allocator against the base, what follows for the
 * choice, and how much noise there was. Nothing is said that verdict_on does not bear out.
 */
#include "present/sentences.h"

#include <stdarg.h>
#include <string.h>

#include "present/teller.h"

/* More than this need not be: a quiet machine has a tenth of it. */
#define MUCH_NOISE 0.1

void teller_begin(const struct teller *teller)
{
    fputs(teller->before, teller->stream);
}

void teller_end(const struct teller *teller)
{
    fprintf(teller->stream, ".%s", teller->after);
}

void tell(const struct teller *teller, const char *format, ...)
{
    va_list arguments;

    teller_begin(teller);
    va_start(arguments, format);
    vfprintf(teller->stream, format, arguments);
    va_end(arguments);
    teller_end(teller);
}

const char *teller_name(char buffer[SHOW_CHARS], const struct teller *teller, unsigned index)
{
    return show_full_name(buffer, &teller->results->allocators.all[index]);
}

struct estimate teller_ratio(const struct teller *teller, unsigned of, int over, enum metric metric)
{
    unsigned trials;

    if (teller->trial == NULL)
        return results_mean(teller->results, of, over, metric, &trials);
    if (over < 0)
        over = trial_best_other(teller->results, teller->trial, metric, (int)of);
    return over < 0
               ? (struct estimate){0}
               : series_ratio(&teller->trial->series[of], &teller->trial->series[over], metric);
}

/* ---- Failures ------------------------------------------------------------------------------ */

/* "crashed (SIGSEGV)": the first half of a sentence about a failure. */
static void tell_outcome(const struct teller *teller, const struct series *series)
{
    char failure[SHOW_CHARS];

    switch (series->outcome) {
    case OUTCOME_CRASH:
        fprintf(teller->stream, "crashed%s", strchr(show_failure(failure, series), ' '));
        break;
    case OUTCOME_TIMEOUT:
        fputs("did not end in time", teller->stream);
        break;
    case OUTCOME_CORRUPT:
        fputs("did not keep what was written into its memory", teller->stream);
        break;
    case OUTCOME_STATUS:
        fprintf(teller->stream, "ended with exit status %d", series->detail);
        break;
    case OUTCOME_OUTPUT:
        fputs("wrote something else", teller->stream);
        break;
    case OUTCOME_NOT_LOADED:
        fputs("was not loaded, or its malloc was not the program's,", teller->stream);
        break;
    default:
        fputs("had no memory to give", teller->stream);
    }
}

static void tell_failure(const struct teller *teller, unsigned index)
{
    const struct series *series = &teller->trial->series[index];
    bool is_other = index != teller->results->base &&
                    (series->outcome == OUTCOME_STATUS || series->outcome == OUTCOME_OUTPUT);
    char name[SHOW_CHARS];
    char runs[PHRASE_CHARS];

    teller_begin(teller);
    fprintf(teller->stream, "%s ", teller_name(name, teller, index));
    tell_outcome(teller, series);
    if (series->count == 0)
        fputs(" in its first run", teller->stream);
    else
        fprintf(teller->stream, " after %s that went well",
                format_things(runs, series->count, "run"));
    if (is_other)
        fprintf(teller->stream, ", other than under %s", teller->base);
    fputs(": no figure of it is used", teller->stream);
    teller_end(teller);
}

/* "faulty failed in 3 of 24 workloads (crash in larson ×2, ...): ..." */
static void tell_failures(const struct teller *teller, unsigned index)
{
    const struct results *results = teller->results;
    char name[SHOW_CHARS];
    char workload[SHOW_CHARS];
    unsigned failed = 0;
    unsigned told = 0;

    for (unsigned i = 0; i < results->count; i++)
        failed += series_failed(&results->trials[i].series[index]);
    if (failed == 0)
        return;
    teller_begin(teller);
    fprintf(teller->stream, "%s failed in %u of %u workloads (", teller_name(name, teller, index),
            failed, results->count);
    for (unsigned i = 0; i < results->count && told < LIST_MOST; i++) {
        const struct series *series = &results->trials[i].series[index];
        if (series_failed(series))
            fprintf(teller->stream, "%s%s in %s", told++ > 0 ? ", " : "",
                    outcome_word(series->outcome),
                    show_workload(workload, &results->trials[i], teller->glyphs));
    }
    if (failed > told)
        fprintf(teller->stream, " and %u more", failed - told);
    fprintf(teller->stream, "): its means are of the others");
    teller_end(teller);
}

static void tell_all_failures(const struct teller *teller)
{
    for (unsigned k = 0; k < teller->results->allocators.count; k++) {
        if (teller->trial == NULL)
            tell_failures(teller, k);
        else if (series_failed(&teller->trial->series[k]))
            tell_failure(teller, k);
    }
    if (teller->trial != NULL && series_failed(&teller->trial->series[teller->results->base]))
        tell(teller, "Without %s there is nothing that ratios could be over", teller->base);
}

/* ---- How sure it is ------------------------------------------------------------------------ */

static void tell_noise(const struct teller *teller)
{
    double time = typical_noise(teller->results, METRIC_WALL);
    double memory = typical_noise(teller->results, METRIC_PEAK_RSS);
    char time_text[SHOW_CHARS];
    char memory_text[SHOW_CHARS];

    if (time > 0 && memory > 0)
        tell(
            teller,
            "%sifferences in time below %s, and in memory below %s, could not be told from noise%s",
            teller->trial != NULL ? "D" : "In a single workload, d", show_noise(time_text, time),
            show_noise(memory_text, memory),
            time > MUCH_NOISE ? ": more runs on a quieter machine would tell more" : "");
}

/* What brings an allocator was run on each of these all the same. */
static void tell_own_malloc(const struct teller *teller)
{
    const struct results *results = teller->results;
    char workload[SHOW_CHARS];

    for (unsigned i = 0; i < results->count; i++) {
        if (results->trials[i].own_malloc[0] != '\0')
            tell(teller, "By itself %s has the malloc of %s; here it had that of each allocator",
                 show_workload(workload, &results->trials[i], teller->glyphs),
                 results->trials[i].own_malloc);
        if (results->trials[i].stray_malloc[0] != '\0')
            tell(teller, "A process that %s starts had the malloc of %s, whatever was preloaded",
                 show_workload(workload, &results->trials[i], teller->glyphs),
                 results->trials[i].stray_malloc);
    }
}

/* Which may not be what was meant. */
static void tell_base_status(const struct teller *teller)
{
    if (teller->trial != NULL && teller->trial->base_status != 0)
        tell(teller, "Under %s it ended with exit status %u, which was taken as right",
             teller->base, teller->trial->base_status);
}

static void tell_all_but_choice(const struct teller *teller)
{
    if (!teller->results->whole)
        tell(teller, "It was interrupted: here is what was measured until then");
    tell_all_failures(teller);
    for (unsigned k = 0; k < teller->results->allocators.count; k++)
        tell_allocator(teller, k);
    if (teller->trial == NULL) {
        tell_engine(teller, METRIC_WALL);
        tell_engine(teller, METRIC_PEAK_RSS);
    }
    tell_base_status(teller);
    tell_own_malloc(teller);
    tell_noise(teller);
}

void sentences_print_some(FILE *stream, const struct results *results, enum sentences which,
                          const struct glyphs *glyphs, const char *before, const char *after)
{
    bool is_compare = results->words != NULL && results->count > 0;
    struct teller teller = {
        .stream = stream,
        .results = results,
        .trial = is_compare ? &results->trials[0] : NULL,
        .before = before,
        .after = after,
        .glyphs = glyphs,
    };

    show_full_name(teller.base, &results->allocators.all[results->base]);
    if (which != SENTENCES_CHOICE)
        tell_all_but_choice(&teller);
    if (which != SENTENCES_BUT_CHOICE)
        tell_conclusion(&teller);
}

void sentences_print(FILE *stream, const struct results *results, const char *before,
                     const char *after)
{
    sentences_print_some(stream, results, SENTENCES_ALL, glyphs_for_locale(), before, after);
}
