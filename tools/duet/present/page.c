/*
 * The page, from the answer down to the figures that it comes from: sentences, pictures, tables,
 * how it was measured and on what, every run, and all of it for machines. It needs no other file
 * and no script, so it can be sent, kept and opened anywhere.
 */
#include "present/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "measure/results_json.h"
#include "present/markup.h"
#include "present/page_parts.h"
#include "present/picture.h"
#include "present/sentences.h"
#include "present/show.h"

/* Of the program with its arguments, in a title. */
#define COMMAND_COLUMNS 200

static bool is_compare(const struct results *results)
{
    return results->words != NULL;
}

/* ---- Texts made elsewhere ------------------------------------------------------------------ */

/* What a writer makes, as a string to free; NULL, after a message: no memory, or the writer
 * failed. */
static char *text_of(bool (*write)(FILE *stream, const struct results *results),
                     const struct results *results)
{
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    if (stream != NULL) {
        bool written = write(stream, results);
        if (fclose(stream) == 0 && written)
            return text;
    }
    say("not enough memory for the page");
    free(text);
    return NULL;
}

static bool write_choice(FILE *stream, const struct results *results)
{
    sentences_print_some(stream, results, SENTENCES_CHOICE, glyphs_for_files(), "", "\n");
    return true;
}

static bool write_the_rest(FILE *stream, const struct results *results)
{
    sentences_print_some(stream, results, SENTENCES_BUT_CHOICE, glyphs_for_files(), "", "\n");
    return true;
}

/* A percent sign stays with its number. */
static void print_sentence(FILE *stream, char *text)
{
    for (char *percent; (percent = strstr(text, " %")) != NULL; text = percent + 1) {
        *percent = '\0';
        markup_text(stream, text);
        fputs("&nbsp;", stream);
    }
    markup_text(stream, text);
}

/* A paragraph for each line of the text, which is released. */
static bool print_paragraphs(FILE *stream, char *text, const char *tag)
{
    if (text == NULL)
        return false;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        fputs(tag, stream);
        print_sentence(stream, line);
        fputs("</p>\n", stream);
    }
    free(text);
    return true;
}

static bool print_sentences(FILE *stream, const struct results *results)
{
    fputs("<section class=\"sentences\">\n", stream);
    if (!print_paragraphs(stream, text_of(write_choice, results), "<p class=\"choice\">") ||
        !print_paragraphs(stream, text_of(write_the_rest, results), "<p>"))
        return false;
    fputs("</section>\n", stream);
    return true;
}

/* In a script's element nothing is escaped, and it ends at the first "</script": so no "<" may be
 * in it, which JSON can write as a number. */
static bool print_json(FILE *stream, const struct results *results)
{
    char *text = text_of(results_json_write, results);

    if (text == NULL)
        return false;
    fputs("<script type=\"application/json\" id=\"results\">\n", stream);
    for (const char *letter = text; *letter != '\0'; letter++) {
        if (*letter == '<')
            fputs("\\u003c", stream);
        else
            fputc(*letter, stream);
    }
    fputs("</script>\n", stream);
    free(text);
    return true;
}

/* ---- Head ---------------------------------------------------------------------------------- */

static void print_duration(FILE *stream, double seconds)
{
    const double minute = 60;
    const double hour = 60 * minute;

    if (seconds < 2 * minute)
        fprintf(stream, "%.0f s", seconds);
    else if (seconds < 2 * hour)
        fprintf(stream, "%.0f min", seconds / minute);
    else
        fprintf(stream, "%.0f h %.0f min", floor(seconds / hour),
                floor(fmod(seconds, hour) / minute));
}

static void print_title(FILE *stream, const struct results *results)
{
    char *command = show_command(results, COMMAND_COLUMNS, glyphs_for_files());

    if (is_compare(results) && command != NULL)
        markup_text(stream, command);
    else
        fputs("duet bench", stream);
    free(command);
}

static void print_head(FILE *stream, const struct results *results)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          stream);
    print_title(stream, results);
    fprintf(stream, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>", page_style);
    print_title(stream, results);
    fputs("</h1>\n", stream);
}

static void print_summary(FILE *stream, const struct results *results)
{
    char allocators[PHRASE_CHARS];
    char runs[PHRASE_CHARS];
    char workloads[PHRASE_CHARS];

    format_things(allocators, results->allocators.count, "allocator");
    format_things(runs, results->runs, "run");
    fputs("<p class=\"soft\">", stream);
    if (is_compare(results))
        fprintf(stream, "duet compare: %s of each of %s", runs, allocators);
    else
        fprintf(stream, "%s under %s, up to %s of each%s",
                format_things(workloads, results->count, "workload"), allocators, runs,
                results->quick ? ", the quick choice" : "");
    fputs("; begun ", stream);
    markup_text(stream, results->started);
    fputs(", took ", stream);
    print_duration(stream, results->elapsed_s);
    fputs("</p>\n</header>\n", stream);
}

/* ---- Pictures and tables ------------------------------------------------------------------- */

static bool print_picture(FILE *stream, enum picture picture, const struct results *results)
{
    fputs("<figure>\n", stream);
    bool drawn = picture_write(stream, picture, results);
    fputs("</figure>\n", stream);
    return drawn;
}

