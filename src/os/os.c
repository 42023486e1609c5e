/*
 * The kernel's calls for Linux.
 *
 * Alignment above a page costs more calls, since mmap knows only pages: a mapping of just the
 * length comes first, and is kept if it happens to be aligned. It often does, because the kernel
 * places mappings one below the other. Otherwise a longer one is made and its ends are trimmed;
 * a trim that the kernel refuses leaves untouched memory behind, which goes another time.
 */
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/config.h"
#include "base/fatal.h"
#include "base/thread.h"
#include "os/fault.h"

/* Back-off: what is waited for takes some 10 ns if its holder runs, so pauses come first, twice as
 * many each round; then it was preempted, and needs the CPU; then a sleep. */
#define ROUNDS_OF_PAUSES 5
#define ROUNDS_OF_YIELDS 64
#define SLEEP_NS 50000

/* Of x86-64, and of aarch64 where pages have 4 KiB. A mapping that begins elsewhere than at a
 * multiple wastes a part at either end. */
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* On either side of tables, which who writes far before or behind a block must not meet. */
#define SPARSE_MARGIN_BYTES ((size_t)1 << 20)

/* The largest affinity mask that is asked for: that of 8,192 CPUs, the kernel's own limit. */
#define CPU_MASK_BYTES (8192 / 8)

#ifndef MADV_GUARD_INSTALL /* since Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#ifndef MADV_POPULATE_WRITE /* since Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

static size_t page_bytes;
static bool huge_pages_wanted;
static size_t held_bytes;
static size_t held_peak_bytes;

size_t os_page_bytes(void)
{
    size_t bytes = load_relaxed(&page_bytes);
    if (unlikely(bytes == 0)) {
        bytes = max_size(getauxval(AT_PAGESZ), DUET_LONG_PAGE_BYTES);
        if (!is_power_of_two(bytes) || bytes > PAGE_MOST_BYTES)
            fatal("the page size of this system is not supported");
        store_relaxed(&page_bytes, bytes);
    }
    return bytes;
}

static void hold(size_t length)
{
    size_t held = add_relaxed(&held_bytes, length) + length;
    raise_relaxed(&held_peak_bytes, held);
}

static void let_go(size_t length)
{
    sub_relaxed(&held_bytes, length);
}

size_t os_held_bytes(void)
{
    return load_relaxed(&held_bytes);
}

size_t os_held_peak_bytes(void)
{
    return load_relaxed(&held_peak_bytes);
}

/* The calls themselves, each errno-neutral. */

