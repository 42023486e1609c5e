/*
 * What is only reserved is left out of core dumps: each range of addresses that nobody may touch,
 * and that is no short guard, is marked so (the flag dd in /proc/self/smaps). Gigabytes of it would
 * else be gone through when a program crashes.
 */
#include <stdio.h>

#include "check.h"
#include "memory.h"
#include "names.h"

/* What is reserved for metas is as long at least; what is inaccessible beside tables, without
 * that mark, is no longer than this. */
#define RESERVED_BYTES ((size_t)64 << 10)
#define MARGIN_BYTES ((size_t)1 << 20)

static void use_heap(void)
{
    enum { BLOCKS = 2000 };
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(opaque_size(1 + i * 37));
        CHECK(blocks[i] != NULL);
    }
    for (size_t size = 200000; size < (size_t)64 << 20; size *= 2)
        CHECK((blocks[0] = realloc(blocks[0], opaque_size(size))) != NULL);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

/* How long the range is that a line of smaps begins; 0 if it may be touched or has a file. */
static size_t reserved_by(const char *line)
{
    unsigned long start, end, offset, inode;
    unsigned major, minor;
    char access[5];
    if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, access, &offset, &major, &minor,
               &inode) != 7)
        return 0;
    return inode == 0 && strcmp(access, "---p") == 0 ? end - start : 0;
}

static bool begins_range(const char *line)
{
    unsigned long start, end;
    return sscanf(line, "%lx-%lx ", &start, &end) == 2;
}

int main(void)
{
    require_duet();
    use_heap();
    FILE *smaps = fopen("/proc/self/smaps", "r");
    CHECK(smaps != NULL);
    char line[512];
    size_t reserved = 0, ranges = 0;
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (begins_range(line))
            reserved = reserved_by(line);
        if (reserved < RESERVED_BYTES || strncmp(line, "VmFlags:", 8) != 0)
            continue;
        bool is_left_out = strstr(line, " dd") != NULL;
        CHECK(is_left_out || reserved <= MARGIN_BYTES);
        ranges += is_left_out;
    }
    fclose(smaps);
    CHECK(ranges > 0);
    printf("reserved: %zu ranges of 64 KiB and more\n", ranges);
    return 0;
}
