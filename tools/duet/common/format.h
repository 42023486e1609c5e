/*
 * Numbers and bars as people read them. Each function writes into the caller's buffer and returns
 * it, so that calls can stand as arguments of one printf.
 */
#ifndef DUET_TOOL_FORMAT_H
#define DUET_TOOL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Room for any number below with its unit. */
#define NUMBER_CHARS 32

/* Room for a number and a word or two. */
#define PHRASE_CHARS 64

/* Room for the widest bar, of characters of three bytes. */
#define BAR_CHARS 64

/* The characters beyond ASCII that the report uses, or what stands for them. */
struct glyphs {
    const char *plus_minus;
    const char *times;
    const char *at_most;
    const char *ellipsis;
    const char *dash;               /* from - to */
    const char *const *bar_eighths; /* a bar's last character by eighths; NULL: '#' only */
};

/* Those that the locale's character set has; setlocale was called before. */
const struct glyphs *glyphs_for_locale(void);

/* Those of UTF-8, for files. */
const struct glyphs *glyphs_for_files(void);

char *format_count(char buffer[NUMBER_CHARS], uint64_t count);      /* 1,234,567 */
char *format_bytes(char buffer[NUMBER_CHARS], uint64_t bytes);      /* 57.1 MiB, 512 B */
char *format_cell_bytes(char buffer[NUMBER_CHARS], uint64_t bytes); /* exact: 48 B, 32 KiB */
char *format_seconds(char buffer[NUMBER_CHARS], uint64_t ns);       /* 1.234 s */
char *format_percent(char buffer[NUMBER_CHARS], double share);      /* 61 %, <1 % */

/* A count with what is counted, in the plural but for 1: "1 cell", "2,000 cells". */
char *format_things(char buffer[PHRASE_CHARS], uint64_t count, const char *thing);

/* A bar of up to `width` characters for a share from 0 to 1; anything above 0 can be seen. */
char *format_bar(char buffer[BAR_CHARS], double share, int width, const struct glyphs *glyphs);

/* Copies a string that ends at its NUL or at `length` and may hold anything: what is no valid
 * UTF-8, or not printable, or no character in XML, becomes '?'. */
void clean_text(char *out, size_t capacity, const char *text, size_t length);

/* The same for a string that may also have control characters, and says what it was cleaned of:
 * each byte of what is no valid UTF-8 becomes U+FFFD, of three bytes. */
void repair_text(char *out, size_t capacity, const char *text);

/* The number of columns of a clean string, a character counting as one. */
int text_columns(const char *text);

/* Shortens a clean string in a buffer of `capacity` bytes to so many columns, with the ellipsis
 * as its end. */
void shorten(char *text, size_t capacity, int columns, const char *ellipsis);

#endif
