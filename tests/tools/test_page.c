/*
 * Pictures and pages are whole, whatever the names in them: every tag is closed, no id stands
 * twice, nothing of a name is taken for markup, and the JSON in a page is that of the file.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_tests.h"
#include "common/format.h"
#include "made_results.h"
#include "measure/results_json.h"
#include "present/page.h"
#include "present/picture.h"

#define SKIPPED 77 /* as tests/CMakeLists.txt knows it */

enum { RUNS = 9 };

static char *words[] = {(char[]){"a 'program'"}, (char[]){"<x>&amp;\"$(y)\"`z`\n\\n{/Bold b}_^@#"},
                        NULL};

/* Each has something that means something to gnuplot, to SVG, to HTML or to printf. */
static const char *const names[] = {
    "glibc",
    "smp",
    "ng",
    "a_b\"<x>$(y)",
    "it's `id` & co;",
    "\\n{/Bold x}@m#",
    "</script>",
    "<!-- %s%n -->",
    "&lt;&#60;",
    "id='gpDot'",
    "каша",
    "<text>",
};

#define NAMES (sizeof names / sizeof *names)

static struct results *make_nasty(char **program)
{
    struct results *results = make_results(program, RUNS);
    const unsigned trials = program != NULL ? 1 : 5;

    for (size_t k = 0; k < NAMES; k++)
        make_allocator(results,
                       k == 0  ? ALLOCATOR_LIBC
                       : k < 3 ? ALLOCATOR_DUET
                               : ALLOCATOR_GIVEN,
                       names[k]);
    for (unsigned i = 0; i < trials; i++) {
        struct trial *trial =
            make_trial(results, names[NAMES - 1 - i], i, COUNTS_TIME | COUNTS_MEMORY);
        for (unsigned k = 0; k < NAMES; k++)
            make_runs(&trial->series[k], RUNS, 1 + 0.1 * k, 10000 - 500.0 * k, 0.01);
    }
    make_failure(&results->trials[0].series[5], OUTCOME_CRASH, 11, "<b>free(): \"bad\"</b> & more");
    make_failure(&results->trials[0].series[6], OUTCOME_STATUS, 3, "");
    snprintf(results->machine.cpu, sizeof results->machine.cpu, "a <fast> & \"old\" one");
    return results;
}

/* Everything failed. */
static struct results *make_failed(char **program)
{
    struct results *results = make_nasty(program);

    for (unsigned i = 0; i < results->count; i++) {
        for (unsigned k = 0; k < NAMES; k++) {
            results->trials[i].series[k].count = 0;
            make_failure(&results->trials[i].series[k], OUTCOME_TIMEOUT, 0, "");
        }
    }
    return results;
}

/* Nothing was run. */
static struct results *make_empty(char **program)
{
    struct results *results = make_results(program, RUNS);

    make_allocator(results, ALLOCATOR_LIBC, "glibc");
    return results;
}

/* ---- Markup ---------------------------------------------------------------------------------- */

enum { DEPTH_MOST = 64, NAME_CHARS = 24 };

struct markup {
    char open[DEPTH_MOST][NAME_CHARS];
    unsigned depth;
};

/* The end of a tag that starts at `tag`, quotes looked through. */
static const char *tag_end(const char *tag)
{
    char quote = '\0';

    for (; *tag != '\0'; tag++) {
        if (quote != '\0')
            quote = *tag == quote ? '\0' : quote;
        else if (*tag == '"' || *tag == '\'')
            quote = *tag;
        else if (*tag == '>')
            return tag;
    }
    fail_msg("a tag has no end");
    return NULL;
}

static bool is_void(const char *name)
{
    return strcmp(name, "meta") == 0 || strcmp(name, "br") == 0;
}

/* Takes in the tag; returns what is behind it. */
static const char *take_tag(struct markup *markup, const char *tag)
{
    const char *end = tag_end(tag);
    bool closes = tag[1] == '/';
    const char *start = tag + 1 + closes;
    size_t length = 0;
    char name[NAME_CHARS];

    while (isalnum((unsigned char)start[length]))
        length++;
    assert_true(length > 0 && length < sizeof name);
    snprintf(name, sizeof name, "%.*s", (int)length, start);
    if (closes) {
        assert_true(markup->depth > 0);
        assert_string_equal(markup->open[--markup->depth], name);
    } else if (end[-1] != '/' && !is_void(name)) {
        assert_true(markup->depth < DEPTH_MOST);
        memcpy(markup->open[markup->depth++], name, sizeof name);
    }
    /* Nothing is markup in these. */
    if (!closes && (strcmp(name, "script") == 0 || strcmp(name, "style") == 0)) {
        end = strstr(end, name[1] == 'c' ? "</script>" : "</style>");
        assert_non_null(end);
        return end;
    }
    return end + 1;
}

static void assert_balanced(const char *text)
{
    struct markup markup = {0};

    while (*text != '\0') {
        if (strncmp(text, "<!DOCTYPE html>", 15) == 0)
            text += 15;
        else if (*text == '<')
            text = take_tag(&markup, text);
        else
            text++;
    }
    assert_int_equal(markup.depth, 0);
}

