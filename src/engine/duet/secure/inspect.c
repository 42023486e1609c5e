/*
 * A last look, as the process ends, for what nobody has come upon: all that is free must read as
 * zero still. Where no other thread can be in the middle of anything, so must the seals of all that
 * is in use be whole, as far as there is one: while a cell is sealed or freed its word is zero, or
 * half of a pattern, while its length changes it says so, and a signal handler may have ended the
 * process then.
 */
#include "base/fatal.h"
#include "engine/duet/group.h"
#include "engine/duet/secure/engine.h"
#include "engine/duet/secure/pages.h"

static void inspect_free_cell(const struct pages *pages, const char *cell, size_t bytes)
{
    bool sparse = false;
    if (!pages_are_zeros(pages, cell, bytes, &sparse))
        fatal_pointer("exit", cell, "was written to after it was freed");
}

/* Whether this word may be that of a cell whose pattern is written, over a part of the word, and
 * the word itself not yet (seal_write). */
static bool is_half_sealed(const char *cell, uint64_t word)
{
    for (uint64_t says = 0; says <= SEAL_SAYS_MASK; says += SEAL_SAYS_STEP)
        for (unsigned spare = 0; spare < SEAL_PATTERN_BYTES; spare++)
            if (word == seal_pattern(seal_word_saying(cell, says | spare)) >> spare * CHAR_BIT)
                return true;
    return false;
}

static void inspect_used_cell(const char *cell, size_t kind)
{
    struct seal found;
    uint64_t word = load_relaxed(seal_word((void *)(uintptr_t)cell, kind));
    bool fits = seal_read(word, cell, kind, &found);
    bool under_way = fits ? found.align == SEAL_CHANGING : word == 0 || is_half_sealed(cell, word);
    if (!under_way)
        secure_verify(cell, kind, "exit", &found);
}

static void inspect_group(struct group *group)
{
    struct pages pages;
    size_t bytes = duet_kind_bytes(group->kind);
    bool alone = thread_is_alone();
    if (!pages_look(&pages, group->base, group_span_bytes(group->kind)))
        return;
    for (size_t number = 0; number < group->cells; number++) {
        size_t word = number / MASK_BITS, bit = number % MASK_BITS;
        uint64_t free = group_avail(group)[word] | load_acquire(&group_freed(group)[word]);
        const char *cell = group->base + number * bytes;
        if ((free >> bit & 1) != 0)
            inspect_free_cell(&pages, cell, bytes);
        else if (alone)
            inspect_used_cell(cell, group->kind);
    }
}

void engine_end(void)
{
    cells_visit_groups(inspect_group);
}
