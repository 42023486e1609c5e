/*
 * Timed patterns of malloc and free, each a fixed amount of work through the standard names, so
 * that LD_PRELOAD chooses the allocator and the machine code is the same on every one.
 *
 * patterns [PATTERN...] prints, for each pattern (default: all), a line "NAME NS OPERATIONS":
 * nanoseconds of wall time for one malloc and one free, with threads over the operations of all.
 * First comes a line "allocator PATH", the file that malloc really comes from, for whoever
 * preloads.
 *
 * A cell's first and last bytes are written when it comes and read when it goes. The pattern's own
 * tables come from mmap and are touched before the clock starts; its random numbers are its own.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BATCH_CELLS 1000
#define MIXED_CELLS 10000
#define RANDOM_CELLS ((size_t)1 << 20)
#define SERVER_CELLS ((size_t)1 << 14) /* of each thread */
#define SERVER_THREADS_MOST 8
#define LARGE_BLOCKS 16
#define PAGE_BYTES 4096

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Zeroed memory that no malloc knows, its pages there already. */
static void *table_make(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED)
        fail("patterns: mmap");
    return table;
}

static void table_drop(void *table, size_t bytes)
{
    munmap(table, bytes);
}

/* xorshift64*: fast, and the same on every run. */
static uint32_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

static size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(((uint64_t)random_next(state) * limit) >> 32);
}

/* The compiler must not pair a malloc with its free and drop both. */
static void *escaped(void *cell)
{
    __asm__ volatile("" : "+r"(cell) : : "memory");
    return cell;
}

static void *cell_make(size_t bytes)
{
    unsigned char *cell = escaped(malloc(bytes));
    if (cell == NULL)
        fail("patterns: malloc");
    cell[0] = (unsigned char)bytes;
    cell[bytes - 1] = (unsigned char)bytes;
    return cell;
}

/* Reads what cell_make wrote, as a program would have done before it lets go. */
static void cell_drop(void *cell)
{
    __asm__ volatile("" : : "r"(*(unsigned char *)cell));
    free(cell);
}

struct result {
    double seconds;
    size_t operations; /* pairs of malloc and free, of all threads together */
};

struct sizes {
    size_t least;
    size_t most;
};

static size_t random_size(uint64_t *state, struct sizes sizes)
{
    return sizes.least + random_below(state, sizes.most - sizes.least + 1);
}

/* ---- One thread ---------------------------------------------------------------------------- */

/* Free at once: the same few cells, always hot. */
static struct result run_pair(struct sizes sizes)
{
    const size_t operations = 20000000;
    uint64_t state = 1;
    double start = now_seconds();
    for (size_t i = 0; i < operations; i++)
        cell_drop(cell_make(random_size(&state, sizes)));
    return (struct result){now_seconds() - start, operations};
}

/* 1,000 mallocs, then their frees in the same order. */
static struct result run_batch(struct sizes sizes)
{
    const size_t rounds = 15000;
    void *cells[BATCH_CELLS];
    uint64_t state = 2;
    double start = now_seconds();
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < BATCH_CELLS; i++)
            cells[i] = cell_make(random_size(&state, sizes));
        for (size_t i = 0; i < BATCH_CELLS; i++)
            cell_drop(cells[i]);
    }
    return (struct result){now_seconds() - start, rounds * BATCH_CELLS};
}

/* 10,000 mallocs, then their frees in an order that has nothing to do with it. */
static struct result run_mixed(struct sizes sizes)
{
    const size_t rounds = 1000;
    void **cells = table_make(MIXED_CELLS * sizeof *cells);
    uint32_t *order = table_make(MIXED_CELLS * sizeof *order);
    uint64_t state = 3;
    for (uint32_t i = 0; i < MIXED_CELLS; i++)
        order[i] = i;
    for (uint32_t i = MIXED_CELLS - 1; i > 0; i--) {
        size_t other = random_below(&state, i + 1);
        uint32_t swapped = order[i];
        order[i] = order[other];
        order[other] = swapped;
    }
    double start = now_seconds();
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < MIXED_CELLS; i++)
            cells[i] = cell_make(random_size(&state, sizes));
        for (size_t i = 0; i < MIXED_CELLS; i++)
            cell_drop(cells[order[i]]);
    }
    double seconds = now_seconds() - start;
    table_drop(cells, MIXED_CELLS * sizeof *cells);
    table_drop(order, MIXED_CELLS * sizeof *order);
    return (struct result){seconds, rounds * MIXED_CELLS};
}

/* Replacement at random among 2^20 live cells: nothing is in the caches. Filling and emptying are
 * not timed. */
static struct result run_random(struct sizes sizes)
{
    const size_t operations = 3000000;
    void **cells = table_make(RANDOM_CELLS * sizeof *cells);
    uint64_t state = 4;
    for (size_t i = 0; i < RANDOM_CELLS; i++)
        cells[i] = cell_make(random_size(&state, sizes));
    double start = now_seconds();
    for (size_t i = 0; i < operations; i++) {
        size_t at = random_below(&state, RANDOM_CELLS);
        cell_drop(cells[at]);
        cells[at] = cell_make(random_size(&state, sizes));
    }
    double seconds = now_seconds() - start;
    for (size_t i = 0; i < RANDOM_CELLS; i++)
        cell_drop(cells[i]);
    table_drop(cells, RANDOM_CELLS * sizeof *cells);
    return (struct result){seconds, operations};
}

