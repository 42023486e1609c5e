/*
 * The library that `duet record` preloads: the malloc family, on an engine's own, with a record of
 * every operation (raw.h). What is beneath is compiled with its names changed to plain_*, so that
 * nothing has to be looked up before main, and nothing that is recorded calls itself.
 *
 * A record is claimed by one atomic addition and written where it lies in the file, which is mapped
 * chunk by chunk. There is no lock: who finds a chunk not mapped yet maps it with all signals
 * blocked, and the others, signal handlers too, wait for that. The recorder allocates nothing,
 * keeps no file open, and leaves errno alone.
 *
 * A child of fork is known by a page that the kernel empties in it; it then begins a file of its
 * own. So children of a bare clone are found out, too, and those of vfork, which share their
 * parent's memory, rightly are not. A signal handler may fork in the middle of a note; so who has
 * claimed a record looks once more whether it is still where it was, and a claim says of which file
 * it is. What is lost: a note in the child, if after such a fork a second handler comes within the
 * few instructions until the child's change of files.
 *
 * Where the file cannot grow, recording ends with a line on stderr, and the program goes on.
 */
#include <duet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "trace/raw.h"

/* ---- What lies beneath ---------------------------------------------------------------------- */

void *plain_malloc(size_t size);
void *plain_calloc(size_t count, size_t size);
void *plain_realloc(void *ptr, size_t size);
void *plain_reallocarray(void *ptr, size_t count, size_t size);
void plain_mfree(void *ptr);
void plain_free_sized(void *ptr, size_t size);
void plain_free_aligned_sized(void *ptr, size_t align, size_t size);
void *plain_aligned_alloc(size_t align, size_t size);
void *plain_memalign(size_t align, size_t size);
void *plain_valloc(size_t size);
void *plain_pvalloc(size_t size);
int plain_posix_memalign(void **out, size_t align, size_t size);
size_t plain_usable_size(const void *ptr);
void *plain_alloc(size_t len, size_t align);
bool plain_resize(void *ptr, size_t len, size_t align, size_t new_len);
void *plain_remap(void *ptr, size_t len, size_t align, size_t new_len);
void plain_free(void *ptr, size_t len, size_t align);

/* ---- The state ------------------------------------------------------------------------------ */

/* The loader allocates before our constructor knows where the file is to be. A program needs some
 * dozens of these. */
#define EARLY_RECORDS 1024

/* Chunks double from 8,192 records, so that small processes take little room, to a million, so that
 * large ones need few mappings. A chunk begins at a multiple of every page size. */
#define CHUNK_UNIT UINT64_C(8192)
#define CHUNK_DOUBLINGS 7
#define UNITS_BEFORE_LAST_DOUBLING (((uint64_t)1 << CHUNK_DOUBLINGS) - 1)
#define CHUNKS (CHUNK_DOUBLINGS + (RAW_RECORDS_MOST + 1) / (CHUNK_UNIT << CHUNK_DOUBLINGS) + 1)

_Static_assert(CHUNK_UNIT * sizeof(struct raw_record) % RAW_HEAD_BYTES == 0,
               "chunks can be mapped with pages of 64 KiB");

/* A claim is a record's index, and above it the number of the file: how many forks came before. */
#define CLAIM_INDEX_BITS 40
#define CLAIM_INDEX_MASK (((uint64_t)1 << CLAIM_INDEX_BITS) - 1)

_Static_assert(RAW_RECORDS_MOST < CLAIM_INDEX_MASK / 2, "claims go on beyond the last record");

enum phase {
    PHASE_EARLY, /* the constructor has not run */
    PHASE_ON,
    PHASE_OFF,
};

enum guard_state {
    GUARD_FORKED = 0, /* the kernel has emptied the page */
    GUARD_CHANGING,   /* a thread of the child is making its file */
    GUARD_SET,
};

