/*
 * The tool sends an order as one length and as many bytes of strings; the starter answers with a
 * struct ended. One order at a time, so nothing else is needed. The starter takes signals as
 * run/launch.c does, one by one with a timeout, and none of them ends it before its program.
 */
#include "measure/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/preload.h"
#include "common/say.h"

/* What comes in front of an order's strings. A string is there only where its flag says so. */
struct order_head {
    double limit_s;
    uint32_t
        bytes; /* of all strings with their ends: path, input, preload, arguments, environment */
    uint32_t argument_count;
    uint32_t environment_count;
    bool has_input;
    bool has_preload;
    bool one_cpu;
};

static const int asking_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define ASKING_COUNT (sizeof asking_signals / sizeof *asking_signals)

/* ---- Both sides: whole messages ------------------------------------------------------------- */

static bool write_whole(int fd, const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t now = send(fd, (const char *)from + done, bytes - done, MSG_NOSIGNAL);
        if (now < 0 && errno != EINTR)
            return false;
        done += now > 0 ? (size_t)now : 0;
    }
    return true;
}

static bool read_whole(int fd, void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t now = read(fd, (char *)to + done, bytes - done);
        if (now == 0 || (now < 0 && errno != EINTR))
            return false;
        done += now > 0 ? (size_t)now : 0;
    }
    return true;
}

/* ---- The starter: its program's start ------------------------------------------------------- */

/* An order as the starter has it; all point into one mapping. */
struct received {
    struct order_head head;
    char *strings;
    size_t mapped;
    const char *path;
    const char *input;
    const char *preload;
    char **arguments;
    char **environment;
};

/* The last of those that it may run on: the first has most of the interrupts. Where the kernel
 * knows of more CPUs than fit a set, it stays free. */
static bool stay_on_one_cpu(void)
{
    cpu_set_t all;
    cpu_set_t one;
    size_t last = CPU_SETSIZE - 1;

    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return errno == EINVAL;
    while (last > 0 && !CPU_ISSET(last, &all))
        last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* In the child. */
static _Noreturn void become(const struct received *order, const int *streams, const sigset_t *mask,
                             int failed)
{
    int input = open(order->input != NULL ? order->input : "/dev/null", O_RDONLY | O_NOCTTY);
    bool ready = input >= 0 && setsid() >= 0 && dup2(input, STDIN_FILENO) >= 0 &&
                 dup2(streams[STREAM_OUTPUT], STDOUT_FILENO) >= 0 &&
                 dup2(streams[STREAM_ERROR], STDERR_FILENO) >= 0;

    for (uint32_t i = 0; ready && i < order->head.environment_count; i++)
        ready = putenv(order->environment[i]) == 0;
    if (ready && order->preload != NULL)
        ready = preload_add(order->preload);
    if (ready && order->head.one_cpu)
        ready = stay_on_one_cpu();
    if (ready) {
        if (input > STDERR_FILENO)
            close(input);
        sigprocmask(SIG_SETMASK, mask, NULL);
        execvp(order->path, order->arguments);
    }
    int error = errno;
    while (write(failed, &error, sizeof error) < 0 && errno == EINTR)
        continue;
    _exit(STATUS_NOT_RUNNABLE);
}

/* Forks the program and waits until it is there. Returns 0 or errno. */
static int start(const struct received *order, const int *streams, const sigset_t *mask,
                 pid_t *child)
{
    int ends[2];
    int error = 0;

    for (int i = 0; i < STREAM_COUNT; i++) {
        if (ftruncate(streams[i], 0) != 0 || lseek(streams[i], 0, SEEK_SET) != 0)
            return errno;
    }
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    ends[0] = fd_above_standard(ends[0]);
    ends[1] = fd_above_standard(ends[1]);
    *child = fork();
    if (*child == 0)
        become(order, streams, mask, ends[1]);
    if (*child < 0)
        error = errno;
    close(ends[1]);
    if (*child > 0 && read(ends[0], &error, sizeof error) > 0)
        waitpid(*child, NULL, 0);
    close(ends[0]);
    return error;
}

/* ---- The starter: its program's end --------------------------------------------------------- */

/* Kills all processes that have come to be the starter's children, and theirs as they come to be,
 * until there are none. */
static void kill_left_over(void)
{
    char path[64];
    char text[4096];

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        FILE *file = fopen(path, "re");
        size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file != NULL)
            fclose(file);
        text[length] = '\0';
        char *rest = text;
        bool killed = false;
        for (long pid = strtol(rest, &rest, 10); pid > 0; pid = strtol(rest, &rest, 10))
            killed = kill((pid_t)pid, SIGKILL) == 0 || killed;
        /* What is another user's, or a kernel without that file: it is waited for no longer. */
        if (!killed && waitpid(-1, NULL, WNOHANG) == 0)
            return;
        waitpid(-1, NULL, 0);
    }
}

/* Waits at most until `until_ns` (0: for ever) for one of these signals and returns it; 0: the time
 * is up. */