/* Replacement at random among a few large blocks; every page of a block is written. */
static struct result run_large(struct sizes sizes)
{
    const size_t operations = 2000;
    unsigned char *blocks[LARGE_BLOCKS] = {NULL};
    uint64_t state = 5;
    double start = now_seconds();
    for (size_t i = 0; i < operations; i++) {
        size_t at = random_below(&state, LARGE_BLOCKS);
        size_t bytes = random_size(&state, sizes);
        free(blocks[at]);
        blocks[at] = cell_make(bytes);
        for (size_t offset = 0; offset < bytes; offset += PAGE_BYTES)
            blocks[at][offset] = 1;
    }
    for (size_t at = 0; at < LARGE_BLOCKS; at++)
        free(blocks[at]);
    return (struct result){now_seconds() - start, operations};
}

/* ---- Many threads: a server-like mix -------------------------------------------------------
 *
 * Each thread owns a table of live cells and replaces them at random; one time in eight it puts
 * the new cell into another thread's table, by an atomic exchange, and frees what lay there. So
 * one free in eight or so is of a cell that another thread allocated. */

#define CROSS_EVERY 8

struct server {
    _Atomic(void *) *tables[SERVER_THREADS_MOST];
    size_t threads;
    size_t operations;
    struct sizes sizes;
    pthread_barrier_t filled;
    pthread_barrier_t done;
};

struct server_thread {
    struct server *server;
    size_t number;
    pthread_t id;
};

static void *server_body(void *argument)
{
    struct server_thread *self = argument;
    struct server *server = self->server;
    uint64_t state = 100 + self->number;
    for (size_t i = 0; i < SERVER_CELLS; i++)
        atomic_store(&server->tables[self->number][i],
                     cell_make(random_size(&state, server->sizes)));
    pthread_barrier_wait(&server->filled);
    for (size_t i = 0; i < server->operations; i++) {
        size_t owner = self->number;
        if (i % CROSS_EVERY == 0)
            owner = random_below(&state, server->threads);
        size_t at = random_below(&state, SERVER_CELLS);
        void *cell = cell_make(random_size(&state, server->sizes));
        cell_drop(atomic_exchange_explicit(&server->tables[owner][at], cell, memory_order_acq_rel));
    }
    pthread_barrier_wait(&server->done);
    for (size_t i = 0; i < SERVER_CELLS; i++)
        cell_drop(atomic_load(&server->tables[self->number][i]));
    return NULL;
}

static struct result run_server(struct sizes sizes, size_t threads)
{
    const size_t all_operations = 8000000;
    struct server server = {
        .threads = threads, .operations = all_operations / threads, .sizes = sizes};
    struct server_thread bodies[SERVER_THREADS_MOST];
    const size_t table_bytes = SERVER_CELLS * sizeof *server.tables[0];
    pthread_barrier_init(&server.filled, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&server.done, NULL, (unsigned)threads + 1);
    for (size_t i = 0; i < threads; i++)
        server.tables[i] = table_make(table_bytes);
    for (size_t i = 0; i < threads; i++) {
        bodies[i] = (struct server_thread){.server = &server, .number = i};
        if (pthread_create(&bodies[i].id, NULL, server_body, &bodies[i]) != 0)
            fail("patterns: pthread_create");
    }
    pthread_barrier_wait(&server.filled);
    double start = now_seconds();
    pthread_barrier_wait(&server.done);
    double seconds = now_seconds() - start;
    for (size_t i = 0; i < threads; i++) {
        pthread_join(bodies[i].id, NULL);
        table_drop(server.tables[i], table_bytes);
    }
    pthread_barrier_destroy(&server.filled);
    pthread_barrier_destroy(&server.done);
    return (struct result){seconds, server.operations * threads};
}

static struct result run_server_2(struct sizes sizes)
{
    return run_server(sizes, 2);
}

static struct result run_server_8(struct sizes sizes)
{
    return run_server(sizes, 8);
}

/* ---- The list ------------------------------------------------------------------------------ */

static const struct pattern {
    const char *name;
    struct result (*run)(struct sizes sizes);
    struct sizes sizes;
} patterns[] = {
    {"pair", run_pair, {16, 512}},         {"batch", run_batch, {16, 512}},
    {"mixed", run_mixed, {16, 271}},       {"random-143", run_random, {16, 143}},
    {"random-512", run_random, {16, 512}}, {"server-2", run_server_2, {16, 512}},
    {"server-8", run_server_8, {16, 512}}, {"large", run_large, {64 * 1024, 8 * 1024 * 1024}},
};

#define PATTERNS (sizeof patterns / sizeof patterns[0])

static void print_allocator(void)
{
    Dl_info info;
    if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) == 0 || info.dli_fname == NULL) {
        fputs("patterns: nobody knows where malloc comes from\n", stderr);
        exit(1);
    }
    printf("allocator %s\n", info.dli_fname);
}

static void run_pattern(const struct pattern *pattern)
{
    struct result result = pattern->run(pattern->sizes);
    printf("%s %.3f %zu\n", pattern->name, result.seconds * 1e9 / (double)result.operations,
           result.operations);
    fflush(stdout);
}

static const struct pattern *pattern_named(const char *name)
{
    for (size_t i = 0; i < PATTERNS; i++)
        if (strcmp(patterns[i].name, name) == 0)
            return &patterns[i];
    fprintf(stderr, "patterns: no pattern '%s'; there are:", name);
    for (size_t i = 0; i < PATTERNS; i++)
        fprintf(stderr, " %s", patterns[i].name);
    fputc('\n', stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        pattern_named(argv[i]);
    print_allocator();
    if (argc < 2) {
        for (size_t i = 0; i < PATTERNS; i++)
            run_pattern(&patterns[i]);
    }
    for (int i = 1; i < argc; i++)
        run_pattern(pattern_named(argv[i]));
    return 0;
}