static _Atomic(int) phase;
static _Atomic(int) *guard;         /* in a page that is empty in a child of fork */
static _Atomic(uint64_t) taken;     /* the next claim */
static _Atomic(uint64_t) file_base; /* the file's first claim */
static _Atomic(uint32_t) threads;   /* numbers that were given to threads */
static struct raw_head *head;
static _Atomic(struct raw_record *) chunks[CHUNKS];
static struct raw_record early[EARLY_RECORDS];
static char folder[PATH_MAX];
static char path[PATH_MAX + 32];
static char program[sizeof head->program] = "a program";

/* What stands in `chunks` while one is being mapped. */
static struct raw_record in_the_making;

static _Thread_local uint32_t own_number;

/* ---- Giving up ------------------------------------------------------------------------------ */

static struct iovec piece(const char *text)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
}

/* Ends the recording of this process. What is in its file stays. Leaves errno alone. */
static void give_up(const char *what, int error)
{
    int saved_errno = errno;
    int before = PHASE_ON;

    atomic_compare_exchange_strong(&phase, &before, PHASE_OFF);
    if (before == PHASE_OFF)
        return; /* another thread has said so */
    atomic_store(&phase, PHASE_OFF);
    if (head != NULL) {
        head->error = error;
        atomic_store(&head->closed, 1);
    }
    struct iovec line[] = {
        piece("duet record: "),
        piece(program),
        piece(": "),
        piece(what),
        piece(path),
        piece(": "),
        piece(strerrordesc_np(error)),
        piece("; its recording ends here, the program goes on\n"),
    };
    if (writev(STDERR_FILENO, line, sizeof line / sizeof *line) < 0)
        errno = saved_errno; /* nobody to tell */
}

/* ---- Files ---------------------------------------------------------------------------------- */

static char *append_number(char *end, uint64_t number)
{
    char digits[24];
    int count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0)
        *end++ = digits[--count];
    *end = '\0';
    return end;
}

/* Makes sure that the file has room for this part of it, so that writing to a mapping of it cannot
 * fail. The part is new and nobody else's. Returns 0 or errno. */
