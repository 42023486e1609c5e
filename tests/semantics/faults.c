/*
 * What if the kernel says no, once, now and then, or to everything? A scenario (support/scenario.h)
 * is run in a process of its own for each case: with the n-th call of one kind failing, for each
 * kind and each n; with calls of all kinds failing at random; with all of them failing until
 * further notice, from the start and in the middle. The processes are forked from one that has not
 * used the heap, so that what is done once in a process fails, too.
 *
 * Each time all that the scenario verifies must hold, and the library's invariants; and once memory
 * is back the scenario is run again, where nothing is refused, and at its end as many cells and
 * large blocks are handed out as without faults: none is lost.
 *
 * Usage: faults SECONDS. Where there are more cases of the first sort than so many seconds allow,
 * every so-many-th of them is run. The others take some ten seconds beside.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "heap_stats.h"
#include "in_child.h"
#include "invariants.h"
#include "names.h"
#include "os/fault.h"
#include "scenario.h"

/* At random: each of these shares of all calls, so many times in a process; and with another seed
 * for each so many seconds that the test may take. */
enum { ROUNDS = 2, SECONDS_PER_SEED = 10 };
static const uint32_t shares[] = {30, 500}; /* of FAULT_SHARES */

/* What is held more after rounds with faults than after as many without: a mapping that was lost
 * would be half a MiB at least in the mean, and there are dozens of refusals in a round. */
#define HELD_MORE_BYTES ((size_t)8 << 20)

/* The first calls of a kind fail in any case: they are those that are made once. */
enum { FIRST_CALLS = 4 };

static const char *const kind_names[FAULT_KINDS] = {"map",     "unmap",   "remap", "advise",
                                                    "protect", "barrier", "look"};

/* What a child tells. */
static struct report {
    struct fault_count counts[FAULT_KINDS];
    size_t refused;
    size_t cells;
    size_t large_blocks;
    size_t held_bytes;
} * report;

static const struct fault_plan no_faults;

/* ---- In a child --------------------------------------------------------------------------- */

static void start_plan(enum fault_kind first, enum fault_kind last, struct fault_plan plan)
{
    for (enum fault_kind kind = first; kind <= last; kind++)
        fault_set(kind, plan);
}

/* Ends all faults. Returns how many calls failed. */
static size_t end_plan(void)
{
    size_t failed = 0;
    for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++) {
        report->counts[kind] = fault_count(kind);
        failed += report->counts[kind].failed;
    }
    fault_set_all(no_faults);
    return failed;
}

/* Memory is there again: all goes as if it had never been away. */
static void check_recovery(void)
{
    check_invariants();
    CHECK(scenario() == 0);
    trim_heap();
    check_invariants();
    struct duet_heap_stats stats = heap_stats();
    report->cells = stats.cells;
    report->large_blocks = stats.large_blocks;
    report->held_bytes = stats.held_bytes;
}

/* What each child does, until it has used up its argument or its turn is over. */
struct trial {
    enum fault_kind first, last; /* kinds that fail */
    struct fault_plan plan;
    unsigned rounds;
    bool in_the_middle; /* after a round without faults */
};

static void run_trial(void *argument)
{
    const struct trial *trial = argument;
    if (trial->in_the_middle)
        CHECK(scenario() == 0);
    for (unsigned round = 0; round < trial->rounds; round++) {
        struct fault_plan plan = trial->plan;
        plan.chance += round;
        start_plan(trial->first, trial->last, plan);
        report->refused += scenario();
        size_t failed = end_plan();
        CHECK(failed <= 1 || plan.once == 0);
        check_recovery();
    }
}

/* ---- The cases ---------------------------------------------------------------------------- */

static struct report usual; /* without faults */

static void run(const struct trial *trial, const char *what)
{
    *report = (struct report){0};
    int status = status_in_child(run_trial, (void *)(uintptr_t)trial);
    if (status == 0)
        return;
    fprintf(
        stderr,
        "faults: failed (%s %d): %s, kinds %s to %s: once %zu, every %zu, share %u, chance %u\n",
        status > 0 ? "status" : "signal", abs(status), what, kind_names[trial->first],
        kind_names[trial->last], trial->plan.once, trial->plan.every, trial->plan.share,
        trial->plan.chance);
    exit(1);
}

