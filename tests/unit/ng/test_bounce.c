/*
 * Bounce counters, over all classes.
 */
#include "ng_tests.h"

static const size_t unwatched[] = {0, 1, 2, 3, 4, 5, 6, 39, 40, 41, 42, 43, 44, 45, 46, 47, 63};

static uint8_t count_of(const struct bounce *bounce, size_t class)
{
    return bounce->count[class - BOUNCE_FIRST_CLASS];
}

static void step_often(struct bounce *bounce, unsigned steps)
{
    while (steps-- > 0)
        bounce_step(bounce);
}

/* As a group is unmapped, and one is mapped. */
static void unmap(struct bounce *bounce, size_t class)
{
    bounce_step(bounce);
    bounce_record(bounce, class);
}

static void map(struct bounce *bounce, size_t class)
{
    bounce_account(bounce, class);
    bounce_step(bounce);
}

static void classes_7_to_38_are_watched(void **state)
{
    (void)state;
    for (size_t class = 0; class < 64; class++)
        assert_int_equal(bounce_is_watched(class), class >= 7 && class <= 38);
}

static void a_mapping_within_ten_steps_of_an_unmapping_counts(void **state)
{
    (void)state;
    assert_int_equal(BOUNCE_WINDOW, 10);
    for (size_t class = 7; class <= 38; class++) {
        for (unsigned steps = 0; steps < 25; steps++) {
            struct bounce bounce = {0};
            unmap(&bounce, class);
            step_often(&bounce, steps);
            bounce_account(&bounce, class);
            assert_int_equal(count_of(&bounce, class), steps < 10);
        }
    }
}

static void an_unmapping_of_another_class_does_not_count(void **state)
{
    (void)state;
    for (size_t class = 7; class <= 38; class++) {
        struct bounce bounce = {0};
        for (size_t other = 0; other < NG_CLASSES; other++)
            if (other != class)
                bounce_record(&bounce, other);
        bounce_step(&bounce);
        bounce_account(&bounce, class);
        assert_int_equal(count_of(&bounce, class), 0);
    }
}

static void a_first_mapping_is_no_bounce(void **state)
{
    (void)state;
    struct bounce bounce = {0};
    for (size_t class = 0; class < NG_CLASSES; class++)
        map(&bounce, class);
    for (size_t class = 7; class <= 38; class++)
        assert_int_equal(count_of(&bounce, class), 0);
}

static void at_the_limit_the_count_jumps(void **state)
{
    (void)state;
    assert_true(DUET_TINY || (BOUNCE_LIMIT == 100 && BOUNCE_JUMP == 150));
    for (size_t class = 7; class <= 38; class++) {
        struct bounce bounce = {0};
        for (unsigned bounces = 1; bounces <= BOUNCE_LIMIT + 3; bounces++) {
            unmap(&bounce, class);
            map(&bounce, class);
            assert_int_equal(count_of(&bounce, class),
                             bounces < BOUNCE_LIMIT ? bounces : (unsigned)BOUNCE_JUMP);
            assert_int_equal(bounce_is_on(&bounce, class), bounces >= BOUNCE_LIMIT);
        }
        for (size_t other = 0; other < 64; other++)
            assert_int_equal(bounce_is_on(&bounce, other), other == class);
    }
}

static void each_activation_takes_one_off(void **state)
{
    (void)state;
    for (size_t class = 7; class <= 38; class++) {
        struct bounce bounce = {0};
        for (unsigned bounces = 0; bounces < BOUNCE_LIMIT; bounces++) {
            unmap(&bounce, class);
            map(&bounce, class);
        }
        for (unsigned left = BOUNCE_JUMP; left > 0; left--) {
            assert_int_equal(count_of(&bounce, class), left);
            assert_int_equal(bounce_is_on(&bounce, class), left >= BOUNCE_LIMIT);
            bounce_decay(&bounce, class);
        }
        bounce_decay(&bounce, class);
        assert_int_equal(count_of(&bounce, class), 0);
    }
}

/* At its end the sequence begins anew from 1, and what was unmapped before is forgotten. */
static void the_sequence_wraps_and_clears(void **state)
{
    (void)state;
    assert_true(DUET_TINY || BOUNCE_LAST_SEQUENCE == 255);
    for (size_t class = 7; class <= 38; class++) {
        struct bounce bounce = {0};
        step_often(&bounce, BOUNCE_LAST_SEQUENCE - 1);
        unmap(&bounce, class);
        assert_int_equal(bounce.sequence, BOUNCE_LAST_SEQUENCE);
        struct bounce before_wrap = bounce;
        bounce_account(&before_wrap, class);
        assert_int_equal(count_of(&before_wrap, class), 1);
        bounce_step(&bounce);
        assert_int_equal(bounce.sequence, 1);
        bounce_account(&bounce, class);
        assert_int_equal(count_of(&bounce, class), 0);
    }
}

/* The sequence is 0 only before the first step, so 0 can stand for no unmapping. */
static void the_sequence_stays_above_0(void **state)
{
    (void)state;
    struct bounce bounce = {0};
    for (unsigned steps = 0; steps < 5 * BOUNCE_LAST_SEQUENCE; steps++) {
        bounce_step(&bounce);
        assert_int_equal(bounce.sequence, steps % BOUNCE_LAST_SEQUENCE + 1);
    }
}

static void of_other_classes_nothing_is_noted(void **state)
{
    (void)state;
    struct bounce bounce = {0};
    step_often(&bounce, 3);
    const struct bounce before = bounce;
    for (size_t i = 0; i < sizeof unwatched / sizeof *unwatched; i++) {
        for (unsigned often = 0; often < 2 * BOUNCE_JUMP; often++) {
            bounce_record(&bounce, unwatched[i]);
            bounce_account(&bounce, unwatched[i]);
        }
        assert_false(bounce_is_on(&bounce, unwatched[i]));
        bounce_decay(&bounce, unwatched[i]);
    }
    assert_memory_equal(&bounce, &before, sizeof bounce);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_7_to_38_are_watched),
        cmocka_unit_test(a_mapping_within_ten_steps_of_an_unmapping_counts),
        cmocka_unit_test(an_unmapping_of_another_class_does_not_count),
        cmocka_unit_test(a_first_mapping_is_no_bounce),
        cmocka_unit_test(at_the_limit_the_count_jumps),
        cmocka_unit_test(each_activation_takes_one_off),
        cmocka_unit_test(the_sequence_wraps_and_clears),
        cmocka_unit_test(the_sequence_stays_above_0),
        cmocka_unit_test(of_other_classes_nothing_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
