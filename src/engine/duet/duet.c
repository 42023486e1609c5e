/*
 * The slow half of the engine duet: what is left when a magazine is empty or full, or the thread's
 * slot cannot be had; and what concerns all of its slots.
 */
#include "engine/duet/caches.h"

#include "base/atomics.h"
#include "base/fatal.h"
#include "base/thread.h"
#include "engine/duet/depot.h"
#include "engine/duet/group.h"
#include "engine/duet/sweep.h"
#include "os/os.h"

/* Where CPUs have no slots: slots for threads of their own, unless somebody says how many. A thread
 * that has one needs no atomic operation, and what idle ones hold is swept; so more than CPUs, but
 * not without bound. (64 threads of a server on two CPUs: with 16 slots 4,600 of a million
 * operations found a slot taken, with 64 none, at 1.6 times the memory, half of snmalloc's.) */
#define BOUND_PER_CPU 8
#define BOUND_LEAST_OF_THREADS 128
#define BOUND_MOST 8192

static void prepare_cpu(void *slot, size_t number);
static void prepare_bound(struct bound_slot *slot);
static void retire_bound(struct bound_slot *slot);

size_t duet_fast_end = CPUS_POSSIBLE ? 0 : DUET_MOST_BYTES + 1;

/* What a stopped CPU has: of each kind a magazine that is empty and full. Never written. */
static void **const no_tops[DUET_KINDS] = {[0 ... DUET_KINDS - 1] = MAGAZINE_NONE_TOP};

static struct cpu_cache first_cpu;
struct cpus_set duet_cpus = CPUS_SET_INITIAL(&first_cpu, no_tops, prepare_cpu);

static struct bound_cache first_slot;
struct bound_set duet_bound = BOUND_SET_INITIAL(&first_slot, prepare_bound, retire_bound);

static struct shared_cache static_slots[SLOTS_STATIC];
struct slot_set duet_shared = SLOT_SET_INITIAL(static_slots);

static_assert(sizeof(struct cpu_cache) % CACHE_LINE_PAIR == 0, "slots share no cache line");
static_assert(sizeof(struct bound_cache) % CACHE_LINE_PAIR == 0, "slots share no cache line");
static_assert(sizeof(struct shared_cache) % CACHE_LINE_PAIR == 0, "slots share no cache line");

#if CPUS_POSSIBLE && DUET_STANDARD_NAMES
/* Who takes this file from a static library is to have vfork.c as well. */
void duet_vfork_begin(void);
__attribute__((used)) static void (*const vfork_is_ours)(void) = duet_vfork_begin;
#endif

/* ---- Operations under way ------------------------------------------------------------------ */

/* Those of this thread: one, and as many more as signal handlers began in the middle of it. Fast
 * paths are none, since who is interrupted in one has begun nothing with groups. Nothing else tells
 * it: in a CPU's slot nobody leaves a mark. */
__thread uint32_t duet_under_way;

static void begin_operation(void)
{
    store_relaxed(&duet_under_way, duet_under_way + 1);
    fence_signal();
}

static void end_operation(void)
{
    fence_signal();
    store_relaxed(&duet_under_way, duet_under_way - 1);
}

/* ---- Slots ------------------------------------------------------------------------------- */

static void prepare_cpu(void *slot, size_t number)
{
    cache_prepare(slot, number % load_relaxed(&duet_homes));
}

static void prepare_bound(struct bound_slot *slot)
{
    cache_prepare(cache_of_bound(slot), slot->number % load_relaxed(&duet_homes));
}

/* Few retired slots keep what they have for threads to come; more would keep it for nobody. */
static void retire_bound(struct bound_slot *slot)
{
    if (duet_bound.retired_count >= load_relaxed(&duet_homes))
        drain_held(cache_of_bound(slot));
}

static uint32_t count_cpus(void)
{
    return DUET_TINY ? SLOTS_LEAST : os_cpu_count();
}

static void set_homes(uint32_t cpus)
{
    raise_relaxed(&duet_homes, (uint32_t)min_size(cpus, DUET_HOMES));
}

/* For the second thread that comes: the first needs to know nothing of CPUs. Threads that meet here
 * come to the same result. */