static int make_room(int fd, uint64_t offset, uint64_t bytes)
{
    static const char zeros[4096];
    struct rlimit limit;

    /* The kernel would send a signal that ends the program. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        offset + bytes > limit.rlim_cur)
        return EFBIG;
    if (fallocate(fd, 0, (off_t)offset, (off_t)bytes) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
    for (uint64_t done = 0; done < bytes; done += sizeof zeros) {
        if (pwrite(fd, zeros, sizeof zeros, (off_t)(offset + done)) != (ssize_t)sizeof zeros)
            return errno != 0 ? errno : ENOSPC;
    }
    return 0;
}

/* Maps a new part of the open file. NULL with errno. */
static void *map_part(int fd, uint64_t offset, uint64_t bytes)
{
    int error = make_room(fd, offset, bytes);
    if (error != 0) {
        errno = error;
        return NULL;
    }
    void *part = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    return part == MAP_FAILED ? NULL : part;
}

/* Makes the file of this process image: the first name that is free. -1 with errno. */
static int create_file(uint32_t *start)
{
    for (*start = 0;; ++*start) {
        char *end = stpcpy(path, folder);
        *end++ = '/';
        end = append_number(end, (uint64_t)getpid());
        *end++ = '.';
        append_number(end, *start);
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
}

/* Begins the file. `parent` is the head of the parent's, of which `parent_records` come before the
 * fork, or NULL. */
static bool begin_file(const struct raw_head *parent, uint64_t parent_records)
{
    uint32_t start;
    int fd = create_file(&start);

    if (fd < 0) {
        /* The launcher has ended, and taken the folder with it: nobody wants to know any more. */
        if (errno == ENOENT)
            atomic_store(&phase, PHASE_OFF);
        else
            give_up("cannot create ", errno);
        return false;
    }
    struct raw_head *own = map_part(fd, 0, RAW_HEAD_BYTES);
    int error = errno;
    close(fd);
    if (own == NULL) {
        give_up("cannot write ", error);
        return false;
    }
    own->record_bytes = sizeof(struct raw_record);
    own->pid = getpid();
    own->start = start;
    if (parent != NULL) {
        own->parent_pid = parent->pid;
        own->parent_start = parent->start;
        own->parent_records = parent_records;
    }
    memcpy(own->program, program, sizeof own->program);
    atomic_store(&own->magic, RAW_MAGIC);
    head = own;
    return true;
}

/* ---- Chunks --------------------------------------------------------------------------------- */

struct chunk {
    unsigned number;
    uint64_t first; /* record */
    uint64_t records;
};

static struct chunk chunk_of(uint64_t index)
{
    uint64_t unit = index / CHUNK_UNIT;

    if (unit < UNITS_BEFORE_LAST_DOUBLING) {
        unsigned number = 63u - (unsigned)__builtin_clzll(unit + 1);
        return (struct chunk){
            .number = number,
            .first = (((uint64_t)1 << number) - 1) * CHUNK_UNIT,
            .records = CHUNK_UNIT << number,
        };
    }
    uint64_t full = (unit - UNITS_BEFORE_LAST_DOUBLING) >> CHUNK_DOUBLINGS;
    return (struct chunk){
        .number = (unsigned)(CHUNK_DOUBLINGS + full),
        .first = (UNITS_BEFORE_LAST_DOUBLING + (full << CHUNK_DOUBLINGS)) * CHUNK_UNIT,
        .records = CHUNK_UNIT << CHUNK_DOUBLINGS,
    };
}

/* Lets the pages of a chunk go that has long been full; a late writer gets them back. */
static void unload(unsigned number)
{
    struct raw_record *chunk = atomic_load(&chunks[number]);
    uint64_t unit = number < CHUNK_DOUBLINGS ? number : CHUNK_DOUBLINGS;

    if (chunk != NULL && chunk != &in_the_making)
        madvise(chunk, (CHUNK_UNIT << unit) * sizeof *chunk, MADV_DONTNEED);
}

static struct raw_record *map_chunk(struct chunk chunk)
{
    struct raw_record *records = NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        records = map_part(fd, RAW_HEAD_BYTES + chunk.first * sizeof *records,
                           chunk.records * sizeof *records);
        int error = errno;
        close(fd);
        errno = error;
    }
    if (records == NULL)
        give_up("cannot extend ", errno);
    else if (chunk.number >= 2)
        unload(chunk.number - 2);
    return records;
}

/* Whether the claim is of the file that is in use now, and a note may be written there. */
static inline bool is_own(uint64_t claim)
{
    if (guard == NULL)
        return true;
    return atomic_load_explicit(guard, memory_order_acquire) == GUARD_SET &&
           (claim & ~CLAIM_INDEX_MASK) == atomic_load_explicit(&file_base, memory_order_relaxed);
}

/* The chunk is not mapped, or is being mapped by another thread. NULL: it cannot be, or the claim
 * is not our own any more. */
__attribute__((noinline)) static struct raw_record *get_chunk(struct chunk chunk, uint64_t claim)
{
    int saved_errno = errno;
    struct raw_record *there = NULL;
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (is_own(claim) &&
        atomic_compare_exchange_strong(&chunks[chunk.number], &there, &in_the_making)) {
        there = map_chunk(chunk);
        atomic_store(&chunks[chunk.number], there);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* In a child, nobody is making it. */
    while (there == &in_the_making && is_own(claim)) {
        sched_yield();
        there = atomic_load(&chunks[chunk.number]);
    }
    errno = saved_errno;
    return there != &in_the_making ? there : NULL;
}

static struct raw_record *record_at(uint64_t claim)
{
    uint64_t index = claim & CLAIM_INDEX_MASK;

    if (atomic_load_explicit(&phase, memory_order_relaxed) == PHASE_EARLY) {
        if (index < EARLY_RECORDS)
            return &early[index];
        give_up("too much was allocated before the start ", ENOBUFS);
        return NULL;
    }
    if (index >= RAW_RECORDS_MOST) {
        give_up("no more records fit ", EFBIG);
        return NULL;
    }
    struct chunk chunk = chunk_of(index);
    struct raw_record *records = atomic_load_explicit(&chunks[chunk.number], memory_order_acquire);
    if (records == NULL || records == &in_the_making) {
        records = get_chunk(chunk, claim);
        if (records == NULL)
            return NULL;
    }
    return &records[index - chunk.first];
}

/* ---- Fork ----------------------------------------------------------------------------------- */

/* The parent's last chunks stay mapped: the fork may have come from a signal handler, and what it
 * interrupted goes on writing there, in both, the same. `next` is the parent's claim that comes
 * after the fork. */
static void change_file(uint64_t next)
{
    const struct raw_head *parent = head;
    uint64_t base = atomic_load(&file_base) + CLAIM_INDEX_MASK + 1;

    head = NULL;
    /* Of two threads that each need a new one, the later may have had it first. */
    for (size_t i = 0; i < CHUNKS; i++) {
        if (atomic_load(&chunks[i]) != NULL)
            atomic_store(&chunks[i], NULL);
    }
    atomic_store(&file_base, base);
    atomic_store(&taken, base);
    if (parent == NULL || atomic_load(&parent->closed) != 0)
        atomic_store(&phase, PHASE_OFF); /* nobody wants to know any more */
    else
        begin_file(parent, next & CLAIM_INDEX_MASK);
}

/* Changes files if nobody has yet. `claim` is what was claimed since the last look at the guard, or
 * NO_CLAIM. Returns whether it may be given back and claimed anew. If not, it is the parent's, who
 * notes the same there.
 *
 * The last of all claims may have come before the fork or after. To give it back is right for both:
 * the child notes by itself what the parent does after the fork. One that others followed came
 * before, for in the child whoever claims changes files first. */
#define NO_CLAIM UINT64_MAX

__attribute__((noinline)) static bool become_child(uint64_t claim)
{
    int saved_errno = errno;
    int state = GUARD_FORKED;
    bool given_back = false;
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (atomic_compare_exchange_strong(guard, &state, GUARD_CHANGING)) {
        uint64_t next = atomic_load(&taken);
        given_back = claim != NO_CLAIM && next == claim + 1;
        change_file(given_back ? claim : next);
        atomic_store(guard, GUARD_SET);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (atomic_load(guard) == GUARD_CHANGING)
        sched_yield();
    errno = saved_errno;
    return given_back;
}

/* ---- Start ---------------------------------------------------------------------------------- */

static bool set_guard(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (start == MAP_FAILED || madvise(start, page, MADV_WIPEONFORK) != 0) {
        give_up("cannot tell its children from it", errno);
        return false;
    }
    guard = start;
    atomic_store(guard, GUARD_SET);
    return true;
}

/* Writes down what happened before there was a file. */
static bool copy_early(void)
{
    struct raw_record *records = get_chunk(chunk_of(0), 0);
    uint64_t count = atomic_load(&taken);

    if (records == NULL)
        return false;
    for (uint64_t i = 0; i < count && i < EARLY_RECORDS; i++) {
        records[i].address = early[i].address;
        records[i].size = early[i].size;
        atomic_store(&records[i].what, atomic_load(&early[i].what));
    }
    return true;
}

static void set_names(const char *of_folder, const char *of_program)
{
    const char *slash = strrchr(of_program, '/');

    strcpy(folder, of_folder);
    memset(program, 0, sizeof program);
    strncpy(program, slash != NULL ? slash + 1 : of_program, sizeof program - 1);
}

/* Runs right after the engine's own constructor, before those of other libraries, so that there is
 * only one thread. Threads that are there all the same may lose what they are about to note. */
__attribute__((constructor(102))) static void start(int count, char **arguments)
{
    const char *wanted = secure_getenv(RAW_ENV);
    sigset_t all;
    sigset_t before;

    if (wanted == NULL || *wanted != '/' || strlen(wanted) >= sizeof folder) {
        atomic_store(&phase, PHASE_OFF);
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    set_names(wanted, count > 0 ? arguments[0] : "");
    if (atomic_load(&phase) == PHASE_EARLY && set_guard() && begin_file(NULL, 0) && copy_early())
        atomic_store(&phase, PHASE_ON);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- Records -------------------------------------------------------------------------------- */

/* A signal handler may have come in between, and given the thread a number. */
__attribute__((noinline)) static uint32_t give_number(void)
{
    uint32_t none = 0;
    uint32_t number = atomic_fetch_add(&threads, 1) + 1;

    __atomic_compare_exchange_n(&own_number, &none, number, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
    return own_number;
}

/* Whether records are wanted; sees to it that they go to the right file. */
static inline bool is_recording(void)
{
    int now = atomic_load_explicit(&phase, memory_order_acquire);

    if (now == PHASE_OFF)
        return false;
    if (now == PHASE_EARLY)
        return true;
    if (atomic_load_explicit(guard, memory_order_acquire) != GUARD_SET) {
        become_child(NO_CLAIM);
        if (atomic_load(&phase) == PHASE_OFF)
            return false;
    }
    const struct raw_head *own = head; /* a handler may have forked in between, and lost it */
    return own != NULL && atomic_load_explicit(&own->closed, memory_order_relaxed) == 0;
}

/* Claims a record. NULL: there is nothing to write. */
static struct raw_record *claim_record(void)
{
    while (is_recording()) {
        uint64_t claim = atomic_fetch_add(&taken, 1);
        struct raw_record *record = record_at(claim);
        if (__builtin_expect(is_own(claim), 1))
            return record;
        if (!become_child(claim))
            return NULL;
    }
    return NULL;
}

static void note(enum raw_kind kind, const void *address, size_t size, unsigned align_log2)
{
    struct raw_record *record = claim_record();

    if (record == NULL)
        return;
    uint32_t thread = own_number != 0 ? own_number : give_number();
    record->address = (uint64_t)(uintptr_t)address;
    record->size = size;
    atomic_store_explicit(&record->what, raw_what(kind, align_log2, thread), memory_order_release);
}

static void note_failure(int error)
{
    if (error == ENOMEM && is_recording() && head != NULL)
        atomic_fetch_add(&head->failed, 1);
}

static void *note_allocation(enum raw_kind kind, void *cell, size_t size, unsigned align_log2)
{
    if (cell != NULL)
        note(kind, cell, size, align_log2);
    else
        note_failure(errno);
    return cell;
}

static unsigned log2_up(size_t align)
{
    return align <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(align - 1);
}

static void *note_aligned(void *cell, size_t size, size_t align)
{
    return note_allocation(RAW_ALIGNED, cell, size, log2_up(align));
}

/* ---- The family ----------------------------------------------------------------------------- */

void *duet_malloc(size_t size)
{
    return note_allocation(RAW_MALLOC, plain_malloc(size), size, 0);
}

void *duet_calloc(size_t count, size_t size)
{
    return note_allocation(RAW_CALLOC, plain_calloc(count, size), count * size, 0);
}

void duet_mfree(void *ptr)
{
    if (ptr != NULL)
        note(RAW_FREE, ptr, 0, 0);
    plain_mfree(ptr);
}

void duet_free_sized(void *ptr, size_t size)
{
    if (ptr != NULL)
        note(RAW_FREE, ptr, 0, 0);
    plain_free_sized(ptr, size);
}

void duet_free_aligned_sized(void *ptr, size_t align, size_t size)
{
    if (ptr != NULL)
        note(RAW_FREE, ptr, 0, 0);
    plain_free_aligned_sized(ptr, align, size);
}

void *duet_realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return duet_malloc(size);
    if (size == 0) {
        /* It frees, where the C library does; elsewhere it hands out what malloc(0) does. */
        note(RAW_FREE, ptr, 0, 0);
        void *block = plain_realloc(ptr, size);
        return block != NULL ? note_allocation(RAW_MALLOC, block, size, 0) : NULL;
    }
    note(RAW_REALLOC_BEGIN, ptr, 0, 0);
    void *block = plain_realloc(ptr, size);
    note(RAW_REALLOC_END, block, size, 0);
    if (block == NULL)
        note_failure(errno);
    return block;
}

void *duet_reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return plain_reallocarray(ptr, count, size); /* which sets errno */
    return duet_realloc(ptr, bytes);
}

void *duet_aligned_alloc(size_t align, size_t size)
{
    return note_aligned(plain_aligned_alloc(align, size), size, align);
}

void *duet_memalign(size_t align, size_t size)
{
    return note_aligned(plain_memalign(align, size), size, align);
}

int duet_posix_memalign(void **out, size_t align, size_t size)
{
    int error = plain_posix_memalign(out, align, size);

    if (error == 0)
        note(RAW_ALIGNED, *out, size, log2_up(align));
    else
        note_failure(error);
    return error;
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *duet_valloc(size_t size)
{
    return note_aligned(plain_valloc(size), size, page_bytes());
}

/* The caller may use whole pages. */
void *duet_pvalloc(size_t size)
{
    size_t page = page_bytes();
    size_t whole = (size + page - 1) / page * page;

    return note_aligned(plain_pvalloc(size), whole != 0 ? whole : page, page);
}

size_t duet_usable_size(const void *ptr)
{
    return plain_usable_size(ptr);
}

/* As which this interface takes a length of 0. */
static size_t at_least_one(size_t len)
{
    return len != 0 ? len : 1;
}

void *duet_alloc(size_t len, size_t align)
{
    return note_aligned(plain_alloc(len, align), at_least_one(len), align);
}

bool duet_resize(void *ptr, size_t len, size_t align, size_t new_len)
{
    note(RAW_REALLOC_BEGIN, ptr, 0, 0);
    bool resized = plain_resize(ptr, len, align, new_len);
    note(RAW_REALLOC_END, resized ? ptr : NULL, at_least_one(new_len), 0);
    return resized;
}

void *duet_remap(void *ptr, size_t len, size_t align, size_t new_len)
{
    note(RAW_REALLOC_BEGIN, ptr, 0, 0);
    void *block = plain_remap(ptr, len, align, new_len);
    note(RAW_REALLOC_END, block, at_least_one(new_len), 0);
    return block;
}

void duet_free(void *ptr, size_t len, size_t align)
{
    note(RAW_FREE, ptr, 0, 0);
    plain_free(ptr, len, align);
}

/* ---- The standard names --------------------------------------------------------------------- */

#if __has_attribute(copy)
#define STANDARD_NAME(of) __attribute__((visibility("default"), alias(#of), copy(of)))
#else
#define STANDARD_NAME(of) __attribute__((visibility("default"), alias(#of)))
#endif

STANDARD_NAME(duet_malloc) void *malloc(size_t size);
STANDARD_NAME(duet_calloc) void *calloc(size_t count, size_t size);
STANDARD_NAME(duet_realloc) void *realloc(void *ptr, size_t size);
STANDARD_NAME(duet_reallocarray) void *reallocarray(void *ptr, size_t count, size_t size);
STANDARD_NAME(duet_mfree) void free(void *ptr);
STANDARD_NAME(duet_free_sized) void free_sized(void *ptr, size_t size);
STANDARD_NAME(duet_free_aligned_sized)
void free_aligned_sized(void *ptr, size_t align, size_t size);
STANDARD_NAME(duet_aligned_alloc) void *aligned_alloc(size_t align, size_t size);
STANDARD_NAME(duet_memalign) void *memalign(size_t align, size_t size);
STANDARD_NAME(duet_posix_memalign) int posix_memalign(void **out, size_t align, size_t size);
STANDARD_NAME(duet_valloc) void *valloc(size_t size);
STANDARD_NAME(duet_pvalloc) void *pvalloc(size_t size);
STANDARD_NAME(duet_usable_size) size_t malloc_usable_size(void *ptr);
