/* Whether two benches measure the same is decided by what their results have in their heads. */
#include "bench/resume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/say.h"
#include "measure/results_json.h"

/* ---- Whether it is the same bench ----------------------------------------------------------- */

static bool same_asked(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* When the bench was started, in seconds since 1970; -1: that is no date. */
static time_t started_at(const struct results *results)
{
    struct tm utc = {0};
    const char *end = strptime(results->started, "%Y-%m-%dT%H:%M:%SZ", &utc);

    return end != NULL && *end == '\0' ? timegm(&utc) : -1;
}

/* Whether the file was changed after that. One that cannot be looked at was. */
static bool is_newer(const char *path, time_t than)
{
    struct stat status;

    /* A package's files bear the date when it was made: when they came here is the other date. */
    return stat(path, &status) != 0 || status.st_mtime > than || status.st_ctime > than;
}

/* In what the bench that is done differs from this one; NULL: in nothing that matters. */
static const char *difference(const struct results *done, const struct results *results,
                              const char *const *files)
{
    time_t started = started_at(done);

    if (strcmp(done->command, results->command) != 0)
        return "it is of another command";
    if (strcmp(done->machine.duet, results->machine.duet) != 0 ||
        strcmp(done->machine.cpu, results->machine.cpu) != 0 ||
        done->machine.cpus != results->machine.cpus ||
        strcmp(done->machine.kernel, results->machine.kernel) != 0 ||
        strcmp(done->machine.libc, results->machine.libc) != 0 ||
        strcmp(done->machine.page_text, results->machine.page_text) != 0)
        return "it is of another machine or version";
    if (done->allocators.count != results->allocators.count || done->base != results->base)
        return "it has other allocators";
    for (unsigned i = 0; i < done->allocators.count; i++) {
        const struct allocator *theirs = &done->allocators.all[i];
        const struct allocator *ours = &results->allocators.all[i];
        if (strcmp(theirs->name, ours->name) != 0 || strcmp(theirs->path, ours->path) != 0 ||
            strcmp(theirs->version, ours->version) != 0)
            return "it has other allocators";
        if (is_newer(ours->path, started))
            return "a library has changed since";
    }
    for (; *files != NULL; files++) {
        if (is_newer(*files, started))
            return "what is measured has changed since";
    }
    if (done->runs != results->runs || done->quick != results->quick ||
        !same_asked(done->asked, results->asked))
        return "it was asked for other workloads, threads or runs";
    return NULL;
}

/* ---- Taking over ---------------------------------------------------------------------------- */

static void forget(struct results *done)
{
    results_free(done);
    free(done->words);
    free(done->asked);
    *done = (struct results){0};
}

static void read_part(struct resume *resume, const struct results *results,
                      const char *const *files)
{
    if (access(resume->part, F_OK) != 0)
        return;
    if (!results_json_read(resume->part, &resume->done)) {
        say("so nothing is taken over from an earlier bench");
        resume->done = (struct results){0};
        return;
    }
    const char *why = difference(&resume->done, results, files);
    if (why != NULL) {
        say("%s is of an earlier bench, but %s: starting anew", resume->part, why);
        forget(&resume->done);
    }
}

bool resume_begin(struct resume *resume, const char *file, const struct results *results,
                  const char *const *files)
{
    *resume = (struct resume){0};
    if (strlen(file) >= sizeof resume->file) {
        say("the name of the file %s is too long", file);
        return false;
    }
    /* Of a link, what it leads to is to be replaced. */
    if (realpath(file, resume->file) == NULL)
        snprintf(resume->file, sizeof resume->file, "%s", file);
    snprintf(resume->part, sizeof resume->part, "%s.part", resume->file);
    snprintf(resume->beside, sizeof resume->beside, "%s.new", resume->part);
    read_part(resume, results, files);

    FILE *stream = fopen(resume->beside, "we");
    if (stream == NULL) {
        say("cannot write %s: %s", resume->beside, strerror(errno));
        return false;
    }
    fclose(stream);
    unlink(resume->beside);
    return true;
}

unsigned resume_count(const struct resume *resume)
{
    return resume->done.count;
}

/* Whether every allocator was tried. */
static bool is_done(const struct results *results, const struct trial *trial)
{
    for (unsigned i = 0; i < results->allocators.count; i++) {
        if (trial->series[i].outcome == OUTCOME_PENDING)
            return false;
    }
    return true;
}

bool resume_take(struct resume *resume, struct results *results, const char *workload,
                 unsigned threads, unsigned counts)
{
    struct results *done = &resume->done;

    for (unsigned i = 0; i < done->count; i++) {
        struct trial *trial = &done->trials[i];
        if (strcmp(trial->workload, workload) != 0 || trial->threads != threads ||
            trial->counts != counts || !is_done(done, trial))
            continue;
        struct trial *taken = results_add(results, workload, threads, counts, trial->program);
        if (taken == NULL)
            return false;
        struct series *empty = taken->series;
        *taken = *trial;
        trial->series = empty; /* with nothing in it, for results_free */
        return true;
    }
    return false;
}

void resume_free(struct resume *resume)
{
    forget(&resume->done);
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* Writes beside, then renames, so that there is a whole file at any time. */
static bool write_as(const struct resume *resume, const char *file, const struct results *results)
{
    FILE *stream = fopen(resume->beside, "we");
    bool written = stream != NULL && results_json_write(stream, results) && !ferror(stream);

    if (stream != NULL && fclose(stream) != 0)
        written = false;
    if (written && rename(resume->beside, file) == 0)
        return true;
    say("cannot write %s: %s", file, strerror(errno));
    unlink(resume->beside);
    return false;
}

bool resume_keep(const struct resume *resume, const struct results *results)
{
    return write_as(resume, resume->part, results);
}

bool resume_finish(const struct resume *resume, const struct results *results)
{
    if (!write_as(resume, resume->file, results))
        return false;
    unlink(resume->part);
    return true;
}
