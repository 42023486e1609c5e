/*
 * server: what a web server asks of an allocator. A request brings a buffer that its bytes were
 * read into, a few dozen strings (method, path, headers), a table of them that grows by realloc,
 * and an answer in a few pieces; all of it is gone when the request is answered. A session lasts
 * for many requests: now and then one is looked up, which may be in another thread than it was
 * seen in before, and its values are replaced.
 */
#include "cell.h"
#include "exchange.h"
#include "support.h"

enum {
    STRINGS_LEAST = 8,
    STRINGS_MOST = 48,
    STRING_LEAST_LOG = 3, /* 8 bytes to below 512, fewer the longer they are */
    STRING_LIMIT_LOG = 9,
    TABLE_STEP = 8, /* strings for which the table has room at first, and more each time */
    READ_BYTES = 8192,
    PIECES_MOST = 3,
    PIECE_LEAST_LOG = 8, /* of an answer: 256 bytes to below 32 KiB */
    PIECE_LIMIT_LOG = 15,
    UPLOAD_ONCE_IN = 200,
    UPLOAD_LEAST_LOG = 16, /* 64 KiB to below 512 KiB */
    UPLOAD_LIMIT_LOG = 19,
    SESSIONS = 4096, /* of all threads together */
    SESSION_ONCE_IN = 4,
    VALUES = 8, /* of a session */
    VALUE_LEAST_LOG = 4,
    VALUE_LIMIT_LOG = 12,
};
#define REQUESTS_IN_ALL 350000

struct session {
    struct cell values[VALUES];
};

struct request {
    struct cell buffer;
    struct cell table;
    struct cell strings[STRINGS_MOST];
    size_t count;
    struct cell pieces[PIECES_MOST];
    size_t piece_count;
};

struct server {
    struct exchange sessions;
    struct session *spare; /* of each thread, to swap with */
};

static void read_request(struct hand *hand, struct request *request)
{
    size_t bytes = READ_BYTES;

    if (random_once_in(&hand->random, UPLOAD_ONCE_IN))
        bytes = random_log(&hand->random, UPLOAD_LEAST_LOG, UPLOAD_LIMIT_LOG);
    cell_make(hand, &request->buffer, bytes);
}

/* The table's place moves with its size; its stamp is checked before, and its start after. */
static void grow_table(struct hand *hand, struct cell *table)
{
    size_t bytes = table->bytes + TABLE_STEP * sizeof(void *);
    uint64_t stamp = cell_stamp(table);

    cell_check(table);
    cell_adopt(hand, table, realloc(escaped(table->start), bytes), bytes,
               cell_natural_align(bytes));
    if (*(const cell_word *)table->start != stamp)
        cell_has_lost(table, 0);
    cell_write_stamp(table);
}

static void parse_request(struct hand *hand, struct request *request)
{
    request->count = random_between(&hand->random, STRINGS_LEAST, STRINGS_MOST);
    cell_make(hand, &request->table, TABLE_STEP * sizeof(void *));
    for (size_t i = 0; i < request->count; i++) {
        if (i > 0 && i % TABLE_STEP == 0)
            grow_table(hand, &request->table);
        cell_make(hand, &request->strings[i],
                  random_power(&hand->random, STRING_LEAST_LOG, STRING_LIMIT_LOG));
    }
}

static void update_session(struct hand *hand, struct session *session)
{
    size_t count = random_between(&hand->random, 1, VALUES);

    for (size_t i = 0; i < count; i++) {
        struct cell *value = &session->values[random_below(&hand->random, VALUES)];
        cell_drop_any(value);
        cell_make(hand, value, random_power(&hand->random, VALUE_LEAST_LOG, VALUE_LIMIT_LOG));
    }
}

static void answer_request(struct hand *hand, struct request *request)
{
    request->piece_count = random_between(&hand->random, 1, PIECES_MOST);
    for (size_t i = 0; i < request->piece_count; i++)
        cell_make(hand, &request->pieces[i],
                  random_log(&hand->random, PIECE_LEAST_LOG, PIECE_LIMIT_LOG));
}

static void end_request(const struct request *request)
{
    cell_drop(&request->buffer);
    for (size_t i = 0; i < request->piece_count; i++)
        cell_drop(&request->pieces[i]);
    for (size_t i = 0; i < request->count; i++)
        cell_drop(&request->strings[i]);
    cell_drop(&request->table);
}

static void server_body(struct hand *hand)
{
    struct server *server = hand->shared;
    struct session *session = &server->spare[hand->number];
    uint64_t requests = hand_share(hand, REQUESTS_IN_ALL);
    struct request request;

    hand_start(hand);
    for (uint64_t i = 0; i < requests; i++) {
        read_request(hand, &request);
        parse_request(hand, &request);
        if (random_once_in(&hand->random, SESSION_ONCE_IN)) {
            session = exchange_swap_any(&server->sessions, hand, session);
            update_session(hand, session);
        }
        answer_request(hand, &request);
        end_request(&request);
    }
    hand_stop(hand);
    for (size_t i = 0; i < VALUES; i++)
        cell_drop_any(&session->values[i]);
}

static void server_run(struct run *run)
{
    struct server server = {.spare = table_make(run->threads, sizeof(struct session))};

    exchange_make(&server.sessions, SESSIONS, sizeof(struct session));
    team_run(run, server_body, &server);
    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *session = exchange_record(&server.sessions, i);
        for (size_t k = 0; k < VALUES; k++)
            cell_drop_any(&session->values[k]);
    }
}

const struct workload workload_server = {
    .name = "server",
    .run = server_run,
    .threads = true,
    .figures = FIGURES_BOTH,
    .description = "A web server: each request has strings, a table, a buffer and an answer, while "
                   "sessions live for long.",
};
