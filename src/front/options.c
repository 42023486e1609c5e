#include "front/options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "duet.h"

/* More slots than any machine that Linux runs on has CPUs. */
#define SLOTS_MOST 8192
#define SLOTS_FEWEST 2 /* one, and one for an operation that interrupts another */

/* A piece of an option string; not terminated. */
struct piece {
    const char *text;
    size_t length;
};

static bool piece_is(struct piece piece, const char *text)
{
    return piece.length == strlen(text) && memcmp(piece.text, text, piece.length) == 0;
}

static void message_add_piece(struct message *message, struct piece piece)
{
    char text[64];
    size_t length = piece.length < sizeof text ? piece.length : sizeof text - 1;
    memcpy(text, piece.text, length);
    text[length] = '\0';
    message_add(message, text);
}

static void warn(const char *source, struct piece option, const char *what)
{
    struct message message = {.length = 0};
    message_add(&message, "duet: ");
    message_add(&message, source);
    message_add(&message, ": '");
    message_add_piece(&message, option);
    message_add(&message, "': ");
    message_add(&message, what);
    message_add(&message, "\n");
    message_write(&message);
}

static bool parse_number(struct piece value, uint32_t least, uint32_t most, uint32_t *number)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.text[i] < '0' || value.text[i] > '9' || sum > most)
            return false;
        sum = sum * 10 + (uint64_t)(value.text[i] - '0');
    }
    if (value.length == 0 || sum < least || sum > most)
        return false;
    *number = (uint32_t)sum;
    return true;
}

static bool parse_switch(struct piece value, bool *on)
{
    if (!piece_is(value, "0") && !piece_is(value, "1"))
        return false;
    *on = piece_is(value, "1");
    return true;
}

/* A number of bytes, or of KiB, MiB or GiB. */
static bool parse_bytes(struct piece value, size_t *bytes)
{
    static const char units[] = "KMG";
    const char *unit = value.length > 0 ? strchr(units, value.text[value.length - 1]) : NULL;
    unsigned shift = 0;
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        value.length--;
    }
    uint32_t number;
    if (!parse_number(value, 1, UINT32_MAX, &number))
        return false;
    *bytes = (size_t)number << shift;
    return true;
}

static void set_option(struct options *options, const char *source, struct piece option)
{
    const char *equals = memchr(option.text, '=', option.length);
    struct piece key = option;
    struct piece value = {option.text + option.length, 0};
    if (equals != NULL) {
        key.length = (size_t)(equals - option.text);
        value = (struct piece){equals + 1, option.length - key.length - 1};
    }
    if (piece_is(key, "slots")) {
        if (!parse_number(value, SLOTS_FEWEST, SLOTS_MOST, &options->slots))
            warn(source, option, "slots takes a number from 2 to 8192");
    } else if (piece_is(key, "slots_of")) {
        if (piece_is(value, "cpus"))
            options->slots_of = ENGINE_SLOTS_OF_CPUS;
        else if (piece_is(value, "threads"))
            options->slots_of = ENGINE_SLOTS_OF_THREADS;
        else
            warn(source, option, "slots_of takes cpus or threads");
    } else if (piece_is(key, "purge")) {
        if (!parse_switch(value, &options->purge))
            warn(source, option, "purge takes 0 or 1");
    } else if (piece_is(key, "thp")) {
        if (!parse_switch(value, &options->thp))
            warn(source, option, "thp takes 0 or 1");
    } else if (piece_is(key, "purge_thread")) {
        if (!parse_switch(value, &options->purge_thread))
            warn(source, option, "purge_thread takes 0 or 1");
    } else if (piece_is(key, "limit")) {
        if (!parse_bytes(value, &options->limit))
            warn(source, option, "limit takes a number of bytes, or one with K, M or G");
    } else if (piece_is(key, "stats")) {
        if (!parse_switch(value, &options->stats))
            warn(source, option, "stats takes 0 or 1");
    } else if (piece_is(key, "verbose")) {
        if (!parse_switch(value, &options->verbose))
            warn(source, option, "verbose takes 0 or 1");
    } else {
        warn(source, option, "no such option");
    }
}

static void parse(struct options *options, const char *source, const char *text)
{
    while (*text != '\0') {
        struct piece option = {text, strcspn(text, ",")};
        if (option.length > 0)
            set_option(options, source, option);
        text += option.length;
        text += *text == ',';
    }
}

void options_read(struct options *options)
{
    if (&duet_default_options != NULL && duet_default_options != NULL)
        parse(options, "duet_default_options", duet_default_options);
    const char *environment = secure_getenv("DUET_OPTIONS");
    if (environment != NULL)
        parse(options, "DUET_OPTIONS", environment);
}
