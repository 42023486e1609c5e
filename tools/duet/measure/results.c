/* The list of trials, the machine, and every figure that is made from them. */
#include "measure/results.h"

#include <gnu/libc-version.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/format.h"
#include "common/say.h"

/* ---- The machine --------------------------------------------------------------------------- */

/* The value of the first line of /proc/cpuinfo that names the processor. */
static void look_at_cpu(char *out, size_t capacity)
{
    static const char *const keys[] = {"model name", "Model", "cpu model", "CPU part"};
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");

    snprintf(out, capacity, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        for (size_t i = 0; colon != NULL && i < sizeof keys / sizeof *keys; i++) {
            if (strncmp(line, keys[i], strlen(keys[i])) != 0)
                continue;
            const char *value = colon + 1 + strspn(colon + 1, " \t");
            clean_text(out, capacity, value, strcspn(value, "\n"));
            fclose(file);
            return;
        }
    }
    if (file != NULL)
        fclose(file);
}

/* CPUs that may be used. The kernel may know of more than fit a cpu_set_t, hence the loop. */
static unsigned usable_cpus(void)
{
    for (int most = 1024; most <= 1 << 20; most *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        size_t bytes = CPU_ALLOC_SIZE((size_t)most);
        if (set == NULL)
            break;
        int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
    }
    return 1;
}

