#include "engine/duet/magazine.h"

#include "base/atomics.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "os/os.h"

/* What may lie on a home's shelves: twice the most that a magazine holds; and 2 % of a large heap
 * on those of all homes together. */
#define TRANSFER_LEAST_BYTES ((size_t)(DUET_TINY ? 4 << 10 : 256 << 10))
#define TRANSFER_SHARE 50

#define COUNT_MASK (((uint32_t)1 << MAGAZINE_COUNT_BITS) - 1)

#define HANDLE_SIZE_SHIFT 28
#define HANDLE_INDEX_MASK (((uint32_t)1 << HANDLE_SIZE_SHIFT) - 1)

uint32_t duet_homes = 1;
void *const magazine_none[2] = {NULL, (void *)1};

#define POOL_RECORD(size) (1 << (MAGAZINE_LEAST_SHIFT + (size)))
#define POOL(size) META_POOL_INITIAL(POOL_RECORD(size), LOCK_RANK_ENGINE_METAS + (size))
#define POOL_WITH_FIRST(size, first)                                                               \
    META_POOL_WITH_FIRST(POOL_RECORD(size), LOCK_RANK_ENGINE_METAS + (size), first)
static struct meta_pool pools[7] = {
    POOL_WITH_FIRST(0, 24), POOL_WITH_FIRST(1, 4), POOL(2), POOL(3), POOL(4), POOL(5), POOL(6)};
static_assert(MAGAZINE_SIZES <= sizeof pools / sizeof pools[0], "each size has a pool");
static_assert(sizeof(struct magazine) % sizeof(void *) == 0 &&
                  offsetof(struct magazine, cells) ==
                      offsetof(struct magazine, bottom) + 2 * sizeof(void *),
              "the lower guards lie right below the cells");

/* Tag and handle of the top magazine; handle 0: empty. */
typedef uint64_t shelf_head;

static struct shelves {
    alignas(CACHE_LINE_PAIR) shelf_head spares[MAGAZINE_SIZES];
    struct transfer_count count;
    shelf_head transfers[DUET_KINDS];
    shelf_head seen[DUET_KINDS]; /* transfers, as they were last asked about */
} shelves[DUET_HOMES];

/* ---- Shelves ----------------------------------------------------------------------------- */

static uint32_t handle_of(const struct magazine *magazine)
{
    return (uint32_t)magazine->size << HANDLE_SIZE_SHIFT | magazine->head.index;
}

static struct magazine *magazine_of(uint32_t handle)
{
    return (struct magazine *)meta_address(&pools[handle >> HANDLE_SIZE_SHIFT],
                                           handle & HANDLE_INDEX_MASK);
}

static void shelf_push(shelf_head *shelf, struct magazine *magazine)
{
    uint64_t head, changed;
    do {
        head = load_relaxed(shelf);
        store_relaxed(&magazine->next, (uint32_t)head);
        changed = ((head >> 32) + 1) << 32 | handle_of(magazine);
    } while (!cas_release(shelf, head, changed));
}

static struct magazine *shelf_pop(shelf_head *shelf)
{
    for (;;) {
        uint64_t head = load_acquire(shelf);
        if ((uint32_t)head == 0)
            return NULL;
        struct magazine *magazine = magazine_of((uint32_t)head);
        uint64_t changed = ((head >> 32) + 1) << 32 | load_relaxed(&magazine->next);
        if (cas_acquire(shelf, head, changed))
            return magazine;
    }
}

/* ---- Magazines --------------------------------------------------------------------------- */

size_t magazine_room(size_t size, size_t kind)
{
    size_t most = max_size(MAGAZINE_MOST_BYTES / duet_kind_bytes(kind), MAGAZINE_LEAST_CELLS);
    return min_size(MAGAZINE_PLACES(size), most);
}

bool magazine_may_grow(size_t size, size_t kind)
{
    return size + 1 < MAGAZINE_SIZES && magazine_room(size + 1, kind) > magazine_room(size, kind);
}

static void *guard(size_t capacity)
{
    return (void *)(2 * capacity + 1); /* odd, and no cell's address */
}

struct magazine *magazine_of_top(void **top)
{
    if (top == MAGAZINE_NONE_TOP)
        return NULL;
    void **cells = top;
    if (top[-1] != NULL) {
        while (!magazine_is_end(*top))
            top++;
        cells = top - (uintptr_t)*top / 2;
    }
    return (struct magazine *)((char *)cells - offsetof(struct magazine, cells));
}

/* Of this home, or of any: where one CPU frees what another allocates, the spares gather at the
 * one's and are missed at the other's. */
