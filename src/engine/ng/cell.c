#include "engine/ng/cell.h"

/* What is wrong with a pointer, as far as can be told. */
static const char *fault_of(const char *ptr)
{
    if (!table_is_marked(header_place(ptr)) && group_is_inside_large(ptr))
        return "is not the start of a block";
    if (!table_is_marked(header_place(ptr)) || !table_is_marked(ptr))
        return "is not from this heap, or was freed already";
    if (!is_aligned((uintptr_t)ptr, NG_UNIT))
        return "is not the start of a cell";
    if (*header_code(ptr) == HEADER_FREED && *header_offset(ptr) == 0)
        return "was freed twice";
    struct cell cell;
    if (!cell_find(ptr, &cell))
        return "is not the start of a cell, or its header was overwritten";
    if (*header_code(ptr) >> HEADER_INDEX_BITS > RESERVED_COUNTED)
        return "is not the start of a cell";
    return "was written to behind its end";
}

void cell_accuse(const void *ptr, const char *call)
{
    fatal_pointer(call, ptr, fault_of(ptr));
}

void cell_accuse_free(const char *start)
{
    fatal_pointer("malloc", start,
                  "is free, and was written to; or the cell before it was, behind "
                  "its end");
}

size_t cell_require(const void *ptr, const char *call, struct cell *cell)
{
    size_t bytes;
    if (unlikely(!cell_find(ptr, cell)) || unlikely(!cell_nominal(cell, &bytes)))
        cell_accuse(ptr, call);
    return bytes;
}

char *cell_align(char *ptr, size_t align, size_t bytes)
{
    struct cell cell;
    cell_require(ptr, "aligned_alloc", &cell);
    char *aligned = (char *)round_up((uintptr_t)ptr, align);
    if (aligned != ptr) {
        size_t offset = (size_t)(aligned - (char *)cell.group->base) / NG_UNIT - 1;
        bool is_far = offset > UINT16_MAX;
        *header_code(ptr) = (uint8_t)(cell.index | RESERVED_UNUSED << HEADER_INDEX_BITS);
        *header_far(aligned) = is_far;
        *header_offset(aligned) = is_far ? 0 : (uint16_t)offset;
        if (is_far)
            *header_far_offset(aligned) = (uint32_t)offset;
        /* Kept at the cell's start, from where the next use goes on; as much of it as fits. */
        *header_offset(cell.start) = (uint16_t)((size_t)(aligned - cell.start) / NG_UNIT);
        *header_code(cell.start) = RESERVED_UNUSED << HEADER_INDEX_BITS;
    }
    cell_set_nominal(aligned, cell.end, cell.index, bytes);
    return aligned;
}
