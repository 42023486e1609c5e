#include "base/fatal.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void message_add(struct message *message, const char *text)
{
    size_t length = min_size(strlen(text), sizeof message->text - message->length);
    memcpy(message->text + message->length, text, length);
    message->length += length;
}

static void add_in_base(struct message *message, size_t number, size_t base)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    message_add(message, digits + at);
}

void message_add_number(struct message *message, size_t number)
{
    add_in_base(message, number, 10);
}

void message_add_address(struct message *message, const void *address)
{
    message_add(message, "0x");
    add_in_base(message, (uintptr_t)address, 16);
}

/* Not by the C library's write, which is a cancellation point: a thread that was cancelled would go
 * with all that it holds, or live on after a misuse that it was to die of. */
void message_write(const struct message *message)
{
    int saved_errno = errno;
    size_t done = 0;
    while (done < message->length) {
        ssize_t n = syscall(SYS_write, STDERR_FILENO, message->text + done, message->length - done);
        if (n < 0 && errno != EINTR)
            break; /* stderr is closed: nobody to tell */
        done += n > 0 ? (size_t)n : 0;
    }
    errno = saved_errno;
}

static _Noreturn void write_and_abort(struct message *message)
{
    message_add(message, "\n");
    message_write(message);
    abort();
}

void fatal(const char *what)
{
    struct message message = {.length = 0};
    message_add(&message, "duet: ");
    message_add(&message, what);
    write_and_abort(&message);
}

void fatal_pointer(const char *call, const void *ptr, const char *what)
{
    struct message message = {.length = 0};
    message_add(&message, "duet: ");
    message_add(&message, call);
    message_add(&message, ": ");
    message_add_address(&message, ptr);
    message_add(&message, " ");
    message_add(&message, what);
    write_and_abort(&message);
}

void fatal_invariant(const char *file, int line, const char *condition)
{
    struct message message = {.length = 0};
    message_add(&message, "duet: invariant broken at ");
    message_add(&message, file);
    message_add(&message, ":");
    message_add_number(&message, (size_t)line);
    message_add(&message, ": ");
    message_add(&message, condition);
    write_and_abort(&message);
}