static int wait_for_signal(const sigset_t *signals, uint64_t until_ns)
{
    uint64_t now = now_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
                               .tv_nsec = (long)(left % 1000000000u)};
    int signal = sigtimedwait(signals, NULL, until_ns != 0 ? &timeout : NULL);

    return signal > 0 ? signal : errno == EINTR ? SIGCHLD : 0;
}

static void take_usage(struct cost *cost, const struct rusage *usage)
{
    cost->of[METRIC_USER] = (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6;
    cost->of[METRIC_SYSTEM] =
        (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1e6;
    cost->of[METRIC_PEAK_RSS] = (double)usage->ru_maxrss;
    cost->of[METRIC_FAULTS] = (double)usage->ru_minflt + (double)usage->ru_majflt;
    cost->of[METRIC_SWITCHES] = (double)usage->ru_nvcsw + (double)usage->ru_nivcsw;
}

/* Waits for the program to end, or ends it when its time is up or the user wants no more. */
static void wait_for_end(pid_t child, double limit_s, const sigset_t *signals, struct ended *ended)
{
    uint64_t start_ns = now_ns();
    uint64_t until_ns = limit_s > 0 ? start_ns + (uint64_t)(limit_s * 1e9) : 0;
    struct rusage usage;

    while (wait4(child, &ended->wait_status, WNOHANG, &usage) == 0) {
        int signal = wait_for_signal(signals, until_ns);
        if (signal == SIGCHLD)
            continue;
        ended->timed_out = signal == 0;
        ended->interrupted = signal != 0;
        kill(-child, SIGKILL);
        kill(child, SIGKILL);
        while (wait4(child, &ended->wait_status, 0, &usage) < 0 && errno == EINTR)
            continue;
        break;
    }
    ended->cost.of[METRIC_WALL] = (double)(now_ns() - start_ns) / 1e9;
    take_usage(&ended->cost, &usage);
    kill(-child, SIGKILL);
    kill_left_over();
}

/* ---- The starter: orders -------------------------------------------------------------------- */

/* Lays `count` strings from *next on out as a list that ends with NULL. */
static void list_strings(char **list, uint32_t count, char **next)
{
    for (uint32_t i = 0; i < count; i++) {
        list[i] = *next;
        *next += strlen(*next) + 1;
    }
    list[count] = NULL;
}

static const char *next_string(char **next)
{
    char *string = *next;

    *next += strlen(string) + 1;
    return string;
}

/* Reads an order into a mapping, so that the starter's heap stays as small as it began. */
static bool receive(int channel, struct received *order)
{
    if (!read_whole(channel, &order->head, sizeof order->head))
        return false;
    const struct order_head *head = &order->head;
    size_t lists = ((size_t)head->argument_count + head->environment_count + 2) * sizeof(char *);
    order->mapped = lists + head->bytes;
    char *memory =
        mmap(NULL, order->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || !read_whole(channel, memory + lists, head->bytes))
        return false;
    char *next = memory + lists;
    order->strings = memory;
    order->arguments = (char **)(void *)memory;
    order->environment = order->arguments + head->argument_count + 1;
    order->path = next_string(&next);
    order->input = head->has_input ? next_string(&next) : NULL;
    order->preload = head->has_preload ? next_string(&next) : NULL;
    list_strings(order->arguments, head->argument_count, &next);
    list_strings(order->environment, head->environment_count, &next);
    return true;
}

/* Until the tool has gone. `signals` are those that end a program, or tell of its end. */
static _Noreturn void serve(int channel, const int *streams, const sigset_t *signals,
                            const sigset_t *outer_mask)
{
    struct received order;
    bool interrupted = false;

    while (receive(channel, &order)) {
        struct ended ended = {.interrupted = interrupted};
        if (!interrupted) {
            ended.error = start(&order, streams, outer_mask, &ended.pid);
            if (ended.error == 0)
                wait_for_end(ended.pid, order.head.limit_s, signals, &ended);
            interrupted = ended.interrupted;
        }
        munmap(order.strings, order.mapped);
        if (!write_whole(channel, &ended, sizeof ended))
            break;
    }
    _exit(0);
}

/* ---- The tool ------------------------------------------------------------------------------- */

static volatile sig_atomic_t asked;
static pid_t starter_pid;

/* The terminal tells both; who sends a signal to the tool alone means its program too. */
static void pass_on(int signal)
{
    int saved_errno = errno;

    asked = 1;
    if (starter_pid > 0)
        kill(starter_pid, signal);
    errno = saved_errno;
}

bool starter_interrupted(void)
{
    return asked != 0;
}

/* A file without a name, for a stream of the program's. */
static int temporary_file(void)
{
    const char *folder = getenv("TMPDIR");
    int fd = open(folder != NULL && *folder != '\0' ? folder : "/tmp",
                  O_TMPFILE | O_RDWR | O_CLOEXEC | O_APPEND, 0600);

    if (fd < 0) { /* that file system knows no such files */
        fd = memfd_create("duet", MFD_CLOEXEC);
        if (fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) != 0) {
            close(fd);
            fd = -1;
        }
    }
    return fd_above_standard(fd);
}

/* Whether whoever started the tool wants the signal ignored, as nohup does. A blocked signal is
 * taken all the same, so it must not be asked for. */
static bool is_ignored(int signal)
{
    struct sigaction before;

    return sigaction(signal, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
}

static void handle_asking_signals(void)
{
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ASKING_COUNT; i++) {
        if (!is_ignored(asking_signals[i]))
            sigaction(asking_signals[i], &action, NULL);
    }
}

/* The starter's side of the fork. */
static _Noreturn void begin_to_serve(const struct starter *starter, int channel, pid_t tool)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t signals;
    sigset_t outer_mask;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM); /* also of the tool's death, below */
    for (size_t i = 0; i < ASKING_COUNT; i++) {
        if (!is_ignored(asking_signals[i]))
            sigaddset(&signals, asking_signals[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, &outer_mask);
    sigaction(SIGCHLD, &standard, NULL);
    /* If the tool is killed, its program is to be too; and what leaves its parent comes to us. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getppid() != tool)
        _exit(0);
    close(starter->channel);
    serve(channel, starter->streams, &signals, &outer_mask);
}

bool starter_begin(struct starter *starter)
{
    int ends[2] = {-1, -1};
    pid_t tool = getpid();

    for (int i = 0; i < STREAM_COUNT; i++) {
        starter->streams[i] = temporary_file();
        if (starter->streams[i] < 0) {
            say("cannot make a temporary file for the program's output: %s", strerror(errno));
            return false;
        }
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) {
        ends[0] = fd_above_standard(ends[0]);
        ends[1] = fd_above_standard(ends[1]);
        starter->channel = ends[0];
        starter->pid = fork();
        if (starter->pid == 0)
            begin_to_serve(starter, ends[1], tool);
        if (starter->pid > 0) {
            close(ends[1]);
            starter_pid = starter->pid;
            handle_asking_signals();
            return true;
        }
    }
    say("cannot start the process that starts programs: %s", strerror(errno));
    return false;
}

static uint32_t count_strings(char *const *list, size_t *bytes)
{
    uint32_t count = 0;

    for (; list != NULL && list[count] != NULL; count++)
        *bytes += strlen(list[count]) + 1;
    return count;
}

static bool send_string(int channel, const char *string)
{
    return string == NULL || write_whole(channel, string, strlen(string) + 1);
}

static bool send_order(int channel, const struct order *order)
{
    size_t bytes = strlen(order->path) + 1;
    struct order_head head = {
        .limit_s = order->limit_s,
        .argument_count = count_strings(order->arguments, &bytes),
        .environment_count = count_strings(order->environment, &bytes),
        .has_input = order->input != NULL,
        .has_preload = order->preload != NULL,
        .one_cpu = order->one_cpu,
    };

    bytes += head.has_input ? strlen(order->input) + 1 : 0;
    bytes += head.has_preload ? strlen(order->preload) + 1 : 0;
    head.bytes = (uint32_t)bytes;
    bool sent = write_whole(channel, &head, sizeof head) && send_string(channel, order->path) &&
                send_string(channel, order->input) && send_string(channel, order->preload);
    for (uint32_t i = 0; sent && i < head.argument_count; i++)
        sent = send_string(channel, order->arguments[i]);
    for (uint32_t i = 0; sent && i < head.environment_count; i++)
        sent = send_string(channel, order->environment[i]);
    return sent;
}

bool starter_run(struct starter *starter, const struct order *order, struct ended *ended)
{
    if (send_order(starter->channel, order) && read_whole(starter->channel, ended, sizeof *ended))
        return true;
    say("the process that starts programs has gone");
    return false;
}

void starter_read(const struct starter *starter, enum stream stream, bool last, char *text,
                  size_t capacity)
{
    int fd = starter->streams[stream];
    off_t end = lseek(fd, 0, SEEK_END);
    off_t room = (off_t)capacity - 1;
    ssize_t length = pread(fd, text, (size_t)room, last && end > room ? end - room : 0);

    text[length > 0 ? length : 0] = '\0';
}

uint64_t starter_output_hash(const struct starter *starter)
{
    /* FNV-1a: any will do. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    unsigned char bytes[65536];
    off_t offset = 0;
    ssize_t length;

    while ((length = pread(starter->streams[STREAM_OUTPUT], bytes, sizeof bytes, offset)) > 0) {
        for (ssize_t i = 0; i < length; i++)
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
        offset += length;
    }
    return hash;
}

void starter_end(struct starter *starter)
{
    close(starter->channel);
    while (waitpid(starter->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    starter_pid = 0;
    for (int i = 0; i < STREAM_COUNT; i++)
        close(starter->streams[i]);
}
