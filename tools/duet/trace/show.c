/* duet trace: words -> summary -> report. */
#include "trace/show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/output.h"
#include "common/say.h"
#include "common/words.h"
#include "trace/trace.h"

struct request {
    const char *json_name;
    const char *trace;
};

static void print_help(void)
{
    printf("usage: duet trace [--json FILE] FILE\n"
           "\n"
           "Tells what is in the trace FILE, which duet record has written: sizes, lifetimes, who\n"
           "frees whose cells, how reallocs grow, the peak, and what is never freed.\n"
           "\n"
           "  -j, --json FILE   write it as JSON also; -: stdout, and the text comes on stderr\n"
           "  -h, --help        print this\n"
           "\n"
           "The exit status is 0, or %d where FILE is no trace or damaged.\n",
           STATUS_LAUNCHER_FAILED);
}

static enum parsed parse(int word_count, char **words, struct request *request)
{
    static const struct option known[] = {
        {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *request = (struct request){0};
    optind = 1;
    while ((letter = getopt_long(word_count, words, "+:j:h", known, NULL)) != -1) {
        switch (letter) {
        case 'j':
            if (optarg[0] == '\0') {
                say_usage("--json wants the name of a file, or - for stdout");
                return PARSED_WRONG;
            }
            request->json_name = optarg;
            break;
        case 'h':
            print_help();
            return PARSED_DONE;
        default:
            say_refused(letter, word_count, words, known);
            return PARSED_WRONG;
        }
    }
    if (optind != word_count - 1) {
        say_usage(optind < word_count ? "one trace at a time" : "no trace is named");
        return PARSED_WRONG;
    }
    request->trace = words[optind];
    return PARSED_RUN;
}

static int show(const struct request *request, struct output *json)
{
    static struct trace_summary summary;
    bool json_on_stdout = request->json_name != NULL && strcmp(request->json_name, "-") == 0;
    FILE *stream = json_on_stdout ? stderr : stdout;

    if (!summary_read(&summary, request->trace))
        return STATUS_LAUNCHER_FAILED;
    summary_print(stream, &summary, isatty(fileno(stream)) && getenv("NO_COLOR") == NULL);
    if (!output_is_wanted(json))
        return 0;
    FILE *file = output_begin(json);
    if (file == NULL || !output_end(json, file, summary_write_json(file, &summary)))
        return STATUS_LAUNCHER_FAILED;
    return 0;
}

int trace_command(int word_count, char **words)
{
    struct request request;
    struct output json = {.fd = -1};
    int status = STATUS_LAUNCHER_FAILED;

    say_as("duet trace");
    enum parsed parsed = parse(word_count, words, &request);
    if (parsed == PARSED_DONE)
        status = 0;
    else if (parsed == PARSED_RUN && output_open(&json, request.json_name))
        status = show(&request, &json);
    output_drop(&json);
    return status;
}