/* What stands in the script's element is left out. */
static void assert_ids_differ(const char *text)
{
    const char *ids[256];
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, " id=")) != NULL; at += 4) {
        const char *id = at + 5;
        size_t length = strcspn(id, "'\"");
        /* Only in tags: a name may have it too. */
        const char *before = at;
        while (before > text && *before != '<' && *before != '>')
            before--;
        if (*before != '<')
            continue;
        assert_true(count < sizeof ids / sizeof *ids);
        for (unsigned i = 0; i < count; i++)
            assert_false(strncmp(ids[i], id, length + 1) == 0);
        ids[count++] = id;
    }
}

/* No name has become markup, and none is lost. */
static void assert_escaped(const char *text)
{
    assert_null(strstr(text, "<x>"));
    assert_null(strstr(text, "<b>free"));
    assert_null(strstr(text, "<fast>"));
    assert_null(strstr(text, "<!--"));
    assert_non_null(strstr(text, "&lt;x"));
    assert_non_null(strstr(text, "&amp;lt;&amp;#60;"));
}

/* ---- What is written ------------------------------------------------------------------------- */

/* All that was written into a temporary file, which is closed. */
static char *take_text(FILE *stream)
{
    long bytes = ftell(stream);

    assert_true(bytes > 0);
    char *text = calloc(1, (size_t)bytes + 1);
    assert_non_null(text);
    rewind(stream);
    assert_int_equal(fread(text, 1, (size_t)bytes, stream), bytes);
    fclose(stream);
    return text;
}

static char *picture_of(enum picture picture, const struct results *results)
{
    FILE *stream = tmpfile();

    assert_non_null(stream);
    assert_true(picture_write(stream, picture, results));
    return take_text(stream);
}

static char *page_of(const struct results *results)
{
    FILE *stream = tmpfile();

    assert_non_null(stream);
    assert_true(page_write(stream, results));
    return take_text(stream);
}

static void assert_picture(enum picture picture, struct results *results, bool has_names)
{
    char *text = picture_of(picture, results);

    assert_int_equal(strncmp(text, "<svg ", 5), 0);
    assert_balanced(text);
    assert_ids_differ(text);
    if (has_names)
        assert_escaped(text);
    free(text);
    drop_results(results);
}

static void pictures_are_whole(void **state)
{
    (void)state;
    static const enum picture of_bench[] = {PICTURE_OVERVIEW, PICTURE_TIME, PICTURE_MEMORY};

    assert_picture(PICTURE_COMPARE, make_nasty(words), true);
    assert_picture(PICTURE_COMPARE, make_failed(words), true);
    assert_picture(PICTURE_COMPARE, make_empty(words), false);
    for (size_t i = 0; i < sizeof of_bench / sizeof *of_bench; i++) {
        assert_picture(of_bench[i], make_nasty(NULL), true);
        assert_picture(of_bench[i], make_failed(NULL), of_bench[i] != PICTURE_OVERVIEW);
        assert_picture(of_bench[i], make_empty(NULL), false);
    }
}

static void assert_page(struct results *results, bool has_names)
{
    char *text = page_of(results);

    assert_balanced(text);
    assert_ids_differ(text);
    if (has_names)
        assert_escaped(text);
    /* Nothing from elsewhere. */
    assert_null(strstr(text, "src="));
    assert_null(strstr(text, "@import"));
    free(text);
    drop_results(results);
}

static void pages_are_whole(void **state)
{
    (void)state;
    assert_page(make_nasty(words), true);
    assert_page(make_nasty(NULL), true);
    assert_page(make_failed(words), true);
    assert_page(make_failed(NULL), true);
    assert_page(make_empty(words), false);
    assert_page(make_empty(NULL), false);
}

static void a_page_has_the_json(void **state)
{
    (void)state;
    static const char before[] = "<script type=\"application/json\" id=\"results\">";
    struct results *results = make_nasty(words);
    char *page = page_of(results);
    FILE *stream = tmpfile();
    assert_non_null(stream);
    assert_true(results_json_write(stream, results));
    char *json = take_text(stream);

    char *start = strstr(page, before);
    assert_non_null(start);
    start += strlen(before);
    *strstr(start, "</script>") = '\0';
    json_t *in_page = json_loads(start, 0, NULL);
    json_t *in_file = json_loads(json, 0, NULL);
    assert_non_null(in_page);
    assert_non_null(in_file);
    assert_true(json_equal(in_page, in_file));
    json_decref(in_page);
    json_decref(in_file);
    free(json);
    free(page);
    drop_results(results);
}

/* With no gnuplot in PATH there is one message, and no picture. */
static void without_gnuplot_it_is_said(void **state)
{
    (void)state;
    const char *path = getenv("PATH");
    char *saved = strdup(path != NULL ? path : "");
    struct results *results = make_nasty(words);
    FILE *stream = fopen("/dev/null", "w");

    assert_non_null(saved);
    assert_non_null(stream);
    setenv("PATH", "/no/such/folder", 1);
    assert_false(picture_possible());
    assert_false(picture_write(stream, PICTURE_COMPARE, results));
    assert_false(page_write(stream, results));
    setenv("PATH", saved, 1);
    fclose(stream);
    free(saved);
    drop_results(results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_whole),
        cmocka_unit_test(pages_are_whole),
        cmocka_unit_test(a_page_has_the_json),
        cmocka_unit_test(without_gnuplot_it_is_said),
    };
    if (!picture_possible())
        return SKIPPED;
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