static struct magazine *take_spare(size_t home, size_t size)
{
    size_t homes = load_relaxed(&duet_homes);
    struct magazine *magazine = shelf_pop(&shelves[home].spares[size]);
    for (size_t i = 1; i < homes && magazine == NULL; i++)
        magazine = shelf_pop(&shelves[(home + i) % homes].spares[size]);
    return magazine;
}

struct magazine *magazine_take(size_t home, size_t size, size_t kind)
{
    struct magazine *magazine = take_spare(home, size);
    if (magazine == NULL)
        magazine = (struct magazine *)meta_take(&pools[size]);
    if (magazine == NULL)
        return NULL;
    require(magazine->head.index <= HANDLE_INDEX_MASK);
    magazine->size = size & UINT8_MAX;
    magazine->capacity = magazine_room(size, kind) & COUNT_MASK;
    magazine->bottom[0] = magazine->bottom[1] = NULL;
    magazine->cells[magazine->capacity] = guard(magazine->capacity);
    return magazine;
}

/* The places keep addresses that mean nothing any more; but the guard of one size of cell would end
 * another's too early. */
void magazine_give(size_t home, struct magazine *magazine)
{
    magazine->cells[magazine->capacity] = NULL;
    shelf_push(&shelves[home].spares[magazine->size], magazine);
}

/* ---- Transfers --------------------------------------------------------------------------- */

static void count_on(struct shelves *on, size_t cells, size_t bytes)
{
    add_relaxed(&on->count.cells, cells);
    add_relaxed(&on->count.bytes, bytes);
}

struct transfer_count transfer_count(void)
{
    struct transfer_count sum = {0, 0};
    for (size_t home = 0; home < DUET_HOMES; home++) {
        sum.cells += load_relaxed(&shelves[home].count.cells);
        sum.bytes += load_relaxed(&shelves[home].count.bytes);
    }
    return sum;
}

/* Two threads that meet here may exceed it by a magazine each. */
static bool may_have(const struct shelves *on, size_t bytes)
{
    size_t share = os_held_bytes() / TRANSFER_SHARE / load_relaxed(&duet_homes);
    return load_relaxed(&on->count.bytes) + bytes <= max_size(TRANSFER_LEAST_BYTES, share);
}

bool transfer_put(size_t home, size_t kind, struct magazine *magazine, size_t count)
{
    struct shelves *on = &shelves[home];
    size_t bytes = count * duet_kind_bytes(kind);
    check(count > 0 && count <= magazine->capacity);
    if (home >= load_relaxed(&duet_homes) || !may_have(on, bytes))
        return false;
    count_on(on, count, bytes);
    magazine->count = count & COUNT_MASK;
    shelf_push(&on->transfers[kind], magazine);
    return true;
}

struct magazine *transfer_take(size_t home, size_t kind)
{
    struct shelves *on = &shelves[home];
    if (likely((uint32_t)load_relaxed(&on->transfers[kind]) == 0))
        return NULL;
    struct magazine *magazine = shelf_pop(&on->transfers[kind]);
    if (magazine != NULL)
        count_on(on, -(size_t)magazine->count, -(magazine->count * duet_kind_bytes(kind)));
    return magazine;
}

bool transfer_is_idle(size_t home, size_t kind)
{
    shelf_head head = load_relaxed(&shelves[home].transfers[kind]);
    shelf_head *seen = &shelves[home].seen[kind];
    bool idle = (uint32_t)head != 0 && head == *seen;
    *seen = head;
    return idle;
}

/* ---- Fork -------------------------------------------------------------------------------- */

void magazines_fork_prepare(void)
{
    for (size_t size = 0; size < MAGAZINE_SIZES; size++) /* in the order of their ranks */
        lock_take(&pools[size].lock);
}

void magazines_fork_end(void)
{
    for (size_t size = 0; size < MAGAZINE_SIZES; size++)
        lock_release(&pools[size].lock);
}

static void count_anew(struct shelves *on)
{
    struct transfer_count count = {0, 0};
    for (size_t kind = 1; kind < DUET_KINDS; kind++) {
        for (uint32_t handle = (uint32_t)on->transfers[kind]; handle != 0;) {
            const struct magazine *magazine = magazine_of(handle);
            count.cells += magazine->count;
            count.bytes += magazine->count * duet_kind_bytes(kind);
            handle = magazine->next;
        }
    }
    if (count.cells != on->count.cells || count.bytes != on->count.bytes)
        on->count = count;
}

void magazines_mend(void)
{
    for (size_t home = 0; home < load_relaxed(&duet_homes); home++)
        count_anew(&shelves[home]);
}