static void check_nothing_lost(const struct trial *trial)
{
    if (report->cells == usual.cells && report->large_blocks == usual.large_blocks &&
        report->held_bytes <= usual.held_bytes + HELD_MORE_BYTES)
        return;
    fprintf(stderr,
            "faults: lost: %zu cells handed out (usually %zu), %zu large blocks (%zu), %zu bytes "
            "held (%zu); kinds %s to %s: once %zu, every %zu, share %u, chance %u\n",
            report->cells, usual.cells, report->large_blocks, usual.large_blocks,
            report->held_bytes, usual.held_bytes, kind_names[trial->first], kind_names[trial->last],
            trial->plan.once, trial->plan.every, trial->plan.share, trial->plan.chance);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Returns the seconds that one takes. */
static double run_as_usual(void)
{
    const struct trial trial = {0, FAULT_KINDS - 1, no_faults, 1, false};
    double start = now();
    run(&trial, "without faults");
    CHECK(report->refused == 0);
    usual = *report;
    CHECK(usual.counts[FAULT_MAP].calls > 0 && usual.counts[FAULT_UNMAP].calls > 0);
    return now() - start;
}

static void fail_each(enum fault_kind kind, double seconds, double seconds_each)
{
    size_t calls = usual.counts[kind].calls, cases = 0, struck = 0, refused = 0;
    size_t most = (size_t)(seconds / seconds_each);
    size_t step = most >= calls ? 1 : calls / (most + 1) + 1;
    for (size_t n = 1; n <= calls; n += n < FIRST_CALLS ? 1 : step) {
        const struct trial trial = {kind, kind, {.once = n}, 1, false};
        run(&trial, "one call");
        check_nothing_lost(&trial);
        cases++;
        struck += report->counts[kind].failed;
        refused += report->refused;
    }
    printf("faults: %s: %zu of %zu calls failed, one at a time; %zu allocations were refused\n",
           kind_names[kind], struck, calls, refused);
    CHECK(struck * 2 >= cases); /* threads change how many calls there are */
}

static void fail_at_random(uint32_t seeds)
{
    size_t failed = 0, refused = 0;
    for (uint32_t seed = 1; seed <= seeds; seed++) {
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            const struct trial trial = {
                0, FAULT_KINDS - 1, {.share = shares[i], .chance = seed * 1000}, ROUNDS, false};
            run(&trial, "at random");
            check_nothing_lost(&trial);
            for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++)
                failed += report->counts[kind].failed;
            refused += report->refused;
        }
    }
    printf("faults: at random: %zu calls failed in the last rounds; %zu allocations were refused\n",
           failed, refused);
    CHECK(failed > 0 && refused > 0);
}

/* Memory is all gone: what maps it fails, or whatever there is. */
static void fail_all(void)
{
    for (unsigned i = 0; i < 4; i++) {
        struct trial trial = {0, FAULT_KINDS - 1, {.every = 1}, 2, i % 2 != 0};
        if (i >= 2)
            trial.last = FAULT_MAP;
        run(&trial, "all");
        check_nothing_lost(&trial);
        CHECK(report->refused > 0);
        printf("faults: all, %s: %zu allocations were refused\n",
               trial.in_the_middle ? "in the middle" : "from the start", report->refused);
    }
}

int main(int argument_count, char **arguments)
{
    require_duet();
    CHECK(argument_count == 2);
    double seconds = strtod(arguments[1], NULL);
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(report != MAP_FAILED);
    setvbuf(stdout, NULL, _IONBF, 0); /* it would have a buffer from the heap */
    double seconds_each = run_as_usual();
    for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++)
        if (usual.counts[kind].calls > 0)
            fail_each(kind, seconds / FAULT_KINDS, seconds_each);
    fail_at_random(1 + (uint32_t)(seconds / SECONDS_PER_SEED));
    fail_all();
    return 0;
}
