/*
 * Records are read with pread and never mapped: the file is 1.5 GiB of address space, nearly all
 * of it holes, which a launcher under a small RLIMIT_AS could not map.
 */
#include "run/counters_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/say.h"

#define NAME_PREFIX "duet-counters-"
#define MEMORY_FOLDER "/dev/shm"

/* Below this much free space nobody else is let in. A process of one thread takes 20 KiB, one
 * that uses all shards 150 KiB. */
#define ROOM_LEAST_BYTES ((uint64_t)8 * 1024 * 1024)

/* How often to try again when another launcher's sweep took our file before we had locked it. */
#define CREATE_ATTEMPTS 8

static uint64_t free_bytes(const struct statfs *filesystem)
{
    return (uint64_t)filesystem->f_bavail * (uint64_t)filesystem->f_bsize;
}

/* Memory if it can be had, since nothing then is ever written to a disk. */
static const char *choose_folder(void)
{
    struct statfs filesystem;
    const char *temporary = getenv("TMPDIR");

    if (statfs(MEMORY_FOLDER, &filesystem) == 0 && filesystem.f_type == TMPFS_MAGIC &&
        access(MEMORY_FOLDER, W_OK | X_OK) == 0 && free_bytes(&filesystem) >= 2 * ROOM_LEAST_BYTES)
        return MEMORY_FOLDER;
    return temporary != NULL && *temporary == '/' ? temporary : "/tmp";
}

/* Removes the files of launchers that were killed: ours by owner, and locked by nobody. */
static void sweep(const char *folder)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;

    if (stream == NULL)
        return;
    while ((entry = readdir(stream)) != NULL) {
        struct stat status;
        if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
            continue;
        int fd =
            openat(dirfd(stream), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
            flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
        close(fd);
    }
    closedir(stream);
}

/* Makes a new file under a name that nobody can guess, and locks it. -1 with errno. */
static int create_locked(const char *folder, char *path)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        uint64_t random[2];
        struct stat status;

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return -1;
        int length = snprintf(path, PATH_MAX, "%s/" NAME_PREFIX "%016" PRIx64 "%016" PRIx64, folder,
                              random[0], random[1]);
        if (length >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd =
            fd_above_standard(open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (fd < 0)
            return -1;
        /* The mode again, since the umask may have taken from it. */
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fchmod(fd, 0600) == 0 && fstat(fd, &status) == 0 &&
            status.st_nlink == 1)
            return fd;
        unlink(path);
        close(fd);
    }
    errno = EAGAIN;
    return -1;
}

bool counters_create(struct counters_file *file)
{
    const char *folder = choose_folder();

    *file = (struct counters_file){.fd = -1};
    sweep(folder);
    file->fd = create_locked(folder, file->path);
    if (file->fd < 0) {
        say("cannot create a file for the counters in %s: %s", folder, strerror(errno));
        file->path[0] = '\0';
        return false;
    }

    void *header = MAP_FAILED;
    if (ftruncate(file->fd, (off_t)COUNT_FILE_BYTES) == 0)
        header =
            mmap(NULL, COUNT_FILE_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (header == MAP_FAILED) {
        say("cannot make the file for the counters, %s, as large as it has to be: %s", file->path,
            strerror(errno));
        counters_close(file);
        return false;
    }
    file->header = header;
    *file->header = (struct count_file_header){
        .magic = COUNT_FILE_MAGIC,
        .version = COUNT_FILE_VERSION,
        .record_stride = (uint32_t)COUNT_RECORD_STRIDE,
    };
    return true;
}

void counters_remove(struct counters_file *file)
{
    if (file->path[0] != '\0' && unlink(file->path) != 0 && errno != ENOENT)
        say("cannot remove %s: %s", file->path, strerror(errno));
    file->path[0] = '\0';
}

void counters_close(struct counters_file *file)
{
    counters_remove(file);
    if (file->header != NULL)
        munmap(file->header, COUNT_FILE_HEADER_BYTES);
    if (file->fd >= 0)
        close(file->fd);
    file->header = NULL;
    file->fd = -1;
}

uint32_t counters_taken(const struct counters_file *file)
{
    uint32_t taken =
        file->shut ? file->taken_at_shut : __atomic_load_n(&file->header->taken, __ATOMIC_RELAXED);
    return taken < COUNT_FILE_RECORDS ? taken : COUNT_FILE_RECORDS;
}

uint32_t counters_refused(const struct counters_file *file)
{
    /* Shutting adds as many as there are records, on top of those that were really taken. */
    uint32_t full = COUNT_FILE_RECORDS + (file->shut ? counters_taken(file) : 0);
    uint32_t taken = __atomic_load_n(&file->header->taken, __ATOMIC_RELAXED);

    return taken > full ? taken - full : 0;
}

static bool read_record(const struct counters_file *file, uint32_t index,
                        struct count_record *record, size_t size)
{
    off_t offset = (off_t)(COUNT_FILE_HEADER_BYTES + (uint64_t)index * COUNT_RECORD_STRIDE);

    return pread(file->fd, record, size, offset) == (ssize_t)size &&
           (record->state == COUNT_RUNNING || record->state == COUNT_EXITED) && record->pid > 0;
}

bool counters_read_head(const struct counters_file *file, uint32_t index,
                        struct count_record *record)
{
    return read_record(file, index, record, offsetof(struct count_record, row_bytes));
}

bool counters_read(const struct counters_file *file, uint32_t index, struct count_record *record)
{
    return read_record(file, index, record, sizeof *record);
}

void counters_guard_room(struct counters_file *file)
{
    struct statfs filesystem;

    if (file->shut || fstatfs(file->fd, &filesystem) != 0 ||
        free_bytes(&filesystem) >= ROOM_LEAST_BYTES)
        return;
    /* From here on whoever adds to `taken` finds it past the end. */
    file->taken_at_shut =
        __atomic_fetch_add(&file->header->taken, COUNT_FILE_RECORDS, __ATOMIC_RELAXED);
    file->shut = true;
}
