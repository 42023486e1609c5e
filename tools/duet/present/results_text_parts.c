/* Sentences are made without a thought of lines, and broken into them here. */
#include "present/results_text_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "common/style.h"
#include "present/results_text.h"
#include "present/sentences.h"
#include "present/show.h"

#define INDENT 2
#define INDENT_FURTHER 4 /* lines that go on */

void print_marks(FILE *stream)
{
    fprintf(stream, "  %s none is better; %s within the noise; %s too few runs to tell.\n",
            BEST_MARK, NOISE_MARK, FEW_MARK);
}

void print_sentences(FILE *stream, const struct results *results)
{
    char *text = NULL;
    size_t bytes;
    FILE *made = open_memstream(&text, &bytes);

    if (made != NULL) {
        sentences_print(made, results, "", "\n");
        if (fclose(made) != 0) {
            free(text);
            text = NULL;
        }
    }
    if (text == NULL)
        say("not enough memory for what the figures say");
    for (char *next = text; next != NULL && *next != '\0';) {
        char *line = strsep(&next, "\n");
        print_wrapped(stream, line, INDENT, INDENT_FURTHER, TEXT_COLUMNS);
    }
    free(text);
}