static char *call_mmap(void *hint, size_t length, int protection, int flags)
{
    int saved_errno = errno;
    void *start = MAP_FAILED;
    if (!fault_is_due(FAULT_MAP))
        start = mmap(hint, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    errno = saved_errno;
    return start == MAP_FAILED ? NULL : start;
}

static bool call_munmap(void *start, size_t length)
{
    int saved_errno = errno;
    int result = fault_is_due(FAULT_UNMAP) ? -1 : munmap(start, length);
    errno = saved_errno;
    return result == 0;
}

static char *call_mremap(void *start, size_t length, size_t new_length, int flags, void *target)
{
    int saved_errno = errno;
    void *moved = MAP_FAILED;
    if (!fault_is_due(FAULT_REMAP))
        moved = mremap(start, length, new_length, flags, target);
    errno = saved_errno;
    return moved == MAP_FAILED ? NULL : moved;
}

static bool call_madvise(void *start, size_t length, int advice)
{
    int saved_errno = errno;
    int result = fault_is_due(FAULT_ADVISE) ? -1 : madvise(start, length, advice);
    errno = saved_errno;
    return result == 0;
}

static bool call_mprotect(void *start, size_t length, int protection)
{
    int saved_errno = errno;
    int result = fault_is_due(FAULT_PROTECT) ? -1 : mprotect(start, length, protection);
    errno = saved_errno;
    return result == 0;
}

/* ---- What nobody wants any more ------------------------------------------------------------- */

/* Untouched memory that the kernel would not unmap, having too many mappings to split one. */
#define STRAYS 16
static struct stray {
    char *start;
    size_t length; /* 0: there is none; STRAY_BUSY: somebody is at it */
} strays[STRAYS];
static bool has_strays;
#define STRAY_BUSY ((size_t)1)

/* False: it stays, and nobody knows of it any more, since there are as many already. */
static bool discard(char *start, size_t length)
{
    if (call_munmap(start, length))
        return true;
    for (size_t i = 0; i < STRAYS; i++) {
        struct stray *stray = &strays[i];
        if (load_relaxed(&stray->length) != 0 || !cas_acquire(&stray->length, 0, STRAY_BUSY))
            continue;
        stray->start = start;
        store_release(&stray->length, length);
        /* Who takes it sees the lengths of others, too. */
        (void)exchange_acquire_release(&has_strays, true);
        return true;
    }
    return false;
}

/* Tries again, before more is mapped. */
static void unmap_strays(void)
{
    if (likely(!load_relaxed(&has_strays)) || !exchange_acquire(&has_strays, false))
        return;
    for (size_t i = 0; i < STRAYS; i++) {
        struct stray *stray = &strays[i];
        size_t length = load_relaxed(&stray->length);
        if (length <= STRAY_BUSY || !cas_acquire(&stray->length, length, STRAY_BUSY))
            continue;
        bool unmapped = call_munmap(stray->start, length);
        store_release(&stray->length, unmapped ? 0 : length);
        if (!unmapped)
            (void)exchange_acquire_release(&has_strays, true);
    }
}

void os_discard(void *start, size_t length)
{
    if (discard(start, length))
        let_go(length);
}

void os_unreserve(void *start, size_t length)
{
    discard(start, length);
}

/* ---- Mappings -------------------------------------------------------------------------------- */

/* Unmaps what lies outside [keep, keep + keep_length). */
static void trim_ends(char *start, size_t length, char *keep, size_t keep_length)
{
    size_t before = (size_t)(keep - start);
    size_t after = length - before - keep_length;
    if (before > 0)
        discard(start, before);
    if (after > 0)
        discard(keep + keep_length, after);
}

static char *map_aligned(size_t length, size_t align, int protection, int flags)
{
    size_t page = os_page_bytes();
    /* Where ours are longer than the kernel's (base/config.h), mappings come at its. */
    size_t comes_at = DUET_LONG_PAGE_BYTES ? PAGE_LEAST_BYTES : page;
    check(is_aligned(length, page) && is_power_of_two(align));
    align = max_size(align, page);
    unmap_strays();
    char *start = call_mmap(NULL, length, protection, flags);
    if (start == NULL || is_aligned((uintptr_t)start, align))
        return start;

    discard(start, length);
    size_t longer;
    if (__builtin_add_overflow(length, align - comes_at, &longer))
        return NULL;
    start = call_mmap(NULL, longer, protection, flags);
    if (start == NULL)
        return NULL;
    char *aligned = start + (-(uintptr_t)start & (align - 1));
    trim_ends(start, longer, aligned, length);
    return aligned;
}

/* Since Linux 6.7, MAP_STACK says as a side effect that a mapping is to have no huge pages; before,
 * it takes a call more. */
enum answer { UNKNOWN, YES, NO };

/* As strtoul, which is not to be had yet when the loader calls resolvers. */
static unsigned read_number(const char **text)
{
    unsigned number = 0;
    for (; **text >= '0' && **text <= '9' && number < 1000; ++*text)
        number = number * 10 + (unsigned)(**text - '0');
    return number;
}

static enum answer ask_kernel(void)
{
    struct utsname name;
    if (uname(&name) != 0)
        return NO;
    const char *release = name.release;
    unsigned major = read_number(&release);
    unsigned minor = *release == '.' ? (release++, read_number(&release)) : 0;
    return major > 6 || (major == 6 && minor >= 7) ? YES : NO;
}

static bool stacks_have_no_huge_pages(void)
{
    static int answer; /* enum answer */
    if (unlikely(load_relaxed(&answer) == UNKNOWN))
        store_relaxed(&answer, (int)ask_kernel());
    return load_relaxed(&answer) == YES;
}

void *os_map(size_t length, size_t align)
{
    bool huge = load_relaxed(&huge_pages_wanted);
    bool by_flag = !huge && stacks_have_no_huge_pages();
    int protection = PROT_READ | PROT_WRITE, flags = by_flag ? MAP_STACK : 0;
    void *start = NULL;
    if (huge && length >= HUGE_PAGE_BYTES)
        start = map_aligned(length, max_size(align, HUGE_PAGE_BYTES), protection, flags);
    if (start == NULL)
        start = map_aligned(length, align, protection, flags);
    if (start == NULL)
        return NULL;
    if (!by_flag)
        call_madvise(start, length, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    hold(length);
    return start;
}

void *os_map_sparse(size_t length)
{
    size_t margin = SPARSE_MARGIN_BYTES, all = margin + length + margin;
    char *reserved = call_mmap(NULL, all, PROT_NONE, MAP_NORESERVE);
    if (reserved == NULL)
        return NULL;
    if (!call_mprotect(reserved + margin, length, PROT_READ | PROT_WRITE)) {
        discard(reserved, all);
        return NULL;
    }
    call_madvise(reserved + margin, length, MADV_NOHUGEPAGE);
    return reserved + margin;
}

void os_unmap_sparse(void *start, size_t length)
{
    size_t margin = SPARSE_MARGIN_BYTES;
    discard((char *)start - margin, margin + length + margin);
}

void *os_reserve(size_t length, size_t align)
{
    void *start = map_aligned(length, align, PROT_NONE, MAP_NORESERVE);
    if (start != NULL)
        call_madvise(start, length, MADV_DONTDUMP);
    return start;
}

bool os_open(void *start, size_t length)
{
    if (!call_mprotect(start, length, PROT_READ | PROT_WRITE))
        return false;
    call_madvise(start, length, MADV_DODUMP);
    hold(length);
    return true;
}

bool os_unmap(void *start, size_t length)
{
    if (!call_munmap(start, length))
        return false;
    let_go(length);
    return true;
}

bool os_purge(void *start, size_t length)
{
    return call_madvise(start, length, MADV_DONTNEED);
}

bool os_look_for_pages(const void *start, size_t length, unsigned char *pages)
{
    int saved_errno = errno;
    if (DUET_LONG_PAGE_BYTES) /* the kernel's are shorter */
        return false;
    int result = fault_is_due(FAULT_LOOK) ? -1 : mincore((void *)(uintptr_t)start, length, pages);
    errno = saved_errno;
    return result == 0;
}

bool os_has_guards(void)
{
    static enum answer answer;
    if (unlikely(load_relaxed(&answer) == UNKNOWN)) {
        size_t page = os_page_bytes();
        char *probe = call_mmap(NULL, page, PROT_READ | PROT_WRITE, 0);
        bool has = probe != NULL && call_madvise(probe, page, MADV_GUARD_INSTALL);
        if (probe != NULL)
            discard(probe, page);
        cas_relaxed(&answer, UNKNOWN, has ? YES : NO);
    }
    return load_relaxed(&answer) == YES;
}

bool os_guard(void *start, size_t length)
{
    return call_madvise(start, length, MADV_GUARD_INSTALL);
}

bool os_unguard(void *start, size_t length)
{
    return call_madvise(start, length, MADV_GUARD_REMOVE);
}

bool os_protect(void *start, size_t length)
{
    return call_mprotect(start, length, PROT_NONE);
}

bool os_unprotect(void *start, size_t length)
{
    return call_mprotect(start, length, PROT_READ | PROT_WRITE);
}

void os_populate(void *start, size_t length)
{
    static bool refused;
    if (!load_relaxed(&refused) && !call_madvise(start, length, MADV_POPULATE_WRITE))
        store_relaxed(&refused, true);
}

bool os_resize(void *start, size_t length, size_t new_length)
{
    if (new_length < length)
        return os_unmap((char *)start + new_length, length - new_length);
    if (new_length > length) {
        if (call_mremap(start, length, new_length, 0, NULL) == NULL)
            return false;
        hold(new_length - length);
    }
    return true;
}

/* A refused move has, or has not, unmapped what it was to move over, and another thread may have
 * mapped something there since. So the addresses are given back only if they can be had anew. */
static void unreserve_after_refusal(void *reserved, size_t length)
{
    void *again = call_mmap(reserved, length, PROT_NONE, MAP_NORESERVE | MAP_FIXED_NOREPLACE);
    if (again != NULL)
        discard(again, length);
}

/* Whether so much more may be mapped: tried out, with what no neighbour is like, so that it goes
 * again whatever happens. */
static bool is_more_to_be_had(size_t length)
{
    void *trial = call_mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_NORESERVE);
    if (trial == NULL || call_munmap(trial, length))
        return trial != NULL;
    discard(trial, length);
    return false;
}

/* A move is refused for want of address space in the first place, and that can be known before;
 * then the reservation is still there. (Since Linux 6.17 mremap, too, looks before it unmaps.) */
bool os_move(void *start, size_t length, void *reserved, size_t new_length)
{
    check(new_length >= length);
    if (new_length > length && !is_more_to_be_had(new_length - length)) {
        discard(reserved, new_length);
        return false;
    }
    if (call_mremap(start, length, new_length, MREMAP_MAYMOVE | MREMAP_FIXED, reserved) == NULL) {
        unreserve_after_refusal(reserved, new_length);
        return false;
    }
    hold(new_length - length);
    return true;
}

void os_want_huge_pages(bool want)
{
    store_relaxed(&huge_pages_wanted, want);
}

/* The kernel's numbers; no header of Debian's musl has them. */
#define MEMBARRIER_PRIVATE_EXPEDITED 8
#define MEMBARRIER_REGISTER_PRIVATE_EXPEDITED 16
#define MEMBARRIER_PRIVATE_EXPEDITED_RSEQ 128
#define MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ 256

static bool call_membarrier(int command)
{
    int saved_errno = errno;
    bool done = !fault_is_due(FAULT_BARRIER) && syscall(SYS_membarrier, command, 0, 0) == 0;
    errno = saved_errno;
    return done;
}

bool os_barrier(void)
{
    return call_membarrier(MEMBARRIER_PRIVATE_EXPEDITED) ||
           (call_membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED) &&
            call_membarrier(MEMBARRIER_PRIVATE_EXPEDITED));
}

