/*
 * duet-player FILE [REPEATS]: plays a trace that was prepared (play_file.h) under whatever malloc
 * it runs on. It calls the standard names and links no allocator, so that the machine code is the
 * same under all of them.
 *
 * Its own tables come from mmap, are filled in before the clock starts and kept to the end; how
 * much they are is told, to be taken off the process's memory. It never prints by stdio's streams,
 * which would ask for buffers.
 */
#include "player.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES 4096

static uint64_t table_bytes;

/* ---- Words out ------------------------------------------------------------------------------ */

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        text += written;
        length -= (size_t)written;
    }
    return true;
}

void fail(enum player_status status, const char *format, ...)
{
    static atomic_flag heard = ATOMIC_FLAG_INIT;
    char message[TEXT_BYTES / 2];
    char line[TEXT_BYTES];
    va_list arguments;

    while (atomic_flag_test_and_set(&heard))
        pause();
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    int length = snprintf(line, sizeof line, "duet-player: %s\n", message);
    write_all(STDERR_FILENO, line, (size_t)length);
    /* Not exit: its handlers may be the allocator's, whose state nobody knows. */
    _exit((int)status);
}

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        fail(PLAYER_FAILED, "a text of more than %d bytes", TEXT_BYTES);
    if (!write_all(STDOUT_FILENO, text, (size_t)length))
        fail(PLAYER_FAILED, "cannot write to stdout: %s", strerror(errno));
}

void *table_make(uint64_t count, size_t bytes_each)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t bytes = (count * bytes_each + page - 1) / page * page;

    if (bytes == 0)
        return NULL;
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED)
        fail(PLAYER_FAILED, "no table of %llu bytes: %s", (unsigned long long)bytes,
             strerror(errno));
    table_bytes += bytes;
    return table;
}

/* ---- The file ------------------------------------------------------------------------------- */

static void *read_file(const char *name, uint64_t *bytes)
{
    struct stat status;
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) != 0)
        fail(PLAYER_FAILED, "cannot read %s: %s", name, strerror(errno));
    *bytes = (uint64_t)status.st_size;
    char *content = table_make(*bytes, 1);
    for (uint64_t done = 0; done < *bytes;) {
        ssize_t now = read(fd, content + done, *bytes - done);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            fail(PLAYER_FAILED, "cannot read %s: %s", name,
                 now < 0 ? strerror(errno) : "it became shorter");
        done += (uint64_t)now;
    }
    close(fd);
    return content;
}

_Noreturn static void refuse(const char *name)
{
    fail(PLAYER_FAILED, "%s is nothing that duet prepared for it", name);
}

/* Whether an entry names only what there is. */
static bool is_sound(const struct play_head *head, const struct play_entry *entry)
{
    switch (play_kind_of(entry->what)) {
    case PLAY_START:
    case PLAY_TURN:
        return entry->cell < head->threads;
    case PLAY_WAIT:
        return entry->cell < head->seats;
    case PLAY_PACE:
        return true;
    default:
        return play_kind_of(entry->what) <= PLAY_FREE && entry->cell < head->cells;
    }
}

static void count_operation(struct play *play, const struct play_entry *entry)
{
    unsigned kind = play_kind_of(entry->what);

    play->amount.operations += kind <= PLAY_FREE;
    play->amount.allocations += kind == PLAY_MALLOC || kind == PLAY_CALLOC || kind == PLAY_ALIGNED;
}

static void load(struct play *play, const char *name)
{
    uint64_t bytes;
    const char *content = read_file(name, &bytes);
    const struct play_head *head = (const void *)content;

    if (bytes < sizeof *head || head->magic != PLAY_MAGIC || head->file_bytes != bytes)
        refuse(name);
    const struct play_thread *threads = (const void *)(content + sizeof *head);
    const struct play_entry *entries = (const void *)(threads + head->threads);
    if ((const char *)entries > content + bytes ||
        (bytes - (uint64_t)((const char *)entries - content)) / sizeof *entries != head->entries)
        refuse(name);
    *play = (struct play){.head = head, .threads = threads};
    play->entries = table_make(head->threads, sizeof(const struct play_entry *));
    uint64_t left = head->entries;
    for (uint32_t i = 0; i < head->threads; i++) {
        if (threads[i].entries == 0 || threads[i].entries > left || threads[i].seat >= head->seats)
            refuse(name);
        play->entries[i] = entries + (head->entries - left);
        left -= threads[i].entries;
    }
    for (uint64_t i = 0; i < head->entries; i++) {
        if (!is_sound(head, &entries[i]))
            refuse(name);
        count_operation(play, &entries[i]);
    }
}

