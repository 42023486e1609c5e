/*
 * All signals are blocked and taken one by one with sigtimedwait, whose timeout is also the pulse
 * of the watch; so nothing runs in a handler, and nothing can end the launcher unawares.
 */
#include "run/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/say.h"

/* A look every 20 ms costs under 0.3 % of a CPU. The first come sooner, so that a short program
 * is seen at all. */
#define LOOK_FIRST_NS ((uint64_t)1000 * 1000)
#define LOOK_LAST_NS ((uint64_t)20 * 1000 * 1000)

/* ---- Start -------------------------------------------------------------------------------- */

void launch_hold_signals(struct launch *launch)
{
    sigset_t all;
    struct sigaction standard = {.sa_handler = SIG_DFL};

    /* The terminal's stop for background use stays as it is: it asks for nothing to be done. */
    sigfillset(&all);
    sigdelset(&all, SIGTTIN);
    sigdelset(&all, SIGTTOU);
    sigprocmask(SIG_SETMASK, &all, &launch->outer_mask);

    /* Were SIGCHLD ignored, as some parents leave it, the child's status would be thrown away. */
    sigaction(SIGCHLD, &standard, &launch->outer_child_action);
}

void launch_drop_signals(void)
{
    static const struct timespec at_once = {0, 0};
    sigset_t all;

    sigfillset(&all);
    while (sigtimedwait(&all, NULL, &at_once) > 0)
        continue;
}

void launch_release_signals(struct launch *launch)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    launch_drop_signals();
    /* A reader of the report that goes away is a write error, not the launcher's death. */
    sigaction(SIGPIPE, &ignore, NULL);
    sigprocmask(SIG_SETMASK, &launch->outer_mask, NULL);
}

/* In the child: becomes the program, or writes errno into the pipe. */
static _Noreturn void become(const struct launch *launch, const char *path, char *const *arguments,
                             int failed)
{
    sigaction(SIGCHLD, &launch->outer_child_action, NULL);
    sigprocmask(SIG_SETMASK, &launch->outer_mask, NULL);

    /* The path has a slash in it, so that nothing is looked up again; but as execvp this gives a
     * file without "#!" to the shell. */
    execvp(path, arguments);
    int error = errno;
    while (write(failed, &error, sizeof error) < 0 && errno == EINTR)
        continue;
    _exit(STATUS_NOT_RUNNABLE);
}

/* Starts the child and waits until it is the program. Returns 0 or errno. */
static int start(struct launch *launch, const char *path, char *const *arguments)
{
    int ends[2];
    int error = 0;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    ends[0] = fd_above_standard(ends[0]);
    ends[1] = fd_above_standard(ends[1]);

    launch->start_ns = now_ns();
    launch->child = fork();
    if (launch->child == 0)
        become(launch, path, arguments, ends[1]);
    if (launch->child < 0)
        error = errno;
    close(ends[1]);

    /* The pipe closes by itself when exec succeeds. */
    if (launch->child > 0 && read(ends[0], &error, sizeof error) > 0)
        waitpid(launch->child, NULL, 0);
    close(ends[0]);
    return error;
}

/* ---- Signals ------------------------------------------------------------------------------ */

/* Whether the signal was sent to the launcher alone. The terminal's go to the whole group, so
 * that the program has them already; only a hang-up goes to the session's leader alone. What the
 * program sends itself, to its group, is not echoed. */
static bool is_for_program(const struct launch *launch, const siginfo_t *info)
{
    if (info->si_signo == SIGHUP && info->si_code > 0)
        return getsid(0) == getpid();
    return info->si_code <= 0 && info->si_pid != launch->child;
}

/* Stops the launcher as the signal would have, had it not been held back. */
static void stop_self(int signal)
{
    sigset_t only;

    sigemptyset(&only);
    sigaddset(&only, signal);
    raise(signal);
    /* SIGSTOP has taken effect above. SIGTSTP does now, and does nothing in an orphaned group. */
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    sigprocmask(SIG_BLOCK, &only, NULL);
}

