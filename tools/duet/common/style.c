/* Escape sequences and blanks. */
#include "common/style.h"

#include <string.h>

struct style style_make(bool colours)
{
    return (struct style){
        .glyphs = glyphs_for_locale(),
        .strong = colours ? "\033[1m" : "",
        .bar = colours ? "\033[36m" : "",
        .dim = colours ? "\033[2m" : "",
        .bad = colours ? "\033[31m" : "",
        .plain = colours ? "\033[0m" : "",
    };
}

void print_padding(FILE *stream, const char *text, int columns)
{
    for (int i = text_columns(text); i < columns; i++)
        fputc(' ', stream);
}

void print_left(FILE *stream, const char *text, int columns)
{
    fputs(text, stream);
    print_padding(stream, text, columns);
}

void print_right(FILE *stream, const char *text, int columns)
{
    print_padding(stream, text, columns);
    fputs(text, stream);
}

void print_share(FILE *stream, double share, int bar_columns, bool last, const struct style *style)
{
    char percent[NUMBER_CHARS];
    char bar[BAR_CHARS];

    print_right(stream, share > 0 ? format_percent(percent, share) : "", SHARE_COLUMNS);
    format_bar(bar, share, bar_columns, style->glyphs);
    fprintf(stream, " %s%s%s", style->bar, bar, style->plain);
    if (!last)
        print_padding(stream, bar, bar_columns);
}

/* The columns of a text's first `bytes` bytes. */
static int columns_of(const char *text, size_t bytes)
{
    int columns = 0;

    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)text[i] & 0xc0u) != 0x80;
    return columns;
}

void print_wrapped(FILE *stream, const char *text, int indent, int further, int columns)
{
    int used = indent;

    fprintf(stream, "%*s", indent, "");
    for (bool first = true; *text != '\0'; first = false) {
        size_t bytes = strcspn(text, " ");
        if (strncmp(text + bytes, " %", 2) == 0) /* stays with its number */
            bytes += 2 + strcspn(text + bytes + 2, " ");
        int word = columns_of(text, bytes);
        if (!first && used + 1 + word > columns) {
            fprintf(stream, "\n%*s", further, "");
            used = further;
        } else if (!first) {
            fputc(' ', stream);
            used++;
        }
        fwrite(text, 1, bytes, stream);
        used += word;
        text += bytes;
        text += *text == ' ';
    }
    fputc('\n', stream);
}
