/*
 * Metas (spans/metas.c): records that go from and to the stack of free ones by compare-and-swap,
 * while others take, give, make new ones, or trim. A record that has gone and come back must not be
 * taken for the same. Whoever has one writes into it; it reads as zero when it is taken; and in the
 * end each is in the stack, once.
 */
#include "scenarios.h"

#include "spans/metas.h"

#define RECORDS 3
#define RECORD_BYTES 64

struct record {
    struct meta head;
    uint64_t holder;
    char unused[RECORD_BYTES - sizeof(struct meta) - sizeof(uint64_t)];
};
static_assert(sizeof(struct record) == RECORD_BYTES, "a record of the pool");

static struct meta_pool pool =
    META_POOL_WITH_FIRST(RECORD_BYTES, LOCK_RANK_ENGINE_METAS, RECORDS + 2);

static struct record *take(unsigned number)
{
    struct record *record = (struct record *)meta_take(&pool);
    MUST(record != NULL);
    MUST(record->holder == 0);
    record->holder = number + 1;
    return record;
}

static void give(struct record *record, unsigned number)
{
    MUST(record->holder == number + 1);
    MUST(meta_at(&pool, record->head.index) == &record->head);
    meta_give(&pool, &record->head);
}

static void free_records(void)
{
    struct record *records[RECORDS];
    for (size_t i = 0; i < RECORDS; i++)
        records[i] = take(0);
    for (size_t i = 0; i < RECORDS; i++)
        give(records[i], 0);
}

/* So many in all; each is in the stack, or not made yet. */
static void verify_free(void)
{
    uint32_t end = meta_last(&pool);
    struct record *records[RECORDS + 2];
    for (uint32_t index = 1; index <= end; index++)
        MUST(meta_at(&pool, index) == NULL);
    for (uint32_t i = 0; i < end; i++) {
        records[i] = take(0);
        for (uint32_t j = 0; j < i; j++)
            MUST(records[j] != records[i]);
    }
    MUST(meta_last(&pool) == end);
}

/* The first takes two and puts back the first, the top one as before: but another is below. */
static void take_and_give(unsigned number)
{
    struct record *first = take(number);
    if (number == 0) {
        struct record *second = take(number);
        give(first, number);
        give(second, number);
    } else {
        give(first, number);
    }
}

const struct scenario scenario_metas = {
    .name = "metas",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {4, 3},
    .set_up = free_records,
    .thread = take_and_give,
    .verify = verify_free,
};

static void take_give_and_trim(unsigned number)
{
    if (number == 0)
        give(take(number), number);
    else
        metas_trim(&pool);
}

const struct scenario scenario_metas_trim = {
    .name = "metas-trim",
    .threads = 2,
    .bounds = {3, 2},
    .wider = {4, 3},
    .set_up = free_records,
    .thread = take_give_and_trim,
    .verify = verify_free,
};

/* None is free: new ones are made, with the lock. */
static void nothing(void)
{
}

static void make_and_give(unsigned number)
{
    give(take(number), number);
}

const struct scenario scenario_metas_new = {
    .name = "metas-new",
    .threads = 2,
    .bounds = {3, 1},
    .wider = {4, 2},
    .set_up = nothing,
    .thread = make_and_give,
    .verify = verify_free,
};
