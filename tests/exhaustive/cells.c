/* What the scenarios of the engine duet share: who has which cell, and that none is lost. */
#include "engine/duet/depot.h"
#include "scenarios.h"

size_t kind_of_few_cells(size_t other_than)
{
    size_t few = 0;
    for (size_t kind = 1; kind < DUET_KINDS; kind++)
        if (kind != other_than && duet_tables.kinds[kind].blocks == 1 &&
            duet_tables.kinds[kind].cells >= 3 &&
            (few == 0 || duet_tables.kinds[kind].cells < duet_tables.kinds[few].cells))
            few = kind;
    return few;
}

void take_cells(size_t home, size_t kind, void **cells, size_t count)
{
    bool zeroed;
    for (size_t taken = 0, more; taken < count; taken += more) {
        more = depot_take(home, kind, cells + taken, count - taken, &zeroed);
        MUST(more > 0);
    }
}

void cell_hold(void *cell, unsigned number)
{
    *(uintptr_t *)cell = number + 1;
}

void cell_let_go(void *cell, unsigned number)
{
    MUST(*(uintptr_t *)cell == number + 1);
    *(uintptr_t *)cell = 0;
}

void verify_groups(size_t cells, size_t free_cells)
{
    struct depots_count count;
    depots_check();
    depots_count(&count);
    MUST(count.cells == cells);
    MUST(count.free_cells == free_cells);
}
