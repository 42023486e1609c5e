/*
 * vfork from a process with threads in the middle of malloc, whose children allocate before they
 * go: what POSIX forbids and real programs do (they open a directory to close the files that it
 * lists). A child runs in its parent's memory, on a CPU of its own. If it took its parent's place
 * in a slot while another thread is there, a block would be handed out twice.
 *
 * Usage: vfork_storm CHILDREN
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "memory.h"
#include "names.h"

enum { THREADS = 6, KEPT = 64, CHILDS_BLOCKS = 200, CHILDS_STATUS = 3 };

static int stopping;

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

struct kept {
    unsigned char *block;
    size_t size;
    unsigned char value;
};

static void replace(struct kept *kept, unsigned *random)
{
    for (size_t i = 0; i < kept->size; i++)
        CHECK(kept->block[i] == kept->value);
    free(kept->block);
    kept->size = 1 + next_random(random) % 400;
    kept->value = (unsigned char)next_random(random);
    kept->block = malloc(kept->size);
    CHECK(kept->block != NULL);
    memset(kept->block, kept->value, kept->size);
}

static void *churn(void *number)
{
    struct kept kept[KEPT] = {{NULL, 0, 0}};
    unsigned random = (unsigned)(size_t)number;
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED))
        replace(&kept[next_random(&random) % KEPT], &random);
    for (size_t i = 0; i < KEPT; i++)
        free(kept[i].block);
    return NULL;
}

static void allocate_in_child(void)
{
    for (size_t i = 0; i < CHILDS_BLOCKS; i++) {
        unsigned char *block = malloc(1 + i);
        CHECK(block != NULL);
        memset(block, 0xff, 1 + i);
        free(block);
    }
}

/* In a function of its own: what it has on its stack is the child's, too. */
static void have_child(void)
{
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) {
        allocate_in_child();
        _exit(CHILDS_STATUS);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == CHILDS_STATUS);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
    for (unsigned long left = strtoul(argv[1], NULL, 10); left > 0; left--)
        have_child();
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
