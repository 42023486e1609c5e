/*
 * All accesses that are not by atomics.h. The sources under test are compiled for ThreadSanitizer,
 * but not linked with it: what the compiler has put before each access of memory comes here.
 *
 * They are no steps, since of two that are ordered neither thread can get into the middle. That
 * they are ordered is what is verified: of any two accesses of one byte by two threads, one of them
 * a write and one of them plain, the first must be among what the second thread knows (memory.c).
 * So a release or an acquire that is missing shows with whatever it was to publish, in one
 * execution in which both meet, in whatever order.
 *
 * The words of a stack are not looked at.
 */
#include <string.h>
#include <sys/mman.h>

#include "state.h"

/* For a byte the last access of each thread and kind, by its time; 0: none yet. */
struct byte_accesses {
    uint32_t time[THREADS_MOST][ACCESSES];
};

#define GRANULE 8

struct granule {
    struct byte_accesses bytes[GRANULE];
    uint32_t execution; /* that they are of */
};

void plain_begin(void)
{
    if (state->granules != NULL)
        return;
    size_t length = (snapshot_bytes() / GRANULE + 1) * sizeof *state->granules;
    state->granules = mmap(NULL, length, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (state->granules == MAP_FAILED)
        fail("no memory for what is known of plain accesses");
}

static bool is_plain(enum access access)
{
    return access == PLAIN_READ || access == PLAIN_WRITE;
}

static bool is_write(enum access access)
{
    return access == PLAIN_WRITE || access == ATOMIC_WRITE;
}

static bool may_collide(enum access a, enum access b)
{
    return (is_plain(a) || is_plain(b)) && (is_write(a) || is_write(b));
}

static void note_byte(struct byte_accesses *byte, enum access access, const char *what)
{
    static const char *const names[ACCESSES] = {"reads", "writes", "loads", "stores"};
    const struct clock *clock = &state->threads[state->current].clock;
    for (unsigned other = 0; other < state->scenario->threads; other++)
        for (unsigned before = 0; before < ACCESSES && other != state->current; before++)
            if (byte->time[other][before] > clock->of[other] && may_collide(access, before))
                fail("it %s (%s) what thread %u %s, and nothing orders the two", names[access],
                     what, other, names[before]);
    /* What lies between two steps is of the time of the next one. */
    byte->time[state->current][access] = clock->of[state->current] + is_plain(access);
}

void plain_note(uintptr_t from, size_t length, enum access access, const char *what)
{
    size_t place = snapshot_place(from);
    if (place == SIZE_MAX)
        return;
    for (; length > 0; place++, length--) {
        struct granule *granule = &state->granules[place / GRANULE];
        if (granule->execution != state->execution) {
            memset(granule, 0, sizeof *granule);
            granule->execution = state->execution;
        }
        note_byte(&granule->bytes[place % GRANULE], access, what);
    }
}

/* ---- What the compiler calls ------------------------------------------------------------- */

static void read_plain(const void *address, size_t length, const char *what)
{
    if (!state->running)
        return;
    memory_settle_own((uintptr_t)address, length);
    plain_note((uintptr_t)address, length, PLAIN_READ, what);
}

static void write_plain(void *address, size_t length, const char *what)
{
    snapshot_note_write((uintptr_t)address, length);
    if (!state->running)
        return;
    memory_settle_own((uintptr_t)address, length);
    memory_forget((uintptr_t)address, length);
    plain_note((uintptr_t)address, length, PLAIN_WRITE, what);
}

#define HOOKS_OF(bytes)                                                                            \
    void __tsan_read##bytes(void *address);                                                        \
    void __tsan_write##bytes(void *address);                                                       \
    void __tsan_unaligned_read##bytes(void *address);                                              \
    void __tsan_unaligned_write##bytes(void *address);                                             \
    void __tsan_read_write##bytes(void *address);                                                  \
    void __tsan_read##bytes(void *address)                                                         \
    {                                                                                              \
        read_plain(address, bytes, "plainly");                                                     \
    }                                                                                              \
    void __tsan_write##bytes(void *address)                                                        \
    {                                                                                              \
        write_plain(address, bytes, "plainly");                                                    \
    }                                                                                              \
    void __tsan_unaligned_read##bytes(void *address)                                               \
    {                                                                                              \
        read_plain(address, bytes, "plainly");                                                     \
    }                                                                                              \
    void __tsan_unaligned_write##bytes(void *address)                                              \
    {                                                                                              \
        write_plain(address, bytes, "plainly");                                                    \
    }                                                                                              \
    void __tsan_read_write##bytes(void *address)                                                   \
    {                                                                                              \
        write_plain(address, bytes, "plainly");                                                    \
    }
HOOKS_OF(1)
HOOKS_OF(2)
HOOKS_OF(4)
HOOKS_OF(8)
HOOKS_OF(16)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *address, size_t length);
void __tsan_write_range(void *address, size_t length);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *address, size_t length)
{
    read_plain(address, length, "as a range");
}

void __tsan_write_range(void *address, size_t length)
{
    write_plain(address, length, "as a range");
}

/* ---- What the linker puts in the place of the C library's -------------------------------- */

void *__real_memset(void *to, int byte, size_t length);
void *__real_memcpy(void *to, const void *from, size_t length);
void *__real_memmove(void *to, const void *from, size_t length);
void *__wrap_memset(void *to, int byte, size_t length);
void *__wrap_memcpy(void *to, const void *from, size_t length);
void *__wrap_memmove(void *to, const void *from, size_t length);

static bool is_watched(const void *address)
{
    return snapshot_place((uintptr_t)address) != SIZE_MAX;
}

void *__wrap_memset(void *to, int byte, size_t length)
{
    if (is_watched(to))
        write_plain(to, length, "by memset");
    return __real_memset(to, byte, length);
}

static void copy(void *to, const void *from, size_t length)
{
    if (is_watched(from))
        read_plain(from, length, "by a copy");
    if (is_watched(to))
        write_plain(to, length, "by a copy");
}

void *__wrap_memcpy(void *to, const void *from, size_t length)
{
    copy(to, from, length);
    return __real_memcpy(to, from, length);
}

void *__wrap_memmove(void *to, const void *from, size_t length)
{
    copy(to, from, length);
    return __real_memmove(to, from, length);
}
