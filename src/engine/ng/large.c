#include "engine/ng/large.h"

#include "base/fatal.h"
#include "engine/ng/cell.h"
#include "engine/ng/engine.h"
#include "os/os.h"
#include "spans/table.h"

/* The group's `freed` while somebody frees or moves the block. */
#define CLAIMED ((uint32_t)1)

/* The count of 4 KiB has 32 bits. */
#define LARGE_MOST_BYTES ((size_t)UINT32_MAX << TABLE_MARK_SHIFT)

static struct large_count live;

static void count_live(size_t blocks, size_t bytes)
{
    add_relaxed(&live.blocks, blocks);
    add_relaxed(&live.bytes, bytes);
}

struct large_count large_count(void)
{
    return (struct large_count){load_relaxed(&live.blocks), load_relaxed(&live.bytes)};
}

/* Bytes of a mapping, from its start, for a block of `length` bytes whose pointer is `before` bytes
 * from the mapping's start. 0: too many. */
static size_t mapped_for(size_t before, size_t length)
{
    size_t bytes;
    if (__builtin_add_overflow(before + NG_HEADER_BYTES, length, &bytes) ||
        bytes > LARGE_MOST_BYTES - BLOCK_BYTES)
        return 0;
    return round_up(bytes, os_page_bytes());
}

/* Head and header are what a look-up reads. */
static void mark(const struct group *group, const char *ptr)
{
    table_mark(group->base, NG_UNIT);
    table_mark(ptr - NG_UNIT, 2 * NG_UNIT);
}

static void unmark(const struct group *group, const char *ptr)
{
    table_unmark(group->base, NG_UNIT);
    table_unmark(ptr - NG_UNIT, 2 * NG_UNIT);
}

/* A mapping, before any lock is taken, in which a pointer can be a multiple of `align`. Of what is
 * before and behind the pages needed, all goes that the kernel lets go. */
static char *map_block(size_t length, size_t align, size_t *mapped)
{
    size_t page = os_page_bytes();
    *mapped = mapped_for(NG_UNIT, ng_bytes_for(length, align));
    char *start = *mapped == 0 ? NULL : group_map(*mapped);
    if (start == NULL || align <= page)
        return start;
    char *ptr = (char *)round_up((uintptr_t)start + NG_UNIT, align);
    size_t before = round_down((size_t)(ptr - start) - NG_UNIT, page);
    if (before > 0 && os_unmap(start, before)) {
        start += before;
        *mapped -= before;
    }
    size_t needed = mapped_for((size_t)(ptr - start), length);
    if (needed < *mapped && os_unmap(start + needed, *mapped - needed))
        *mapped = needed;
    if (*mapped - needed > UINT32_MAX / 2) { /* the count of reserved bytes has 32 bits */
        os_discard(start, *mapped);
        return NULL;
    }
    return start;
}

/* What a block takes from the context that this thread gets, whichever it is: a meta, and the
 * counter that offsets begin with. NULL: no memory. */
static struct group *make_group(char *start, size_t mapped, uint32_t *counter)
{
    struct context *context = (struct context *)slot_take(&ng_contexts);
    if (context == NULL)
        return NULL;
    struct group *group = group_take_meta(context);
    group_note_mapping(context);
    *counter = context->mappings;
    slot_release(&context->slot);
    if (group == NULL)
        return NULL;
    store_relaxed(&group->pages, (uint32_t)(mapped >> TABLE_MARK_SHIFT));
    store_relaxed(&group->shape, SHAPE_OF(NG_CLASS_LARGE, 0, 0));
    struct group_head *base = (struct group_head *)start;
    base->meta = group_index(group);
    store_release(&group->base, base);
    return group;
}

/* An unmapping is a step, too. */
static void note_unmapping(void)
{
    struct context *context = (struct context *)slot_take(&ng_contexts);
    if (context == NULL)
        return;
    bounce_step(&context->bounce);
    slot_release(&context->slot);
}

