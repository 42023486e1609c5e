/*
 * The threads that play. Each goes through its entries and keeps its position in its seat, with one
 * plain store for each operation; whoever needs to know how far it is, looks there. Who has to wait
 * spins for a moment, gives way to others for a while, and then sleeps at the bell of the seat that
 * it waits for, having left there the position from which on it wants to be woken. The seat's
 * thread sees that beside its own position, on a cache line that it has anyway.
 *
 * A store of the position and a look at who wants to be woken may change places, and a sleeper be
 * missed; so where a thread will not look again soon, before it sleeps or ends, a fence lies
 * between the two.
 *
 * Live bytes are counted by each thread and added up when they have changed by a small part of the
 * recorded peak. Where threads run one after the other, or there is only one, each change is added,
 * and the peak is exact. Operations too are counted as they are played, so that one that was
 * skipped would not go unnoticed.
 *
 * A thread counts as done before it is gone: an allocator may have work to do at its exit. What
 * comes after the last operation waits, for a while, until that is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cell.h"
#include "player.h"

/* Processors fetch lines of 64 bytes in pairs. */
#define LINE_BYTES 128

/* A few microseconds of each: another thread's operation, a wake-up. */
#define SPINS_MOST 200
#define YIELDS_MOST 20

/* All threads together miss at most this part of the recorded peak. */
#define MISSED_SHARE 128

/* Threads are gone in far less than a millisecond, if the allocator has little to do then. An
 * allocator that has begun a thread of its own is waited for in vain, for a second and once. */
#define EXIT_NAP_NS 100000
#define EXIT_NAPS_MOST 10000

/* More than a process's status takes; who is in very many groups does without the wait. */
#define STATUS_BYTES 4096

/* Enough for any allocator's slow path. */
#define STACK_BYTES ((size_t)256 * 1024)

struct seat {
    _Atomic(uint32_t) position;
    _Atomic(uint32_t) wake_at; /* the position from which on somebody wants to be woken */
    _Atomic(uint32_t) bell;    /* changes when they are */
    _Atomic(uint32_t) turn;    /* one after the other: 1 when it is this thread's turn */
} __attribute__((aligned(LINE_BYTES)));

/* What a thread has to itself. */
struct player {
    const struct play_thread *thread;
    const struct play_entry *next;
    struct seat *seat;
    int64_t live; /* not added up yet */
    struct amount amount;
} __attribute__((aligned(LINE_BYTES)));

static const struct play *play;
static struct seat *seats;
static struct cell *cells;
static struct player *players;
static bool alone; /* one CPU: spinning is of no use */

static int64_t quantum; /* of live bytes */
static _Atomic(int64_t) live_bytes __attribute__((aligned(LINE_BYTES)));
static _Atomic(int64_t) peak_live_bytes;
static _Atomic(uint64_t) operations; /* of the threads that have ended */
static _Atomic(uint64_t) allocations;
static _Atomic(uint32_t) running __attribute__((aligned(LINE_BYTES))); /* threads beside main */

/* ---- Waiting -------------------------------------------------------------------------------- */

