/*
 * Option strings as a fuzz target: what stands before a NUL in the input is the program's own
 * duet_default_options, what stands behind it the environment's. The parser (front/options.c) is
 * compared with a second reading of the same grammar, written from what the README says: each item
 * that is well-formed sets its option and nothing else, and each that is not sets nothing and is
 * one warning, which names where it stood and begins with the item.
 *
 * No allocator is linked: the parser is all that runs. Its warnings are caught on their way to
 * stderr (--wrap=message_write).
 */
#include <string.h>

#include "base/fatal.h"
#include "front/options.h"
#include "fuzz.h"

/* No environment is this long by far, and no input has to be. */
#define TEXT_MOST 4096

/* Of a malformed item a warning has at most so many bytes. */
#define QUOTED_MOST 63

const char *duet_default_options;

/* ---- The warnings --------------------------------------------------------------------------- */

struct warning {
    char text[sizeof(((struct message *)NULL)->text) + 1];
};

static struct warning warnings[TEXT_MOST];
static size_t warning_count;

void __wrap_message_write(const struct message *message);

void __wrap_message_write(const struct message *message)
{
    if (warning_count == TEXT_MOST)
        FINDING("more warnings than an input has bytes");
    if (message->length > sizeof message->text)
        FINDING("a warning is longer than its buffer");
    char *text = warnings[warning_count++].text;
    memcpy(text, message->text, message->length);
    text[message->length] = '\0';
}

/* ---- The second reading --------------------------------------------------------------------- */

struct reading {
    struct options options;
    const char *source;
    size_t wrong; /* items */
};

/* What a run of digits means; more than any option takes, where it is longer than that. False: it
 * is none. */
static bool read_digits(const char *text, size_t length, unsigned long long *number)
{
    if (length == 0 || strspn(text, "0123456789") < length)
        return false;
    while (length > 1 && *text == '0') {
        text++;
        length--;
    }
    *number = length > 12 ? UINT64_MAX : strtoull(text, NULL, 10);
    return true;
}

static bool read_slots(struct options *options, const char *value, size_t length)
{
    unsigned long long number;
    if (!read_digits(value, length, &number) || number < 2 || number > 8192)
        return false;
    options->slots = (uint32_t)number;
    return true;
}

static bool read_limit(struct options *options, const char *value, size_t length)
{
    static const struct {
        char letter;
        size_t bytes;
    } units[] = {{'K', 1024}, {'M', 1048576}, {'G', 1073741824}};
    size_t unit = 1;
    for (size_t i = 0; length > 0 && i < 3; i++) {
        if (value[length - 1] == units[i].letter) {
            unit = units[i].bytes;
            length--;
            break;
        }
    }
    unsigned long long number;
    if (!read_digits(value, length, &number) || number == 0 || number > UINT32_MAX)
        return false;
    options->limit = (size_t)number * unit;
    return true;
}

static bool is_text(const char *value, size_t length, const char *text)
{
    return strlen(text) == length && strncmp(value, text, length) == 0;
}

static bool read_slots_of(struct options *options, const char *value, size_t length)
{
    bool of_cpus = is_text(value, length, "cpus");
    if (!of_cpus && !is_text(value, length, "threads"))
        return false;
    options->slots_of = of_cpus ? ENGINE_SLOTS_OF_CPUS : ENGINE_SLOTS_OF_THREADS;
    return true;
}

