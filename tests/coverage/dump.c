/*
 * How the counts of a process are written that does not end by exit, in the coverage flavour. gcov
 * writes them in a destructor, which neither `_exit` nor abort runs; and much of what is looked at
 * here is seen by children that end by these, or by execve. This file is compiled into every
 * library and program of that flavour: its `_exit` and execve come before the C library's, its
 * coverage_abort is what src/base/fatal.c calls abort (CMakeLists.txt).
 *
 * Counts are added to the files under a lock, and the process's own begin anew: what a vfork child
 * has written its parent does not write again. What a signal kills is not counted, nor what another
 * program replaces by other calls.
 *
 * Who aborts may hold locks of the heap, or have it in ruins, and to write takes memory. So nothing
 * is said by then, what fails there aborts at once, and what takes long does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

void __gcov_dump(void);
void __gcov_reset(void);
_Noreturn void coverage_abort(void);

/* Long enough for all files, be the machine ever so busy; short enough for whoever waits. */
#define SECONDS_TO_WRITE 20

static void write_counts(void)
{
    __gcov_dump();
    __gcov_reset();
}

VISIBLE _Noreturn void _exit(int status)
{
    write_counts();
    for (;;)
        syscall(SYS_exit_group, status);
}

VISIBLE _Noreturn void _Exit(int status)
{
    _exit(status);
}

/* A shell's child is seldom more than this. */
VISIBLE int execve(const char *path, char *const arguments[], char *const environment[])
{
    write_counts();
    return (int)syscall(SYS_execve, path, arguments, environment);
}

static void give_up(int signal)
{
    (void)signal;
    abort();
}

_Noreturn void coverage_abort(void)
{
    static volatile sig_atomic_t entered;
    if (!entered) {
        entered = 1;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* it ends by abort, and not before */
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere >= 0)
            dup2(nowhere, STDERR_FILENO);
        signal(SIGALRM, give_up);
        signal(SIGSEGV, give_up);
        alarm(SECONDS_TO_WRITE);
        write_counts();
    }
    abort();
}
