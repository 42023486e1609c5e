/*
 * Results from JSON. Nothing in the file is trusted: each field is asked for by name, type and
 * range, and the first that is not as it should be ends the reading with a message. What can be
 * worked out from the samples (medians, ratios, means) is not looked at.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/format.h"
#include "common/json.h"
#include "common/say.h"
#include "measure/results_json.h"

/* Above any time in seconds, memory in KiB and count that a run can have. */
#define FIGURE_MOST 1e15

/* Above any number of runs, threads or CPUs that makes sense. */
#define WHOLE_MOST 1000000

struct reader {
    const char *path;
    const char *part; /* of the file: "machine", "result"; "": the file itself */
    size_t number;    /* of that part, from 1; 0: there is one only */
};

/* Says what is wrong, and where; returns false. */
static bool refuse(const struct reader *reader, const char *key, const char *what)
{
    char number[32] = "";

    if (reader->number > 0)
        snprintf(number, sizeof number, " %zu", reader->number);
    say("%s: %s%s%s'%s' %s", reader->path, reader->part, number,
        reader->part[0] != '\0' ? ": " : "", key, what);
    return false;
}

/* ---- Fields -------------------------------------------------------------------------------- */

static bool get_text(const struct reader *reader, const json_t *object, const char *key, char *out,
                     size_t capacity)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return refuse(reader, key, "is missing, or no string");
    if (json_string_length(value) >= capacity)
        return refuse(reader, key, "is too long");
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool get_whole(const struct reader *reader, const json_t *object, const char *key,
                      json_int_t most, json_int_t *out)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value))
        return refuse(reader, key, "is missing, or no whole number");
    *out = json_integer_value(value);
    return (*out >= 0 && *out <= most) || refuse(reader, key, "is out of range");
}

static bool get_unsigned(const struct reader *reader, const json_t *object, const char *key,
                         unsigned *out)
{
    json_int_t number = 0;

    if (!get_whole(reader, object, key, WHOLE_MOST, &number))
        return false;
    *out = (unsigned)number;
    return true;
}

static bool get_bool(const struct reader *reader, const json_t *object, const char *key, bool *out)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_boolean(value))
        return refuse(reader, key, "is missing, or neither true nor false");
    *out = json_is_true(value);
    return true;
}

static bool get_figure(const struct reader *reader, const json_t *value, const char *key,
                       double *out)
{
    if (!json_is_number(value))
        return refuse(reader, key, "is missing, or no number");
    *out = json_number_value(value);
    return (*out >= 0 && *out <= FIGURE_MOST) || refuse(reader, key, "is out of range");
}

static const json_t *get_array(const struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_array(value))
        return value;
    refuse(reader, key, "is missing, or no array");
    return NULL;
}

/* The word's index among `count` words. */
static bool get_choice(const struct reader *reader, const json_t *object, const char *key,
                       const char *const *words, unsigned count, unsigned *out)
{
    const char *word = json_string_value(json_object_get(object, key));

    for (*out = 0; word != NULL && *out < count; ++*out) {
        if (strcmp(word, words[*out]) == 0)
            return true;
    }
    return refuse(reader, key, "is missing, or no word that may stand there");
}

/* ---- What was measured on ------------------------------------------------------------------ */

static bool read_machine(const struct reader *file, const json_t *root, struct machine *machine)
{
    struct reader reader = {.path = file->path, .part = "machine"};
    const json_t *object = json_object_get(root, "machine");
    json_int_t bytes = 0;

    if (!json_is_object(object))
        return refuse(file, "machine", "is missing, or no object");
    bool good = get_text(file, root, "duet", machine->duet, sizeof machine->duet) &&
                get_text(&reader, object, "cpu", machine->cpu, sizeof machine->cpu) &&
                get_unsigned(&reader, object, "cpus", &machine->cpus) &&
                get_text(&reader, object, "kernel", machine->kernel, sizeof machine->kernel) &&
                get_text(&reader, object, "libc", machine->libc, sizeof machine->libc) &&
                get_text(&reader, object, "pages", machine->page_text, sizeof machine->page_text) &&
                get_whole(&reader, object, "memory_bytes", INT64_MAX, &bytes);
    machine->memory_bytes = (uint64_t)bytes;
    return good;
}

