/*
 * gnuplot reads its script from one file and writes to two others, so neither waits for the other.
 *
 * Of its SVG some things are changed, line by line as it writes them: the names of its symbols,
 * which are the same in each picture; its titles, which browsers show under the pointer and which
 * say nothing; weights of fonts, for which it has no word; and groups with nothing in them. What is
 * not found is left as it is.
 */
#include "present/gnuplot.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/format.h"
#include "common/say.h"
#include "present/markup.h"

/* Default settings: what a user has in ~/.gnuplot is for other pictures. */
#define NO_SETTINGS "-d"

/* ---- Running ------------------------------------------------------------------------------- */

struct plotting {
    FILE *script; /* NULL: none */
    FILE *output;
    FILE *errors;
};

static bool plotting_begin(struct plotting *plotting, FILE *script)
{
    *plotting = (struct plotting){.script = script, .output = tmpfile(), .errors = tmpfile()};
    if (plotting->output != NULL && plotting->errors != NULL)
        return true;
    say("cannot make a temporary file: %s", strerror(errno));
    return false;
}

static void plotting_end(struct plotting *plotting)
{
    if (plotting->output != NULL)
        fclose(plotting->output);
    if (plotting->errors != NULL)
        fclose(plotting->errors);
}

/* Starts it; an error number as posix_spawnp returns it. */
static int start(const struct plotting *plotting, char *argument, pid_t *pid)
{
    char *arguments[] = {(char[]){"gnuplot"}, argument, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);

    if (error != 0)
        return error;
    error = plotting->script != NULL
                ? posix_spawn_file_actions_adddup2(&actions, fileno(plotting->script), STDIN_FILENO)
                : posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, fileno(plotting->output), STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, fileno(plotting->errors), STDERR_FILENO);
    if (error == 0)
        error = posix_spawnp(pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Runs it to its end. 0: all went well; -1: it failed, and its errors may say why; else an error
 * number. */
static int run(struct plotting *plotting, char *argument)
{
    pid_t pid;
    int status = 0;
    int error = start(plotting, argument, &pid);

    if (error != 0)
        return error;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return errno;
    }
    rewind(plotting->output);
    rewind(plotting->errors);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The last line with anything on it that gnuplot wrote on stderr: what is wrong follows where. */
static void say_failed(int error, FILE *errors)
{
    char last[256] = "";
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;

    while (error < 0 && (length = getline(&line, &capacity, errors)) > 0) {
        const char *text = line + strspn(line, " \t\n^");
        if (text[0] != '\0')
            clean_text(last, sizeof last, text, strcspn(text, "\n"));
    }
    free(line);
    say("gnuplot failed: %s", error > 0         ? strerror(error)
                              : last[0] != '\0' ? last
                                                : "it does not say why");
}

bool gnuplot_is_there(void)
{
    struct plotting plotting;
    bool there = plotting_begin(&plotting, NULL) && run(&plotting, (char[]){"--version"}) == 0;

    plotting_end(&plotting);
    return there;
}

void gnuplot_text(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputc('\'', script);
        fputc(*text, script);
    }
    fputc('\'', script);
}

/* ---- Its SVG ------------------------------------------------------------------------------- */

/* What stands before each name of its symbols, where they are made and where they are used. */
static const char *const before_names[] = {"id='", "id=\"", "xlink:href='#", "xlink:href=\"#",
                                           "url(#"};

/* Copies a line of tags: names get the prefix, and what it wrote as a font's name and weight
 * becomes both. */
static void copy_tags(FILE *stream, const char *line, const char *prefix)
{
    static const char bold[] = "sans-serif:Bold\"";

    while (*line != '\0') {
        size_t found = 0;
        for (size_t i = 0; i < sizeof before_names / sizeof *before_names && found == 0; i++) {
            if (strncmp(line, before_names[i], strlen(before_names[i])) == 0)
                found = strlen(before_names[i]);
        }
        if (found > 0) {
            fprintf(stream, "%.*s%s-", (int)found, line, prefix);
            line += found;
        } else if (strncmp(line, bold, strlen(bold)) == 0) {
            fputs("sans-serif\" font-weight=\"bold\"", stream);
            line += strlen(bold);
        } else {
            fputc(*line++, stream);
        }
    }
}

/* Whether the line is one of the titles or the description. */
static char *title_in(char *line)
{
    char *title = strstr(line, "<title>");
    return title != NULL ? title : strstr(line, "<desc>");
}

static void copy_line(FILE *stream, char *line, const char *prefix)
{
    /* Text has a line of its own; what stands in it is not ours to change. */
    if (strstr(line, "<text>") != NULL) {
        fputs(line, stream);
        return;
    }
    char *title = title_in(line);
    if (title != NULL) {
        /* A group may be opened before its title. */
        strcpy(title, title > line ? "\n" : "");
    }
    copy_tags(stream, line, prefix);
}

static bool opens_group(const char *line)
{
    return strncmp(line, "<g fill=", strlen("<g fill=")) == 0;
}

static bool closes_group(const char *line)
{
    return strcmp(line, "</g>\n") == 0;
}

/* The first tag, with its title: the width and the height stand in gnuplot's own lines. */
static void open_svg(FILE *stream, const char *title)
{
    fputs("<svg role=\"img\" aria-label=\"", stream);
    markup_text(stream, title);
    fputs("\"\n", stream);
}

/* Copies all from the <svg> tag on; false if there is no whole picture. */
static bool copy_svg(FILE *from, FILE *stream, const char *prefix, const char *title)
{
    char *line = NULL;
    char *held = NULL; /* the line that opened a group, until something is in it */
    size_t capacity = 0;
    bool begun = false;
    bool ended = false;

    while (!ended && getline(&line, &capacity, from) > 0) {
        if (!begun) {
            begun = strncmp(line, "<svg", strlen("<svg")) == 0;
            if (begun)
                open_svg(stream, title);
            continue;
        }
        if (held != NULL && closes_group(line)) {
            free(held);
            held = NULL;
            continue;
        }
        if (held != NULL)
            copy_tags(stream, held, prefix);
        free(held);
        held = opens_group(line) ? strdup(line) : NULL;
        if (held == NULL)
            copy_line(stream, line, prefix);
        ended = strncmp(line, "</svg>", strlen("</svg>")) == 0;
    }
    free(held);
    free(line);
    return ended;
}

bool gnuplot_draw(FILE *script, FILE *stream, const char *prefix, const char *title)
{
    struct plotting plotting;
    bool drawn = false;

    if (fflush(script) != 0 || ferror(script)) {
        say("cannot write a temporary file: %s", strerror(errno));
        return false;
    }
    rewind(script);
    if (plotting_begin(&plotting, script)) {
        int error = run(&plotting, (char[]){NO_SETTINGS});
        if (error == 0 && !copy_svg(plotting.output, stream, prefix, title))
            error = -1;
        if (error != 0)
            say_failed(error, plotting.errors);
        drawn = error == 0 && !ferror(stream);
    }
    plotting_end(&plotting);
    return drawn;
}
