#include "engine/duet/magazine.h"

#include "base/atomics.h"
#include "base/fatal.h"
#include "base/lock.h"
#include "os/os.h"

/* What may lie on all shelves together: enough for two CPUs to hand each other the most that a
 * magazine holds, and 2 % of a large heap. */
#define TRANSFER_LEAST_BYTES ((size_t)(DUET_TINY ? 4 << 10 : 256 << 10))
#define TRANSFER_SHARE 50

#define HANDLE_SIZE_SHIFT 28
#define HANDLE_INDEX_MASK (((uint32_t)1 << HANDLE_SIZE_SHIFT) - 1)

uint32_t duet_homes = 1;
void *const magazine_none[2] = {NULL, (void *)1};

#define POOL(size)                                                                                 \
    META_POOL_INITIAL(1 << (MAGAZINE_LEAST_SHIFT + (size)), LOCK_RANK_ENGINE_METAS + (size))
static struct meta_pool pools[7] = {POOL(0), POOL(1), POOL(2), POOL(3), POOL(4), POOL(5), POOL(6)};
static_assert(MAGAZINE_SIZES <= sizeof pools / sizeof pools[0], "each size has a pool");
static_assert(sizeof(struct magazine) % sizeof(void *) == 0 &&
                  offsetof(struct magazine, cells) ==
                      offsetof(struct magazine, bottom) + sizeof(void *),
              "the lower guard lies right below the cells");

/* Tag and handle of the top magazine; handle 0: empty. */
typedef uint64_t shelf_head;

static shelf_head spares[MAGAZINE_SIZES];
static shelf_head transfers[DUET_HOMES][DUET_KINDS];
static shelf_head seen[DUET_HOMES][DUET_KINDS]; /* transfers, as they were last asked about */
static struct transfer_count on_shelves;

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
    size_t bytes = (size_t)1 << (MAGAZINE_LEAST_SHIFT + size);
    size_t places = (bytes - sizeof(struct magazine)) / sizeof(void *) - 1;
    size_t most = max_size(MAGAZINE_MOST_BYTES / duet_kind_bytes(kind), MAGAZINE_LEAST_CELLS);
    return min_size(places, most);
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

struct magazine *magazine_take(size_t size, size_t kind)
{
    struct magazine *magazine = shelf_pop(&spares[size]);
    if (magazine == NULL)
        magazine = (struct magazine *)meta_take(&pools[size]);
    if (magazine == NULL)
        return NULL;
    require(magazine->head.index <= HANDLE_INDEX_MASK);
    magazine->size = (uint16_t)size;
    magazine->capacity = (uint16_t)magazine_room(size, kind);
    magazine->bottom = NULL;
    magazine->cells[magazine->capacity] = guard(magazine->capacity);
    return magazine;
}

/* The places keep addresses that mean nothing any more; but the guard of one size of cell would end
 * another's too early. */
void magazine_give(struct magazine *magazine)
{
    magazine->cells[magazine->capacity] = NULL;
    shelf_push(&spares[magazine->size], magazine);
}

/* ---- Transfers --------------------------------------------------------------------------- */

static void count_on_shelves(size_t cells, size_t bytes)
{
    add_relaxed(&on_shelves.cells, cells);
    add_relaxed(&on_shelves.bytes, bytes);
}

struct transfer_count transfer_count(void)
{
    return (struct transfer_count){load_relaxed(&on_shelves.cells),
                                   load_relaxed(&on_shelves.bytes)};
}

/* Two threads that meet here may exceed it by a magazine each. */
static bool may_have(size_t bytes)
{
    size_t most = max_size(TRANSFER_LEAST_BYTES, os_held_bytes() / TRANSFER_SHARE);
    return load_relaxed(&on_shelves.bytes) + bytes <= most;
}

bool transfer_put(size_t home, size_t kind, struct magazine *magazine, size_t count)
{
    size_t bytes = count * duet_kind_bytes(kind);
    check(count > 0 && count <= magazine->capacity);
    if (!may_have(bytes))
        return false;
    count_on_shelves(count, bytes);
    magazine->count = (uint16_t)count;
    shelf_push(&transfers[home][kind], magazine);
    return true;
}

struct magazine *transfer_take_from(size_t home, size_t kind)
{
    if (likely((uint32_t)load_relaxed(&transfers[home][kind]) == 0))
        return NULL;
    struct magazine *magazine = shelf_pop(&transfers[home][kind]);
    if (magazine != NULL)
        count_on_shelves(-(size_t)magazine->count, -(magazine->count * duet_kind_bytes(kind)));
    return magazine;
}

struct magazine *transfer_take(size_t home, size_t kind)
{
    size_t homes = load_relaxed(&duet_homes);
    for (size_t i = 0; i < homes; i++) {
        struct magazine *magazine = transfer_take_from((home + i) % homes, kind);
        if (magazine != NULL)
            return magazine;
    }
    return NULL;
}

bool transfer_is_idle(size_t home, size_t kind)
{
    shelf_head head = load_relaxed(&transfers[home][kind]);
    bool idle = (uint32_t)head != 0 && head == seen[home][kind];
    seen[home][kind] = head;
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