static bool read_allocator(const struct reader *reader, const json_t *object,
                           struct allocators *allocators)
{
    struct allocator *allocator = &allocators->all[allocators->count];
    unsigned kind;

    bool good =
        get_text(reader, object, "name", allocator->name, sizeof allocator->name) &&
        get_text(reader, object, "version", allocator->version, sizeof allocator->version) &&
        get_text(reader, object, "path", allocator->path, sizeof allocator->path) &&
        get_choice(reader, object, "kind", allocator_kind_words, ALLOCATOR_GIVEN + 1, &kind);
    if (!good)
        return false;
    for (unsigned i = 0; i < allocators->count; i++) {
        if (strcmp(allocators->all[i].name, allocator->name) == 0)
            return refuse(reader, "name", "is that of another allocator too");
    }
    allocator->kind = (enum allocator_kind)kind;
    allocators->count++;
    return true;
}

static bool read_allocators(const struct reader *file, const json_t *root, struct results *results)
{
    struct reader reader = {.path = file->path, .part = "allocator"};
    const json_t *array = get_array(file, root, "allocators");
    char base[ALLOCATOR_NAME_CHARS];

    if (array == NULL)
        return false;
    if (json_array_size(array) == 0 || json_array_size(array) > ALLOCATORS_MOST)
        return refuse(file, "allocators", "has none, or too many");
    for (reader.number = 1; reader.number <= json_array_size(array); reader.number++) {
        if (!read_allocator(&reader, json_array_get(array, reader.number - 1),
                            &results->allocators))
            return false;
    }
    if (!get_text(file, root, "base", base, sizeof base))
        return false;
    for (unsigned i = 0; i < results->allocators.count; i++) {
        results->base = i;
        if (strcmp(results->allocators.all[i].name, base) == 0)
            return true;
    }
    return refuse(file, "base", "names none of the allocators");
}

/* ---- Entries ------------------------------------------------------------------------------- */

static bool read_counts(const struct reader *reader, const json_t *object, unsigned *counts)
{
    const json_t *array = get_array(reader, object, "counts");

    *counts = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *word = json_string_value(json_array_get(array, i));
        int k = 0;
        while (word != NULL && k < COUNTS_WORDS && strcmp(word, counts_words[k].word) != 0)
            k++;
        if (word == NULL || k == COUNTS_WORDS)
            return refuse(reader, "counts", "has what is no word that may stand there");
        *counts |= counts_words[k].bit;
    }
    return array != NULL;
}

/* The samples of one metric, one for each run. */
static bool read_samples_of(const struct reader *reader, const json_t *samples, enum metric metric,
                            struct series *series)
{
    const json_t *array = get_array(reader, samples, metrics[metric].key);

    if (array == NULL)
        return false;
    if (json_array_size(array) != series->count)
        return refuse(reader, metrics[metric].key, "has not one figure for each run");
    for (unsigned i = 0; i < series->count; i++) {
        if (!get_figure(reader, json_array_get(array, i), metrics[metric].key,
                        &series->costs[i].of[metric]))
            return false;
    }
    return true;
}

static bool read_samples(const struct reader *reader, const json_t *entry, unsigned counts,
                         struct series *series)
{
    const json_t *samples = json_object_get(entry, "samples");

    if (!json_is_object(samples))
        return refuse(reader, "samples", "is missing, or no object");
    series->costs = calloc(series->count > 0 ? series->count : 1, sizeof *series->costs);
    if (series->costs == NULL) {
        say("not enough memory for what is in %s", reader->path);
        return false;
    }
    for (enum metric i = 0; i < METRIC_COUNT; i++) {
        if ((i != METRIC_END_RSS || (counts & COUNTS_END_RSS) != 0) &&
            !read_samples_of(reader, samples, i, series))
            return false;
    }
    return true;
}

