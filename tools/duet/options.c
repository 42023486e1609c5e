/* The one table of options, and what is made from it. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "say.h"

enum value_kind {
    VALUE_SWITCH, /* 0 or 1 */
    VALUE_COUNT,  /* a whole number from 1 */
};

static const struct {
    const char *key;
    enum value_kind kind;
    const char *standard;
    const char *meaning;
} options[] = {
    {"slots", VALUE_COUNT, "one to a CPU, at least 2", "number of slots"},
    {"thp", VALUE_SWITCH, "0", "let the kernel back the heap with huge pages"},
    {"stats", VALUE_SWITCH, "0", "print the heap's figures on stderr at exit"},
    {"verbose", VALUE_SWITCH, "0", "say on stderr at the start which engine runs"},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

static const char *kind_text(enum value_kind kind)
{
    return kind == VALUE_SWITCH ? "0|1" : "N";
}

void options_print(FILE *stream)
{
    fprintf(stream, "Options of the library, for -o here or in the environment as\n" OPTIONS_ENV
                    "=key=value,key=value:\n\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char form[32];
        snprintf(form, sizeof form, "%s=%s", options[i].key, kind_text(options[i].kind));
        fprintf(stream, "  %-12s %s (default: %s)\n", form, options[i].meaning,
                options[i].standard);
    }
    fprintf(stream, "\nLater entries win, and -o wins over the environment.\n");
}

static bool value_fits(enum value_kind kind, const char *value)
{
    /* Nine digits are more slots than any machine has CPUs, and fit every integer. */
    if (kind == VALUE_SWITCH)
        return strcmp(value, "0") == 0 || strcmp(value, "1") == 0;
    return strspn(value, "0123456789") == strlen(value) && strlen(value) <= 9 && atoi(value) >= 1;
}

bool options_check(const char *entry)
{
    const char *equals = strchr(entry, '=');
    if (equals == NULL || equals == entry) {
        say("-o wants key=value, not '%s'", entry);
        return false;
    }

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        size_t length = strlen(options[i].key);
        if ((size_t)(equals - entry) != length || memcmp(entry, options[i].key, length) != 0)
            continue;
        if (value_fits(options[i].kind, equals + 1))
            return true;
        say("-o %s wants %s=%s", entry, options[i].key,
            options[i].kind == VALUE_SWITCH ? "0 or 1" : "a whole number from 1");
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