static void pass_on(const struct launch *launch, const siginfo_t *info)
{
    if (is_for_program(launch, info)) {
        if (info->si_code == SI_QUEUE)
            sigqueue(launch->child, info->si_signo, info->si_value);
        else
            kill(launch->child, info->si_signo);
    }
    if (info->si_signo == SIGTSTP)
        stop_self(SIGTSTP);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

/* Takes what has become of the child. `*stopped` follows whether it is stopped now. Returns
 * whether it has ended. */
static bool reap(struct launch *launch, bool *stopped)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(launch->child, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
        if (WIFSTOPPED(status)) {
            *stopped = true;
        } else if (WIFCONTINUED(status)) {
            *stopped = false;
        } else {
            launch->wait_status = status;
            return true;
        }
    }
    return false;
}

/* Waits at most until `until_ns` for a signal. Returns whether there was one. */
static bool wait_for_signal(uint64_t until_ns, siginfo_t *info)
{
    sigset_t all;
    uint64_t now = now_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {
        .tv_sec = (time_t)(left / 1000000000u),
        .tv_nsec = (long)(left % 1000000000u),
    };

    sigfillset(&all);
    sigdelset(&all, SIGTTIN);
    sigdelset(&all, SIGTTOU);
    return sigtimedwait(&all, info, &timeout) > 0;
}

static void wait_for_end(struct launch *launch, struct watch *watch)
{
    uint64_t interval = LOOK_FIRST_NS;
    uint64_t next_look = now_ns() + interval;
    bool stopped = false;
    bool was_stopped = false;

    while (!reap(launch, &stopped)) {
        siginfo_t info;
        if (wait_for_signal(next_look, &info) && info.si_signo != SIGCHLD)
            pass_on(launch, &info);
        if (now_ns() < next_look)
            continue;

        if (watch != NULL)
            watch_look(watch);
        interval = interval * 2 < LOOK_LAST_NS ? interval * 2 : LOOK_LAST_NS;
        next_look = now_ns() + interval;

        /* A program that stopped by itself stops its launcher, so that the shell takes the
         * terminal back. Not at once: after a continue to the whole group, the launcher may run
         * before the program has had its own. */
        if (stopped && was_stopped) {
            stop_self(SIGSTOP);
            was_stopped = false;
        } else {
            was_stopped = stopped;
        }
    }
}

int launch_program(struct launch *launch, const char *path, char *const *arguments,
                   struct watch *watch, struct counters_file *file)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    launch->own_rss_kib = (uint64_t)usage.ru_maxrss;
    int error = start(launch, path, arguments);
    if (error != 0) {
        say("cannot run '%s': %s", arguments[0], strerror(error));
        return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUNNABLE;
    }
    if (watch != NULL)
        watch_start(watch, file, launch->child);
    wait_for_end(launch, watch);
    launch->end_ns = now_ns();
    if (watch != NULL)
        watch_look(watch);

    getrusage(RUSAGE_CHILDREN, &usage);
    launch->user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000u + (uint64_t)usage.ru_utime.tv_usec;
    launch->system_us =
        (uint64_t)usage.ru_stime.tv_sec * 1000000u + (uint64_t)usage.ru_stime.tv_usec;
    launch->largest_rss_kib = (uint64_t)usage.ru_maxrss;
    return 0;
}

/* ---- End ---------------------------------------------------------------------------------- */

int launch_exit_status(const struct launch *launch)
{
    if (WIFSIGNALED(launch->wait_status))
        return 128 + WTERMSIG(launch->wait_status);
    return WEXITSTATUS(launch->wait_status);
}

void launch_mirror_death(const struct launch *launch)
{
    if (!WIFSIGNALED(launch->wait_status))
        return;

    int signal = WTERMSIG(launch->wait_status);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    struct rlimit none = {0, 0};
    sigset_t only;

    /* The limit keeps core files from being written, the flag also what is piped to a handler. */
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sigaction(signal, &standard, NULL);
    sigemptyset(&only);
    sigaddset(&only, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
}
