/*
 * Cells: headers and ends for every length of every class, where pointers lie in them, alignment,
 * and changes of length in place.
 */
#include "ng_tests.h"

#include "os/os.h"

static struct context context;

/* All lengths up to this are tried; above, those at the edges of their class. */
#define MOST_IN_FULL 2048
#define EDGE 24

static size_t least_of(size_t class)
{
    return class == 0 ? 0 : ng_class_bytes(class - 1) - NG_HEADER_BYTES + 1;
}

static size_t most_of(size_t class)
{
    return min_size(ng_class_bytes(class) - NG_HEADER_BYTES, NG_LARGE_BYTES - 1);
}

static bool is_tried(size_t class, size_t bytes)
{
    return bytes <= MOST_IN_FULL || bytes < least_of(class) + EDGE || bytes + EDGE > most_of(class);
}

/* A cell of the class, of which nobody has made a pointer yet. */
struct place {
    struct group *group;
    unsigned index;
};

static struct place take_place(size_t class)
{
    int index = group_take_cell(&context, class, most_of(class));
    assert_true(index >= 0);
    return (struct place){context.active[class], (unsigned)index};
}

static void assert_nothing_is_left(void)
{
    group_trim(&context); /* what was kept since its class bounces */
    assert_int_equal(count_groups(&context), 0);
}

/* ---- Headers and ends ---------------------------------------------------------------------- */

static void assert_header_tells(char *ptr, struct place place, size_t bytes)
{
    struct cell cell = cell_of(ptr);
    assert_ptr_equal(cell.group, place.group);
    assert_int_equal(cell.index, place.index);
    assert_ptr_equal(cell.start, group_cell(place.group, place.index));
    assert_ptr_equal(cell.end, cell.start + group_stride(place.group) - 4);
    assert_true(ptr >= cell.start && ptr + bytes <= cell.end);
    assert_int_equal((uintptr_t)ptr % 16, 0);

    size_t reserved = (size_t)(cell.end - ptr) - bytes;
    size_t code = reserved < 5 ? reserved : 5;
    assert_int_equal(*header_code(ptr), code << 5 | place.index);
    assert_int_equal(*header_far(ptr), 0);
    assert_int_equal(*header_offset(ptr), (size_t)(ptr - (char *)place.group->base) / 16 - 1);
    if (reserved >= 5)
        assert_int_equal(*reserved_count(cell.end), reserved);
    size_t nominal;
    assert_true(cell_nominal(&cell, &nominal));
    assert_int_equal(nominal, bytes);
}

/* Whoever writes a byte to where a zero must be is found out. */
static void assert_byte_is_guarded(char *ptr, char *byte)
{
    struct cell cell = cell_of(ptr);
    size_t nominal;
    assert_int_equal(*byte, 0);
    *byte = 1;
    assert_false(cell_nominal(&cell, &nominal));
    *byte = 0;
    assert_true(cell_nominal(&cell, &nominal));
}

static void assert_ends_are_guarded(char *ptr, size_t bytes)
{
    struct cell cell = cell_of(ptr);
    size_t reserved = (size_t)(cell.end - ptr) - bytes;
    assert_byte_is_guarded(ptr, ptr + bytes);
    assert_byte_is_guarded(ptr, cell.end);
    if (reserved >= 5)
        assert_byte_is_guarded(ptr, cell.end - 5);
}

/* Whether free would take the pointer for a cell's. */
static bool is_taken_for_a_cell(const char *ptr)
{
    struct cell cell;
    size_t bytes;
    return cell_find(ptr, &cell) && cell_nominal(&cell, &bytes);
}

/* Where a cell was handed out farther on, its start is no pointer. */
static void assert_start_is_no_pointer(char *ptr, struct place place)
{
    char *start = group_cell(place.group, place.index);
    if (start == ptr)
        return;
    assert_int_equal(*header_code(start) >> 5, RESERVED_UNUSED);
    assert_int_equal(*header_offset(start), (ptr - start) / 16);
    assert_false(is_taken_for_a_cell(start));
}

