/*
 * What if the system has little to give? Each case runs the scenario (support/scenario.h) under a
 * real limit, in a process of its own:
 *
 *   address-space  RLIMIT_AS, from 64 MiB to 1 GiB, from before the library is mapped
 *   data           RLIMIT_DATA, likewise: what is reserved does not count, until it is opened
 *   mappings       all mappings of vm.max_map_count are taken but a few: what would split one fails
 *   locked         mlockall with a low RLIMIT_MEMLOCK: no page can be purged, and few can be had
 *   cgroup         a limit for the memory of a control group, whose breach is not told but punished
 *   39-bits        addresses end at 2^39, as on some aarch64: all above is taken
 *
 * Allocations may be refused; all that the scenario verifies must hold. Where the limit can be
 * lifted nothing is refused afterwards; and of few mappings, nothing was lost.
 *
 * Usage: limits CASE. Ends with SKIPPED where this system does not let it.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "engine_facts.h"
#include "heap_stats.h"
#include "in_child.h"
#include "invariants.h"
#include "names.h"
#include "scenario.h"

enum { SKIPPED = 77 };

#define MIB ((size_t)1 << 20)

/* ---- Processes ---------------------------------------------------------------------------- */

static void require_passed(int status, const char *what, size_t argument)
{
    if (status == 0)
        return;
    if (status == SKIPPED) {
        printf("limits: %s: skipped: this system does not let it\n", what);
        exit(SKIPPED);
    }
    fprintf(stderr, "limits: %s %zu: failed (%s %d)\n", what, argument,
            status > 0 ? "status" : "signal", status > 0 ? status : -status);
    exit(1);
}

/* With each number in turn. Those that this system does not let be tried hide no others. */
static void require_for_each(void (*body)(void *number), const size_t *numbers, size_t count,
                             const char *what)
{
    bool skipped = false;
    for (size_t i = 0; i < count; i++) {
        int status = status_in_child(body, (void *)(uintptr_t)numbers[i]);
        if (status == SKIPPED)
            skipped = true;
        else
            require_passed(status, what, numbers[i]);
    }
    require_passed(skipped ? SKIPPED : 0, what, 0);
}

/* ---- All that there is -------------------------------------------------------------------- */

struct link {
    struct link *next;
    size_t size;
};

static struct link *links;

/* What is filled of a block, behind the link: a page is enough to see that nobody else has it. */
static size_t filled_of(size_t size)
{
    const size_t most = 4096;
    return size < most ? size - sizeof(struct link) : most - sizeof(struct link);
}

/* Takes blocks of a size until there are no more, or `most` bytes. Returns how many bytes. */
static size_t take_until_refused(size_t size, size_t most)
{
    size_t total = 0;
    errno = 0;
    for (struct link *link; total < most && (link = malloc(size)) != NULL; total += size) {
        *link = (struct link){.next = links, .size = size};
        memset(link + 1, 0x5a, filled_of(size));
        links = link;
    }
    CHECK(total >= most || errno == ENOMEM);
    return total;
}

static void free_all_links(void)
{
    for (struct link *link = links, *next; link != NULL; link = next) {
        next = link->next;
        CHECK(is_filled(link + 1, 0x5a, filled_of(link->size)));
        errno = SCENARIO_ERRNO;
        free(link);
        CHECK(errno == SCENARIO_ERRNO);
    }
    links = NULL;
}

/* ---- Limits of the process ---------------------------------------------------------------- */

/* What can be had at least once the program, its libraries and the stacks of two threads are there,
 * of 8 MiB each, and so much memory as a heap may keep. */
static size_t useful_bytes(size_t limit)
{
    const size_t others = 28 * MIB;
    return (limit - others) / 2;
}

/* All cells have a page at least, and pages take time. */
#define CELLS_OF_LIMIT ((size_t)15000)

/* After exec, under the limit. All of it is had, and had again once it is free, by blocks of any
 * size, whatever was done in between. */
static void use_limited(size_t limit)
{
    scenario();
    size_t useful = useful_bytes(limit);
    size_t before = take_until_refused(MIB, limit);
    CHECK(before >= useful || engine_facts()->keeps_small_memory);
    free_all_links();
    size_t cells = take_until_refused(limit / CELLS_OF_LIMIT, limit);
    CHECK(cells >= useful / 2);
    free_all_links();
    scenario();
    check_invariants();
    trim_heap();
    check_invariants();
    if (!engine_facts()->keeps_small_memory)
        CHECK(take_until_refused(MIB, limit) >= before - before / 4);
    free_all_links();
    void *last = malloc(1000);
    CHECK(last != NULL);
    free(last);
}

/* The library is to be mapped under the limit, too. */
static void execute_under(int resource, const char *name, size_t mib)
{
    char number[32];
    snprintf(number, sizeof number, "%zu", mib);
    struct rlimit limit = {mib * MIB, mib * MIB};
    if (setrlimit((__rlimit_resource_t)resource, &limit) != 0)
        _exit(SKIPPED);
    execl("/proc/self/exe", "limits", name, number, (char *)NULL);
    _exit(2);
}