static bool read_series(const struct reader *reader, const json_t *entry, unsigned counts,
                        struct series *series)
{
    const char *words[OUTCOME_COUNT];
    char note[sizeof series->note];
    unsigned outcome;
    json_int_t detail;

    for (enum outcome i = 0; i < OUTCOME_COUNT; i++)
        words[i] = outcome_word(i);
    if (!get_choice(reader, entry, "status", words, OUTCOME_COUNT, &outcome) ||
        !get_whole(reader, entry, "detail", WHOLE_MOST, &detail) ||
        !get_text(reader, entry, "note", note, sizeof note) ||
        !get_unsigned(reader, entry, "runs", &series->count) ||
        !read_samples(reader, entry, counts, series))
        return false;
    series->outcome = (enum outcome)outcome;
    series->detail = (int)detail;
    memcpy(series->note, note, sizeof note);
    return true;
}

/* What all entries of a workload have in common. */
static bool read_trial(const struct reader *reader, const json_t *entry, struct trial *trial)
{
    static const char *const kinds[] = {PATTERN_WORD, PROGRAM_WORD};
    unsigned kind;

    if (!get_text(reader, entry, "workload", trial->workload, sizeof trial->workload) ||
        !get_unsigned(reader, entry, "threads", &trial->threads) ||
        !get_choice(reader, entry, "kind", kinds, sizeof kinds / sizeof *kinds, &kind) ||
        !get_text(reader, entry, "own_malloc", trial->own_malloc, sizeof trial->own_malloc) ||
        !get_text(reader, entry, "stray_malloc", trial->stray_malloc, sizeof trial->stray_malloc) ||
        !get_unsigned(reader, entry, "base_status", &trial->base_status) ||
        !read_counts(reader, entry, &trial->counts))
        return false;
    trial->program = strcmp(kinds[kind], PROGRAM_WORD) == 0;
    return true;
}

static bool same_trial(const struct trial *a, const struct trial *b)
{
    return strcmp(a->workload, b->workload) == 0 && a->threads == b->threads &&
           a->program == b->program && a->counts == b->counts &&
           strcmp(a->own_malloc, b->own_malloc) == 0 &&
           strcmp(a->stray_malloc, b->stray_malloc) == 0 && a->base_status == b->base_status;
}

static bool read_entry(const struct reader *reader, const json_t *entry, struct results *results)
{
    unsigned of = (unsigned)((reader->number - 1) % results->allocators.count);
    struct trial read = {0};
    char name[ALLOCATOR_NAME_CHARS];

    if (!read_trial(reader, entry, &read) ||
        !get_text(reader, entry, "allocator", name, sizeof name))
        return false;
    if (strcmp(name, results->allocators.all[of].name) != 0)
        return refuse(reader, "allocator", "is not the one whose turn it is");
    if (of == 0 &&
        results_add(results, read.workload, read.threads, read.counts, read.program) == NULL)
        return false;
    struct trial *trial = &results->trials[results->count - 1];
    if (of == 0) {
        memcpy(trial->own_malloc, read.own_malloc, sizeof trial->own_malloc);
        memcpy(trial->stray_malloc, read.stray_malloc, sizeof trial->stray_malloc);
        trial->base_status = read.base_status;
    }
    if (of != 0 && !same_trial(trial, &read))
        return refuse(reader, "workload", "is not that of the entry before");
    return read_series(reader, entry, trial->counts, &trial->series[of]);
}

