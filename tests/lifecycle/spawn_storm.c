/*
 * Children that share their parent's memory until they exec: posix_spawn and vfork from several
 * threads at once while others allocate. A vfork child that allocates does so with its parent's
 * thread pointer in its parent's heap, and what it leaves behind must be usable there.
 *
 * Usage: spawn_storm CHILDREN (of each kind and thread)
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { SPAWNERS = 4, CHURNERS = 2 };

extern char **environ;

static int stopping;
static int children;

static void use_heap(void)
{
    for (size_t size = 1; size < 200000; size = size * 4 + 3) {
        unsigned char *block = malloc(opaque_size(size));
        CHECK(block != NULL);
        memset(block, 0x21, size);
        CHECK(is_filled(block, 0x21, size));
        free(block);
    }
}

static void *churn(void *unused)
{
    while (__atomic_load_n(&stopping, __ATOMIC_RELAXED) == 0)
        use_heap();
    return unused;
}

static void wait_for(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *volatile left_by_child;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void allocate_in_vfork_child(void)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    CHECK(pthread_mutex_lock(&one_at_a_time) == 0);
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) {
        use_heap();
        left_by_child = malloc(opaque_size(100));
        _exit(left_by_child == NULL);
    }
    wait_for(child);
    CHECK(left_by_child != NULL);
    free(left_by_child);
    CHECK(pthread_mutex_unlock(&one_at_a_time) == 0);
}
#pragma GCC diagnostic pop

static void *spawn(void *unused)
{
    static char name[] = "true";
    static char *arguments[] = {name, NULL};
    for (int i = 0; i < children; i++) {
        pid_t child = 0;
        use_heap();
        CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0);
        use_heap();
        wait_for(child);
        if (!UNDER_SANITIZER) /* they do not follow a child into its parent's memory */
            allocate_in_vfork_child();
    }
    return unused;
}

int main(int count, char **arguments)
{
    require_duet();
    children = count > 1 ? atoi(arguments[1]) : 20;
    pthread_t threads[SPAWNERS + CHURNERS];
    for (int i = 0; i < SPAWNERS + CHURNERS; i++)
        CHECK(pthread_create(&threads[i], NULL, i < SPAWNERS ? spawn : churn, NULL) == 0);
    for (int i = 0; i < SPAWNERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (int i = SPAWNERS; i < SPAWNERS + CHURNERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
