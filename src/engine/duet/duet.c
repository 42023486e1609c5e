/*
 * The slow half of the engine duet: what is left when a magazine is empty or full, or the thread's
 * slot cannot be had.
 */
#include "engine/duet/caches.h"

#include "base/atomics.h"
#include "base/thread.h"
#include "engine/duet/depot.h"
#include "engine/duet/group.h"
#include "engine/duet/sweep.h"
#include "os/os.h"

/* Slots for threads of their own, unless somebody says how many: a thread that has one needs no
 * atomic operation, and what idle ones hold is swept; so more than CPUs, but not without bound. (64
 * threads of a server on two CPUs: with 16 slots 4,600 of a million operations found a slot taken,
 * with 64 none, at 1.6 times the memory, half of snmalloc's.) */
#define BOUND_PER_CPU 8
#define BOUND_LEAST_OF_THREADS 128
#define BOUND_MOST 8192

static void prepare_bound(struct bound_slot *slot);
static void retire_bound(struct bound_slot *slot);

static struct bound_cache first_slot;
struct bound_set duet_bound = BOUND_SET_INITIAL(&first_slot, prepare_bound, retire_bound);

static struct shared_cache static_slots[SLOTS_STATIC];
struct slot_set duet_shared = SLOT_SET_INITIAL(static_slots);

static_assert(sizeof(struct bound_cache) % CACHE_LINE_PAIR == 0, "slots share no cache line");
static_assert(sizeof(struct shared_cache) % CACHE_LINE_PAIR == 0, "slots share no cache line");

/* ---- Slots ------------------------------------------------------------------------------- */

static void prepare_bound(struct bound_slot *slot)
{
    cache_prepare(cache_of_bound(slot), slot->number % load_relaxed(&duet_homes));
}

/* Few retired slots keep what they have for threads to come; more would keep it for nobody. */
static void retire_bound(struct bound_slot *slot)
{
    if (duet_bound.retired_count >= load_relaxed(&duet_homes))
        cache_drain(cache_of_bound(slot));
}

/* For the second thread that comes: the first needs to know nothing of CPUs. Threads that meet here
 * come to the same result. */
static void count_cpus(void)
{
    uint32_t cpus = DUET_TINY ? SLOTS_LEAST : os_cpu_count();
    size_t least = DUET_TINY ? SLOTS_LEAST : BOUND_LEAST_OF_THREADS;
    size_t wanted = max_size(cpus * (size_t)BOUND_PER_CPU, least);
    bound_limit(&duet_bound, (uint32_t)min_size(wanted, BOUND_MOST));
    uint32_t homes = (uint32_t)min_size(max_size(cpus / 2, 1), DUET_HOMES);
    raise_relaxed(&duet_homes, homes);
}

static void bind(void)
{
    static bool counted;
    if (!load_relaxed(&counted) && bound_count(&duet_bound) > 0) {
        count_cpus();
        store_relaxed(&counted, true);
    }
    bound_bind(&duet_bound);
}

/* The slot that an operation is in: the thread's own, or a shared one. */
struct entered {
    struct bound_slot *bound;
    struct slot *shared;
    struct cache *cache; /* NULL: none could be had, in a signal handler */
};

static struct entered enter(void)
{
    struct entered entered = {0};
    if (unlikely(bound_thread == NULL))
        bind();
    entered.bound = bound_enter();
    if (entered.bound != NULL) {
        entered.cache = cache_of_bound(entered.bound);
    } else {
        entered.shared = slot_take(&duet_shared);
        if (entered.shared != NULL)
            entered.cache = cache_of_shared(entered.shared);
    }
    return entered;
}

static void leave(const struct entered *entered)
{
    if (entered->cache != NULL)
        sweep_cache(entered->cache);
    if (entered->bound != NULL)
        bound_leave(entered->bound);
    else if (entered->shared != NULL)
        slot_release(entered->shared);
    sweep_now_and_then();
}

/* ---- Allocating and freeing -------------------------------------------------------------- */

void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed)
{
    size_t kind = duet_kind_for_aligned(length, align);
    *class = kind - 1;
    *zeroed = false;
    void *cell = NULL;
    struct entered entered = enter();
    if (entered.cache != NULL)
        cell = cache_alloc_slow(entered.cache, kind);
    if (cell == NULL && depot_take(0, kind, &cell, 1) > 0)
        duet_check_alloc(cell, kind);
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

size_t engine_free_slow(void *ptr, const char *call)
{
    size_t class = engine_class_of(ptr, call);
    if (class >= ENGINE_CLASSES || duet_push(ptr, class + 1)) /* the second: of groups of blocks */
        return class;
    struct entered entered = enter();
    if (entered.cache != NULL) {
        cache_free_slow(entered.cache, ptr, class + 1);
    } else {
        duet_check_free(ptr, class + 1);
        depot_return(class + 1, &ptr, 1);
    }
    leave(&entered);
    return class;
}

bool engine_trim(void)
{
    return sweep_everything();
}

void engine_tick(void)
{
    sweep_if_due();
}

void engine_configure(const struct engine_options *options)
{
    if (options->slots != 0) {
        bound_limit(&duet_bound, options->slots);
        cas_relaxed(&duet_shared.wanted, 0u, options->slots);
    }
    bound_start(&duet_bound);
}

/* ---- Fork -------------------------------------------------------------------------------- */

void engine_fork_prepare(void)
{
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
}

static void abandon_shared(struct slot *slot)
{
    cache_abandon(&((struct shared_cache *)slot)->cache);
}

static void abandon_bound(struct bound_slot *slot)
{
    cache_abandon(cache_of_bound(slot));
}

/* An operation that this thread itself was interrupted in goes on after the fork: then the groups are
 * left as it left them. */
void engine_fork_end_child(void)
{
    if (!bound_is_inside() && !slots_is_inside(&duet_shared) && !sweep_is_inside())
        depots_mend();
    sweep_fork_child();
    release_locks();
    slots_fork_end_child(&duet_shared, abandon_shared);
    bound_fork_end_child(&duet_bound, abandon_bound);
}

/* ---- Counting ---------------------------------------------------------------------------- */

struct cached {
    size_t cells;
    size_t bytes;
};

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
    bound_visit(&duet_bound, NULL, count_bound, &cached);
    slots_visit(&duet_shared, count_shared, &cached);
    struct transfer_count transfers = transfer_count();
    depots_count(&depots);
    size_t free_cells = min_size(depots.free_cells + cached.cells + transfers.cells, depots.cells);
    size_t free_bytes =
        min_size(depots.free_bytes + cached.bytes + transfers.bytes, depots.cell_bytes);
    *count = (struct engine_count){
        .cells = depots.cells - free_cells,
        .cell_bytes = depots.cell_bytes - free_bytes,
        .free_bytes = free_bytes,
        .slots = bound_count(&duet_bound) + slots_in_use(&duet_shared),
    };
}
