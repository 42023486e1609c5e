/*
 * A program for the tests of DUET_OPTIONS: allocates a little, and prints whether the kernel
 * holds it to be privileged (AT_SECURE). What else it does is up to its arguments:
 *
 *   options slots THREADS   each of so many threads allocates; prints 'slots N', those in use
 *   options large BYTES     allocates and frees a block of that length
 *
 * Compiled with -DHAS_DEFAULTS it brings options along.
 */
#include <pthread.h>
#include <sys/auxv.h>

#include "check.h"
#include "heap_stats.h"
#include "names.h"

#ifdef HAS_DEFAULTS
extern const char *duet_default_options;
const char *duet_default_options = "no_such_key_in_program=1,slots=5";
#endif

static void use_heap(size_t size)
{
    void *block = malloc(opaque_size(size));
    CHECK(block != NULL);
    free(block);
}

static void *run(void *unused)
{
    use_heap(1000);
    return unused;
}

static void print_slots_in_use(unsigned long threads)
{
    for (unsigned long i = 0; i < threads; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, run, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    printf("slots %zu\n", heap_stats().slots);
}

int main(int count, char **arguments)
{
    require_duet();
    use_heap(1000);
    unsigned long number = count == 3 ? strtoul(arguments[2], NULL, 10) : 0;
    if (number > 0 && strcmp(arguments[1], "slots") == 0)
        print_slots_in_use(number);
    else if (number > 0 && strcmp(arguments[1], "large") == 0)
        use_heap(number);
    if (getauxval(AT_SECURE) != 0)
        puts("secure");
    else
        puts("plain");
    return 0;
}
