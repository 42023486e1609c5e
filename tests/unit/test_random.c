/*
 * Secrets: also where the kernel has no random bytes to give, early in its life or under a sandbox.
 */
#include "unit.h"

#include <sys/auxv.h>

#include "base/random.h"
#include "refused_calls.h"

static void secrets_differ(void **state)
{
    (void)state;
    assert_true(random_secret() != random_secret());
    assert_true(random_secret() != 0);
}

/* Then they are of what the process was given at its start: the same each time, and not plainly
 * those bytes, in which others have a secret of their own. */
static void take_without_the_kernel(void *unused)
{
    (void)unused;
    const int calls[] = {SYS_getrandom};
    refuse_system_calls(calls, 1);
    errno = EINTR;
    uint64_t secret = random_secret();
    CHECK(errno == EINTR);
    CHECK(secret != 0 && secret == random_secret());
    const void *given = (const void *)getauxval(AT_RANDOM);
    uint64_t words[2] = {0, 0};
    if (given != NULL)
        memcpy(words, given, sizeof words); /* it lies anywhere */
    CHECK(secret != words[0] && secret != words[1]);
}

static void there_is_one_without_the_kernel(void **state)
{
    (void)state;
    char text[256];
    int signal = signal_of(take_without_the_kernel, NULL, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(signal, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_differ),
        cmocka_unit_test(there_is_one_without_the_kernel),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
