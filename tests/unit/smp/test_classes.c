/*
 * The engine's class functions over their whole domain.
 */
#include "unit.h"

#include "engine.h"

static void every_length_gets_the_least_cell_that_holds_it(void **state)
{
    (void)state;
    size_t largest = engine_class_bytes(ENGINE_CLASSES - 1);
    assert_int_equal(largest, SMP_SLAB_BYTES / 2);
    for (size_t align = 1; align <= 4 * SMP_SLAB_BYTES; align *= 2) {
        for (size_t length = 0; length <= 2 * SMP_SLAB_BYTES; length++) {
            size_t class = smp_class_for(length, align);
            if (length > largest || align > largest) {
                assert_true(class >= ENGINE_CLASSES);
                continue;
            }
            size_t bytes = engine_class_bytes(class);
            assert_true(class < ENGINE_CLASSES);
            assert_true(bytes >= length && bytes >= align && bytes >= sizeof(void *));
            if (class > 0) {
                size_t smaller = engine_class_bytes(class - 1);
                assert_true(smaller < length || smaller < align);
            }
        }
    }
}

static void impossible_lengths_are_no_class(void **state)
{
    (void)state;
    const size_t lengths[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_true(smp_class_for(lengths[i], 1) >= ENGINE_CLASSES);
    for (size_t align = SMP_SLAB_BYTES; align != 0; align *= 2)
        assert_true(smp_class_for(1, align) >= ENGINE_CLASSES);
}

static void class_bytes_of_the_table_lead_back(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
        size_t class = smp_class_of_table((uint8_t)byte);
        bool is_engine = byte >= TABLE_ENGINE_FIRST && byte < TABLE_ENGINE_FIRST + ENGINE_CLASSES;
        assert_int_equal(class < ENGINE_CLASSES, is_engine);
        if (is_engine)
            assert_int_equal(class + TABLE_ENGINE_FIRST, byte);
    }
}

static void only_multiples_of_the_cell_are_cells(void **state)
{
    (void)state;
    for (size_t class = 0; class < ENGINE_CLASSES; class++)
        for (size_t offset = 0; offset < SMP_SLAB_BYTES; offset++)
            assert_int_equal(smp_is_cell((void *)(16 * SMP_SLAB_BYTES + offset), class),
                             offset % engine_class_bytes(class) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_gets_the_least_cell_that_holds_it),
        cmocka_unit_test(impossible_lengths_are_no_class),
        cmocka_unit_test(class_bytes_of_the_table_lead_back),
        cmocka_unit_test(only_multiples_of_the_cell_are_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
