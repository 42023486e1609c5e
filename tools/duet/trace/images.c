/* A process may still be writing: one that its parent did not wait for. What it has written by the
 * time it is read is taken; a record that is not whole by then reads as none. */
#include "trace/images.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/format.h"
#include "common/say.h"

static int image_path(char path[PATH_MAX], const struct images *images, int32_t pid, uint32_t start)
{
    int length = snprintf(path, PATH_MAX, "%s/%d.%u", images->folder, pid, start);

    return length < PATH_MAX ? 0 : ENAMETOOLONG;
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Maps all of the open file that has a length to speak of. */
static bool map_file(struct raw_file *file, int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return false;
    if ((uint64_t)status.st_size < RAW_HEAD_BYTES) {
        errno = ENODATA;
        return false;
    }
    file->bytes = (size_t)status.st_size;
    file->start = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (file->start == MAP_FAILED)
        return false;
    file->count = (file->bytes - RAW_HEAD_BYTES) / sizeof(struct raw_record);
    file->records = (const void *)((const char *)file->start + RAW_HEAD_BYTES);
    madvise(file->start, file->bytes, MADV_SEQUENTIAL);
    return true;
}

bool raw_open(struct raw_file *file, const struct images *images, const struct image *image)
{
    char path[PATH_MAX];
    int error = image_path(path, images, image->pid, image->start);
    int fd = error == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    bool mapped = fd >= 0 && map_file(file, fd);

    error = error != 0 ? error : errno;
    if (fd >= 0)
        close(fd);
    if (!mapped)
        say("cannot read the records of process %d in %s: %s", image->pid, images->folder,
            strerror(error));
    return mapped;
}

void raw_close(struct raw_file *file)
{
    munmap(file->start, file->bytes);
}

/* ---- What they have ------------------------------------------------------------------------- */

static uint64_t count_allocations(const struct raw_file *file)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < file->count; i++) {
        unsigned kind =
            raw_kind_of(atomic_load_explicit(&file->records[i].what, memory_order_relaxed));
        count += kind == RAW_MALLOC || kind == RAW_CALLOC || kind == RAW_ALIGNED;
    }
    return count;
}

/* Reads the head; false: the process had not got so far as to have one. */
static bool read_head(struct image *image, const struct raw_file *file)
{
    const struct raw_head *head = file->start;

    if (atomic_load(&head->magic) != RAW_MAGIC || head->record_bytes != sizeof(struct raw_record))
        return false;
    *image = (struct image){
        .pid = head->pid,
        .start = head->start,
        .parent_pid = head->parent_pid,
        .parent_start = head->parent_start,
        .parent_records = head->parent_records,
        .failed = atomic_load(&head->failed),
        .error = head->error,
    };
    clean_text(image->program, sizeof image->program, head->program, sizeof head->program);
    image->allocations = count_allocations(file);
    return true;
}

static void close_to_records(int fd)
{
    const uint32_t closed = 1;

    if (pwrite(fd, &closed, sizeof closed, offsetof(struct raw_head, closed)) < 0)
        return; /* then it goes on, and nobody reads what comes */
}

static bool keep(struct images *images, const struct image *image)
{
    struct image *more = realloc(images->all, (images->count + 1) * sizeof *more);

    if (more == NULL) {
        say("not enough memory for the list of processes");
        return false;
    }
    images->all = more;
    images->all[images->count++] = *image;
    return true;
}

/* Files that cannot be read, or have no head yet, are those of processes that ended at once. */
static bool take_file(struct images *images, int folder, const char *name)
{
    int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct raw_file file;
    struct image image;

    if (fd < 0)
        return true;
    close_to_records(fd);
    bool mapped = map_file(&file, fd);
    close(fd);
    if (!mapped)
        return true;
    bool read = read_head(&image, &file);
    raw_close(&file);
    return !read || keep(images, &image);
}

static int by_allocations(const void *left, const void *right)
{
    const struct image *a = left;
    const struct image *b = right;

    if (a->allocations != b->allocations)
        return a->allocations > b->allocations ? -1 : 1;
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return a->start < b->start ? -1 : 1;
}

bool images_collect(struct images *images, const char *folder)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    bool good = true;

    *images = (struct images){.folder = folder};
    if (stream == NULL) {
        say("cannot read %s: %s", folder, strerror(errno));
        return false;
    }
    while (good && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] != '.')
            good = take_file(images, dirfd(stream), entry->d_name);
    }
    closedir(stream);
    if (images->count > 1)
        qsort(images->all, images->count, sizeof *images->all, by_allocations);
    return good;
}

const struct image *images_find(const struct images *images, int32_t pid, uint32_t start)
{
    for (size_t i = 0; i < images->count; i++) {
        if (images->all[i].pid == pid && images->all[i].start == start)
            return &images->all[i];
    }
    return NULL;
}

void images_free(struct images *images)
{
    free(images->all);
    *images = (struct images){0};
}
