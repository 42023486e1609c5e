/* The messages about a cell. */
#include "cell.h"

#include "support.h"

void cell_has_changed(const struct cell *cell, size_t offset)
{
    fail(WORKLOAD_CORRUPT, "cell %p of %u bytes: its content has changed at byte %zu",
         (void *)cell->start, cell->bytes, offset);
}

void cell_is_refused(size_t bytes)
{
    fail(WORKLOAD_NO_MEMORY, "no memory for a cell of %zu bytes", bytes);
}

void cell_is_misaligned(const struct cell *cell, size_t align)
{
    fail(WORKLOAD_CORRUPT, "cell %p of %u bytes: not aligned to %zu", (void *)cell->start,
         cell->bytes, align);
}

void cell_is_not_zero(const struct cell *cell, size_t offset)
{
    fail(WORKLOAD_CORRUPT, "cell %p of %u bytes: calloc left byte %zu not zero",
         (void *)cell->start, cell->bytes, offset);
}

void cell_has_lost(const struct cell *cell, size_t offset)
{
    fail(WORKLOAD_CORRUPT, "cell %p of %u bytes: realloc has lost what was at byte %zu",
         (void *)cell->start, cell->bytes, offset);
}
