/*
 * duet_stats, and the C library's functions that look into the heap or turn its knobs. They keep
 * the meaning that glibc documents as far as duet has the thing that is meant.
 */
#include "front/introspect.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "base/fatal.h"
#include "duet.h"
#include "engine.h"
#include "heap/heap.h"
#include "report/statistics.h"

const char *duet_version(void)
{
    return DUET_VERSION;
}

const char *duet_engine(void)
{
    return ENGINE_NAME;
}

void duet_stats(struct duet_heap_stats *stats)
{
    struct heap_count count;
    heap_count(&count);
    *stats = (struct duet_heap_stats){
        .held_bytes = count.held_bytes,
        .held_peak_bytes = count.held_peak_bytes,
        .cell_bytes = count.cell_bytes,
        .cells = count.cells,
        .free_bytes = count.free_bytes,
        .large_bytes = count.large_bytes,
        .large_blocks = count.large_blocks,
        .slots = count.slots,
    };
}

bool duet_trim(void)
{
    return heap_trim();
}

void introspect_greet(void)
{
    struct message message = {.length = 0};
    message_add(&message, "duet: version " DUET_VERSION ", engine " ENGINE_NAME "\n");
    message_write(&message);
}

#if DUET_STANDARD_NAMES

DUET_API int malloc_trim(size_t pad)
{
    (void)pad; /* no memory is ever kept on purpose for what may come */
    return heap_trim();
}

DUET_API void malloc_stats(void)
{
    statistics_write();
}

#ifdef __GLIBC__ /* musl has none of these */

/* Every parameter of glibc's tunes a mechanism that duet does not have. Those that glibc knows
 * are accepted, so that a program which insists on them runs, and change nothing. */
DUET_API int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

DUET_API struct mallinfo2 mallinfo2(void)
{
    struct duet_heap_stats stats;
    duet_stats(&stats);
    return (struct mallinfo2){
        .arena = stats.held_bytes - stats.large_bytes,
        .ordblks = stats.free_bytes != 0, /* cells of many sizes: no count of chunks is meant */
        .hblks = stats.large_blocks,
        .hblkhd = stats.large_bytes,
        .uordblks = stats.cell_bytes,
        .fordblks = stats.free_bytes,
    };
}

static int to_int(size_t number)
{
    return number > INT_MAX ? INT_MAX : (int)number;
}

/* As mallinfo2; numbers that an int cannot hold are the largest that it can. */
DUET_API struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = to_int(wide.arena),
        .ordblks = to_int(wide.ordblks),
        .hblks = to_int(wide.hblks),
        .hblkhd = to_int(wide.hblkhd),
        .uordblks = to_int(wide.uordblks),
        .fordblks = to_int(wide.fordblks),
    };
}

DUET_API int malloc_info(int options, FILE *stream)
{
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    return statistics_write_xml(stream) ? 0 : -1;
}

#endif
#endif
