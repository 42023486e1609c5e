#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t random_secret(void)
{
    uint64_t secret = 0;
    int saved_errno = errno;
    /* The C library's is a cancellation point, and this may be called with a lock held. */
    long got = syscall(SYS_getrandom, &secret, sizeof secret, GRND_NONBLOCK);
    if (got != (long)sizeof secret) {
        /* Very early in boot, or under a sandbox: what the kernel gave the process at exec. The
         * C library takes its stack canary from there too, so the bytes are mixed first. */
        uint64_t seed[2] = {0, 0};
        const void *kernel_bytes = (const void *)getauxval(AT_RANDOM);
        if (kernel_bytes != NULL)
            memcpy(seed, kernel_bytes, sizeof seed);
        secret = (seed[0] ^ (seed[1] >> 29)) * 0xbf58476d1ce4e5b9u;
        secret = (secret ^ (secret >> 32) ^ seed[1]) * 0x94d049bb133111ebu;
    }
    errno = saved_errno;
    return secret ^ (secret >> 31);
}