/* What is in memory now, from the kernel's exact figures, beside the tables. */
static uint64_t rss_beside_tables_kib(void)
{
    static const char word[] = "\nRss:";
    char text[TEXT_BYTES];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, word);
    uint64_t rss = line != NULL ? strtoull(line + strlen(word), NULL, 10) : 0;
    return rss > table_bytes / 1024 ? rss - table_bytes / 1024 : 0;
}

/* ---- The run -------------------------------------------------------------------------------- */

/* A preload that the loader could not open is otherwise a run of the C library's own. */
static const char *allocator_path(void)
{
    Dl_info info;

    if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) == 0 || info.dli_fname == NULL)
        fail(PLAYER_FAILED, "cannot find out where malloc comes from");
    return info.dli_fname;
}

static void run(const char *name, unsigned repeats)
{
    struct play play;
    struct result result = {0};
    struct amount played = {0};
    double seconds = 0;

    load(&play, name);
    if (play.head->threads > 0)
        stage_build(&play);
    uint64_t start_rss_kib = rss_beside_tables_kib();
    for (unsigned i = 0; play.head->threads > 0 && i < repeats; i++) {
        result = stage_play();
        seconds += result.seconds;
        played.operations += result.amount.operations;
        played.allocations += result.amount.allocations;
    }
    print("allocator %s\n", allocator_path());
    print("operations %llu\n", (unsigned long long)played.operations);
    print("allocations %llu\n", (unsigned long long)played.allocations);
    print("peak_live_bytes %llu\n", (unsigned long long)result.peak_live_bytes);
    print("seconds %.6f\n", seconds);
    print("start_rss_kib %llu\n", (unsigned long long)start_rss_kib);
    print("bookkeeping_kib %llu\n", (unsigned long long)(table_bytes / 1024));
}

static const char help[] =
    "Usage: duet-player FILE [REPEATS]\n"
    "\n"
    "Plays a trace, as duet replay and duet bench have prepared it, under the malloc that is\n"
    "preloaded. What it writes at each cell's ends, and in it once a page, is looked for when\n"
    "the cell is freed or reallocated. After each time, what is left is freed.\n"
    "\n"
    "Prints on stdout, a line each:\n"
    "  allocator PATH        where malloc came from\n"
    "  operations N          mallocs, reallocs and so on\n"
    "  allocations N         of these, those of new cells\n"
    "  peak_live_bytes N     as asked for by the program\n"
    "  seconds S             of playing\n"
    "  start_rss_kib N       memory before that, without bookkeeping; 0: not known\n"
    "  bookkeeping_kib N     memory of the player's own, to be taken off the process's\n"
    "\n"
    "Ends with 0; 2 for wrong words; 3 if the allocator gave wrong memory; 4 if it had none;\n"
    "1 for anything else.\n";

int main(int count, char **words)
{
    char *end = NULL;
    unsigned long repeats = 1;

    if (count == 2 && strcmp(words[1], "--help") == 0) {
        print("%s", help);
        return PLAYER_FINE;
    }
    if (count != 2 && count != 3)
        fail(PLAYER_USAGE, "give FILE [REPEATS]; duet-player --help tells more");
    if (count == 3) {
        repeats = strtoul(words[2], &end, 10);
        if (words[2][0] < '0' || words[2][0] > '9' || *end != '\0' || repeats < 1 ||
            repeats > PLAYER_REPEATS_MOST)
            fail(PLAYER_USAGE, "REPEATS is a number from 1 to %d, not '%s'", PLAYER_REPEATS_MOST,
                 words[2]);
    }
    run(words[1], (unsigned)repeats);
    return PLAYER_FINE;
}
