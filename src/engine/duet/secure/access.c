#include "engine/duet/secure/access.h"

#include "base/fatal.h"
#include "engine/duet/secure/engine.h"

/* Where in its group an address of this kind is, by the address table alone. */
static size_t offset_in_group(const void *ptr, size_t kind)
{
    size_t last = duet_tables.kinds[kind].blocks - (size_t)1;
    /* What stands above the index is no place of this group if it has one block, or has just gone
     * and the entry is another's. */
    size_t place = min_size(table_meta(ptr) >> DUET_PLACE_SHIFT, last);
    return place * BLOCK_BYTES + (uintptr_t)ptr % BLOCK_BYTES;
}

bool access_is_within_long(const void *start, size_t length, size_t kind)
{
    return access_is_within(start, length, kind, offset_in_group(start, kind));
}

void access_refuse(const void *start, size_t kind, enum access access, const char *call)
{
    const char *cell = access_cell(start, kind, offset_in_group(start, kind));
    struct seal found;
    secure_verify(cell, kind, call, &found);
    fatal_pointer(call, cell,
                  access == ACCESS_WRITE ? "was to be written to behind its end"
                                         : "was to be read behind its end");
}