static bool read_entries(const struct reader *file, const json_t *root, struct results *results)
{
    struct reader reader = {.path = file->path, .part = "result"};
    const json_t *array = get_array(file, root, "results");

    if (array == NULL)
        return false;
    if (json_array_size(array) % results->allocators.count != 0)
        return refuse(file, "results", "has not one entry for each allocator of each workload");
    for (reader.number = 1; reader.number <= json_array_size(array); reader.number++) {
        if (!read_entry(&reader, json_array_get(array, reader.number - 1), results))
            return false;
    }
    return true;
}

/* ---- The whole ----------------------------------------------------------------------------- */

/* The strings in one allocation, behind the pointers to them. */
static bool read_words(const struct reader *file, const json_t *root, struct results *results)
{
    const json_t *value = json_object_get(root, "words");
    size_t count = json_array_size(value);
    size_t bytes = (count + 1) * sizeof(char *);

    if (json_is_null(value))
        return true;
    if (!json_is_array(value) || count == 0)
        return refuse(file, "words", "is missing, or no array of strings");
    for (size_t i = 0; i < count; i++) {
        if (!json_is_string(json_array_get(value, i)))
            return refuse(file, "words", "has what is no string");
        bytes += json_string_length(json_array_get(value, i)) + 1;
    }
    results->words = malloc(bytes);
    if (results->words == NULL) {
        say("not enough memory for what is in %s", file->path);
        return false;
    }
    char *text = (char *)(results->words + count + 1);
    for (size_t i = 0; i < count; i++) {
        results->words[i] = text;
        text = stpcpy(text, json_string_value(json_array_get(value, i))) + 1;
    }
    results->words[count] = NULL;
    return true;
}

static bool read_asked(const struct reader *file, const json_t *root, struct results *results)
{
    const json_t *value = json_object_get(root, "asked");

    if (json_is_null(value))
        return true;
    if (!json_is_string(value))
        return refuse(file, "asked", "is missing, or no string");
    results->asked = strdup(json_string_value(value));
    if (results->asked == NULL)
        say("not enough memory for what is in %s", file->path);
    return results->asked != NULL;
}

static bool read_all(const struct reader *file, const json_t *root, struct results *results)
{
    static const char *const commands[] = {"compare", "bench"};
    const json_t *elapsed = json_object_get(root, "elapsed_s");
    unsigned command;

    if (!get_choice(file, root, "command", commands, sizeof commands / sizeof *commands,
                    &command) ||
        !get_text(file, root, "started", results->started, sizeof results->started) ||
        !get_unsigned(file, root, "runs", &results->runs) ||
        !get_bool(file, root, "quick", &results->quick) ||
        !get_bool(file, root, "whole", &results->whole) ||
        !get_figure(file, elapsed, "elapsed_s", &results->elapsed_s) ||
        !read_machine(file, root, &results->machine) || !read_allocators(file, root, results) ||
        !read_entries(file, root, results))
        return false;
    results->command = commands[command];
    return read_words(file, root, results) && read_asked(file, root, results);
}

static bool read_root(const char *path, const json_t *root, struct results *results)
{
    struct reader file = {.path = path, .part = ""};
    const json_t *format = json_object_get(root, "format");

    if (!json_is_integer(format) || !json_is_array(json_object_get(root, "results"))) {
        say("%s: this is no file of duet compare or duet bench", path);
        return false;
    }
    if (json_integer_value(format) != RESULTS_FORMAT) {
        say("%s: the file has format %lld, and this duet reads %d", path,
            (long long)json_integer_value(format), RESULTS_FORMAT);
        return false;
    }
    return read_all(&file, root, results);
}

bool results_json_read(const char *path, struct results *results)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    *results = (struct results){0};
    if (root == NULL) {
        /* The text quotes the file. */
        char text[JSON_ERROR_TEXT_LENGTH];
        clean_text(text, sizeof text, error.text, strlen(error.text));
        if (error.line > 0)
            say("%s: line %d is no JSON: %s", path, error.line, text);
        else
            say("%s", text);
        return false;
    }
    bool read = read_root(path, root, results);
    json_decref(root);
    if (!read)
        results_free(results);
    return read;
}
