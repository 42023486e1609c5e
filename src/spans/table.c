#include "spans/table.h"

#include "base/fatal.h"
#include "os/os.h"

static_assert(TABLE_ROOT_BITS + TABLE_LEAF_BITS + BLOCK_SHIFT == ADDRESS_BITS,
              "root, leaf and block cover an address exactly");

struct table table;

static uintptr_t block_of(const void *ptr)
{
    return (uintptr_t)ptr >> BLOCK_SHIFT;
}

/* NULL where there is no leaf yet. */
static struct table_leaf *leaf_of(uintptr_t block)
{
    uintptr_t distance = load_acquire(&table.root[block >> TABLE_LEAF_BITS]);
    return distance == 0 ? NULL : (struct table_leaf *)((uintptr_t)table.empty_leaf + distance);
}

static bool add_leaf(uintptr_t leaf_number)
{
    struct table_leaf *leaf = os_map_sparse(sizeof *leaf);
    if (leaf == NULL)
        return false;
    uintptr_t distance = (uintptr_t)leaf - (uintptr_t)table.empty_leaf;
    if (!cas_release(&table.root[leaf_number], (uintptr_t)0, distance))
        os_unmap_sparse(leaf, sizeof *leaf); /* another thread was faster */
    return true;
}

bool table_cover(const void *start, size_t length)
{
    uintptr_t first = block_of(start) >> TABLE_LEAF_BITS;
    uintptr_t last = block_of((const char *)start + length - 1) >> TABLE_LEAF_BITS;
    if (last >= TABLE_ROOT_ENTRIES)
        return false; /* an address that only a hint can bring about */
    for (uintptr_t number = first; number <= last; number++)
        if (load_relaxed(&table.root[number]) == 0 && !add_leaf(number))
            return false;
    return true;
}

uint32_t table_meta(const void *ptr)
{
    const struct table_leaf *leaf = leaf_of(block_of(ptr));
    require(leaf != NULL);
    return load_relaxed(&leaf->meta[block_of(ptr) & (TABLE_LEAF_ENTRIES - 1)]);
}

void table_set(const void *start, size_t blocks, uint8_t class, uint32_t meta)
{
    check(is_aligned((uintptr_t)start, BLOCK_BYTES));
    for (uintptr_t block = block_of(start), end = block + blocks; block < end; block++) {
        struct table_leaf *leaf = leaf_of(block);
        require(leaf != NULL);
        store_relaxed(&leaf->meta[block & (TABLE_LEAF_ENTRIES - 1)], meta);
        store_relaxed(&leaf->class[block & (TABLE_LEAF_ENTRIES - 1)], class);
    }
}

void table_clear(const void *start, size_t blocks)
{
    table_set(start, blocks, TABLE_FOREIGN, 0);
}

/* Marks of the block from that of `first` to that of `last`, both inside it. */
static uint32_t marks_between(uintptr_t first, uintptr_t last)
{
    unsigned from = (unsigned)(first >> TABLE_MARK_SHIFT) % TABLE_MARKS;
    unsigned to = (unsigned)(last >> TABLE_MARK_SHIFT) % TABLE_MARKS;
    return ((uint32_t)2 << to) - ((uint32_t)1 << from);
}

static void change_marks(uintptr_t start, size_t length, bool set)
{
    for (uintptr_t first = start, last = start + length - 1, end; first <= last; first = end) {
        end = round_down(first, BLOCK_BYTES) + BLOCK_BYTES;
        struct table_leaf *leaf = leaf_of(first >> BLOCK_SHIFT);
        require(leaf != NULL);
        uint32_t *entry = &leaf->meta[(first >> BLOCK_SHIFT) & (TABLE_LEAF_ENTRIES - 1)];
        uint32_t marks = marks_between(first, min_size(last, end - 1));
        if (set)
            or_relaxed(entry, marks);
        else
            and_relaxed(entry, ~marks);
    }
}

void table_mark(const void *start, size_t length)
{
    change_marks((uintptr_t)start, length, true);
}

void table_unmark(const void *start, size_t length)
{
    change_marks((uintptr_t)start, length, false);
}
