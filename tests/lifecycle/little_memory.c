/*
 * A process whose address space is limited to 64 MiB, by the `ulimit -v` of whoever starts it.
 * The library must be mapped all the same, serve most of what is left, say ENOMEM in the end,
 * and serve again once something was freed, with threads too.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "check.h"
#include "engine_facts.h"
#include "memory.h"
#include "names.h"

#define LIMIT_BYTES ((size_t)64 << 20)

/* What must reach the program: half the limit, less what the address table takes where memory lies
 * on both sides of a border of its leaves, as chance has it one time in 300. */
#define USEFUL_BYTES (LIMIT_BYTES / 2 - ((size_t)8 << 20))

struct link {
    struct link *next;
    size_t size;
};

/* Takes blocks of `size` until there are no more; returns how many bytes they are. */
static size_t exhaust(struct link **head, size_t size)
{
    size_t total = 0;
    errno = 0;
    for (struct link *link; (link = malloc(size)) != NULL; total += size) {
        memset(link, 0x55, size);
        *link = (struct link){.next = *head, .size = size};
        *head = link;
        CHECK(total < LIMIT_BYTES);
    }
    CHECK(errno == ENOMEM);
    return total;
}

static void free_all(struct link **head)
{
    while (*head != NULL) {
        struct link *link = *head;
        *head = link->next;
        CHECK(is_filled(link + 1, 0x55, link->size - sizeof *link));
        free(link);
    }
}

static void *use_heap(void *unused)
{
    for (size_t size = 16; size < 60000; size *= 2) {
        unsigned char *block = malloc(opaque_size(size));
        CHECK(block != NULL);
        memset(block, 0x44, size);
        free(block);
    }
    return unused;
}

static void use_threads(void)
{
    enum { THREADS = 8, STACK_BYTES = 256 * 1024 };
    pthread_attr_t small_stack;
    CHECK(pthread_attr_init(&small_stack) == 0);
    CHECK(pthread_attr_setstacksize(&small_stack, STACK_BYTES) == 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], &small_stack, use_heap, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_attr_destroy(&small_stack) == 0);
}

int main(void)
{
    require_duet();
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    CHECK(limit.rlim_cur == LIMIT_BYTES);
    use_threads();

    struct link *head = NULL;
    for (int round = 0; round < 3; round++) {
        CHECK(exhaust(&head, 1 << 20) >= USEFUL_BYTES);
        free_all(&head);
    }
    for (int round = 0; round < 2; round++) {
        CHECK(exhaust(&head, 200) >= USEFUL_BYTES / 2);
        free_all(&head);
    }
    if (!engine_facts()->keeps_small_memory) {
        CHECK(exhaust(&head, 1 << 20) >= USEFUL_BYTES);
        free_all(&head);
    }
    return 0;
}
