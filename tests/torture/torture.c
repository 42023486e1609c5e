/*
 * Torture: threads that allocate, resize and free at random, pass blocks to each other, and look
 * at every byte of every block.
 *
 * Each block is filled with words made from its address and a seed of its own, and checked when
 * it is resized, passed on or freed: two blocks that overlap, a cell handed out twice, a stray
 * write or a realloc that loses bytes cannot keep both fillings. Blocks travel between threads
 * through an array of mailboxes by atomic exchange, so that any thread frees what any other
 * allocated. Live bytes are bounded, so memory that grows without end is the allocator's.
 *
 * Usage: torture THREADS SECONDS SEED [SLOTS]. The same seed makes each thread do the same; what
 * they do to each other is up to the scheduler. SLOTS: what the option slots= says; as many must
 * then be in use as so many threads take. Prints one line on success.
 */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "engine_facts.h"
#include "heap_stats.h"
#include "memory.h"
#include "names.h"

#define LIVE_BYTES ((size_t)256 << 20)  /* of all threads together, mailboxes apart */
#define MAILED_BYTES ((size_t)16 << 10) /* no larger block is mailed: 256 of them are 4 MiB */

enum {
    MAILBOXES = 256,
    BLOCKS = 4096, /* a thread's own */
    MOST_THREADS = 1024,
    LEAST_OPERATIONS = 1000, /* of each thread, or the test was none */
};

/* How a block was asked for, which is how it has to be freed. */
enum kind {
    PLAIN,   /* malloc, calloc, realloc */
    ALIGNED, /* aligned_alloc: also by free_aligned_sized */
    POSIX,   /* posix_memalign: by free only */
    LENGTHS, /* duet_alloc */
};

struct block {
    unsigned char *ptr;
    size_t size;
    size_t align;
    uint64_t seed;
    enum kind kind;
};

struct thread {
    pthread_t id;
    uint64_t random;
    size_t live_bytes;
    size_t live_limit;
    uint64_t operations;
    struct block *blocks;
};

/* A parcel is itself a block of the heap, freed by whoever opens it. */
static struct block *mailboxes[MAILBOXES];
static int stopping;

/* ---- Random numbers ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

static uint64_t next_random(struct thread *thread)
{
    thread->random += 0x9e3779b97f4a7c15u;
    return mix(thread->random);
}

static size_t random_below(struct thread *thread, size_t limit)
{
    return (size_t)(next_random(thread) % limit);
}

/* Mostly small, as programs are; each scale is as likely as its share of real allocations. */
static size_t random_size(struct thread *thread)
{
    size_t scale = random_below(thread, 1000);
    if (scale < 700)
        return random_below(thread, 256);
    if (scale < 930)
        return random_below(thread, 4096);
    if (scale < 992)
        return random_below(thread, 65536 + 100);
    if (scale < 999)
        return random_below(thread, (size_t)1 << 20);
    return random_below(thread, (size_t)8 << 20);
}

/* ---- Content ------------------------------------------------------------------------------ */

static uint64_t content_key(const struct block *block)
{
    return mix(block->seed ^ (uintptr_t)block->ptr);
}

static uint64_t content_word(uint64_t key, size_t index)
{
    return key + index * 0x9e3779b97f4a7c15u;
}

static void fill(const struct block *block)
{
    uint64_t key = content_key(block);
    size_t words = block->size / sizeof(uint64_t);
    uint64_t *content = (uint64_t *)(void *)block->ptr;
    for (size_t i = 0; i < words; i++)
        content[i] = content_word(key, i);
    uint64_t last = content_word(key, words);
    memcpy(block->ptr + words * sizeof last, &last, block->size % sizeof last);
}

static _Noreturn void fail(const struct block *block, const char *what)
{
    fprintf(stderr, "torture: %s: block %p, %zu bytes, align %zu, kind %d\n", what,
            (void *)block->ptr, block->size, block->align, (int)block->kind);
    abort();
}

/* The first `length` bytes, filled under the key of the address that the block had then. */
static void verify(const struct block *block, uint64_t key, size_t length)
{
    const uint64_t *content = (const uint64_t *)(const void *)block->ptr;
    size_t words = length / sizeof(uint64_t);
    uint64_t difference = 0;
    for (size_t i = 0; i < words; i++)
        difference |= content[i] ^ content_word(key, i);
    uint64_t last = content_word(key, words);
    if (difference != 0 ||
        memcmp(block->ptr + words * sizeof last, &last, length % sizeof last) != 0)
        fail(block, "content changed");
}

static void verify_whole(const struct block *block)
{
    verify(block, content_key(block), block->size);
}

