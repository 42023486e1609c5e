/* The one table of options, and what is made from it. */
#include "common/options.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

enum value_kind {
    VALUE_SWITCH, /* 0 or 1 */
    VALUE_OWNERS, /* cpus or threads */
    VALUE_SLOTS,  /* a whole number within the bounds below */
    VALUE_BYTES,  /* a whole number, perhaps with K, M or G behind */
};

/* As in the library's front/options.c. */
#define SLOTS_FEWEST 2
#define SLOTS_MOST 8192

static const struct {
    const char *key;
    enum value_kind kind;
    const char *standard;
    const char *meaning;
} options[] = {
    {"slots", VALUE_SLOTS, "one to a CPU, at least 2; engine duet: 8 to a CPU, at least 128",
     "number of slots, from 2 to 8192"},
    {"slots_of", VALUE_OWNERS, "CPUs where they can be had, and slots is not given",
     "engine duet: whose the slots are"},
    {"purge", VALUE_SWITCH, "0", "engine ng: return whole pages of a cell as it is freed"},
    {"purge_thread", VALUE_SWITCH, "0",
     "engine duet: a thread lets idle memory go, though nobody allocates"},
    {"limit", VALUE_BYTES, "none", "let idle memory go before more than this is mapped"},
    {"thp", VALUE_SWITCH, "0", "let the kernel back the heap with huge pages"},
    {"stats", VALUE_SWITCH, "0", "print the heap's figures on stderr at exit"},
    {"verbose", VALUE_SWITCH, "0", "say on stderr at the start which engine runs"},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

static const char *kind_text(enum value_kind kind)
{
    switch (kind) {
    case VALUE_SWITCH:
        return "0|1";
    case VALUE_OWNERS:
        return "cpus|threads";
    case VALUE_SLOTS:
        return "N";
    default:
        return "N[K|M|G]";
    }
}

void options_print(FILE *stream)
{
    fprintf(stream, "Options of the library, for -o here or in the environment as\n" OPTIONS_ENV
                    "=key=value,key=value:\n\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char form[32];
        snprintf(form, sizeof form, "%s=%s", options[i].key, kind_text(options[i].kind));
        fprintf(stream, "  %-16s %s (default: %s)\n", form, options[i].meaning,
                options[i].standard);
    }
    fprintf(stream, "\nLater entries win, and -o wins over the environment.\n");
}

static bool value_fits(enum value_kind kind, const char *value)
{
    char *end;

    if (kind == VALUE_SWITCH)
        return strcmp(value, "0") == 0 || strcmp(value, "1") == 0;
    if (kind == VALUE_OWNERS)
        return strcmp(value, "cpus") == 0 || strcmp(value, "threads") == 0;
    if (value[0] < '0' || value[0] > '9')
        return false;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (kind == VALUE_BYTES) {
        bool has_unit = *end != '\0' && strchr("KMG", *end) != NULL;
        return number >= 1 && number <= UINT32_MAX && errno == 0 && end[has_unit] == '\0';
    }
    return *end == '\0' && number >= SLOTS_FEWEST && number <= SLOTS_MOST;
}

bool options_check(const char *entry)
{
    const char *equals = strchr(entry, '=');
    if (equals == NULL || equals == entry) {
        say_usage("-o takes KEY=VALUE, not '%s'", entry);
        return false;
    }

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        size_t length = strlen(options[i].key);
        if ((size_t)(equals - entry) != length || memcmp(entry, options[i].key, length) != 0)
            continue;
        if (value_fits(options[i].kind, equals + 1))
            return true;
        if (options[i].kind == VALUE_SWITCH)
            say_usage("-o %s: %s takes 0 or 1", entry, options[i].key);
        else if (options[i].kind == VALUE_OWNERS)
            say_usage("-o %s: %s takes cpus or threads", entry, options[i].key);
        else if (options[i].kind == VALUE_BYTES)
            say_usage("-o %s: %s takes a number of bytes, or one with K, M or G", entry,
                      options[i].key);
        else
            say_usage("-o %s: %s takes a whole number from %d to %d", entry, options[i].key,
                      SLOTS_FEWEST, SLOTS_MOST);
        return false;
    }
    say("-o %s: there is no such option; duet run --help-options lists them", entry);
    return false;
}

bool options_append(char **list, const char *entry)
{
    char *longer;

    if (*list == NULL || **list == '\0') {
        longer = strdup(entry);
    } else if (asprintf(&longer, "%s,%s", *list, entry) < 0) {
        longer = NULL;
    }
    if (longer == NULL)
        return false;
    free(*list);
    *list = longer;
    return true;
}
