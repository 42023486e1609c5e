/* Reads the heads of records, and /proc/PID/status of those whose process is alive. */
#include "run/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

/* Processes looked at in one go. Each costs some 20 microseconds, so all of these take 1 ms of
 * every 20: beyond, they take turns. */
#define LOOKS_AT_ONCE 50

/* Room for a whole /proc/PID/status, and for as much of /proc/PID/stat as is read. */
#define PROC_TEXT_BYTES 4096

static bool read_proc(int32_t pid, const char *file, char *text)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, PROC_TEXT_BYTES - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    return true;
}

/* When the process started, in the kernel's ticks; 0: there is no such process. */
static uint64_t start_ticks(int32_t pid)
{
    enum { FIELDS_FROM_STATE_TO_START = 19 };
    char text[PROC_TEXT_BYTES];

    if (!read_proc(pid, "stat", text))
        return 0;
    /* The name before the state is in brackets, and may have anything in it, also brackets. */
    const char *field = strrchr(text, ')');
    for (int i = 0; field != NULL && i <= FIELDS_FROM_STATE_TO_START; i++)
        field = strchr(field + 1, ' ');
    return field != NULL ? strtoull(field, NULL, 10) : 0;
}

/* The peak RSS in KiB; 0: there is no such process any more. */
static uint64_t peak_rss_kib(int32_t pid)
{
    char text[PROC_TEXT_BYTES];

    if (!read_proc(pid, "status", text))
        return 0;
    const char *line = strstr(text, "\nVmHWM:");
    return line != NULL ? strtoull(line + strlen("\nVmHWM:"), NULL, 10) : 0;
}

void watch_start(struct watch *watch, struct counters_file *file, pid_t child)
{
    *watch = (struct watch){.file = file, .first_start_ticks = start_ticks(child)};
}

/* Makes room for the records taken since the last look, and counts them among the current. */
static void add_taken(struct watch *watch)
{
    uint32_t taken = counters_taken(watch->file);
    if (taken <= watch->count)
        return;

    struct watched *records = realloc(watch->records, taken * sizeof *records);
    if (records == NULL)
        return;
    watch->records = records;
    uint32_t *current = realloc(watch->current, taken * sizeof *current);
    if (current == NULL)
        return;
    watch->current = current;

    for (; watch->count < taken; watch->count++) {
        records[watch->count] = (struct watched){.phase = WATCH_CLAIMED};
        current[watch->current_count++] = watch->count;
    }
}

/* A record has been filled in: from now on its process is known. */
static void identify(struct watch *watch, uint32_t index, const struct count_record *head)
{
    struct watched *record = &watch->records[index];

    record->pid = head->pid;
    record->phase = WATCH_ALIVE;
    record->last_seen_ns = head->start_ns;

    /* The same process once more: exec has replaced the program that had the earlier record. */
    for (uint32_t i = 0; i < watch->current_count; i++) {
        struct watched *other = &watch->records[watch->current[i]];
        if (other != record && other->phase == WATCH_ALIVE && other->pid == head->pid &&
            other->last_seen_ns <= head->start_ns)
            other->phase = WATCH_OVER;
    }

    /* In a PID namespace of its own, a process has another number than it knows: the one it
     * wrote down may be anybody's here, also that of a process older than the program. */
    if (start_ticks(head->pid) < watch->first_start_ticks)
        record->phase = WATCH_OVER;
}

static void look_at(struct watch *watch, uint32_t index)
{
    struct watched *record = &watch->records[index];
    struct count_record head;

    if (!counters_read_head(watch->file, index, &head))
        return;
    if (record->phase == WATCH_CLAIMED)
        identify(watch, index, &head);
    if (head.state == COUNT_EXITED)
        record->phase = WATCH_OVER;
    if (record->phase == WATCH_OVER)
        return;

    uint64_t rss_kib = peak_rss_kib(record->pid);
    if (rss_kib == 0) {
        record->phase = WATCH_OVER;
        return;
    }
    if (rss_kib > record->rss_kib)
        record->rss_kib = rss_kib;
    record->last_seen_ns = now_ns();
}

void watch_look(struct watch *watch)
{
    counters_guard_room(watch->file);
    add_taken(watch);

    uint32_t looks = watch->current_count < LOOKS_AT_ONCE ? watch->current_count : LOOKS_AT_ONCE;
    for (uint32_t i = 0; i < looks; i++) {
        watch->next = (watch->next + 1) % watch->current_count;
        look_at(watch, watch->current[watch->next]);
    }

    uint32_t kept = 0;
    for (uint32_t i = 0; i < watch->current_count; i++) {
        if (watch->records[watch->current[i]].phase != WATCH_OVER)
            watch->current[kept++] = watch->current[i];
    }
    watch->current_count = kept;
}

void watch_end(struct watch *watch)
{
    free(watch->records);
    free(watch->current);
    *watch = (struct watch){0};
}
