/*
 * The lock: exclusion, signals held off, and being taken again by its holder.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>

#include "base/config.h"
#include "base/lock.h"

#define THREADS 4
#define ROUNDS 20000

static struct lock lock = LOCK_INITIAL(LOCK_RANK_SPANS);
static struct lock lower = LOCK_INITIAL(LOCK_RANK_LARGE);
static size_t counter;
static volatile sig_atomic_t handled;

static void *add(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        lock_take(&lock);
        counter++;
        lock_release(&lock);
    }
    return NULL;
}

static void one_thread_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, THREADS * ROUNDS);
}

#define ASLEEP_US 50000 /* by when who came for the lock has spun, and sleeps */

static void *take_once(void *unused)
{
    lock_take(&lock);
    lock_release(&lock);
    return unused;
}

/* One wakes the next, though nobody comes for the lock any more. */
static void all_that_sleep_are_woken(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    lock_take(&lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_once, NULL), 0);
    usleep(ASLEEP_US);
    lock_release(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void handle(int signal)
{
    (void)signal;
    handled++;
    lock_take(&lock); /* never waits for its own thread */
    lock_release(&lock);
}

static void signals_wait_until_the_lock_is_released(void **state)
{
    (void)state;
    signal(SIGUSR1, handle);
    errno = 77;
    lock_take(&lock);
    raise(SIGUSR1);
    assert_int_equal(handled, 0);
    lock_release(&lock);
    usleep(1000); /* ThreadSanitizer hands signals on at calls like this */
    assert_int_equal(handled, 1);
    assert_int_equal(errno, 77);
}

static bool is_held_off(int number)
{
    sigset_t mask;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    return sigismember(&mask, number) == 1;
}

static void the_holder_may_take_it_again(void **state)
{
    (void)state;
    lock_take(&lock);
    lock_take(&lock);
    lock_release(&lock);
    assert_true(lock_is_held(&lock));
    assert_true(is_held_off(SIGUSR1));
    lock_release(&lock);
    assert_false(lock_is_held(&lock));
    assert_false(is_held_off(SIGUSR1)); /* as it was before the first time */
}

static void take_in_falling_rank(void *unused)
{
    (void)unused;
    lock_take(&lock);
    lock_take(&lower);
}

static void falling_rank_is_found_in_the_checked_build(void **state)
{
    (void)state;
    char text[256];
    int signal = signal_of(take_in_falling_rank, NULL, text, sizeof text);
    assert_int_equal(signal, DUET_CHECKED ? SIGABRT : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_at_a_time),
        cmocka_unit_test(all_that_sleep_are_woken),
        cmocka_unit_test(signals_wait_until_the_lock_is_released),
        cmocka_unit_test(the_holder_may_take_it_again),
        cmocka_unit_test(falling_rank_is_found_in_the_checked_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
