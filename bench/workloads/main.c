/*
 * duet-workloads: runs one of the workloads that allocators are measured by. See workload.h for
 * what a workload is, status.h for how a run ends, and --help for what is printed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "curves.h"
#include "support.h"
#include "team.h"
#include "workload.h"

/* Above it, some totals would not fit. */
#define MOST_PERCENT 10000

/* From the plainest to the most like a program. */
const struct workload *const workloads[] = {
    &workload_pair,          &workload_batch,
    &workload_glibc_simple,  &workload_glibc_thread,
    &workload_random,        &workload_alloc_test,
    &workload_sh6,           &workload_sh8,
    &workload_larson,        &workload_xmalloc,
    &workload_mstress,       &workload_rptest,
    &workload_server,        &workload_cache_thrash,
    &workload_cache_scratch, &workload_large,
    &workload_realloc,       &workload_calloc,
    &workload_aligned,       &workload_fragment,
    &workload_idle,          NULL,
};

static const char help[] =
    "Usage: duet-workloads NAME [THREADS [PERCENT]]\n"
    "       duet-workloads --curve NAME [PERCENT]\n"
    "       duet-workloads --list | --curves | --help\n"
    "\n"
    "Runs a workload: a fixed number of mallocs, frees and so on, by the standard names,\n"
    "so that whatever allocator is preloaded does the work. Each cell is checked for what\n"
    "was written in it.\n"
    "\n"
    "  THREADS   share the work; 1 if not given\n"
    "  PERCENT   of the work is done, 100 if not given; live memory stays the same\n"
    "  --list    a line to a workload, with tabs between: its name; 'threads' if it takes\n"
    "            more than one, or else 'single'; 'time', 'memory' or 'both', for the figures\n"
    "            that say something about the allocator; 'large' where page faults are most\n"
    "            of the time, or else '-'; and what it is\n"
    "  --curve   measures what a malloc and its free cost over the size, or the number, of\n"
    "            cells: for PERCENT of the usual time\n"
    "  --curves  a line to a curve, with tabs between: its name; 'cells' or 'bytes', which it\n"
    "            goes over; the point that others are held against, or 0; and what it is\n"
    "\n"
    "Prints on stdout, a line each:\n"
    "  allocator PATH         where malloc came from\n"
    "  operations N           mallocs, reallocs and so on, of the measured part\n"
    "  seconds S              of the measured part: without tables, threads' start, and what\n"
    "                         has to be there before\n"
    "  bookkeeping_kib N      memory of the workload's own, all of it there from the start,\n"
    "                         to be taken off the process's\n"
    "  peak_rss_kib N         the process's memory at its peak, bookkeeping and all\n"
    "  end_rss_kib N          bookkeeping taken off; of some workloads, at their end\n"
    "and of a curve, beside the allocator, for each of its points:\n"
    "  point X NS             nanoseconds for a malloc and its free, at so many cells or bytes\n"
    "\n"
    "Ends with 0; 2 for wrong words; 3 if the allocator gave wrong memory, and one line\n"
    "on stderr says which; 4 if it had none; 1 for anything else.\n";

static const char *figures_word(enum figures figures)
{
    switch (figures) {
    case FIGURES_TIME:
        return "time";
    case FIGURES_MEMORY:
        return "memory";
    default:
        return "both";
    }
}

static void list(void)
{
    for (size_t i = 0; workloads[i] != NULL; i++) {
        const struct workload *each = workloads[i];
        print("%s\t%s\t%s\t%s\t%s\n", each->name, each->threads ? "threads" : "single",
              figures_word(each->figures), each->large ? "large" : "-", each->description);
    }
}

static const struct workload *workload_named(const char *name)
{
    for (size_t i = 0; workloads[i] != NULL; i++)
        if (strcmp(workloads[i]->name, name) == 0)
            return workloads[i];
    fail(WORKLOAD_USAGE, "no workload '%s'; duet-workloads --list tells which there are", name);
}

/* A decimal number from 1 to `most`, and nothing else. */
static unsigned number_from(const char *what, const char *word, unsigned most)
{
    char *end;

    errno = 0;
    unsigned long number = strtoul(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != '\0' || errno != 0 || number < 1 || number > most)
        fail(WORKLOAD_USAGE, "%s is a number from 1 to %u, not '%s'", what, most, word);
    return (unsigned)number;
}

/* A preload that the loader could not open is otherwise a run of the C library's own. */
static const char *allocator_path(void)
{
    Dl_info info;

    if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) == 0 || info.dli_fname == NULL)
        fail(WORKLOAD_FAILED, "cannot find out where malloc comes from");
    return info.dli_fname;
}

static void print_run(const struct run *run)
{
    print("allocator %s\n", allocator_path());
    print("operations %llu\n", (unsigned long long)run->operations);
    print("seconds %.6f\n", run->seconds);
    print("bookkeeping_kib %llu\n", (unsigned long long)bookkeeping_kib());
    print("peak_rss_kib %llu\n", (unsigned long long)peak_rss_kib());
    if (run->end_rss_kib > 0)
        print("end_rss_kib %llu\n", (unsigned long long)run->end_rss_kib);
}

static void run_workload(int count, char *const *words)
{
    struct run run = {.workload = workload_named(words[0]), .threads = 1, .percent = 100};

    if (count > 1)
        run.threads = number_from("THREADS", words[1], MOST_THREADS);
    if (count > 2)
        run.percent = number_from("PERCENT", words[2], MOST_PERCENT);
    if (run.threads > 1 && !run.workload->threads)
        fail(WORKLOAD_USAGE, "%s takes one thread only", run.workload->name);
    fail_as(run.workload->name);
    run.workload->run(&run);
    print_run(&run);
}

static void run_curve(int count, char *const *words)
{
    unsigned percent = count > 1 ? number_from("PERCENT", words[1], MOST_PERCENT) : 100;

    curve_run(words[0], percent);
    print("allocator %s\n", allocator_path());
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        print("%s", help);
    else if (argc == 2 && strcmp(argv[1], "--list") == 0)
        list();
    else if (argc == 2 && strcmp(argv[1], "--curves") == 0)
        curves_list();
    else if (argc >= 3 && argc <= 4 && strcmp(argv[1], "--curve") == 0)
        run_curve(argc - 2, argv + 2);
    else if (argc >= 2 && argc <= 4)
        run_workload(argc - 1, argv + 1);
    else
        fail(WORKLOAD_USAGE, "give NAME [THREADS [PERCENT]]; duet-workloads --help tells more");
    return WORKLOAD_FINE;
}