static void sleep_at(_Atomic(uint32_t) *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void wake_all(_Atomic(uint32_t) *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void breathe(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Somebody wants to be woken at this position or an earlier one. */
__attribute__((noinline, cold)) static void ring(struct seat *seat)
{
    atomic_store(&seat->wake_at, PLAY_NEVER);
    atomic_fetch_add(&seat->bell, 1);
    wake_all(&seat->bell);
}

/* For a thread that will not look again soon. Nobody waits for PLAY_NEVER itself. */
static void ring_for_sure(struct seat *seat)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t wake_at = atomic_load(&seat->wake_at);
    if (wake_at != PLAY_NEVER && atomic_load(&seat->position) >= wake_at)
        ring(seat);
}

static bool is_there(struct seat *seat, uint32_t target)
{
    return atomic_load_explicit(&seat->position, memory_order_acquire) >= target;
}

static void lower_wake_at(struct seat *seat, uint32_t target)
{
    uint32_t before = atomic_load(&seat->wake_at);

    while (before > target && !atomic_compare_exchange_weak(&seat->wake_at, &before, target))
        continue;
}

__attribute__((noinline)) static void wait_for(struct seat *own, struct seat *other,
                                               uint32_t target)
{
    for (int i = 0; !alone && i < SPINS_MOST; i++) {
        if (is_there(other, target))
            return;
        breathe();
    }
    ring_for_sure(own);
    for (int i = 0; i < YIELDS_MOST; i++) {
        if (is_there(other, target))
            return;
        sched_yield();
    }
    while (!is_there(other, target)) {
        uint32_t bell = atomic_load(&other->bell);
        lower_wake_at(other, target);
        atomic_thread_fence(memory_order_seq_cst);
        if (!is_there(other, target))
            sleep_at(&other->bell, bell);
    }
}

static void keep_pace(struct seat *own, uint32_t target)
{
    for (uint32_t i = 0; i < play->head->seats; i++) {
        if (!is_there(&seats[i], target))
            wait_for(own, &seats[i], target);
    }
}

/* ---- Taking turns --------------------------------------------------------------------------- */

static void wait_for_turn(struct seat *own)
{
    for (int i = 0; !alone && i < SPINS_MOST; i++) {
        if (atomic_load_explicit(&own->turn, memory_order_acquire) != 0)
            break;
        breathe();
    }
    while (atomic_load(&own->turn) == 0)
        sleep_at(&own->turn, 0);
    atomic_store(&own->turn, 0);
}

static void give_turn(struct seat *other)
{
    atomic_store(&other->turn, 1);
    wake_all(&other->turn);
}

/* ---- Counting ------------------------------------------------------------------------------- */

static void add_up(struct player *player)
{
    int64_t live =
        atomic_fetch_add_explicit(&live_bytes, player->live, memory_order_relaxed) + player->live;
    int64_t peak = atomic_load_explicit(&peak_live_bytes, memory_order_relaxed);

    player->live = 0;
    while (live > peak &&
           !atomic_compare_exchange_weak_explicit(&peak_live_bytes, &peak, live,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* One thread at a time: no atomic addition is needed. */
static void add_up_alone(struct player *player)
{
    int64_t live = atomic_load_explicit(&live_bytes, memory_order_relaxed) + player->live;

    player->live = 0;
    atomic_store_explicit(&live_bytes, live, memory_order_relaxed);
    if (live > atomic_load_explicit(&peak_live_bytes, memory_order_relaxed))
        atomic_store_explicit(&peak_live_bytes, live, memory_order_relaxed);
}

static inline void count(struct player *player, int64_t bytes)
{
    player->live += bytes;
    if (quantum == 0)
        add_up_alone(player);
    else if (player->live >= quantum || player->live <= -quantum)
        add_up(player);
}

/* At the thread's end. */
static void add_amount(const struct player *player)
{
    atomic_fetch_add(&operations, player->amount.operations);
    atomic_fetch_add(&allocations, player->amount.allocations);
}

/* ---- Playing -------------------------------------------------------------------------------- */

static void *play_thread(void *argument);

/* With a stack that is smaller than usual, so that very many threads find room. */
static void start_thread(struct player *player)
{
    pthread_attr_t attributes;
    pthread_t thread;

    atomic_fetch_add(&running, 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, play_thread, player);
    if (error != 0)
        fail(PLAYER_FAILED, "cannot start a thread: %s", strerror(error));
    pthread_attr_destroy(&attributes);
}

static inline void play_operation(struct player *player, const struct play_entry *entry)
{
    struct cell *cell = &cells[entry->cell];
    uint64_t size = play_size_of(entry->what);
    int64_t change = (int64_t)size;

    player->amount.operations++;
    switch (play_kind_of(entry->what)) {
    case PLAY_MALLOC:
        player->amount.allocations++;
        cell_malloc(cell, entry->cell, size);
        break;
    case PLAY_CALLOC:
        player->amount.allocations++;
        cell_calloc(cell, entry->cell, size);
        break;
    case PLAY_ALIGNED:
        player->amount.allocations++;
        cell_aligned(cell, entry->cell, size, play_align_of(entry->what));
        break;
    case PLAY_REALLOC:
        change -= (int64_t)cell_size(cell);
        cell_realloc(cell, entry->cell, size);
        break;
    default:
        change = -change;
        cell_free(cell, entry->cell);
        break;
    }
    count(player, change);
}

/* An entry that is no operation. `last` is whether it is the thread's last. */
static void play_other(struct player *player, const struct play_entry *entry, bool last)
{
    struct seat *seat = player->seat;

    switch (play_kind_of(entry->what)) {
    case PLAY_START:
        start_thread(&players[entry->cell]);
        break;
    case PLAY_WAIT:
        if (!is_there(&seats[entry->cell], (uint32_t)play_size_of(entry->what)))
            wait_for(seat, &seats[entry->cell], (uint32_t)play_size_of(entry->what));
        break;
    case PLAY_PACE:
        keep_pace(seat, (uint32_t)play_size_of(entry->what));
        break;
    default:
        /* After this the seat may be another thread's. */
        give_turn(players[entry->cell].seat);
        if (!last)
            wait_for_turn(seat);
        break;
    }
}

static void play_entries(struct player *player)
{
    const struct play_entry *entry = player->next;
    const struct play_entry *end = entry + player->thread->entries;
    struct seat *seat = player->seat;

    for (; entry < end; entry++) {
        bool last = entry + 1 == end;
        if (play_kind_of(entry->what) <= PLAY_FREE)
            play_operation(player, entry);
        else
            play_other(player, entry, last);
        if (last)
            break;
        uint32_t position = entry[1].order;
        atomic_store_explicit(&seat->position, position, memory_order_release);
        if (__builtin_expect(position >= atomic_load_explicit(&seat->wake_at, memory_order_relaxed),
                             0))
            ring(seat);
    }
    if (quantum != 0)
        add_up(player);
    add_amount(player);
    /* In turns nobody looks, and the seat may be another's by now. */
    if (play->head->serial)
        return;
    atomic_store_explicit(&seat->position, player->thread->after, memory_order_release);
    ring_for_sure(seat);
}

static void *play_thread(void *argument)
{
    struct player *player = argument;

    if (play->head->serial)
        wait_for_turn(player->seat);
    play_entries(player);
    if (atomic_fetch_sub(&running, 1) == 1)
        wake_all(&running);
    return NULL;
}

/* ---- The stage ------------------------------------------------------------------------------ */

void stage_build(const struct play *of)
{
    cpu_set_t cpus;

    play = of;
    seats = table_make(play->head->seats, sizeof *seats);
    cells = table_make(play->head->cells, sizeof *cells);
    players = table_make(play->head->threads, sizeof *players);
    if (!play->head->serial && play->head->threads > 1)
        quantum = 1 + (int64_t)(play->head->peak_live_bytes / MISSED_SHARE / play->head->seats);
    alone = sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

/* As before the first operation. Of several threads with one seat, the first is the last here. */
static void set_up(void)
{
    for (uint32_t i = play->head->threads; i-- > 0;) {
        const struct play_thread *thread = &play->threads[i];
        struct seat *seat = &seats[thread->seat];
        players[i] = (struct player){
            .thread = thread,
            .next = play->entries[i],
            .seat = seat,
        };
        atomic_store(&seat->position, thread->first);
        atomic_store(&seat->wake_at, PLAY_NEVER);
        atomic_store(&seat->turn, 0);
    }
    atomic_store(&live_bytes, 0);
    atomic_store(&operations, 0);
    atomic_store(&allocations, 0);
}

static void wait_for_all(void)
{
    uint32_t left;

    while ((left = atomic_load(&running)) != 0)
        sleep_at(&running, left);
}

/* Fails unless the threads did what the trace has. */
static void check_played(void)
{
    const struct amount *wanted = &play->amount;
    struct amount played = {atomic_load(&operations), atomic_load(&allocations)};
    int64_t live = atomic_load(&live_bytes);

    if (played.operations != wanted->operations || played.allocations != wanted->allocations)
        fail(PLAYER_FAILED, "of operations %llu of %llu were played, of allocations %llu of %llu",
             (unsigned long long)played.operations, (unsigned long long)wanted->operations,
             (unsigned long long)played.allocations, (unsigned long long)wanted->allocations);
    if (live != (int64_t)play->head->end_live_bytes)
        fail(PLAYER_FAILED, "%lld bytes are live at the end, and not %llu as recorded",
             (long long)live, (unsigned long long)play->head->end_live_bytes);
}

/* How many threads the process has, an allocator's own too. 0: not known. */
static unsigned long count_threads(void)
{
    static const char word[] = "\nThreads:";
    char text[STATUS_BYTES];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, word);
    return line != NULL ? strtoul(line + strlen(word), NULL, 10) : 0;
}

/* Waits until the threads that have played are gone, and there are no more than before. */
static void wait_for_exits(unsigned long before)
{
    const struct timespec nap = {.tv_nsec = EXIT_NAP_NS};

    for (int i = 0; i < EXIT_NAPS_MOST && count_threads() > before; i++)
        nanosleep(&nap, NULL);
}

static void free_all(void)
{
    for (uint32_t i = 0; i < play->head->cells; i++) {
        if (cells[i].start != NULL)
            cell_free(&cells[i], i);
    }
}

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct result stage_play(void)
{
    unsigned long threads_before = count_threads();

    set_up();
    double start = now_seconds();
    play_entries(&players[0]);
    wait_for_all();
    double end = now_seconds();
    if (play->head->threads > 1)
        wait_for_exits(threads_before);
    check_played();
    free_all();
    return (struct result){
        .seconds = end - start,
        .amount = {.operations = atomic_load(&operations),
                   .allocations = atomic_load(&allocations)},
        .peak_live_bytes = (uint64_t)atomic_load(&peak_live_bytes),
    };
}