bool os_allow_restarts(void)
{
    return call_membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ);
}

bool os_restart_sequences(void)
{
    return call_membarrier(MEMBARRIER_PRIVATE_EXPEDITED_RSEQ) ||
           (os_allow_restarts() && call_membarrier(MEMBARRIER_PRIVATE_EXPEDITED_RSEQ));
}

/* The mask of the CPUs that this thread may run on, and its bytes: as many as the kernel has,
 * whatever CPUs there are. */
static size_t get_affinity(unsigned char mask[CPU_MASK_BYTES])
{
    int saved_errno = errno;
    long length = syscall(SYS_sched_getaffinity, 0, CPU_MASK_BYTES, mask);
    errno = saved_errno;
    return length > 0 ? (size_t)length : 0;
}

unsigned os_cpu_count(void)
{
    unsigned char mask[CPU_MASK_BYTES];
    size_t length = get_affinity(mask);
    unsigned count = 0;
    for (size_t i = 0; i < length; i++)
        count += (unsigned)__builtin_popcount(mask[i]);
    return count > 0 ? count : 1;
}

unsigned os_cpu_numbers(void)
{
    unsigned char mask[CPU_MASK_BYTES];
    return (unsigned)get_affinity(mask) * CHAR_BIT;
}

uint64_t os_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void os_sleep_ns(uint64_t ns)
{
    int saved_errno = errno;
    struct timespec sleep = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
    /* The C library's would be a cancellation point. */
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &sleep, NULL);
    errno = saved_errno;
}

void os_back_off(unsigned round)
{
    if (round < ROUNDS_OF_PAUSES) {
        for (unsigned i = 0; i < 1u << round; i++)
            thread_pause();
        return;
    }
    if (round >= ROUNDS_OF_YIELDS) {
        os_sleep_ns(SLEEP_NS);
        return;
    }
    int saved_errno = errno;
    sched_yield();
    errno = saved_errno;
}