/* ---- Operations --------------------------------------------------------------------------- */

static void take(struct thread *thread, struct block *block)
{
    if (block->ptr == NULL)
        fail(block, "allocation failed");
    if (!is_aligned(block->ptr, block->align))
        fail(block, "misaligned");
    if (block->kind != LENGTHS && malloc_usable_size(block->ptr) < block->size)
        fail(block, "too small");
    thread->live_bytes += block->size;
    fill(block);
}

static size_t random_align(struct thread *thread)
{
    size_t shift = random_below(thread, 1000) == 0 ? 21 : 13; /* rarely up to 1 MiB */
    return (size_t)1 << random_below(thread, shift);
}

static void allocate_aligned(struct thread *thread, struct block *block)
{
    block->align = random_align(thread);
    if (random_below(thread, 2) == 0) {
        block->kind = ALIGNED;
        block->ptr = aligned_alloc(block->align, block->size);
        return;
    }
    block->kind = POSIX;
    if (block->align < sizeof(void *))
        block->align = sizeof(void *);
    void *out = NULL;
    if (posix_memalign(&out, block->align, block->size) == 0)
        block->ptr = out;
}

#ifdef DUET_NAMES

static void allocate_with_length(struct thread *thread, struct block *block)
{
    block->align = random_align(thread);
    block->kind = LENGTHS;
    block->ptr = duet_alloc(block->size, block->align);
}

static void free_with_length(const struct block *block)
{
    duet_free(block->ptr, block->size, block->align);
}

/* In place, or with its pages, or not at all; what the old and new length share is kept. */
static void resize_with_length(struct thread *thread, struct block *block, size_t size)
{
    uint64_t key = content_key(block);
    void *moved = block->ptr;
    if (!duet_resize(block->ptr, block->size, block->align, size))
        moved = duet_remap(block->ptr, block->size, block->align, size);
    if (moved == NULL) {
        verify_whole(block);
        return;
    }
    thread->live_bytes -= block->size;
    size_t shared = block->size < size ? block->size : size;
    block->ptr = moved;
    block->size = size;
    verify(block, key, shared);
    take(thread, block);
}

#else

static void allocate_with_length(struct thread *thread, struct block *block)
{
    allocate_aligned(thread, block);
}

static void free_with_length(const struct block *block)
{
    fail(block, "of a kind that is never made");
}

static void resize_with_length(struct thread *thread, struct block *block, size_t size)
{
    (void)thread;
    (void)size;
    free_with_length(block);
}

#endif

static void allocate(struct thread *thread, struct block *block)
{
    *block = (struct block){
        .size = random_size(thread), .align = 16, .seed = next_random(thread), .kind = PLAIN};
    switch (random_below(thread, 8)) {
    case 0:
        block->ptr = calloc(1, block->size);
        if (block->ptr != NULL && !is_filled(block->ptr, 0, block->size))
            fail(block, "calloc is not zero");
        break;
    case 1:
        allocate_aligned(thread, block);
        break;
    case 2:
        allocate_with_length(thread, block);
        break;
    case 3:
        block->ptr = realloc(NULL, block->size);
        break;
    default:
        block->ptr = malloc(block->size);
    }
    take(thread, block);
}

static void release(struct thread *thread, struct block *block)
{
    verify_whole(block);
    thread->live_bytes -= block->size;
    bool sized = has_sized_free() && random_below(thread, 2) == 0;
    if (block->kind == LENGTHS)
        free_with_length(block);
    else if (sized && block->kind == PLAIN)
        free_sized(block->ptr, block->size);
    else if (sized && block->kind == ALIGNED)
        free_aligned_sized(block->ptr, block->align, block->size);
    else
        free(block->ptr);
    block->ptr = NULL;
}

static void resize(struct thread *thread, struct block *block)
{
    size_t size = random_size(thread) + 1; /* realloc to 0 frees */
    if (random_below(thread, 2) == 0)      /* half of them stay near, where they may fit */
        size = block->size + random_below(thread, block->size / 4 + 8) + 1;
    if (block->kind == LENGTHS) {
        resize_with_length(thread, block, size);
        return;
    }
    uint64_t key = content_key(block);
    size_t shared = block->size < size ? block->size : size;
    thread->live_bytes -= block->size;
    block->ptr = realloc(block->ptr, size);
    if (block->ptr == NULL)
        fail(block, "realloc failed");
    block->size = size;
    block->align = 16; /* realloc promises no more */
    block->kind = PLAIN;
    verify(block, key, shared);
    take(thread, block);
}