static void bind(void)
{
    static bool counted;
    if (!load_relaxed(&counted) && bound_count(&duet_bound) > 0) {
        uint32_t cpus = count_cpus();
        size_t least = DUET_TINY ? SLOTS_LEAST : BOUND_LEAST_OF_THREADS;
        size_t wanted = max_size(cpus * (size_t)BOUND_PER_CPU, least);
        bound_limit(&duet_bound, (uint32_t)min_size(wanted, BOUND_MOST));
        set_homes(cpus);
        store_relaxed(&counted, true);
    }
    bound_bind(&duet_bound);
}

/* The first operation of all finds out what slots there are. */
static void start(void)
{
    if (likely(load_relaxed(&duet_fast_end) != 0))
        return;
    if (!DUET_STANDARD_NAMES)
        cpus_end(&duet_cpus); /* since vfork is not ours (vfork.c) */
    else if (cpus_start(&duet_cpus))
        set_homes(count_cpus());
    store_release(&duet_fast_end, DUET_MOST_BYTES + 1);
}

/* The slot that an operation is in: the CPU's, which it does not hold, the thread's own, or a
 * shared one. */
struct entered {
    struct bound_slot *bound;
    struct slot *shared;
    struct cache_use use; /* no cache: none could be had, in a signal handler */
};

static struct entered enter(void)
{
    struct entered entered = {0};
    begin_operation();
    bool by_cpu = cpus_are_mine(&duet_cpus);
    if (by_cpu && (entered.use.cache = cpus_slot_now(&duet_cpus)) != NULL) {
        entered.use.cpus = &duet_cpus;
        return entered;
    }
    if (!by_cpu && unlikely(bound_thread == NULL))
        bind();
    entered.bound = bound_enter();
    if (entered.bound != NULL) {
        entered.use.cache = cache_of_bound(entered.bound);
    } else {
        entered.shared = slot_take(&duet_shared);
        if (entered.shared != NULL)
            entered.use.cache = cache_of_shared(entered.shared);
    }
    return entered;
}

static void leave(const struct entered *entered)
{
    bool look = entered->use.cache != NULL && sweep_cache(&entered->use);
    if (entered->bound != NULL)
        bound_leave(entered->bound);
    else if (entered->shared != NULL)
        slot_release(entered->shared);
    if (unlikely(look))
        sweep_if_due();
    end_operation();
}

/* ---- Allocating and freeing -------------------------------------------------------------- */

void *cells_take(size_t length, size_t align, size_t *kind, bool *zeroed)
{
    *zeroed = false;
    start();
    void *cell = duet_pop(*kind); /* realloc comes here first */
    if (cell != NULL)
        return cell;
    struct entered entered = enter();
    if (entered.use.cache != NULL)
        cell = cache_alloc_slow(&entered.use, align <= DUET_UNIT ? length : 0, kind, zeroed);
    if (cell == NULL && depot_take(0, *kind, &cell, 1, zeroed) > 0)
        duet_check_alloc(cell, *kind);
    leave(&entered);
    return cell;
}

size_t engine_class_of(const void *ptr, const char *call)
{
    size_t kind = table_class(ptr);
    if (kind == TABLE_FOREIGN || kind >= DUET_KINDS)
        return ENGINE_CLASSES;
    if (!duet_is_cell(ptr, kind) &&
        group_cell_number(group_of(ptr, kind, call), ptr) >= DUET_MOST_CELLS)
        fatal_pointer(call, ptr, "is not the start of a cell");
    return kind - 1;
}

bool duet_free_long(void *ptr, size_t kind)
{
    return duet_is_long_start(ptr, kind) && duet_push(ptr, kind);
}

void cells_give(void *cell, size_t kind)
{
    if (duet_push(cell, kind)) /* realloc and others come here first */
        return;
    struct entered entered = enter();
    if (entered.use.cache != NULL) {
        cache_free_slow(&entered.use, cell, kind);
    } else {
        duet_check_free(cell, kind);
        depot_return(kind, &cell, 1);
    }
    leave(&entered);
}

#if DUET_SECURE

void cells_give_later(void *cell, size_t kind)
{
    struct entered entered = enter();
    if (entered.use.cache != NULL)
        cache_wait_slow(&entered.use, &cell, kind);
    leave(&entered);
    if (cell != NULL)
        cells_give(cell, kind);
}

#endif

void cells_visit_groups(void (*visit)(struct group *group))
{
    begin_operation();
    sweep_to_groups();
    depots_visit(visit);
    end_operation();
}

bool engine_trim(void)
{
    begin_operation();
    bool trimmed = sweep_everything();
    end_operation();
    return trimmed;
}

