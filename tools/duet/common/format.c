/* No state but the constant glyph tables. */
#include "common/format.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
static const struct glyphs utf8 = {
    .plus_minus = "±",
    .times = "×",
    .at_most = "≤",
    .ellipsis = "…",
    .dash = "–",
    .bar_eighths = eighths,
};
static const struct glyphs ascii = {
    .plus_minus = "+-",
    .times = "x",
    .at_most = "<=",
    .ellipsis = "...",
    .dash = "-",
    .bar_eighths = NULL,
};

const struct glyphs *glyphs_for_locale(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? &utf8 : &ascii;
}

const struct glyphs *glyphs_for_files(void)
{
    return &utf8;
}

char *format_count(char buffer[NUMBER_CHARS], uint64_t count)
{
    char digits[NUMBER_CHARS];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    int used = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            buffer[used++] = ',';
        buffer[used++] = digits[i];
    }
    buffer[used] = '\0';
    return buffer;
}

static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

char *format_things(char buffer[PHRASE_CHARS], uint64_t count, const char *thing)
{
    char number[NUMBER_CHARS];

    snprintf(buffer, PHRASE_CHARS, "%s %s%s", format_count(number, count), thing,
             count == 1 ? "" : "s");
    return buffer;
}

char *format_bytes(char buffer[NUMBER_CHARS], uint64_t bytes)
{
    double value = (double)bytes;
    unsigned unit = 0;

    /* 1023.95 would be rounded up to 1024.0 of the smaller unit. */
    while (value >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(buffer, NUMBER_CHARS, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
    return buffer;
}

char *format_cell_bytes(char buffer[NUMBER_CHARS], uint64_t bytes)
{
    unsigned unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buffer, NUMBER_CHARS, "%" PRIu64 " %s", bytes, units[unit]);
    return buffer;
}

char *format_seconds(char buffer[NUMBER_CHARS], uint64_t ns)
{
    snprintf(buffer, NUMBER_CHARS, "%.3f s", (double)ns / 1e9);
    return buffer;
}

char *format_percent(char buffer[NUMBER_CHARS], double share)
{
    /* Neither nothing nor everything is claimed where it is not so. */
    if (share > 0 && share < 0.01)
        snprintf(buffer, NUMBER_CHARS, "<1 %%");
    else if (share < 1 && share > 0.99)
        snprintf(buffer, NUMBER_CHARS, ">99 %%");
    else
        snprintf(buffer, NUMBER_CHARS, "%.0f %%", share * 100);
    return buffer;
}

char *format_bar(char buffer[BAR_CHARS], double share, int width, const struct glyphs *glyphs)
{
    int parts = glyphs->bar_eighths != NULL ? 8 : 1;
    int filled = (int)(share * width * parts + 0.5);
    const char *full = glyphs->bar_eighths != NULL ? "█" : "#";

    if (filled == 0 && share > 0)
        filled = 1;
    if (filled > width * parts)
        filled = width * parts;

    buffer[0] = '\0';
    for (int i = 0; i < filled / parts; i++)
        strcat(buffer, full);
    if (filled % parts != 0)
        strcat(buffer, glyphs->bar_eighths[filled % parts]);
    return buffer;
}

/* ---- Text --------------------------------------------------------------------------------- */

/* How many bytes the UTF-8 character at `text` has, and its code; 0: it is none. */
static size_t character_bytes(const char *text, size_t length, uint32_t *code_of)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t bytes = first < 0x80         ? 1
                   : first >> 5 == 0x06 ? 2
                   : first >> 4 == 0x0e ? 3
                   : first >> 3 == 0x1e ? 4
                                        : 0;

    if (bytes == 0 || bytes > length)
        return 0;

    uint32_t code = bytes == 1 ? first : first & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        unsigned char next = (unsigned char)text[i];
        if (next >> 6 != 2)
            return 0;
        code = code << 6 | (next & 0x3fu);
    }
    /* Overlong, surrogates, beyond the end: none of them. */
    bool valid = code >= least[bytes] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    *code_of = code;
    return valid ? bytes : 0;
}

/* Control characters, and the codes that are never characters. */
static bool is_unwanted(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code & 0xfffe) == 0xfffe;
}

/* Copies with `instead` for each byte of what is no character, and for unwanted ones. */
static void copy_text(char *out, size_t capacity, const char *text, size_t length,
                      bool with_controls, const char *instead)
{
    size_t used = 0;

    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        size_t bytes = character_bytes(text + i, length - i, &code);
        bool good = bytes != 0 && (with_controls || !is_unwanted(code));
        const char *from = good ? text + i : instead;
        size_t added = good ? bytes : strlen(instead);
        if (used + added >= capacity)
            break;
        memcpy(out + used, from, added);
        used += added;
        i += good ? bytes : 1;
    }
    out[used] = '\0';
}

void clean_text(char *out, size_t capacity, const char *text, size_t length)
{
    copy_text(out, capacity, text, strnlen(text, length), false, "?");
}

void repair_text(char *out, size_t capacity, const char *text)
{
    copy_text(out, capacity, text, strlen(text), true, "\xef\xbf\xbd");
}

int text_columns(const char *text)
{
    int columns = 0;

    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xc0u) != 0x80)
            columns++;
    }
    return columns;
}

void shorten(char *text, size_t capacity, int columns, const char *ellipsis)
{
    char *end = text;

    if (text_columns(text) <= columns)
        return;
    for (int left = columns - text_columns(ellipsis); left > 0; left--) {
        do
            end++;
        while (((unsigned char)*end & 0xc0u) == 0x80);
    }
    snprintf(end, capacity - (size_t)(end - text), "%s", ellipsis);
}
