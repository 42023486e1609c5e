/*
 * The bytes of an input, taken from the front. Where they have run out there are zeros, so that any
 * input means something, and a piece of one means nearly the same.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *bytes;
    size_t left;
};

static inline bool input_is_empty(const struct input *input)
{
    return input->left == 0;
}

static inline unsigned take_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

/* No address space has as much, so no request of it can be served. */
#define BEYOND_ALL ((size_t)1 << 47)

/* A size, from two bytes: mostly a short one. What is no size at all is BEYOND_ALL or more, and
 * what is one is at most 64 MiB and a few bytes. */
size_t take_size(struct input *input);

/* An alignment, from a byte: a power of two up to 16 MiB, or BEYOND_ALL and more, or none. */
size_t take_align(struct input *input);

/* A count, from a byte: mostly a small one, but now and then so large that no product fits. */
size_t take_count(struct input *input);

#endif