void engine_tick(void)
{
    begin_operation();
    sweep_if_due();
    end_operation();
}

static void choose_slots(const struct engine_options *options)
{
    start();
    if (options->slots_of == ENGINE_SLOTS_OF_CPUS) {
        if (!cpus_are_mine(&duet_cpus)) {
            struct message message = {.length = 0};
            message_add(&message, "duet: slots_of=cpus: not on this system; threads have slots\n");
            message_write(&message);
        }
    } else if (options->slots_of == ENGINE_SLOTS_OF_THREADS || options->slots != 0) {
        cpus_end(&duet_cpus);
        cpus_visit(&duet_cpus, NULL, drain_cpu, NULL);
    }
}

void engine_configure(const struct engine_options *options)
{
    choose_slots(options);
    if (options->slots != 0) {
        bound_limit(&duet_bound, options->slots);
        cas_relaxed(&duet_shared.wanted, 0u, options->slots);
    }
    bound_start(&duet_bound);
}

/* ---- Fork -------------------------------------------------------------------------------- */

/* As it was before the fork: this thread was interrupted in an operation, which goes on in parent
 * and child; there was no other thread. And whether homes were lost to this process. */
static bool was_interrupted, was_alone, has_lost;

void engine_fork_prepare(void)
{
    was_interrupted = duet_under_way > 0;
    was_alone = thread_is_alone();
    cpus_fork_prepare(&duet_cpus);
    bound_fork_prepare(&duet_bound);
    slots_fork_prepare(&duet_shared);
    magazines_fork_prepare();
    depots_fork_prepare();
}

static void release_locks(void)
{
    depots_fork_end();
    magazines_fork_end();
}

void engine_fork_end(void)
{
    release_locks();
    slots_fork_end(&duet_shared);
    bound_fork_end(&duet_bound);
    cpus_fork_end(&duet_cpus);
}

static void abandon_shared(struct slot *slot)
{
    cache_abandon(cache_in_shared(slot));
}

static void abandon_bound(struct bound_slot *slot)
{
    cache_abandon(cache_of_bound(slot));
}

static void lose(void)
{
    homes_lose();
    has_lost = true;
}

static void mend(void)
{
    depots_mend();
    magazines_mend();
    has_lost = false;
}

/* An operation that was interrupted finds the groups as it left them. So they stay as others left
 * them, too: homes that could not be had are nobody's any more. */
void engine_fork_end_child(void)
{
    if (was_interrupted)
        lose();
    else if (!was_alone || has_lost)
        mend();
    sweep_fork_child();
    release_locks();
    slots_fork_end_child(&duet_shared, abandon_shared);
    bound_fork_end_child(&duet_bound, abandon_bound);
    cpus_fork_end_child(&duet_cpus);
}

/* ---- Counting ---------------------------------------------------------------------------- */

struct cached {
    size_t cells;
    size_t bytes;
};

static void count_cpu(void *slot, void *context)
{
    struct cached *cached = context;
    cache_count(slot, &cached->cells, &cached->bytes);
}

static void count_bound(struct bound_slot *slot, void *context)
{
    struct cached *cached = context;
    cache_count(cache_of_bound(slot), &cached->cells, &cached->bytes);
}

static void count_shared(struct slot *slot, void *context)
{
    struct cached *cached = context;
    cache_count(cache_of_shared(slot), &cached->cells, &cached->bytes);
}

void engine_count(struct engine_count *count)
{
    struct cached cached = {0, 0};
    struct depots_count depots;
    begin_operation();
    cpus_visit(&duet_cpus, NULL, count_cpu, &cached);
    bound_visit(&duet_bound, NULL, count_bound, &cached);
    slots_visit(&duet_shared, count_shared, &cached);
    struct transfer_count transfers = transfer_count();
    depots_count(&depots);
    end_operation();
    size_t free_cells = min_size(depots.free_cells + cached.cells + transfers.cells, depots.cells);
    size_t free_bytes =
        min_size(depots.free_bytes + cached.bytes + transfers.bytes, depots.cell_bytes);
    *count = (struct engine_count){
        .cells = depots.cells - free_cells,
        .cell_bytes = depots.cell_bytes - free_bytes,
        .free_bytes = free_bytes,
        .slots = cpus_count(&duet_cpus) + bound_count(&duet_bound) + slots_in_use(&duet_shared),
    };
}
