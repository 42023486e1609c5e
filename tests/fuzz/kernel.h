/*
 * The kernel, as far as an input decides what it does: whether it has memory, and which of the
 * allocator's calls it fails.
 */
#ifndef TESTS_FUZZ_KERNEL_H
#define TESTS_FUZZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

/* As the library has them. */
size_t kernel_page_bytes(void);

/* From now on the kernel has no more address space for us, or fails calls by a plan that `how`
 * says, any number below 256; with some it does all that it is asked. */
void kernel_refuse(unsigned how);

void kernel_refuse_nothing(void);

/* Whether a request may now be refused that could be served otherwise. */
bool kernel_is_refusing(void);

#endif