static bool print_compare(FILE *stream, const struct results *results)
{
    bool drawn = print_picture(stream, PICTURE_COMPARE, results);

    if (drawn && results->count > 0) {
        fputs("<h2>All figures</h2>\n", stream);
        page_table_compare(stream, results);
    }
    return drawn;
}

static bool print_bench(FILE *stream, const struct results *results)
{
    if (!print_picture(stream, PICTURE_OVERVIEW, results))
        return false;
    fputs("<h2>Time</h2>\n", stream);
    if (!print_picture(stream, PICTURE_TIME, results))
        return false;
    page_table_bench(stream, results, METRIC_WALL);
    fputs("<h2>Memory</h2>\n", stream);
    if (!print_picture(stream, PICTURE_MEMORY, results))
        return false;
    page_table_bench(stream, results, METRIC_PEAK_RSS);
    return true;
}

/* ---- How and on what ----------------------------------------------------------------------- */

static void print_method(FILE *stream, const struct results *results)
{
    fputs("<h2>How it was measured</h2>\n"
          "<p>Each allocator's library was preloaded into the same programs, and it was made sure "
          "that malloc was its own. After a warm-up of each they took turns, A B C A B C, and who "
          "came first changed from round to round: whatever else the machine did fell on all of "
          "them alike. All read the same input, and output went to temporary files.</p>\n"
          "<p>Figures are medians. A ratio is taken within each round, and the median of these is "
          "what counts. Its interval lies between two of the sorted figures and holds the true "
          "median with a probability of 99 % where there are eight runs or more, and with what the "
          "least and the greatest give where there are fewer: 94 % with five. A difference is only "
          "called one where the whole interval lies on one side of 1, with 90 % or more, and it "
          "comes to 1 %. All else is within the noise.</p>\n"
          "<p>“8 % faster” is 8 % less wall time, and “21 % smaller” 21 % less resident memory "
          "(RSS) at its peak, of the largest process.",
          stream);
    if (!is_compare(results))
        fputs(" What has one thread only was kept on one CPU, the same in every run. Where a "
              "workload is about what an allocator gives back, memory is what was "
              "resident at its end. A workload's own tables are taken off. Geometric means are of "
              "the workloads that both allocators came through; the best other is chosen for each "
              "workload anew.",
              stream);
    fputs(" A run that crashed, did not end in time, or ended otherwise than under the base is a "
          "failure, and no figure of that allocator is used there.</p>\n",
          stream);
}

static void print_item(FILE *stream, const char *term, const char *text)
{
    char clean[PATH_MAX];

    clean_text(clean, sizeof clean, text, strlen(text));
    fprintf(stream, "<dt>%s</dt><dd>", term);
    markup_text(stream, clean);
    fputs("</dd>\n", stream);
}

static void print_machine(FILE *stream, const struct machine *machine)
{
    char number[NUMBER_CHARS];

    fputs("<h2>The machine</h2>\n<dl>\n", stream);
    print_item(stream, "processor", machine->cpu);
    print_item(stream, "CPUs", format_count(number, machine->cpus));
    print_item(stream, "memory", format_bytes(number, machine->memory_bytes));
    print_item(stream, "kernel", machine->kernel);
    print_item(stream, "C library", machine->libc);
    print_item(stream, "pages", machine->page_text);
    print_item(stream, "duet", machine->duet);
    fputs("</dl>\n", stream);
}

static void print_allocator(FILE *stream, const struct allocator *allocator)
{
    char text[PATH_MAX];

    fprintf(stream, "<tr><th scope=\"row\"%s>",
            allocator->kind == ALLOCATOR_DUET ? " class=\"ours\"" : "");
    markup_text(stream, show_full_name(text, allocator));
    fputs("</th><td class=\"words\">", stream);
    clean_text(text, sizeof text, allocator->version, sizeof allocator->version);
    markup_text(stream, text);
    fputs("</td><td class=\"words\"><code>", stream);
    clean_text(text, sizeof text, allocator->path, sizeof allocator->path);
    markup_text(stream, text);
    fputs("</code></td></tr>\n", stream);
}

static void print_allocators(FILE *stream, const struct allocators *allocators)
{
    fputs("<h2>The allocators</h2>\n<div class=\"wide\"><table>\n<tbody>\n", stream);
    for (unsigned k = 0; k < allocators->count; k++)
        print_allocator(stream, &allocators->all[k]);
    fputs("</tbody></table></div>\n", stream);
}

bool page_write(FILE *stream, const struct results *results)
{
    print_head(stream, results);
    print_summary(stream, results);
    fputs("<main>\n", stream);
    if (!print_sentences(stream, results) ||
        !(is_compare(results) ? print_compare : print_bench)(stream, results))
        return false;
    print_method(stream, results);
    print_machine(stream, &results->machine);
    print_allocators(stream, &results->allocators);
    page_samples(stream, results);
    fputs("</main>\n", stream);
    if (!print_json(stream, results))
        return false;
    fputs("</body>\n</html>\n", stream);
    return !ferror(stream);
}