static void assert_length_is_kept(struct place place, size_t bytes)
{
    struct cell cell;
    char *ptr = cell_frame(place.group, place.index, bytes, context.mappings);
    assert_header_tells(ptr, place, bytes);
    memset(ptr, 0xff, bytes); /* all that was asked for may be used */
    assert_header_tells(ptr, place, bytes);
    assert_ends_are_guarded(ptr, bytes);
    assert_start_is_no_pointer(ptr, place);
    cell_invalidate(ptr);
    assert_int_equal(*header_code(ptr), 255);
    assert_int_equal(*header_offset(ptr), 0);
    assert_false(cell_find(ptr, &cell));
}

static void every_length_is_known_to_the_byte(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        struct place place = take_place(class);
        /* An even class may be served by this one: so lengths of the class before are tried,
         * too. */
        for (size_t bytes = class == 0 ? 0 : least_of(class - 1); bytes <= most_of(class); bytes++)
            if (is_tried(class, bytes))
                assert_length_is_kept(place, bytes);
        free_cell(place.group, place.index);
    }
    assert_nothing_is_left();
}

static void every_cell_of_a_group_has_its_index(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        context.usage[class] += 1000;
        struct place places[2 * NG_MOST_CELLS];
        char *ptrs[2 * NG_MOST_CELLS];
        for (size_t i = 0; i < 2 * NG_MOST_CELLS; i++) {
            places[i] = take_place(class);
            ptrs[i] =
                cell_frame(places[i].group, places[i].index, most_of(class), context.mappings);
            memset(ptrs[i], 0xff, most_of(class));
        }
        for (size_t i = 0; i < 2 * NG_MOST_CELLS; i++)
            assert_header_tells(ptrs[i], places[i], most_of(class));
        for (size_t i = 0; i < 2 * NG_MOST_CELLS; i++) {
            cell_invalidate(ptrs[i]);
            free_cell(places[i].group, places[i].index);
        }
        context.usage[class] -= 1000;
    }
    assert_nothing_is_left();
}

/* Two live cells of a group, one with the other's index: what is at the pointer is not that one. */
static void the_index_of_another_cell_is_found_out(void **state)
{
    (void)state;
    struct slot *before = work_in(&context);
    char *ptrs[2] = {duet_malloc(100), duet_malloc(100)};
    __asm__("" : "+r"(ptrs[0]), "+r"(ptrs[1])); /* the compiler knows of nothing before them */
    struct cell cells[2] = {cell_of(ptrs[0]), cell_of(ptrs[1])}, found;
    assert_ptr_equal(cells[0].group, cells[1].group);
    const uint8_t code = *header_code(ptrs[0]);
    *header_code(ptrs[0]) = (uint8_t)((code & ~(unsigned)HEADER_INDEX_MASK) | cells[1].index);
    assert_false(cell_find(ptrs[0], &found));
    *header_code(ptrs[0]) = code;
    assert_true(cell_find(ptrs[0], &found));
    duet_mfree(ptrs[0]);
    duet_mfree(ptrs[1]);
    go_back_to(before);
}

/* Where many bytes are reserved their number stands at the cell's end: it is none where it is less
 * than what needs no place there, or more than there is room for. */
static void a_count_that_cannot_be_is_found_out(void **state)
{
    (void)state;
    struct slot *before = work_in(&context);
    size_t class = NG_CLASSES - 1, asked = most_of(class) - NG_UNIT;
    char *ptr = duet_malloc(asked);
    struct cell cell = cell_of(ptr);
    size_t bytes = 0;
    assert_true(cell_nominal(&cell, &bytes));
    assert_int_equal(bytes, asked);
    uint32_t *count = reserved_count(cell.end);
    const uint32_t right = *count;
    const uint32_t wrong[] = {0, RESERVED_COUNTED - 1, (uint32_t)(cell.end - cell.ptr) + 1,
                              UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        *count = wrong[i];
        assert_false(cell_nominal(&cell, &bytes));
    }
    *count = right;
    duet_mfree(ptr);
    go_back_to(before);
}

