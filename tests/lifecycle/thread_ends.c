/*
 * Threads that end while memory is still asked for: pthread_key destructors that allocate in all
 * four rounds, a first allocating thread that exits, blocks that outlive the thread they came
 * from, and a main thread that leaves by pthread_exit while another allocates on.
 */
#include <pthread.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { ROUNDS = 4 }; /* PTHREAD_DESTRUCTOR_ITERATIONS, which POSIX guarantees */
enum { FREES_IN_LAST_ROUND = 300 };

static pthread_key_t key;

struct rounds {
    int done;
    void *blocks[FREES_IN_LAST_ROUND];
};

static int rounds_seen;

static void use_heap(void)
{
    for (size_t size = 1; size < 300000; size = size * 3 + 5) {
        unsigned char *block = malloc(opaque_size(size));
        CHECK(block != NULL);
        memset(block, 0x66, size);
        CHECK(is_filled(block, 0x66, size));
        free(block);
    }
}

/* Each round allocates and sets the key again, which asks for the next round. */
static void destroy_rounds(void *value)
{
    struct rounds *rounds = value;
    use_heap();
    rounds->done++;
    __atomic_store_n(&rounds_seen, rounds->done, __ATOMIC_RELAXED);
    if (rounds->done < ROUNDS) {
        CHECK(pthread_setspecific(key, rounds) == 0);
        return;
    }
    for (size_t i = 0; i < FREES_IN_LAST_ROUND; i++)
        free(rounds->blocks[i]);
    free(rounds);
}

static void *leave_rounds_behind(void *unused)
{
    (void)unused;
    struct rounds *rounds = calloc(1, sizeof *rounds);
    CHECK(rounds != NULL);
    for (size_t i = 0; i < FREES_IN_LAST_ROUND; i++) {
        rounds->blocks[i] = malloc(opaque_size(i * 7));
        CHECK(rounds->blocks[i] != NULL);
    }
    CHECK(pthread_setspecific(key, rounds) == 0);
    return NULL;
}

static void *make_block(void *size)
{
    unsigned char *block = malloc((size_t)(uintptr_t)size);
    CHECK(block != NULL);
    memset(block, 0x33, (size_t)(uintptr_t)size);
    return block;
}

static pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static void blocks_outlive_their_threads(void)
{
    for (size_t size = 1; size < 500000; size = size * 2 + 1) {
        void *block = NULL;
        CHECK(pthread_join(start(make_block, (void *)(uintptr_t)size), &block) == 0);
        CHECK(is_filled(block, 0x33, size));
        block = realloc(block, opaque_size(size + 100));
        CHECK(block != NULL && is_filled(block, 0x33, size));
        free(block);
    }
}

static void *allocate_on_after_main(void *main_thread)
{
    CHECK(pthread_join(*(pthread_t *)main_thread, NULL) == 0);
    for (int i = 0; i < 200; i++)
        use_heap();
    static const char text[] = "after main\n";
    CHECK(write(STDOUT_FILENO, text, sizeof text - 1) > 0);
    _exit(0);
}

int main(void)
{
    require_duet();
    /* The first to allocate in this process's own code is a thread that then exits. */
    blocks_outlive_their_threads();

    CHECK(pthread_key_create(&key, destroy_rounds) == 0);
    for (int i = 0; i < 50; i++) {
        __atomic_store_n(&rounds_seen, 0, __ATOMIC_RELAXED);
        CHECK(pthread_join(start(leave_rounds_behind, NULL), NULL) == 0);
        CHECK(__atomic_load_n(&rounds_seen, __ATOMIC_RELAXED) == ROUNDS);
    }

    static pthread_t main_thread;
    main_thread = pthread_self();
    start(allocate_on_after_main, &main_thread);
    use_heap();
    pthread_exit(NULL);
}
