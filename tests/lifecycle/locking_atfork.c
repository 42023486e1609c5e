/*
 * A library to preload beside the allocator. Its fork handlers are registered before those of any
 * other library but the allocator. They allocate; and they take a mutex that a thread of this
 * library holds while it allocates, in short turns without end. So an allocator that has taken its
 * own locks when `prepare` runs here waits for that thread, and that thread for the allocator.
 */
#include <pthread.h>

#include "check.h"
#include "names.h"

static pthread_mutex_t turns = PTHREAD_MUTEX_INITIALIZER;
static void *kept; /* under `turns` */

static void use_heap(void)
{
    void *small = malloc(opaque_size(40));
    void *large = malloc(opaque_size(200000));
    CHECK(small != NULL && large != NULL);
    free(kept);
    kept = small;
    large = realloc(large, opaque_size(400000));
    CHECK(large != NULL);
    free(large);
}

static void *take_turns(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&turns);
        for (int i = 0; i < 20; i++) {
            free(kept);
            kept = malloc(opaque_size(100));
            CHECK(kept != NULL);
        }
        pthread_mutex_unlock(&turns);
    }
    return NULL;
}

static void before(void)
{
    CHECK(pthread_mutex_lock(&turns) == 0);
    use_heap();
}

static void after(void)
{
    use_heap();
    CHECK(pthread_mutex_unlock(&turns) == 0);
}

__attribute__((constructor(101))) static void register_early(void)
{
    pthread_t thread;
    CHECK(pthread_atfork(before, after, after) == 0);
    CHECK(pthread_create(&thread, NULL, take_turns, NULL) == 0);
    CHECK(pthread_detach(thread) == 0);
}