/* Of a cell that has just been freed, and of one whose bit is set, nothing is found. */
static void free_cells_are_not_found(void **state)
{
    (void)state;
    struct slot *before = work_in(&context);
    for (size_t class = 0; class < NG_CLASSES; class++) {
        void *cells[3];
        for (size_t i = 0; i < 3; i++)
            cells[i] = duet_malloc(most_of(class));
        for (size_t i = 0; i < 3; i++) {
            struct cell cell = cell_of(cells[i]);
            uint8_t *code = header_code(cells[i]);
            uint16_t *offset = header_offset(cells[i]);
            const uint8_t code_before = *code;
            const uint16_t offset_before = *offset;
            bool is_last = i == 2 || count_of_cells(cell.group) == 1;
            duet_mfree(cells[i]);
            if (is_last)
                continue; /* it may be unmapped */
            assert_int_equal(*code, 255);
            assert_int_equal(*offset, 0);
            assert_false(cell_find(cells[i], &cell));
            *code = code_before; /* a forged header does not help */
            *offset = offset_before;
            assert_false(cell_find(cells[i], &cell));
            cell_invalidate(cells[i]);
        }
    }
    go_back_to(before);
    assert_nothing_is_left();
}

static void a_cell_that_holds_a_group_is_not_for_its_user(void **state)
{
    (void)state;
    struct place place = take_place(0);
    assert_int_equal(place.group->pages, 0);
    struct cell outer = cell_of(place.group->base);
    size_t bytes;
    assert_ptr_equal(outer.ptr, outer.start);
    assert_int_equal(*header_code(outer.ptr), RESERVED_NESTED << 5 | outer.index);
    assert_false(cell_nominal(&outer, &bytes));
    free_cell(place.group, place.index);
    assert_false(cell_find(outer.ptr, &outer));
    assert_nothing_is_left();
}

/* ---- Where in its cell a pointer lies ------------------------------------------------------- */

static size_t model_offset(size_t wanted, size_t slack)
{
    wanted %= 256;
    if (wanted <= slack)
        return wanted;
    size_t power = 1;
    while (power <= slack)
        power *= 2;
    wanted %= power;
    return wanted <= slack ? wanted : wanted - slack - 1;
}

/* A cell's start with a header before it. */
struct start {
    alignas(NG_UNIT) char before[NG_UNIT];
    char start[NG_UNIT];
};

static void offsets_are_those_of_the_model(void **state)
{
    (void)state;
    struct start memory = {0};
    for (size_t slack = 1; slack <= 600; slack++) {
        for (uint32_t number = 0; number <= 600; number++) {
            *header_code(memory.start) = 0;
            *header_offset(memory.start) = 77;
            assert_int_equal(cell_next_offset(memory.start, slack, number),
                             model_offset(number, slack));
            *header_code(memory.start) = HEADER_FREED;
            *header_offset(memory.start) = (uint16_t)number;
            assert_int_equal(cell_next_offset(memory.start, slack, 77),
                             model_offset(number + 1, slack));
        }
        *header_offset(memory.start) = UINT16_MAX;
        assert_int_equal(cell_next_offset(memory.start, slack, 77), 0);
    }
}

/* All offsets there are, up to 256 of them, before one comes again. */
static void offsets_come_round(void **state)
{
    (void)state;
    struct start memory = {0};
    *header_code(memory.start) = HEADER_FREED;
    for (size_t slack = 1; slack <= 600; slack++) {
        bool seen[601] = {false};
        *header_offset(memory.start) = 0;
        for (size_t use = 0; use < min_size(slack + 1, 256); use++) {
            size_t offset = cell_next_offset(memory.start, slack, 0);
            assert_true(offset <= slack && !seen[offset]);
            seen[offset] = true;
            *header_offset(memory.start) = (uint16_t)offset;
        }
        assert_int_equal(*header_offset(memory.start), 0);
    }
}

static void an_address_comes_back_late(void **state)
{
    (void)state;
    for (size_t class = 1; class < NG_CLASSES; class++) {
        struct place place = take_place(class);
        size_t bytes = least_of(class);
        char *start = group_cell(place.group, place.index);
        size_t slack = (group_stride(place.group) - NG_HEADER_BYTES - bytes) / NG_UNIT;
        size_t offset = 0;
        for (unsigned use = 0; use < 300; use++) {
            char *ptr = cell_frame(place.group, place.index, bytes, 0);
            if (use > 0)
                assert_ptr_equal(ptr, start + 16 * model_offset(offset + 1, slack));
            offset = (size_t)(ptr - start) / 16;
            assert_header_tells(ptr, place, bytes);
            cell_invalidate(ptr);
        }
        free_cell(place.group, place.index);
    }
    assert_nothing_is_left();
}