static const char *huge_pages(void)
{
    char text[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

    if (file != NULL) {
        if (fgets(text, sizeof text, file) == NULL)
            text[0] = '\0';
        fclose(file);
    }
    return strstr(text, "[always]") != NULL    ? "huge pages always"
           : strstr(text, "[madvise]") != NULL ? "huge pages on request"
                                               : "no huge pages";
}

void machine_look(struct machine *machine)
{
    struct utsname name;
    long page = sysconf(_SC_PAGESIZE);
    char page_bytes[NUMBER_CHARS];

    *machine = (struct machine){.cpus = usable_cpus()};
    look_at_cpu(machine->cpu, sizeof machine->cpu);
    if (uname(&name) == 0)
        snprintf(machine->kernel, sizeof machine->kernel, "%.15s %.100s", name.sysname,
                 name.release);
    snprintf(machine->libc, sizeof machine->libc, "glibc %s", gnu_get_libc_version());
    snprintf(machine->page_text, sizeof machine->page_text, "%s, %s",
             format_cell_bytes(page_bytes, (uint64_t)page), huge_pages());
    machine->memory_bytes = (uint64_t)page * (uint64_t)sysconf(_SC_PHYS_PAGES);
    snprintf(machine->duet, sizeof machine->duet, "%s", DUET_VERSION);
}

void results_stamp(struct results *results)
{
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(results->started, sizeof results->started, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* ---- The list ------------------------------------------------------------------------------ */

const char *outcome_word(enum outcome outcome)
{
    static const char *const words[OUTCOME_COUNT] = {
        [OUTCOME_PENDING] = "pending",     [OUTCOME_FINE] = "ok",
        [OUTCOME_CRASH] = "crash",         [OUTCOME_TIMEOUT] = "timeout",
        [OUTCOME_CORRUPT] = "corrupt",     [OUTCOME_STATUS] = "status",
        [OUTCOME_OUTPUT] = "output",       [OUTCOME_NOT_LOADED] = "not loaded",
        [OUTCOME_NO_MEMORY] = "no memory",
    };
    return words[outcome];
}

struct trial *results_add(struct results *results, const char *workload, unsigned threads,
                          unsigned counts, bool program)
{
    struct trial *longer = realloc(results->trials, (results->count + 1) * sizeof *longer);
    struct series *series = calloc(results->allocators.count, sizeof *series);

    if (longer != NULL)
        results->trials = longer;
    if (longer == NULL || series == NULL) {
        free(series);
        say("not enough memory for the results of %s", workload);
        return NULL;
    }
    struct trial *trial = &results->trials[results->count++];
    *trial =
        (struct trial){.threads = threads, .counts = counts, .program = program, .series = series};
    clean_text(trial->workload, sizeof trial->workload, workload, strlen(workload));
    return trial;
}

void results_drop_last(struct results *results)
{
    struct trial *last = &results->trials[--results->count];

    for (unsigned k = 0; k < results->allocators.count; k++)
        free(last->series[k].costs);
    free(last->series);
}

void results_free(struct results *results)
{
    while (results->count > 0)
        results_drop_last(results);
    free(results->trials);
    results->trials = NULL;
}

/* ---- Figures ------------------------------------------------------------------------------- */

bool series_is_fine(const struct series *series)
{
    return series->outcome == OUTCOME_FINE && series->count > 0;
}

enum metric trial_memory_metric(const struct trial *trial)
{
    return (trial->counts & COUNTS_END_RSS) != 0 ? METRIC_END_RSS : METRIC_PEAK_RSS;
}

static double ratio_in_round(const struct series *of, const struct series *over, unsigned round,
                             enum metric metric)
{
    return of->costs[round].of[metric] / over->costs[round].of[metric];
}

static struct estimate estimate_over(const struct series *of, const struct series *over,
                                     unsigned rounds, enum metric metric)
{
    double *figures = malloc(rounds * sizeof *figures);
    struct estimate made = {0};

    if (figures == NULL)
        return made;
    for (unsigned i = 0; i < rounds; i++)
        figures[i] = over != NULL ? ratio_in_round(of, over, i, metric) : of->costs[i].of[metric];
    made = estimate_median(figures, rounds);
    free(figures);
    return made;
}

struct estimate series_estimate(const struct series *series, enum metric metric)
{
    if (!series_is_fine(series))
        return (struct estimate){0};
    return estimate_over(series, NULL, series->count, metric);
}

/* Whether ratios over this series mean something: both are there, and nothing is divided by 0. */
static bool have_ratio(const struct series *of, const struct series *over, enum metric metric)
{
    if (!series_is_fine(of) || !series_is_fine(over))
        return false;
    for (unsigned i = 0; i < over->count; i++) {
        if (over->costs[i].of[metric] <= 0)
            return false;
    }
    return true;
}

struct estimate series_ratio(const struct series *series, const struct series *base,
                             enum metric metric)
{
    if (!have_ratio(series, base, metric))
        return (struct estimate){0};
    unsigned rounds = series->count < base->count ? series->count : base->count;
    return estimate_over(series, base, rounds, metric);
}

int trial_best_other(const struct results *results, const struct trial *trial, enum metric metric,
                     int but)
{
    int best = -1;
    double least = INFINITY;

    for (unsigned i = 0; i < results->allocators.count; i++) {
        struct estimate estimate = series_estimate(&trial->series[i], metric);
        if ((int)i != but && estimate.count > 0 && estimate.median < least) {
            least = estimate.median;
            best = (int)i;
        }
    }
    return best;
}

int trial_best(const struct results *results, const struct trial *trial, enum metric metric)
{
    return trial_best_other(results, trial, metric, -1);
}

/* The two series that a trial brings to a mean; false: it brings none. */
static bool mean_pair(const struct results *results, const struct trial *trial, unsigned of,
                      int over, enum metric *metric, const struct series *pair[2])
{
    unsigned wanted = *metric == METRIC_WALL ? COUNTS_TIME : COUNTS_MEMORY | COUNTS_END_RSS;

    if ((trial->counts & wanted) == 0)
        return false;
    if (*metric != METRIC_WALL)
        *metric = trial_memory_metric(trial);
    if (over < 0)
        over = trial_best_other(results, trial, *metric, (int)of);
    if (over < 0)
        return false;
    pair[0] = &trial->series[of];
    pair[1] = &trial->series[over];
    /* Logarithms of both are taken. */
    return have_ratio(pair[0], pair[1], *metric) && have_ratio(pair[1], pair[0], *metric);
}

/* A pair with fewer rounds tells too little of its spread: it stands in each round with its
 * median. */
#define FEW_ROUNDS 5

static unsigned pair_rounds(const struct series *pair[2])
{
    return pair[0]->count < pair[1]->count ? pair[0]->count : pair[1]->count;
}

/* The geometric mean of the ratios in one round; or, for `round` = rounds, of their medians. */
static double mean_in_round(const struct results *results, unsigned of, int over, enum metric asked,
                            unsigned round, unsigned rounds, unsigned *trials)
{
    double sum = 0;

    *trials = 0;
    for (unsigned i = 0; i < results->count; i++) {
        const struct series *pair[2];
        enum metric metric = asked;
        if (!mean_pair(results, &results->trials[i], of, over, &metric, pair))
            continue;
        bool by_round = round < rounds && pair_rounds(pair) >= rounds;
        sum += log(by_round ? ratio_in_round(pair[0], pair[1], round, metric)
                            : series_ratio(pair[0], pair[1], metric).median);
        ++*trials;
    }
    return *trials > 0 ? exp(sum / *trials) : 0;
}

/* Rounds of the shortest pair of series that comes into the mean and has not too few; of the
 * longest, if all have too few. */
static unsigned mean_rounds(const struct results *results, unsigned of, int over, enum metric asked)
{
    unsigned shortest = UINT_MAX;
    unsigned longest = 0;

    for (unsigned i = 0; i < results->count; i++) {
        const struct series *pair[2];
        enum metric metric = asked;
        if (!mean_pair(results, &results->trials[i], of, over, &metric, pair))
            continue;
        unsigned rounds = pair_rounds(pair);
        longest = rounds > longest ? rounds : longest;
        if (rounds >= FEW_ROUNDS && rounds < shortest)
            shortest = rounds;
    }
    return shortest < UINT_MAX ? shortest : longest;
}

struct estimate results_mean(const struct results *results, unsigned of, int over,
                             enum metric metric, unsigned *trials)
{
    unsigned rounds = mean_rounds(results, of, over, metric);
    double *figures = malloc((rounds + 1) * sizeof *figures);
    struct estimate made = {0};

    *trials = 0;
    if (figures != NULL && rounds > 0) {
        for (unsigned i = 0; i <= rounds; i++)
            figures[i] = mean_in_round(results, of, over, metric, i, rounds, trials);
        made = estimate_median(figures, rounds);
        /* Of medians rather than a median of means, so that the tables' rows lead to it. */
        made.median = figures[rounds];
        made.low = fmin(made.low, made.median);
        made.high = fmax(made.high, made.median);
    }
    free(figures);
    return made;
}

bool results_failed(const struct results *results)
{
    for (unsigned i = 0; i < results->count; i++) {
        for (unsigned k = 0; k < results->allocators.count; k++) {
            enum outcome outcome = results->trials[i].series[k].outcome;
            if (outcome != OUTCOME_FINE && outcome != OUTCOME_PENDING)
                return true;
        }
    }
    return false;
}