/* Puts the block into a mailbox, and takes what was there in exchange. */
static void mail(struct thread *thread, struct block *block)
{
    struct block *parcel = malloc(sizeof *parcel);
    if (parcel == NULL)
        fail(block, "allocation failed");
    verify_whole(block);
    thread->live_bytes -= block->size;
    *parcel = *block;
    block->ptr = NULL;
    struct block **mailbox = &mailboxes[random_below(thread, MAILBOXES)];
    parcel = __atomic_exchange_n(mailbox, parcel, __ATOMIC_ACQ_REL);
    if (parcel == NULL)
        return;
    *block = *parcel;
    free(parcel);
    verify_whole(block);
    thread->live_bytes += block->size;
    if (random_below(thread, 2) == 0)
        release(thread, block);
}

static void step(struct thread *thread)
{
    struct block *block = &thread->blocks[random_below(thread, BLOCKS)];
    thread->operations++;
    if (block->ptr == NULL) {
        if (thread->live_bytes < thread->live_limit)
            allocate(thread, block);
        return;
    }
    size_t choice = random_below(thread, 8);
    if (choice < 2 && thread->live_bytes < thread->live_limit)
        resize(thread, block);
    else if (choice < 4 && block->size <= MAILED_BYTES)
        mail(thread, block);
    else
        release(thread, block);
}

static pthread_barrier_t all_have_begun;

static void *run(void *argument)
{
    struct thread *thread = argument;
    thread->blocks = calloc(BLOCKS, sizeof *thread->blocks);
    CHECK(thread->blocks != NULL);
    /* All are there at once, each with a slot, so that every slot is used: who came later might
     * have that of one who has left. Nobody leaves before he has done a share. */
    void *volatile first = malloc(1);
    CHECK(first != NULL);
    free(first);
    pthread_barrier_wait(&all_have_begun);
    while (thread->operations < LEAST_OPERATIONS ||
           __atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0)
        step(thread);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (thread->blocks[i].ptr != NULL)
            release(thread, &thread->blocks[i]);
    }
    free(thread->blocks);
    CHECK(thread->live_bytes == 0);
    return NULL;
}

/* ---- The whole ---------------------------------------------------------------------------- */

static void empty_mailboxes(struct thread *thread)
{
    for (size_t i = 0; i < MAILBOXES; i++) {
        struct block *parcel = mailboxes[i];
        if (parcel == NULL)
            continue;
        thread->live_bytes += parcel->size;
        release(thread, parcel);
        free(parcel);
    }
}

static unsigned long long argument_or_usage(int count, char **arguments, int index)
{
    char *end = NULL;
    unsigned long long number = 0;
    if (index < count)
        number = strtoull(arguments[index], &end, 10);
    if (end == NULL || *end != '\0' || end == arguments[index]) {
        fprintf(stderr, "usage: torture THREADS SECONDS SEED [SLOTS]\n");
        exit(2);
    }
    return number;
}

int main(int count, char **arguments)
{
    require_duet();
    size_t thread_count = (size_t)argument_or_usage(count, arguments, 1);
    unsigned seconds = (unsigned)argument_or_usage(count, arguments, 2);
    uint64_t seed = argument_or_usage(count, arguments, 3);
    size_t slots = count > 4 ? (size_t)argument_or_usage(count, arguments, 4) : 0;
    CHECK(thread_count >= 1 && thread_count <= MOST_THREADS);

    static struct thread threads[MOST_THREADS];
    CHECK(pthread_barrier_init(&all_have_begun, NULL, (unsigned)thread_count) == 0);
    for (size_t i = 0; i < thread_count; i++) {
        threads[i] = (struct thread){.random = mix(seed * MOST_THREADS + i),
                                     .live_limit = LIVE_BYTES / thread_count};
        CHECK(pthread_create(&threads[i].id, NULL, run, &threads[i]) == 0);
    }
    struct timespec rest = {.tv_sec = seconds};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    uint64_t operations = 0;
    for (size_t i = 0; i < thread_count; i++) {
        CHECK(pthread_join(threads[i].id, NULL) == 0);
        operations += threads[i].operations;
    }
    empty_mailboxes(&threads[0]);
    CHECK(operations >= thread_count * LEAST_OPERATIONS); /* it really ran */
    if (slots != 0) { /* who shares slots may have been in several */
        CHECK(heap_stats().slots >= slots_used_by(thread_count, slots));
        CHECK(heap_stats().slots <= slots_used_by(SIZE_MAX, slots));
    }
    printf("torture: %zu threads, %u s, seed %llu: %llu operations, all content kept\n",
           thread_count, seconds, (unsigned long long)seed, (unsigned long long)operations);
    return 0;
}