/* ---- Alignment ----------------------------------------------------------------------------- */

static void aligned_cells_keep_their_length(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 12, 13, 100, 1000, 2044, 4096, 33000, 131051, 131052};
    struct slot *before = work_in(&context);
    for (size_t align = 16; align <= (size_t)1 << 20; align *= 2) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            char *others = duet_malloc(lengths[i]);
            for (unsigned use = 0; use < 20; use++) {
                char *ptr = duet_aligned_alloc(align, lengths[i]);
                assert_non_null(ptr);
                assert_int_equal((uintptr_t)ptr % align, 0);
                memset(ptr, 0xff, lengths[i]);
                /* 0 is a large block of 1 byte. */
                size_t length =
                    engine_is_large(lengths[i], align) ? max_size(lengths[i], 1) : lengths[i];
                assert_int_equal(duet_usable_size(ptr), length);
                assert_int_equal(engine_class_of(ptr, "test") == ENGINE_CLASSES,
                                 engine_is_large(lengths[i], align));
                assert_ends_are_guarded(ptr, length);
                struct cell cell = cell_of(ptr);
                if (use == 0 && engine_is_large(lengths[i], align) == false)
                    assert_start_is_no_pointer(ptr, (struct place){cell.group, cell.index});
                duet_mfree(ptr);
            }
            duet_mfree(others);
        }
        ng_check_context(&context);
    }
    go_back_to(before);
    assert_nothing_is_left();
}

/* The pointer that was moved away from has no header any more. */
static void of_an_aligned_cell_one_pointer_is_found(void **state)
{
    (void)state;
    struct slot *before = work_in(&context);
    for (size_t align = 32; align <= 4096; align *= 2) {
        for (unsigned use = 0; use < 40; use++) {
            size_t bytes = 100 + 16 * use;
            char *ptr = duet_aligned_alloc(align, bytes);
            struct cell cell = cell_of(ptr);
            for (char *other = cell.start; other < ptr; other += 16)
                assert_false(is_taken_for_a_cell(other));
            duet_mfree(ptr);
        }
    }
    go_back_to(before);
    assert_nothing_is_left();
}

#define BOUNDARY ((size_t)8 << 20)

/* A large block's group at an address of ours, which is not to be had from the OS. */
static struct group *make_large_group(char *base, size_t mapped)
{
    struct group *group = group_take_meta(&context);
    assert_non_null(group);
    store_relaxed(&group->shape, SHAPE_OF(NG_CLASS_LARGE, 0, 0));
    group->pages = (uint32_t)(mapped >> TABLE_MARK_SHIFT);
    group->base = (struct group_head *)base;
    group->base->meta = group_index(group);
    table_mark(base, mapped);
    return group;
}

static void unmake_large_group(struct group *group)
{
    table_unmark(group->base, group_mapped_bytes(group));
    memset(group->base, 0, NG_UNIT);
    group_share_meta(group);
}

static void assert_far_offset_is_verified(char *ptr)
{
    struct cell cell;
    const uint32_t far_offset = *header_far_offset(ptr);
    *header_offset(ptr) = 1;
    assert_false(cell_find(ptr, &cell));
    *header_offset(ptr) = 0;
    *header_far_offset(ptr) = UINT16_MAX;
    assert_false(cell_find(ptr, &cell));
    *header_far_offset(ptr) = far_offset + 1;
    assert_false(cell_find(ptr, &cell));
    *header_far_offset(ptr) = far_offset;
    assert_true(cell_find(ptr, &cell));
}

