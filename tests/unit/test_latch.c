/*
 * The latch: exclusion, refusal where a lock would wait, and fork.
 */
#include "unit.h"

#include <pthread.h>

#include "base/config.h"
#include "os/latch.h"

#define THREADS 4
#define ROUNDS 20000

/* Rounds of back-off: none that are long, and more than any holder here needs. */
#define HARDLY 3
#define LONG 1000000

static struct latch latch;
static size_t counter;

static void *add(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        if (!latch_try_for(&latch, LONG))
            return &latch;
        counter++;
        latch_release(&latch);
    }
    return NULL;
}

/* Runs code in another thread, and says what it returned. */
static void *elsewhere(void *(*code)(void *))
{
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, code, NULL), 0);
    pthread_join(thread, &result);
    return result;
}

static void *try_once(void *unused)
{
    (void)unused;
    if (!latch_try_for(&latch, HARDLY))
        return NULL;
    latch_release(&latch);
    return &latch;
}

static void a_process_of_one_thread_has_it(void **state)
{
    (void)state;
    assert_true(latch_try(&latch));
    assert_true(latch_is_own(&latch));
    assert_false(latch_try(&latch));
    latch_release(&latch);
    assert_false(latch_is_own(&latch));
    assert_true(latch_try_for(&latch, 0));
    latch_release(&latch);
}

static void one_thread_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *refused;
        pthread_join(threads[i], &refused);
        assert_null(refused);
    }
    assert_int_equal(counter, THREADS * ROUNDS);
}

static void who_comes_late_is_refused(void **state)
{
    (void)state;
    assert_true(latch_try(&latch));
    assert_null(elsewhere(try_once));
    latch_release(&latch);
    assert_non_null(elsewhere(try_once));
}

static volatile sig_atomic_t refusals;

static void handle(int signal)
{
    (void)signal;
    refusals += !latch_try_for(&latch, LONG);
}

static void nobody_waits_for_himself(void **state)
{
    (void)state;
    signal(SIGUSR1, handle);
    assert_true(latch_try(&latch));
    raise(SIGUSR1);
    usleep(1000); /* ThreadSanitizer hands signals on at calls like this */
    assert_int_equal(refusals, 1);
    latch_release(&latch);
}

static void during_a_fork_it_is_the_forking_threads(void **state)
{
    (void)state;
    assert_true(latch_fork_prepare(&latch, 0));
    for (int i = 0; i < 2; i++) {
        assert_false(latch_is_own(&latch));
        assert_null(elsewhere(try_once));
        assert_true(latch_try(&latch));
        assert_null(elsewhere(try_once));
        assert_false(latch_try(&latch));
        latch_release(&latch);
    }
    pid_t child = fork();
    if (child == 0) {
        bool usable = latch_try(&latch);
        latch_release(&latch);
        latch_fork_end(&latch);
        _exit(!usable || !latch_try(&latch));
    }
    latch_fork_end(&latch);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_non_null(elsewhere(try_once));
    assert_true(latch_try(&latch));
    latch_release(&latch);
}

/* Takes it, and holds it while the test goes on. */
static void *hold(void *barrier)
{
    bool held = latch_try(&latch);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    if (held)
        latch_release(&latch);
    return NULL;
}

static void a_child_loses_what_another_thread_held(void **state)
{
    (void)state;
    pthread_barrier_t barrier;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, hold, &barrier), 0);
    pthread_barrier_wait(&barrier);
    assert_false(latch_fork_prepare(&latch, HARDLY));
    pid_t child = fork();
    if (child == 0) {
        latch_lose(&latch);
        bool refused = !latch_try(&latch) && !latch_try_for(&latch, LONG);
        latch_renew(&latch);
        _exit(!refused || !latch_try(&latch));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    assert_true(latch_try(&latch));
    latch_release(&latch);
}

static void release_what_nobody_holds(void *unused)
{
    (void)unused;
    latch_release(&latch);
}

static void a_release_too_many_is_found_in_the_checked_build(void **state)
{
    (void)state;
    char text[256];
    int signal = signal_of(release_what_nobody_holds, NULL, text, sizeof text);
    assert_int_equal(signal, DUET_CHECKED ? SIGABRT : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_of_one_thread_has_it), /* before there is a second one */
        cmocka_unit_test(one_thread_at_a_time),
        cmocka_unit_test(who_comes_late_is_refused),
        cmocka_unit_test(nobody_waits_for_himself),
        cmocka_unit_test(during_a_fork_it_is_the_forking_threads),
        cmocka_unit_test(a_child_loses_what_another_thread_held),
        cmocka_unit_test(a_release_too_many_is_found_in_the_checked_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
