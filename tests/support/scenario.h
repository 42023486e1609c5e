/*
 * What a program does with a heap, in short, for tests in which memory is refused: three threads
 * take cells of all sizes, large blocks and aligned ones, resize some across every border, free
 * half, trim, take again; at the end all blocks are compared with each other, and freed by one
 * thread. It is done again and again, so it takes some 10 ms.
 *
 * Any allocation may be refused, if it says so as it should: NULL and ENOMEM, with what there was
 * left as it was. All else ends the program (check.h): an errno that changed, a block whose content
 * did, two that overlap, one that is not as asked for.
 *
 * It uses no memory of the heap for itself; but a thread's start does, in the C library.
 */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "memory.h"
#include "names.h"
#include "trim.h"

#ifdef DUET_NAMES
#include "duet.h"
#endif

#define SCENARIO_ERRNO 4242 /* what errno is to stay */

enum { SCENARIO_ACTORS = 3, SCENARIO_BLOCKS = 100 }; /* of each actor */

/* How a block is asked for. */
enum scenario_how { HOW_PLAIN, HOW_ZEROED, HOW_ALIGNED, HOW_POSIX, HOW_KINDS };

struct scenario_block {
    unsigned char *ptr; /* NULL: there is none */
    size_t size;
    unsigned key;
};

struct scenario_actor {
    struct scenario_block blocks[SCENARIO_BLOCKS];
    unsigned number;
    unsigned next_key;
    size_t refused; /* allocations */
};

static struct scenario_actor scenario_actors[SCENARIO_ACTORS];

/* Nobody begins before all threads are there: so the C library has as many stacks each time, and as
 * many cells for them. */
static int scenario_begins;

/* ---- Content ------------------------------------------------------------------------------ */

/* Up to a page, each byte is looked at; of what is longer, few and the last one, since pages cost
 * more than all else here. That no two blocks overlap is looked at by their addresses, too. */
static inline size_t stamp_step(size_t size)
{
    return size <= 4096 ? 1 : size <= (64 << 10) ? 8 << 10 : 128 << 10;
}

static inline unsigned char stamp_of(unsigned key, size_t offset)
{
    return (unsigned char)((key * 0x9e3779b1u + (unsigned)offset * 0x85ebca6bu) >> 24);
}

static inline void stamp(const struct scenario_block *block)
{
    for (size_t at = 0; at < block->size; at += stamp_step(block->size))
        block->ptr[at] = stamp_of(block->key, at);
    block->ptr[block->size - 1] = stamp_of(block->key, block->size - 1);
}

/* The first `length` bytes. */
static inline void verify_start(const struct scenario_block *block, size_t length)
{
    for (size_t at = 0; at < length; at += stamp_step(block->size))
        CHECK(block->ptr[at] == stamp_of(block->key, at));
    if (length == block->size)
        CHECK(block->ptr[length - 1] == stamp_of(block->key, length - 1));
}

static inline void verify(const struct scenario_block *block)
{
    verify_start(block, block->size);
}

static inline bool reads_as_zero(const unsigned char *ptr, size_t size)
{
    for (size_t at = 0; at < size; at += stamp_step(size))
        if (ptr[at] != 0)
            return false;
    return ptr[size - 1] == 0;
}

/* ---- Operations --------------------------------------------------------------------------- */

static inline void *try_posix(size_t size, size_t align)
{
    void *out = &out;
    int result = posix_memalign(&out, align, size);
    CHECK(errno == SCENARIO_ERRNO);
    if (result == 0)
        return out;
    CHECK(result == ENOMEM && out == &out);
    errno = ENOMEM;
    return NULL;
}

static inline void *try_take(size_t size, size_t align, enum scenario_how how)
{
    switch (how) {
    case HOW_ZEROED:
        return calloc(1, opaque_size(size));
    case HOW_ALIGNED:
        return aligned_alloc(align, opaque_size(size));
    case HOW_POSIX:
        return try_posix(opaque_size(size), align);
    default:
        return malloc(opaque_size(size));
    }
}

static inline void take(struct scenario_actor *actor, struct scenario_block *block, size_t size,
                        size_t align, enum scenario_how how)
{
    errno = SCENARIO_ERRNO;
    unsigned char *ptr = try_take(size, align, how);
    block->ptr = ptr;
    if (ptr == NULL) {
        CHECK(errno == ENOMEM);
        actor->refused++;
        return;
    }
    CHECK(errno == SCENARIO_ERRNO);
    CHECK(malloc_usable_size(ptr) >= size);
    CHECK(is_aligned(ptr, how == HOW_ALIGNED || how == HOW_POSIX ? align : sizeof(void *)));
    CHECK(how != HOW_ZEROED || reads_as_zero(ptr, size));
    block->size = size;
    block->key = actor->next_key++ * SCENARIO_ACTORS + actor->number;
    stamp(block);
}

static inline void give(struct scenario_block *block)
{
    if (block->ptr == NULL)
        return;
    verify(block);
    errno = SCENARIO_ERRNO;
    free(block->ptr);
    CHECK(errno == SCENARIO_ERRNO);
    block->ptr = NULL;
}

static inline void resize(struct scenario_actor *actor, struct scenario_block *block, size_t size)
{
    if (block->ptr == NULL)
        return;
    errno = SCENARIO_ERRNO;
    unsigned char *ptr = realloc(opaque(block->ptr), opaque_size(size));
    if (ptr == NULL) {
        CHECK(errno == ENOMEM);
        actor->refused++;
        verify(block);
        return;
    }
    CHECK(errno == SCENARIO_ERRNO);
    CHECK(malloc_usable_size(ptr) >= size);
    block->ptr = ptr;
    verify_start(block, size < block->size ? size : block->size);
    block->size = size;
    stamp(block);
}