static void a_distance_above_16_bits_has_32(void **state)
{
    (void)state;
    size_t mapped = 4 * BOUNDARY;
    char *start = group_map(mapped);
    assert_non_null(start);
    char *boundary = (char *)round_up((uintptr_t)start, BOUNDARY) + BOUNDARY;
    static const size_t distances[] = {4096, 65536, 1 << 20, (1 << 20) + 65536, 4 << 20, 8 << 20};
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        char *base = boundary - distances[i];
        struct group *group = make_large_group(base, distances[i] + BOUNDARY);
        size_t bytes = 200000;
        char *framed = cell_frame(group, 0, bytes, 0);
        char *ptr = cell_align(framed, BOUNDARY, bytes);
        assert_ptr_equal(ptr, boundary);
        size_t offset = distances[i] / 16 - 1;
        bool is_far = offset > 65535;
        assert_int_equal(*header_far(ptr), is_far);
        assert_int_equal(*header_offset(ptr), is_far ? 0 : offset);
        struct cell cell = cell_of(ptr);
        size_t nominal;
        assert_ptr_equal(cell.group, group);
        assert_true(cell_nominal(&cell, &nominal));
        assert_int_equal(nominal, bytes);
        assert_ends_are_guarded(ptr, bytes);
        if (is_far)
            assert_far_offset_is_verified(ptr);
        memset(ptr - NG_UNIT, 0, NG_UNIT);
        unmake_large_group(group);
    }
    assert_true(os_unmap(start, mapped));
}

/* ---- Changes in place ---------------------------------------------------------------------- */

static void assert_changes_by_the_rule(char *ptr, size_t class, size_t length, size_t align)
{
    struct cell cell = cell_of(ptr);
    size_t before = engine_usable(ptr, class, "test"), least_class = 0;
    size_t bytes = length + align - 16; /* as if it were asked for anew */
    while (least_class < NG_CLASSES && bytes > most_of(least_class))
        least_class++;
    bool fits = length <= (size_t)(cell.end - cell.ptr) && bytes < NG_LARGE_BYTES;
    bool changes = fits && least_class + 1 >= class;
    assert_int_equal(engine_resize(ptr, class, length, align, "test"), changes);
    assert_header_tells(ptr, (struct place){cell.group, cell.index}, changes ? length : before);
    assert_int_equal(engine_usable(ptr, class, "test"), changes ? length : before);
    assert_true(engine_was_allocated(ptr, class, changes ? length : before, 16, "test"));
    assert_false(engine_was_allocated(ptr, class, (changes ? length : before) + 1, 16, "test"));
    assert_ends_are_guarded(ptr, changes ? length : before);
}

static void a_length_changes_in_place_unless_the_class_falls_by_more_than_one(void **state)
{
    (void)state;
    for (size_t class = 0; class < NG_CLASSES; class++) {
        struct place place = take_place(class);
        char *ptr = cell_frame(place.group, place.index, least_of(class), 0);
        for (size_t align = 16; align <= 1024; align *= 8)
            for (size_t length = 0; length <= MOST_IN_FULL; length++)
                assert_changes_by_the_rule(ptr, class, length, align);
        for (size_t other = 0; other < NG_CLASSES; other++)
            for (size_t past = 0; past < 3; past++) {
                assert_changes_by_the_rule(ptr, class, least_of(other) + past, 16);
                assert_changes_by_the_rule(ptr, class, most_of(other) - past, 16);
            }
        assert_changes_by_the_rule(ptr, class, NG_LARGE_BYTES, 16);
        assert_changes_by_the_rule(ptr, class, 2 * NG_LARGE_BYTES, 16);
        cell_invalidate(ptr);
        free_cell(place.group, place.index);
    }
    assert_nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_known_to_the_byte),
        cmocka_unit_test(every_cell_of_a_group_has_its_index),
        cmocka_unit_test(the_index_of_another_cell_is_found_out),
        cmocka_unit_test(a_count_that_cannot_be_is_found_out),
        cmocka_unit_test(free_cells_are_not_found),
        cmocka_unit_test(a_cell_that_holds_a_group_is_not_for_its_user),
        cmocka_unit_test(offsets_are_those_of_the_model),
        cmocka_unit_test(offsets_come_round),
        cmocka_unit_test(an_address_comes_back_late),
        cmocka_unit_test(aligned_cells_keep_their_length),
        cmocka_unit_test(of_an_aligned_cell_one_pointer_is_found),
        cmocka_unit_test(a_distance_above_16_bits_has_32),
        cmocka_unit_test(a_length_changes_in_place_unless_the_class_falls_by_more_than_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
