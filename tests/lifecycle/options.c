/*
 * A program for the tests of DUET_OPTIONS: allocates a little, and prints whether the kernel
 * holds it to be privileged (AT_SECURE). What else it does is up to its arguments:
 *
 *   options slots THREADS   so many threads at once allocate; prints 'slots N', those in use
 *   options large BYTES     allocates a block of that length; prints 'large', and 'no huge pages'
 *                           or 'huge pages' if the kernel was told to keep them off it, or asked
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

/* The flags of the mapping that an address is in, as /proc/self/smaps has them. */
static void flags_of_mapping(uintptr_t address, char *flags, size_t bytes)
{
    char line[4096];
    uintptr_t start = 0, end = 0, from, to;
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps != NULL);
    flags[0] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%zx-%zx ", &from, &to) == 2) {
            start = from;
            end = to;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && address >= start && address < end) {
            snprintf(flags, bytes, "%s", line);
        }
    }
    fclose(maps);
}

static void print_huge_pages(size_t size)
{
    char flags[256];
    void *block = malloc(opaque_size(size));
    CHECK(block != NULL);
    flags_of_mapping((uintptr_t)block + size / 2, flags, sizeof flags);
    free(block);
    if (strstr(flags, " nh") != NULL)
        puts("large, no huge pages");
    else
        puts(strstr(flags, " hg") != NULL ? "large, huge pages" : "large");
}

static pthread_barrier_t all_have_allocated;

static void *run(void *unused)
{
    use_heap(1000);
    pthread_barrier_wait(&all_have_allocated);
    return unused;
}

static void print_slots_in_use(unsigned long threads)
{
    pthread_t *running = calloc(threads, sizeof *running);
    CHECK(running != NULL);
    CHECK(pthread_barrier_init(&all_have_allocated, NULL, (unsigned)threads) == 0);
    for (unsigned long i = 0; i < threads; i++)
        CHECK(pthread_create(&running[i], NULL, run, NULL) == 0);
    for (unsigned long i = 0; i < threads; i++)
        CHECK(pthread_join(running[i], NULL) == 0);
    free(running);
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
        print_huge_pages(number);
    if (getauxval(AT_SECURE) != 0)
        puts("secure");
    else
        puts("plain");
    return 0;
}