void *large_alloc(size_t length, size_t align, bool *zeroed)
{
    size_t mapped;
    char *start = map_block(length, align, &mapped);
    if (start == NULL)
        return NULL;
    uint32_t counter;
    struct group *group = make_group(start, mapped, &counter);
    if (group == NULL) {
        os_discard(start, mapped);
        return NULL;
    }
    char *ptr = cell_frame(group, 0, length, align <= NG_UNIT ? counter : 0);
    mark(group, ptr);
    if (align > NG_UNIT) {
        ptr = cell_align(ptr, align, length);
        mark(group, ptr);
    }
    count_live(1, length);
    *zeroed = true;
    return ptr;
}

/* ---- A block that there is ---------------------------------------------------------------- */

size_t large_bytes(const void *ptr, const char *call)
{
    struct cell cell;
    return cell_require(ptr, call, &cell);
}

/* Returns the bytes that were asked for. */
static size_t claim(const void *ptr, const char *call, struct cell *cell)
{
    size_t bytes = cell_require(ptr, call, cell);
    require(group_class(cell->group) == NG_CLASS_LARGE);
    if (!cas_acquire(&cell->group->freed, 0u, CLAIMED))
        fatal_pointer(call, ptr, "was freed twice");
    return bytes;
}

static void give_back(struct group *group)
{
    store_release(&group->freed, 0u);
}

size_t large_free(void *ptr, const char *call)
{
    struct cell cell;
    size_t bytes = claim(ptr, call, &cell);
    struct group *group = cell.group;
    struct mapping remains = {(char *)group->base, group_mapped_bytes(group)};
    cell_invalidate(cell.ptr);
    unmark(group, cell.ptr);
    store_relaxed(&group->base, NULL);
    group_share_meta(group);
    note_unmapping();
    count_live((size_t)-1, -bytes);
    group_bury(&remains);
    return bytes;
}

/* The block, claimed, has now so many bytes mapped, of which `length` are asked for. */
static void settle(struct group *group, char *ptr, size_t mapped, size_t old_length, size_t length)
{
    char *end = (char *)group->base + mapped - NG_HEADER_BYTES;
    store_relaxed(&group->pages, (uint32_t)(mapped >> TABLE_MARK_SHIFT));
    *end = 0;
    cell_set_nominal(ptr, end, 0, length);
    count_live(0, length - old_length);
}

static bool resize_claimed(const struct cell *cell, size_t old_length, size_t length)
{
    struct group *group = cell->group;
    size_t mapped = group_mapped_bytes(group);
    size_t needed = mapped_for((size_t)(cell->ptr - (char *)group->base), length);
    if (needed == 0 || (needed != mapped && !os_resize(group->base, mapped, needed)))
        return false;
    settle(group, cell->ptr, needed, old_length, length);
    return true;
}

bool large_resize(void *ptr, size_t new_length, const char *call)
{
    struct cell cell;
    size_t old_length = claim(ptr, call, &cell);
    bool resized = resize_claimed(&cell, old_length, new_length);
    give_back(cell.group);
    return resized;
}

/* To where the table is known to have a leaf; then all that can still fail is the move itself. The
 * pointer keeps its distance from the mapping's start. */
static bool move_claimed(struct cell *cell, size_t old_length, size_t length)
{
    struct group *group = cell->group;
    size_t mapped = group_mapped_bytes(group);
    size_t before = (size_t)(cell->ptr - (char *)group->base);
    size_t needed = mapped_for(before, length);
    char *target = needed <= mapped ? NULL : os_reserve(needed, os_page_bytes());
    if (target == NULL)
        return false;
    if (table_cover(target, needed)) {
        unmark(group, cell->ptr);
        if (os_move(group->base, mapped, target, needed)) {
            store_relaxed(&group->base, (struct group_head *)target);
            cell->ptr = target + before;
            mark(group, cell->ptr);
            settle(group, cell->ptr, needed, old_length, length);
            return true;
        }
        mark(group, cell->ptr);
        return false; /* and the reservation is nobody's any more */
    }
    os_unreserve(target, needed);
    return false;
}

void *large_remap(void *ptr, size_t new_length, size_t align, bool may_copy, const char *call)
{
    (void)may_copy;
    struct cell cell;
    size_t old_length = claim(ptr, call, &cell);
    bool done = resize_claimed(&cell, old_length, new_length) ||
                (align <= os_page_bytes() && move_claimed(&cell, old_length, new_length));
    give_back(cell.group);
    return done ? cell.ptr : NULL;
}
