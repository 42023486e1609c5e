/*
 * duet: the command line. The first word names a command; the rest is the command's.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "common/say.h"
#include "compare/compare.h"
#include "run/run.h"
#include "trace/trace.h"

static const struct {
    const char *name;
    int (*run)(int word_count, char **words);
    const char *summary;
} commands[] = {
    {"run", run_command, "run a program on duet, and report what its heap did"},
    {"compare", compare_command, "run a program under several allocators, and tell which suits it"},
    {"bench", bench_command, "compare allocators by a suite of workloads"},
    {"record", record_command, "run a program, and write a trace of its allocations"},
    {"trace", trace_command, "tell what is in a trace"},
    {"replay", replay_command, "play a trace under an allocator, and tell what it cost"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_help(void)
{
    printf("usage: duet COMMAND ...\n"
           "       duet --help | --version\n"
           "\n"
           "duet is a memory allocator for C and C++ programs; this is its command line.\n"
           "\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    printf("\n"
           "duet COMMAND --help tells more about a command, and man duet about all.\n");
}

/* Whether all that was printed could be written. */
static int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    say("cannot write to stdout: %s", strerror(errno));
    return status != 0 ? status : STATUS_LAUNCHER_FAILED;
}

int main(int word_count, char **words)
{
    /* The character set decides how bars are drawn. Numbers stay as they are in C. */
    setlocale(LC_CTYPE, "");

    if (word_count < 2) {
        say_usage("no command is named");
        return STATUS_LAUNCHER_FAILED;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(words[1], commands[i].name) == 0)
            return finish_output(commands[i].run(word_count - 1, words + 1));
    }
    if (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0) {
        print_help();
        return finish_output(0);
    }
    if (strcmp(words[1], "--version") == 0) {
        printf("duet " DUET_VERSION "\n");
        return finish_output(0);
    }
    say_usage("'%s' is no command", words[1]);
    return STATUS_LAUNCHER_FAILED;
}
