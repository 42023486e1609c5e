/*
 * Threads as coroutines, the choices of an execution, and the search through all executions. See
 * scheduler.h.
 */
#include "scheduler.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"

#define STACK_BYTES ((size_t)256 << 10)

/* Choices of one execution; more of them, or so many waits in which nothing changes, mean that it
 * has no end. */
#define CHOICES_MOST 100000
#define IDLE_MOST 10000

/* Executions of one search: some minutes. */
#define EXECUTIONS_MOST 200000000

struct state *state;

/* ---- Saying what happens ----------------------------------------------------------------- */

void trace(const char *format, ...)
{
    if (!state->replaying)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf(state->running ? "  thread %u: " : "  ", state->current);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static void print_schedule(void)
{
    const struct schedule *schedule = &state->schedule;
    printf("  in execution %llu; to see its steps: --schedule '%s",
           (unsigned long long)state->executions, schedule->count == 0 ? "-" : "");
    for (unsigned i = 0; i < schedule->count; i++)
        printf("%s%u:%u", i == 0 ? "" : ",", schedule->deviations[i].choice,
               schedule->deviations[i].taken);
    printf("' %s\n", state->scenario->name);
    fflush(stdout);
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED: %s: ", state->scenario->name);
    if (state->running)
        printf("thread %u: ", state->current);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    print_schedule();
    _exit(1);
}

void exh_fail(const char *file, int line, const char *what)
{
    fail("%s:%d: %s", file, line, what);
}

/* What the library says, it has said by then. */
static void on_signal(int number)
{
    fail("signal %d (%s)", number, strsignal(number));
}

static void catch_signals(void)
{
    static const int fatal_ones[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternative = {.ss_sp = stack, .ss_size = STACK_BYTES};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaltstack(&alternative, NULL);
    for (size_t i = 0; i < sizeof fatal_ones / sizeof fatal_ones[0]; i++)
        sigaction(fatal_ones[i], &action, NULL);
}

/* ---- Choices ----------------------------------------------------------------------------- */

static bool can_pay(enum cost cost)
{
    return cost == COST_NOTHING ||
           (cost == COST_PREEMPTION ? state->spent.preemptions < state->bounds.preemptions
                                    : state->spent.delays < state->bounds.delays);
}

static void pay(enum cost cost)
{
    state->spent.preemptions += cost == COST_PREEMPTION;
    state->spent.delays += cost == COST_DELAY;
}

/* A schedule lies in `pending` as its deviations, and behind them how many there are. */
static void add_pending(uint32_t choice, uint32_t taken)
{
    struct schedule *schedule = &state->schedule;
    size_t words = 2 * (size_t)schedule->count;
    if (schedule->count == DEVIATIONS_MOST)
        fail("more than %d choices went otherwise", DEVIATIONS_MOST);
    if (state->pending_count + words + 3 > state->pending_room) {
        state->pending_room = 2 * state->pending_room + 1024;
        state->pending = realloc(state->pending, state->pending_room * sizeof state->pending[0]);
        if (state->pending == NULL)
            fail("no memory for the search");
    }
    uint32_t *end = state->pending + state->pending_count;
    memcpy(end, schedule->deviations, words * sizeof *end);
    end[words] = choice;
    end[words + 1] = taken;
    end[words + 2] = schedule->count + 1;
    state->pending_count += words + 3;
}

/* False: there is none left. */
static bool next_pending(void)
{
    struct schedule *schedule = &state->schedule;
    if (state->pending_count == 0)
        return false;
    schedule->count = state->pending[--state->pending_count];
    state->pending_count -= 2 * (size_t)schedule->count;
    memcpy(schedule->deviations, state->pending + state->pending_count,
           schedule->count * sizeof schedule->deviations[0]);
    return true;
}

unsigned choose(unsigned alternatives, enum cost cost, bool worth)
{
    const struct schedule *schedule = &state->schedule;
    uint32_t choice = state->choices++;
    if (choice >= CHOICES_MOST)
        fail("no end after %d choices", CHOICES_MOST);
    if (state->applied < schedule->count) {
        const struct deviation *next = &schedule->deviations[state->applied];
        if (next->choice != choice)
            return 0;
        if (next->taken >= alternatives)
            fail("the schedule does not fit: choice %u has %u alternatives", choice, alternatives);
        state->applied++;
        pay(cost);
        return next->taken;
    }
    if (worth && !state->replaying && can_pay(cost))
        for (unsigned taken = 1; taken < alternatives; taken++)
            add_pending(choice, taken);
    return 0;
}

/* ---- Threads ----------------------------------------------------------------------------- */

/* As a thread pointer: its low bits are clear. The set-up's is none of theirs. */
uintptr_t exh_thread_self(void)
{
    return (state->running ? state->current + 1 : THREADS_MOST + 1) * (uintptr_t)64;
}

/* Leaves the running thread where it is. */
static void go_on_with(unsigned number)
{
    struct thread *from = &state->threads[state->current], *to = &state->threads[number];
    if (from == to)
        return;
    size_t bytes;
    char *locals = snapshot_locals(&bytes);
    memcpy(from->local, locals, bytes);
    memcpy(locals, to->local, bytes);
    state->current = number;
    if (_setjmp(from->context) == 0)
        _longjmp(to->context, 1);
}

static bool can_go_on(const struct thread *thread)
{
    return thread->progress == READY ||
           (thread->progress == WAITING && thread->waits_since != state->changes);
}

/* Those but the running one that can go on, in turn behind it. */
static unsigned find_others(unsigned *others)
{
    unsigned found = 0;
    for (unsigned i = 1; i < state->scenario->threads; i++) {
        unsigned number = (state->current + i) % state->scenario->threads;
        if (can_go_on(&state->threads[number]))
            others[found++] = number;
    }
    return found;
}

void step(bool contended)
{
    unsigned others[THREADS_MOST], count = find_others(others);
    if (count == 0)
        return;
    unsigned taken = choose(count + 1, COST_PREEMPTION, contended);
    if (taken != 0)
        go_on_with(others[taken - 1]);
    state->threads[state->current].progress = READY;
}

/* All wait, or sleep, or have ended: what is delayed is seen at last, and who waits goes on. */
static unsigned find_idle(void)
{
    bool asleep = false;
    if (memory_commit_everything())
        state->idle = 0;
    if (++state->idle > IDLE_MOST)
        fail("all wait for ever");
    for (unsigned i = 1; i <= state->scenario->threads; i++) {
        unsigned number = (state->current + i) % state->scenario->threads;
        if (state->threads[number].progress == WAITING)
            return number;
        asleep = asleep || state->threads[number].progress == ASLEEP;
    }
    if (asleep)
        fail("all that are left sleep for ever");
    return THREADS_MOST;
}

/* The running one does not go on. */
static void give_way(void)
{
    unsigned others[THREADS_MOST], count = find_others(others), next;
    if (count > 0) {
        state->idle = 0;
        next = others[choose(count, COST_NOTHING, true)];
    } else {
        next = find_idle();
    }
    if (next < THREADS_MOST)
        go_on_with(next);
    else if (_setjmp(state->threads[state->current].context) == 0)
        _longjmp(state->main, 1);
    state->threads[state->current].progress = READY;
}

void exh_yield(void)
{
    if (!state->running)
        return;
    trace("waits");
    struct thread *thread = &state->threads[state->current];
    thread->progress = WAITING;
    thread->waits_since = state->changes;
    give_way();
}

void exh_sleep(const void *address)
{
    MUST(state->running);
    trace("sleeps");
    struct thread *thread = &state->threads[state->current];
    thread->progress = ASLEEP;
    thread->sleeps_on = address;
    give_way();
}

void exh_wake(const void *address)
{
    unsigned sleeping[THREADS_MOST], count = 0;
    for (unsigned i = 0; i < state->scenario->threads; i++)
        if (state->threads[i].progress == ASLEEP && state->threads[i].sleeps_on == address)
            sleeping[count++] = i;
    if (count > 0)
        state->threads[sleeping[choose(count, COST_NOTHING, true)]].progress = READY;
}

/* A thread runs for as many executions as there are. */
static void run_thread(void)
{
    unsigned number = state->current;
    struct thread *thread = &state->threads[number];
    if (_setjmp(thread->context) == 0)
        setcontext(&state->main_start);
    for (;;) {
        state->scenario->thread(number);
        trace("ends");
        thread->progress = ENDED;
        give_way();
    }
}

static void start_threads(void)
{
    size_t bytes;
    snapshot_locals(&bytes);
    for (unsigned number = 0; number < state->scenario->threads; number++) {
        struct thread *thread = &state->threads[number];
        thread->stack = malloc(STACK_BYTES);
        thread->local = malloc(bytes + 1);
        MUST(thread->stack != NULL && thread->local != NULL);
        ucontext_t start;
        getcontext(&start);
        start.uc_stack.ss_sp = thread->stack;
        start.uc_stack.ss_size = STACK_BYTES;
        makecontext(&start, run_thread, 0);
        state->current = number;
        swapcontext(&state->main_start, &start);
    }
}

/* ---- Executions -------------------------------------------------------------------------- */

static void begin_threads(const char *first_locals)
{
    size_t bytes;
    char *locals = snapshot_locals(&bytes);
    for (unsigned number = 0; number < state->scenario->threads; number++) {
        struct thread *thread = &state->threads[number];
        thread->progress = READY;
        thread->buffer_count = 0;
        thread->loaded = NULL;
        memset(&thread->clock, 0, sizeof thread->clock);
        memcpy(thread->local, first_locals, bytes);
    }
    memcpy(locals, first_locals, bytes);
}

static void execute(const char *first_locals)
{
    snapshot_restore();
    state->execution++;
    state->executions++;
    state->choices = state->applied = state->idle = 0;
    state->spent = (struct bounds){0, 0};
    memory_begin();
    plain_begin();
    begin_threads(first_locals);
    state->current = choose(state->scenario->threads, COST_NOTHING, true);
    state->running = true;
    if (_setjmp(state->main) == 0)
        _longjmp(state->threads[state->current].context, 1);
    state->running = false;
    memory_commit_everything();
    if (state->applied < state->schedule.count && !state->begin_anew)
        fail("the schedule does not fit: it goes on behind the end");
    if (state->choices > state->most_choices)
        state->most_choices = state->choices;
    state->scenario->verify();
}

void exh_outcome(unsigned outcome)
{
    trace("outcome %u", outcome);
    if (outcome >= 32 || (state->scenario->outcomes >> outcome & 1) == 0)
        fail("outcome %u, which must not be", outcome);
    state->outcomes |= (uint32_t)1 << outcome;
}

static void search(const char *first_locals)
{
    do {
        state->outcomes = 0;
        state->begin_anew = false;
        state->pending_count = 0;
        state->executions = 0;
        state->schedule.count = 0;
        do {
            execute(first_locals);
            if (state->executions >= EXECUTIONS_MOST)
                fail("not exhausted after %d executions", EXECUTIONS_MOST);
        } while (!state->begin_anew && next_pending());
    } while (state->begin_anew);
    if (state->outcomes != state->scenario->outcomes)
        fail("outcomes %#x have not come up", state->scenario->outcomes & ~state->outcomes);
    printf("%s: %llu executions, all that there are of %u threads with %u preemptions and %u "
           "delays; %u choices at most, %zu contended words\n",
           state->scenario->name, (unsigned long long)state->executions, state->scenario->threads,
           state->bounds.preemptions, state->bounds.delays, state->most_choices,
           memory_contended());
}

/* ---- The command ------------------------------------------------------------------------- */

static const char usage[] =
    "exhaustive [OPTION...] SCENARIO : runs it in every order of its steps within its bounds.\n"
    "  --wider           in the wider ones of its two\n"
    "  --preemptions N, --delays N\n"
    "  --schedule LIST   one execution, with its steps: as a failure names it\n"
    "  --list            the scenarios\n";

_Noreturn static void refuse(const char *what, const char *text)
{
    fprintf(stderr, "exhaustive: %s: '%s'\n%s", what, text, usage);
    exit(2);
}

static unsigned read_number(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number > UINT32_MAX)
        refuse("not a number", text);
    return (unsigned)number;
}

static void read_schedule(const char *text)
{
    struct schedule *schedule = &state->schedule;
    int length = 0;
    for (; strcmp(text, "-") != 0 && *text != '\0'; text += length + (text[length] == ',')) {
        struct deviation *next = &schedule->deviations[schedule->count++];
        if (schedule->count == DEVIATIONS_MOST ||
            sscanf(text, "%u:%u%n", &next->choice, &next->taken, &length) != 2)
            refuse("not a schedule", text);
    }
    state->replaying = true;
}

static void list_scenarios(void)
{
    for (size_t i = 0; i < scenario_count; i++)
        printf("%s\n", scenarios[i]->name);
}

static const struct scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < scenario_count; i++)
        if (strcmp(scenarios[i]->name, name) == 0)
            return scenarios[i];
    refuse("no such scenario", name);
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"wider", no_argument, NULL, 'w'},        {"preemptions", required_argument, NULL, 'p'},
        {"delays", required_argument, NULL, 'd'}, {"schedule", required_argument, NULL, 's'},
        {"list", no_argument, NULL, 'l'},         {NULL, 0, NULL, 0}};
    const struct scenario *scenario = find_scenario(argv[argc - 1]);
    state->scenario = scenario;
    state->bounds = scenario->bounds;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'w')
            state->bounds = scenario->wider;
        else if (option == 'p')
            state->bounds.preemptions = read_number(optarg);
        else if (option == 'd')
            state->bounds.delays = read_number(optarg);
        else if (option == 's')
            read_schedule(optarg);
        else
            refuse("cannot be", argv[optind - 1]);
    }
    if (optind != argc - 1)
        refuse("not one scenario", argv[optind]);
}

static void run_scenario(void)
{
    size_t bytes;
    char *locals = snapshot_locals(&bytes);
    char *first_locals = malloc(bytes + 1);
    MUST(first_locals != NULL);
    memcpy(first_locals, locals, bytes);
    state->scenario->set_up();
    memcpy(locals, first_locals, bytes);
    start_threads();
    snapshot_take();
    if (!state->replaying) {
        search(first_locals);
        return;
    }
    execute(first_locals);
    printf("%s: nothing failed\n", state->scenario->name);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_scenarios();
        return 0;
    }
    if (argc < 2)
        refuse("which scenario", "");
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED) {
        perror("exhaustive");
        return 1;
    }
    read_options(argc, argv);
    catch_signals();
    snapshot_prepare();
    run_scenario();
    return 0;
}
