/* Messages about words, and numbers in them. */
#include "common/words.h"

#include <errno.h>
#include <stdlib.h>

#include "common/say.h"

void say_refused(int letter, int word_count, char **words, const struct option *known)
{
    /* Only the last word of all can lack what should follow it. */
    if (letter == ':') {
        say_usage("%s wants a value", words[word_count - 1]);
        return;
    }
    for (; optopt != 0 && known->name != NULL; known++) {
        if (known->val == optopt) {
            say_usage("--%s takes no value", known->name);
            return;
        }
    }
    if (optopt != 0)
        say_usage("there is no option '-%c'", optopt);
    else
        say_usage("there is no option '%s', or it is cut too short", words[optind - 1]);
}

bool parse_name(const char **name, const char *what, const char *word)
{
    *name = word;
    if (word[0] == '\0')
        say_usage("%s wants the name of a file", what);
    return word[0] != '\0';
}

long parse_number(const char *what, const char *word, long least, long most)
{
    char *end;

    errno = 0;
    long number = strtol(word, &end, 10);
    if (word[0] >= '0' && word[0] <= '9' && *end == '\0' && errno == 0 && number >= least &&
        number <= most)
        return number;
    say_usage("%s takes a whole number from %ld to %ld, not '%s'", what, least, most, word);
    return -1;
}
