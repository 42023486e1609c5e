/* Strings are added one by one; whether that went well is asked once, at the end. */
#include "measure/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

/* Takes the string over into the list; NULL: there was no memory for it. */
static void add(struct call *call, char **list, unsigned *count, unsigned most, char *string)
{
    if (string != NULL && *count < most) {
        list[(*count)++] = string;
        return;
    }
    if (!call->failed)
        say("not enough memory to call %s", call->path != NULL ? call->path : "a program");
    call->failed = true;
    free(string);
}

void call_begin(struct call *call, const char *path)
{
    *call = (struct call){.path = strdup(path)};
    if (call->path == NULL) {
        say("not enough memory to call %s", path);
        call->failed = true;
    }
}

void call_add_word(struct call *call, const char *format, ...)
{
    char *word;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&word, format, arguments) < 0)
        word = NULL;
    va_end(arguments);
    add(call, call->words, &call->word_count, CALL_WORDS_MOST, word);
}

void call_add_setting(struct call *call, const char *setting)
{
    add(call, call->settings, &call->setting_count, CALL_SETTINGS_MOST, strdup(setting));
}

bool call_finish(const struct call *call, struct program *program)
{
    program->path = call->path;
    program->arguments = call->words;
    program->environment = call->settings;
    return !call->failed;
}

void call_end(struct call *call)
{
    free(call->path);
    for (unsigned i = 0; i < call->word_count; i++)
        free(call->words[i]);
    for (unsigned i = 0; i < call->setting_count; i++)
        free(call->settings[i]);
    *call = (struct call){0};
}