static bool *switch_of(struct options *options, const char *key, size_t length)
{
    const struct {
        const char *key;
        bool *on;
    } switches[] = {
        {"purge", &options->purge},     {"thp", &options->thp},
        {"stats", &options->stats},     {"purge_thread", &options->purge_thread},
        {"verbose", &options->verbose},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
        if (is_text(key, length, switches[i].key))
            return switches[i].on;
    return NULL;
}

/* False: it is malformed. */
static bool read_item(struct options *options, const char *item, size_t length)
{
    size_t key = 0;
    while (key < length && item[key] != '=')
        key++;
    const char *value = item + key + (key < length);
    size_t value_length = length - key - (key < length);
    bool *on = switch_of(options, item, key);
    if (on != NULL) {
        if (value_length != 1 || (*value != '0' && *value != '1'))
            return false;
        *on = *value == '1';
        return true;
    }
    if (is_text(item, key, "slots"))
        return read_slots(options, value, value_length);
    if (is_text(item, key, "slots_of"))
        return read_slots_of(options, value, value_length);
    if (is_text(item, key, "limit"))
        return read_limit(options, value, value_length);
    return false;
}

/* The warning of the item that is malformed as the `number`-th, from 0. */
static void judge_warning(const struct reading *reading, const char *item, size_t length)
{
    if (reading->wrong >= warning_count)
        FINDING("no warning of '%.*s'", (int)length, item);
    const char *text = warnings[reading->wrong].text;
    char begins[TEXT_MOST];
    size_t quoted = length < QUOTED_MOST ? length : QUOTED_MOST;
    snprintf(begins, sizeof begins, "duet: %s: '%.*s': ", reading->source, (int)quoted, item);
    size_t said = strlen(begins);
    if (strncmp(text, begins, said) != 0 || text[said] == '\n' || strlen(text) < said + 2 ||
        text[strlen(text) - 1] != '\n')
        FINDING("'%.*s' is warned of by '%s'", (int)length, item, text);
}

static void read_text(struct reading *reading, const char *source, const char *text)
{
    reading->source = source;
    while (*text != '\0') {
        size_t length = 0;
        while (text[length] != '\0' && text[length] != ',')
            length++;
        struct options before = reading->options;
        if (length > 0 && !read_item(&reading->options, text, length)) {
            reading->options = before;
            judge_warning(reading, text, length);
            reading->wrong++;
        }
        text += length + (text[length] == ',');
    }
}

/* ---- The comparison ------------------------------------------------------------------------- */

static void compare(const struct options *read, const struct options *wanted)
{
    if (read->slots != wanted->slots || read->slots_of != wanted->slots_of ||
        read->purge != wanted->purge || read->thp != wanted->thp ||
        read->purge_thread != wanted->purge_thread || read->limit != wanted->limit ||
        read->stats != wanted->stats || read->verbose != wanted->verbose)
        FINDING(
            "slots=%u slots_of=%d purge=%d thp=%d purge_thread=%d limit=%zu stats=%d verbose=%d",
            (unsigned)read->slots, (int)read->slots_of, read->purge, read->thp, read->purge_thread,
            read->limit, read->stats, read->verbose);
}

/* The environment's string, of no byte more than it needs. setenv would keep each for ever. */
static char *set_environment(const char *text)
{
    static const char name[] = "DUET_OPTIONS=";
    size_t length = strlen(name) + strlen(text) + 1;
    char *variable = malloc(length);
    if (variable == NULL)
        FINDING("no memory");
    snprintf(variable, length, "%s%s", name, text);
    if (putenv(variable) != 0)
        FINDING("cannot set the environment");
    return variable;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MOST)
        return 0;
    char *text = strndup((const char *)data, size);
    size_t length = text != NULL ? strlen(text) : 0;
    bool has_default = length < size;
    char *rest = strndup((const char *)data + length + has_default, size - length - has_default);
    if (text == NULL || rest == NULL)
        FINDING("no memory");
    char *variable = set_environment(has_default ? rest : text);

    struct options options = {0};
    struct reading reading = {.source = NULL};
    warning_count = 0;
    duet_default_options = has_default ? text : NULL;
    options_read(&options);
    if (has_default)
        read_text(&reading, "duet_default_options", text);
    read_text(&reading, "DUET_OPTIONS", strchr(variable, '=') + 1);
    if (warning_count != reading.wrong)
        FINDING("%zu warnings of %zu items that are malformed", warning_count, reading.wrong);
    compare(&options, &reading.options);
    unsetenv("DUET_OPTIONS");
    free(variable);
    free(rest);
    free(text);
    return 0;
}
