/*
 * What a fuzz target is: a function of bytes, under the name by which libFuzzer and AFL++ know it.
 * It returns where all is well; where it is not, it says so in one line and aborts. The same
 * function is run over files that were kept by replay_main.c.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding: what went wrong, as for printf. */
#define FINDING(...)                                                                               \
    do {                                                                                           \
        fprintf(stderr, "fuzz: ");                                                                 \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n");                                                                     \
        abort();                                                                                   \
    } while (0)

#endif
