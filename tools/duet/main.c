/*
 * duet: the command line. The first word names a command; the rest is the command's.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "common/say.h"
#include "run/run.h"

static void print_help(void)
{
    printf("usage: duet COMMAND ...\n"
           "       duet --help | --version\n"
           "\n"
           "duet is a memory allocator for C and C++ programs; this is its command line.\n"
           "\n"
           "  run    run a program on duet, and report what its heap did\n"
           "\n"
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
    if (strcmp(words[1], "run") == 0)
        return finish_output(run_command(word_count - 1, words + 1));
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
