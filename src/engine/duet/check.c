#include "engine/duet/check.h"

#include "base/fatal.h"
#include "engine/duet/group.h"

struct bit {
    uint64_t *word;
    uint64_t mask;
};

static struct bit bit_of(void *cell, size_t kind)
{
    struct group *group = group_of(cell, kind, "free");
    size_t number = group_cell_number(group, cell);
    require(number < group->cells);
    return (struct bit){&group_book(group)[number / MASK_BITS],
                        (uint64_t)1 << (number % MASK_BITS)};
}

void duet_check_alloc_slow(void *cell, size_t kind)
{
    struct bit bit = bit_of(cell, kind);
    require((or_relaxed(bit.word, bit.mask) & bit.mask) == 0);
}

void duet_check_free_slow(void *cell, size_t kind)
{
    struct bit bit = bit_of(cell, kind);
    if ((and_relaxed(bit.word, ~bit.mask) & bit.mask) == 0)
        fatal_pointer("free", cell, "was freed twice");
}

void duet_check_released_slow(struct group *group)
{
    for (size_t word = 0; word < group->words; word++)
        require(load_relaxed(&group_book(group)[word]) == 0);
}
