/*
 * The kernel's stand-in, for src/os/os.c and src/base/random.c, and for the system calls of
 * src/base/lock.c: memory from the arena, which is never short and never taken back, a clock that
 * stands, and threads that wait for each other in the scheduler.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/atomics.h"
#include "base/fatal.h"
#include "base/random.h"
#include "os/os.h"
#include "scheduler.h"
#include "slots/cpus.h"

/* As in the kernel's header. */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

#define PAGE_BYTES 4096

size_t os_page_bytes(void)
{
    return PAGE_BYTES;
}

void *os_map(size_t length, size_t align)
{
    return exh_map(length, align);
}

void *os_map_sparse(size_t length)
{
    return exh_map(length, PAGE_BYTES);
}

void *os_reserve(size_t length, size_t align)
{
    return exh_map(length, align);
}

void os_unmap_sparse(void *start, size_t length)
{
    (void)start, (void)length;
}

void os_unreserve(void *start, size_t length)
{
    (void)start, (void)length;
}

bool os_open(void *start, size_t length)
{
    (void)start, (void)length;
    return true;
}

bool os_unmap(void *start, size_t length)
{
    (void)start, (void)length;
    return true;
}

bool os_resize(void *start, size_t length, size_t new_length)
{
    (void)start;
    return length == new_length;
}

bool os_move(void *start, size_t length, void *target, size_t new_length)
{
    (void)start, (void)length, (void)target, (void)new_length;
    return false;
}

void os_discard(void *start, size_t length)
{
    (void)start, (void)length;
}

bool os_purge(void *start, size_t length)
{
    memset(start, 0, length);
    return true;
}

void os_populate(void *start, size_t length)
{
    (void)start, (void)length;
}

bool os_has_guards(void)
{
    return false;
}

bool os_guard(void *start, size_t length)
{
    (void)start, (void)length;
    return false;
}

bool os_unguard(void *start, size_t length)
{
    (void)start, (void)length;
    return false;
}

bool os_protect(void *start, size_t length)
{
    (void)start, (void)length;
    return false;
}

bool os_unprotect(void *start, size_t length)
{
    (void)start, (void)length;
    return false;
}

bool os_barrier(void)
{
    exh_barrier();
    return true;
}

/* So many slots are shared. */
unsigned os_cpu_count(void)
{
    return 2;
}

uint64_t os_clock_ns(void)
{
    return 0;
}

void os_back_off(unsigned round)
{
    (void)round;
    exh_yield();
}

size_t os_held_bytes(void)
{
    return 0;
}

uint64_t random_secret(void)
{
    return 0x5ec2e75ec2e75ec2u;
}

/* Slots of CPUs are entered by what only a CPU does; caches here are held. */
void **cpus_exchange(const struct cpus_set *set, size_t word, void **top, void **slot)
{
    (void)set, (void)word, (void)top, (void)slot;
    fatal("a cache of a CPU, where there is none");
}

/* ---- System calls of the locks ----------------------------------------------------------- */

long __wrap_syscall(long number, ...);

static long futex(uint32_t *word, int operation, uint32_t expected)
{
    if (operation == FUTEX_WAKE_PRIVATE) {
        exh_wake(word);
        return 0;
    }
    MUST(operation == FUTEX_WAIT_PRIVATE);
    if ((uint32_t)load_sequential((const uintptr_t *)(void *)word) != expected) { /* lock.owner */
        errno = EAGAIN;
        return -1;
    }
    exh_sleep(word);
    return 0;
}

/* Signals are not blocked, since there are none. */
long __wrap_syscall(long number, ...)
{
    if (number == SYS_rt_sigprocmask)
        return 0;
    MUST(number == SYS_futex);
    va_list arguments;
    va_start(arguments, number);
    uint32_t *word = va_arg(arguments, uint32_t *);
    int operation = va_arg(arguments, int);
    uint32_t expected = va_arg(arguments, uint32_t);
    va_end(arguments);
    return futex(word, operation, expected);
}
