/*
 * Numbers that an attacker cannot guess, for secrets. No file is opened, nothing blocks.
 */
#ifndef DUET_BASE_RANDOM_H
#define DUET_BASE_RANDOM_H

#include <stdint.h>

/* Takes a system call: for start-up, not for the allocating of memory. Never changes errno. */
uint64_t random_secret(void);

#endif