static void execute_with_address_space(void *number)
{
    size_t mib = (uintptr_t)number;
    execute_under(RLIMIT_AS, "address-space", mib);
}

static void execute_with_data(void *number)
{
    size_t mib = (uintptr_t)number;
    execute_under(RLIMIT_DATA, "data", mib);
}

/* ---- Mappings ----------------------------------------------------------------------------- */

/* A process that may have more takes too long to fill up. */
enum { MAPPINGS_MOST = 1 << 18 };

static size_t read_number(const char *path)
{
    char text[32] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    return length > 0 ? strtoul(text, NULL, 10) : 0;
}

static char *foreign; /* every other page is another mapping */
static size_t foreign_pages;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Leaves room for so many mappings: for nearly as many, since they come by twos. */
static void take_all_mappings_but(size_t left)
{
    size_t page = page_bytes(), most = read_number("/proc/sys/vm/max_map_count");
    if (most == 0 || most > MAPPINGS_MOST)
        _exit(SKIPPED);
    foreign_pages = most + 2;
    foreign = mmap(NULL, foreign_pages * page, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(foreign != MAP_FAILED);
    size_t at = 1;
    while (at < foreign_pages && mprotect(foreign + at * page, page, PROT_READ) == 0)
        at += 2;
    CHECK(at < foreign_pages && errno == ENOMEM);
    for (size_t i = 0; i < left / 2; i++)
        CHECK(mprotect(foreign + (at -= 2) * page, page, PROT_NONE) == 0);
}

static void use_few_mappings(void *number)
{
    size_t left = (uintptr_t)number;
    CHECK(scenario() == 0);
    trim_heap();
    struct duet_heap_stats before = heap_stats();
    take_all_mappings_but(left);
    for (unsigned round = 0; round < 3; round++) {
        scenario();
        check_invariants();
        take_until_refused(3 * MIB, 100 * MIB);
        take_until_refused(300, 10 * MIB);
        free_all_links();
        trim_heap();
    }
    CHECK(munmap(foreign, foreign_pages * page_bytes()) == 0);
    check_invariants();
    CHECK(scenario() == 0);
    trim_heap();
    check_invariants();
    struct duet_heap_stats after = heap_stats();
    CHECK(after.cells == before.cells && after.large_blocks == before.large_blocks);
    CHECK(after.held_bytes <= before.held_bytes + 16 * MIB || engine_facts()->keeps_small_memory);
}

/* ---- Locked memory ------------------------------------------------------------------------ */

/* What is only reserved counts as locked, too, and so does all of the address table's leaf: with
 * less than this an engine may get no memory at all. */
#define LOCKED_LEAST_BYTES (12 * MIB)

/* Root may lock what it likes, so it is not root any more. */
static void use_locked(void *number)
{
    size_t mib = (uintptr_t)number;
    const uid_t nobody = 65534;
    size_t before = statm_bytes(0);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    limit.rlim_cur = before + mib * MIB < limit.rlim_max ? before + mib * MIB : limit.rlim_max;
    bool root = geteuid() == 0;
    if (limit.rlim_cur < before + MIB || setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        (root && setresuid(nobody, nobody, nobody) != 0) || mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        _exit(SKIPPED);
    for (unsigned round = 0; round < 3; round++) {
        scenario();
        check_invariants();
        size_t taken = take_until_refused(10000, limit.rlim_cur);
        CHECK(taken >= MIB || limit.rlim_cur < before + LOCKED_LEAST_BYTES);
        free_all_links();
        trim_heap();
    }
    CHECK(munlockall() == 0);
    check_invariants();
    CHECK(scenario() == 0);
}

/* ---- A control group ---------------------------------------------------------------------- */

static bool write_text(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    close(file);
    return written;
}

/* The option limit= says half of it (CMakeLists.txt), so that what is idle goes in time. */
#define GROUP_BYTES ((size_t)64 << 20)
#define GROUP_LIVE_BYTES ((size_t)24 << 20)

static void touch_all_pages(void)
{
    for (struct link *link = links; link != NULL; link = link->next)
        for (size_t at = 4096; at < link->size; at += 4096)
            ((char *)link)[at] = 1;
}

/* A good third of the limit is live at a time, of one size after the other: all of them together
 * would be twice the limit. */
static void use_a_third_of_group(void)
{
    static const size_t sizes[] = {64, 1000, 5000, 20000, 300000, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK(take_until_refused(sizes[i], GROUP_LIVE_BYTES) >= GROUP_LIVE_BYTES);
        touch_all_pages();
        free_all_links();
    }
}

static void enter_group_and_use(void *folder)
{
    char number[32];
    snprintf(number, sizeof number, "%ld", (long)getpid());
    if (!write_text(folder, "cgroup.procs", number))
        _exit(SKIPPED);
    use_a_third_of_group();
}

/* Both versions of them. */
static int run_in_group(const char *above, const char *limit_name)
{
    char folder[128], number[32];
    snprintf(folder, sizeof folder, "%s/duet-limits-%ld", above, (long)getpid());
    snprintf(number, sizeof number, "%zu", GROUP_BYTES);
    if (mkdir(folder, 0755) != 0)
        return SKIPPED;
    int status = SKIPPED;
    if (write_text(folder, limit_name, number)) {
        write_text(folder, "memory.swap.max", "0");
        write_text(folder, "memory.swappiness", "0");
        status = status_in_child(enter_group_and_use, folder);
    }
    for (unsigned tries = 0; rmdir(folder) != 0 && tries < 100; tries++)
        usleep(10000); /* a child that was killed is still on its way out */
    return status;
}

/* An engine that keeps small memory needs as much for each size: that is its design. */
static void run_cgroup(void)
{
    int status = run_in_group("/sys/fs/cgroup", "memory.max");
    if (status == SKIPPED)
        status = run_in_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes");
    if (engine_facts()->keeps_small_memory && status == -SIGKILL) {
        printf("limits: cgroup: killed, since this engine keeps small memory for its class\n");
        status = 0;
    }
    require_passed(status, "cgroup", GROUP_BYTES / MIB);
}

/* ---- Few addresses ------------------------------------------------------------------------ */

#define FEW_ADDRESSES ((uintptr_t)1 << 39)
#define ALL_ADDRESSES ((uintptr_t)1 << 47) /* what Linux hands out on x86-64 unless asked */
#define STACK_ROOM ((uintptr_t)64 << 20)   /* left below the stack; no mapping is put there */

static void take_addresses(uintptr_t from, uintptr_t to)
{
    if (from < to)
        CHECK(mmap((void *)from, to - from, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                   0) == (void *)from);
}

struct range {
    uintptr_t start, end;
};

/* The next mapping of /proc/self/maps, read byte by byte, with no memory of the heap. */
static bool next_mapping(int file, struct range *range)
{
    uintptr_t number = 0;
    unsigned field = 0;
    for (char byte; read(file, &byte, 1) == 1 && byte != '\n';) {
        bool is_digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
        if (field < 2 && is_digit)
            number = number * 16 + (uintptr_t)(byte <= '9' ? byte - '0' : byte - 'a' + 10);
        if (field < 2 && !is_digit) {
            *(field++ == 0 ? &range->start : &range->end) = number;
            number = 0;
        }
    }
    return field == 2;
}

/* All between mappings, and below them. Above them the kernel puts nothing. */
static void take_high_addresses(void)
{
    enum { RANGES_MOST = 512 };
    static struct range ranges[RANGES_MOST];
    size_t count = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    while (count < RANGES_MOST && next_mapping(file, &ranges[count]))
        count++;
    close(file);
    CHECK(count < RANGES_MOST);
    uintptr_t end = FEW_ADDRESSES;
    for (size_t i = 0; i < count && ranges[i].start < ALL_ADDRESSES; i++) {
        if (ranges[i].end <= FEW_ADDRESSES)
            continue;
        uintptr_t local = (uintptr_t)&count;
        bool is_stack = ranges[i].start <= local && local < ranges[i].end;
        take_addresses(end, ranges[i].start - (is_stack ? STACK_ROOM : 0));
        end = ranges[i].end;
    }
}

static void require_low(const void *ptr)
{
    CHECK(ptr != NULL && (uintptr_t)ptr < FEW_ADDRESSES);
}

static void use_few_addresses(void *unused)
{
    (void)unused;
    take_high_addresses();
    void *trial = mmap(NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require_low(trial);
    CHECK(scenario() == 0);
    void *blocks[] = {malloc(200000), malloc(3 * MIB), malloc(100 * MIB),
                      aligned_alloc(4 * MIB, MIB)};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        require_low(blocks[i]);
    errno = 0;
    CHECK(malloc(opaque_size(2 * FEW_ADDRESSES)) == NULL && errno == ENOMEM);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        free(blocks[i]);
    check_invariants();
}

/* ---- Cases -------------------------------------------------------------------------------- */

int main(int argument_count, char **arguments)
{
    static const size_t address_spaces[] = {64, 96, 128, 256, 1024}, data[] = {48, 64, 256},
                        left[] = {0, 2, 8, 40, 200}, locked[] = {4, 16}, once[] = {0};
    require_duet();
    CHECK(argument_count == 2 || argument_count == 3);
    const char *name = arguments[1];
    if (argument_count == 3)
        use_limited(strtoul(arguments[2], NULL, 10) * MIB);
    else if (strcmp(name, "address-space") == 0)
        require_for_each(execute_with_address_space, address_spaces, 5, name);
    else if (strcmp(name, "data") == 0)
        require_for_each(execute_with_data, data, 3, name);
    else if (strcmp(name, "mappings") == 0)
        require_for_each(use_few_mappings, left, 5, name);
    else if (strcmp(name, "locked") == 0)
        require_for_each(use_locked, locked, 2, name);
    else if (strcmp(name, "cgroup") == 0)
        run_cgroup();
    else if (strcmp(name, "39-bits") == 0)
        require_for_each(use_few_addresses, once, 1, name);
    else
        return 2; /* there is no such case */
    return 0;
}
