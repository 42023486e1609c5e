/*
 * xmalloc: allocate here, free there, after the test of Lever and Boreham ("Malloc() performance in
 * a multithreaded Linux environment", 2000). Producers fill batches with cells, consumers free all
 * that is in them; batches go round through two queues. One thread alone fills batches until
 * there are no more, then empties them.
 *
 * A thread that finds its queue empty sleeps until there is work for a while, not for a single
 * batch: so the slower side works without a pause, and decides the time.
 */
#include <string.h>

#include "cell.h"
#include "support.h"

enum {
    BATCH_CELLS = 1024,
    BATCHES = 16,    /* beside those in hands: bounds what is live at once */
    SIZE_STEPS = 15, /* 16, 24, 32, 48 ... 2,048 */
};
#define CELLS_IN_ALL 8000000

struct batch {
    struct cell cells[BATCH_CELLS];
};

struct queue {
    struct batch **batches; /* as a stack: the latest is the warmest */
    unsigned count;
    unsigned wake_at; /* so many end the sleep of those who wait */
    pthread_cond_t filled;
};

struct trade {
    pthread_mutex_t lock;
    struct queue full;
    struct queue empty;
    unsigned producers;
    uint64_t to_make; /* batches that nobody has begun to fill */
    uint64_t to_take; /* batches that nobody has begun to empty */
};

/* Small ones are more frequent: the smaller of two. */
static size_t trade_size(struct hand *hand)
{
    size_t one = random_below(&hand->random, SIZE_STEPS);
    size_t other = random_below(&hand->random, SIZE_STEPS);
    size_t step = one < other ? one : other;

    return ((size_t)16 << step / 2) + (step % 2) * ((size_t)8 << step / 2);
}

static void fill(struct hand *hand, struct batch *batch)
{
    for (size_t i = 0; i < BATCH_CELLS; i++)
        cell_make(hand, &batch->cells[i], trade_size(hand));
}

static void empty(struct batch *batch)
{
    for (size_t i = 0; i < BATCH_CELLS; i++)
        cell_drop(&batch->cells[i]);
}

static void put(struct trade *trade, struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&trade->lock);
    queue->batches[queue->count++] = batch;
    if (queue->count >= queue->wake_at || trade->to_make == 0)
        pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&trade->lock);
}

/* NULL: all the work is taken. */
static struct batch *take(struct trade *trade, struct queue *queue, uint64_t *left)
{
    struct batch *batch = NULL;

    pthread_mutex_lock(&trade->lock);
    while (*left > 0 && queue->count == 0)
        pthread_cond_wait(&queue->filled, &trade->lock);
    if (*left > 0) {
        batch = queue->batches[--queue->count];
        if (--*left == 0)
            pthread_cond_broadcast(&queue->filled);
    }
    pthread_mutex_unlock(&trade->lock);
    return batch;
}

static void produce(struct hand *hand, struct trade *trade)
{
    struct batch *batch;

    while ((batch = take(trade, &trade->empty, &trade->to_make)) != NULL) {
        fill(hand, batch);
        put(trade, &trade->full, batch);
    }
}

static void consume(struct trade *trade)
{
    struct batch *batch;

    while ((batch = take(trade, &trade->full, &trade->to_take)) != NULL) {
        empty(batch);
        put(trade, &trade->empty, batch);
    }
}

static void trade_alone(struct hand *hand, struct trade *trade)
{
    while (trade->to_take > 0) {
        while (trade->empty.count > 0 && trade->to_make > 0) {
            struct batch *batch = take(trade, &trade->empty, &trade->to_make);
            fill(hand, batch);
            put(trade, &trade->full, batch);
        }
        while (trade->full.count > 0) {
            struct batch *batch = take(trade, &trade->full, &trade->to_take);
            empty(batch);
            put(trade, &trade->empty, batch);
        }
    }
}

static void xmalloc_body(struct hand *hand)
{
    struct trade *trade = hand->shared;

    hand_start(hand);
    if (hand_run(hand)->threads == 1)
        trade_alone(hand, trade);
    else if (hand->number < trade->producers)
        produce(hand, trade);
    else
        consume(trade);
    hand_stop(hand);
}

static void queue_make(struct queue *queue, unsigned capacity)
{
    queue->batches = table_make(capacity, sizeof(struct batch *));
    queue->wake_at = BATCHES / 2;
    pthread_cond_init(&queue->filled, NULL);
}

static void xmalloc_run(struct run *run)
{
    struct trade trade = {.lock = PTHREAD_MUTEX_INITIALIZER};
    unsigned batches = BATCHES + run->threads;
    struct batch *all = table_make(batches, sizeof *all);
    uint64_t work = (uint64_t)CELLS_IN_ALL / BATCH_CELLS * run->percent / 100;

    trade.producers = run->threads / 2;
    trade.to_make = trade.to_take = work > 0 ? work : 1;
    queue_make(&trade.full, batches);
    queue_make(&trade.empty, batches);
    for (unsigned i = 0; i < batches; i++)
        trade.empty.batches[trade.empty.count++] = &all[i];
    team_run(run, xmalloc_body, &trade);
}

const struct workload workload_xmalloc = {
    .name = "xmalloc",
    .run = xmalloc_run,
    .threads = true,
    .figures = FIGURES_TIME,
    .description = "Allocate here, free there: producers hand batches of 16 to 2,048 bytes each "
                   "through a queue to consumers.",
};
