/*
 * The one way out when the heap is corrupt or misused. Messages are stable: tests assert them
 * to the letter, and people search for them.
 */
#ifndef DUET_BASE_FATAL_H
#define DUET_BASE_FATAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "base/config.h"

/* Writes "duet: CALL: 0xADDRESS WHAT" to stderr and aborts. */
COLD _Noreturn void fatal_pointer(const char *call, const void *ptr, const char *what);

/* Writes "duet: WHAT" to stderr and aborts. */
COLD _Noreturn void fatal(const char *what);

COLD _Noreturn void fatal_invariant(const char *file, int line, const char *condition);

/* Verified in every build: a false one means that memory which only we write was overwritten. */
#define require(condition)                                                                         \
    (likely(condition) ? (void)0 : fatal_invariant(__FILE_NAME__, __LINE__, #condition))

/* Verified in the checked and tiny builds. */
#define check(condition)                                                                           \
    ((DUET_CHECKED && !(condition)) ? fatal_invariant(__FILE_NAME__, __LINE__, #condition)         \
                                    : (void)0)

/* Text to stderr without the heap, the C library's streams, or a change of errno. */
struct message {
    size_t length;
    char text[512]; /* longer text is cut */
};

void message_add(struct message *message, const char *text);
void message_add_number(struct message *message, size_t number);
void message_add_address(struct message *message, const void *address);
void message_write(const struct message *message);

#endif
