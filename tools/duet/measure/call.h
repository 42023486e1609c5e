/*
 * A program with the words and settings that it is called with, all in memory of the call's own.
 */
#ifndef DUET_TOOL_CALL_H
#define DUET_TOOL_CALL_H

#include <stdbool.h>

#include "measure/trial.h"

#define CALL_WORDS_MOST 15
#define CALL_SETTINGS_MOST 7

struct call {
    char *path;
    unsigned word_count;
    unsigned setting_count;
    char *words[CALL_WORDS_MOST + 1];
    char *settings[CALL_SETTINGS_MOST + 1];
    bool failed; /* no memory, and said so */
};

/* An empty call of the program at this path. */
void call_begin(struct call *call, const char *path);

/* Adds a word, the program's name first, or a KEY=VALUE for its environment. */
void call_add_word(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void call_add_setting(struct call *call, const char *setting);

/* Sets path, words and settings of the program, which is the call's as long as that lives. False,
 * after a message, if the call is not whole. */
bool call_finish(const struct call *call, struct program *program);

void call_end(struct call *call);

#endif
