/*
 * Memory as the set-up has left it, put back before each execution: the program's own data, and an
 * arena from which the kernel's stand-in (kernel.c) maps. Only pages that were written to are put
 * back; every write of the sources under test is seen (plain.c, memory.c). After the first
 * executions it is verified that all is as it was, so a write that is not seen is found.
 *
 * The scheduler keeps nothing in the program's data that changes.
 */
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "state.h"

#define ARENA_BYTES ((size_t)24 << 20)
#define PAGE_BYTES ((size_t)4096)

/* Executions after which all is verified. */
#define VERIFIED_EXECUTIONS 3

/* What the linker says of the program's data; before it, in the same page, lies what the loader
 * changes. */
extern char __data_start[], _end[];

/* Pages are counted from its start. */
struct region {
    char *start;
    size_t bytes;
    size_t place; /* of its first byte, among all that are watched */
    char *copy;
    uint8_t *written; /* a byte for each page: since the last restoration */
    uint32_t *pages;  /* those that were */
    size_t count;
};

enum { DATA, ARENA, REGIONS };

struct snapshot {
    struct region regions[REGIONS];
    size_t used, used_at_first; /* of the arena */
    char *locals;
    size_t local_bytes;
};
static struct snapshot *snapshot;

static void *map(size_t length)
{
    void *start = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        fail("no memory for the snapshot");
    return start;
}

static void watch(size_t number, char *start, size_t bytes)
{
    struct region *region = &snapshot->regions[number];
    size_t pages = bytes / PAGE_BYTES + 1;
    *region = (struct region){.start = start,
                              .bytes = bytes,
                              .place = number == DATA ? 0 : snapshot->regions[DATA].bytes,
                              .copy = map(bytes),
                              .written = map(pages),
                              .pages = map(pages * sizeof region->pages[0])};
}

/* The first module is the program. */
static int find_locals(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            snapshot->locals = info->dlpi_tls_data;
            snapshot->local_bytes = info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

void snapshot_prepare(void)
{
    snapshot = map(sizeof *snapshot);
    size_t bytes = (size_t)((uintptr_t)_end - (uintptr_t)__data_start);
    watch(DATA, __data_start, bytes);
    watch(ARENA, map(ARENA_BYTES), ARENA_BYTES);
    dl_iterate_phdr(find_locals, NULL);
}

char *snapshot_locals(size_t *bytes)
{
    *bytes = snapshot->local_bytes;
    return snapshot->locals;
}

/* ---- Places ------------------------------------------------------------------------------ */

static struct region *region_of(uintptr_t address)
{
    for (size_t i = 0; snapshot != NULL && i < REGIONS; i++)
        if (address - (uintptr_t)snapshot->regions[i].start < snapshot->regions[i].bytes)
            return &snapshot->regions[i];
    return NULL;
}

size_t snapshot_place(uintptr_t address)
{
    const struct region *region = region_of(address);
    return region == NULL ? SIZE_MAX : region->place + (address - (uintptr_t)region->start);
}

size_t snapshot_bytes(void)
{
    return snapshot->regions[ARENA].place + snapshot->regions[ARENA].bytes;
}

void snapshot_note_write(uintptr_t from, size_t length)
{
    struct region *region = region_of(from);
    if (region == NULL || length == 0)
        return;
    size_t offset = from - (uintptr_t)region->start;
    for (size_t page = offset / PAGE_BYTES; page <= (offset + length - 1) / PAGE_BYTES; page++)
        if (!region->written[page]) {
            region->written[page] = 1;
            region->pages[region->count++] = (uint32_t)page;
        }
}

/* ---- Taking it, putting it back ---------------------------------------------------------- */

static size_t page_bytes(const struct region *region, size_t offset)
{
    return region->bytes - offset < PAGE_BYTES ? region->bytes - offset : PAGE_BYTES;
}

/* Of the arena only what was written to: the rest reads as zero, here and there. */
void snapshot_take(void)
{
    for (size_t i = 0; i < REGIONS; i++) {
        struct region *region = &snapshot->regions[i];
        if (i == DATA)
            memcpy(region->copy, region->start, region->bytes);
        for (size_t n = 0; n < region->count; n++) {
            size_t offset = region->pages[n] * PAGE_BYTES;
            memcpy(region->copy + offset, region->start + offset, page_bytes(region, offset));
            region->written[region->pages[n]] = 0;
        }
        region->count = 0;
    }
    snapshot->used_at_first = snapshot->used;
}

static void verify(const struct region *region)
{
    size_t bytes = region == &snapshot->regions[ARENA] ? snapshot->used : region->bytes;
    if (memcmp(region->start, region->copy, bytes) == 0)
        return;
    for (size_t i = 0; i < bytes; i++)
        if (region->start[i] != region->copy[i])
            fail("%p was written to, and nobody has seen it", (void *)(region->start + i));
}

void snapshot_restore(void)
{
    for (size_t i = 0; i < REGIONS; i++) {
        struct region *region = &snapshot->regions[i];
        for (size_t n = 0; n < region->count; n++) {
            size_t offset = region->pages[n] * PAGE_BYTES;
            memcpy(region->start + offset, region->copy + offset, page_bytes(region, offset));
            region->written[region->pages[n]] = 0;
        }
        region->count = 0;
        if (state->execution <= VERIFIED_EXECUTIONS)
            verify(region);
    }
    snapshot->used = snapshot->used_at_first;
}

void *exh_map(size_t length, size_t align)
{
    struct region *arena = &snapshot->regions[ARENA];
    uintptr_t start = (uintptr_t)arena->start + snapshot->used;
    size_t skipped = (align - start % align) % align;
    if (length + skipped > arena->bytes - snapshot->used)
        return NULL;
    snapshot->used += skipped + length;
    return (char *)start + skipped;
}