static inline bool trim_heap(void)
{
    errno = SCENARIO_ERRNO;
    bool trimmed = trim();
    CHECK(errno == SCENARIO_ERRNO);
    return trimmed;
}

/* ---- The actors --------------------------------------------------------------------------- */

/* Each class of cells comes many times, so that there are several groups and segments; the lengths
 * at which engines begin to have large blocks are there, from both sides. */
static const size_t scenario_sizes[] = {1,     16,    24,    40,     64,     100,    200,    333,
                                        500,   800,   1024,  1500,   2048,   2720,   3000,   4096,
                                        5000,  8192,  12000, 16384,  20000,  32768,  32769,  40000,
                                        65536, 65537, 90000, 131051, 131052, 200000, 1 << 20};
enum { SCENARIO_SIZES = sizeof scenario_sizes / sizeof scenario_sizes[0] };

/* The way of one block. Beyond 64 MiB all engines have mappings, which grow and move. */
static const size_t scenario_way[] = {10,       100,     3000,   16384,    60000,    70000,
                                      300000,   1 << 20, 700000, 65 << 20, 66 << 20, 90 << 20,
                                      70 << 20, 400000,  100000, 50000,    3000,     64};
enum { SCENARIO_WAY = sizeof scenario_way / sizeof scenario_way[0] };

static inline void take_as_usual(struct scenario_actor *actor, unsigned index)
{
    unsigned turn = index + actor->number * 7;
    enum scenario_how how = (enum scenario_how)(turn / SCENARIO_SIZES % HOW_KINDS);
    size_t align = (size_t)16 << turn % 10; /* to 8 KiB */
    if (index == SCENARIO_BLOCKS - 1)
        align = (size_t)1 << 21;
    take(actor, &actor->blocks[index], scenario_sizes[turn % SCENARIO_SIZES], align, how);
}

static inline void go_the_way(struct scenario_actor *actor)
{
    struct scenario_block block = {0}, neighbour = {0};
    take(actor, &block, scenario_way[0], 1, HOW_PLAIN);
    for (unsigned step = 1; step < SCENARIO_WAY; step++) {
        resize(actor, &block, scenario_way[step]);
        take(actor, &neighbour, scenario_way[step / 2], 1, HOW_ZEROED);
        give(&neighbour);
    }
    give(&block);
}

/* Of no bytes, and of any alignment. A sized free says no bytes, whatever stands for them. */
static inline void take_nothing(struct scenario_actor *actor)
{
    for (size_t align = 16; align <= 65536; align *= 16) {
        void *block = aligned_alloc(align, opaque_size(0));
        actor->refused += block == NULL;
        errno = SCENARIO_ERRNO;
        if (has_sized_free())
            free_aligned_sized(block, align, opaque_size(0));
        else
            free(block);
        CHECK(errno == SCENARIO_ERRNO);
    }
}

static inline void *act(void *argument)
{
    struct scenario_actor *actor = argument;
    while (!__atomic_load_n(&scenario_begins, __ATOMIC_ACQUIRE))
        sched_yield();
    for (unsigned index = 0; index < SCENARIO_BLOCKS; index++)
        take_as_usual(actor, index);
    go_the_way(actor);
    take_nothing(actor);
    for (unsigned index = actor->number % 2; index < SCENARIO_BLOCKS; index += 2)
        give(&actor->blocks[index]);
    if (actor->number == 0)
        trim_heap();
    for (unsigned index = 0; index < SCENARIO_BLOCKS; index++) {
        if (actor->blocks[index].ptr == NULL)
            take_as_usual(actor, index);
        else
            verify(&actor->blocks[index]);
    }
    return NULL;
}

/* ---- The whole ---------------------------------------------------------------------------- */

static inline const struct scenario_block *scenario_block(unsigned number)
{
    return &scenario_actors[number / SCENARIO_BLOCKS].blocks[number % SCENARIO_BLOCKS];
}

static inline void check_apart(void)
{
    enum { ALL = SCENARIO_ACTORS * SCENARIO_BLOCKS };
    for (unsigned i = 0; i < ALL; i++) {
        const struct scenario_block *a = scenario_block(i);
        for (unsigned j = 0; j < i && a->ptr != NULL; j++) {
            const struct scenario_block *b = scenario_block(j);
            CHECK(b->ptr == NULL || a->ptr + a->size <= b->ptr || b->ptr + b->size <= a->ptr);
        }
    }
}

/* Returns how many allocations were refused. An actor whose thread cannot be had comes later. */
static inline size_t scenario(void)
{
    pthread_t threads[SCENARIO_ACTORS];
    bool started[SCENARIO_ACTORS] = {false};
    __atomic_store_n(&scenario_begins, 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < SCENARIO_ACTORS; i++) {
        scenario_actors[i].number = i;
        scenario_actors[i].refused = 0;
        started[i] = i > 0 && pthread_create(&threads[i], NULL, act, &scenario_actors[i]) == 0;
    }
    __atomic_store_n(&scenario_begins, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < SCENARIO_ACTORS; i++) {
        if (!started[i])
            act(&scenario_actors[i]);
    }
    for (unsigned i = 0; i < SCENARIO_ACTORS; i++)
        CHECK(!started[i] || pthread_join(threads[i], NULL) == 0);
    check_apart();
    size_t refused = 0;
    for (unsigned i = 0; i < SCENARIO_ACTORS; i++) {
        for (unsigned index = 0; index < SCENARIO_BLOCKS; index++)
            give(&scenario_actors[i].blocks[index]);
        refused += scenario_actors[i].refused;
    }
    return refused;
}

#endif
