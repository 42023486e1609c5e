#include "heap/large/sealed/large_guard.h"

#include <stdint.h>
#include <string.h>

#include "base/atomics.h"
#include "base/bits.h"
#include "base/random.h"

struct large_seal {
    uint64_t words[LARGE_SEAL_BYTES / sizeof(uint64_t)];
};

/* 0: none yet. */
static uint64_t secret;

static uint64_t secret_of_process(void)
{
    uint64_t now = load_relaxed(&secret);
    if (likely(now != 0))
        return now;
    cas_relaxed(&secret, (uint64_t)0, random_secret() | 1);
    return load_relaxed(&secret);
}

/* By the address, so that no other's seal is this one's. (The multiplier is 2^64 by the golden
 * ratio, made odd.) */
static struct large_seal seal_for(const char *start)
{
    struct large_seal seal;
    uint64_t key = (uintptr_t)start ^ secret_of_process();
    for (size_t i = 0; i < sizeof seal.words / sizeof seal.words[0]; i++) {
        key = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
        seal.words[i] = key | 0x8080808080808080u;
    }
    return seal;
}

static size_t seal_bytes(size_t asked, size_t room)
{
    return min_size(room - asked, LARGE_SEAL_BYTES);
}

void large_guard_seal(char *start, size_t asked, size_t room)
{
    struct large_seal seal = seal_for(start);
    memcpy(start + asked, &seal, seal_bytes(asked, room));
}

void large_guard_unseal(char *start, size_t asked, size_t room)
{
    memset(start + asked, 0, seal_bytes(asked, room));
}

static bool is_zero(const char *at, size_t bytes)
{
    while (bytes > 0 && *at == 0)
        at++, bytes--;
    return bytes == 0;
}

/* The rest of a page in which the block ends was returned with it; what lies in the next one was
 * not. */
static bool is_returned(const char *at, const char *seal, size_t bytes)
{
    size_t left = -(uintptr_t)at & (os_page_bytes() - 1), here = min_size(left, bytes);
    return left > 0 && is_zero(at, left) && memcmp(at + here, seal + here, bytes - here) == 0;
}

bool large_guard_is_sealed(const char *start, size_t asked, size_t room)
{
    struct large_seal seal = seal_for(start);
    const char *at = start + asked;
    size_t bytes = seal_bytes(asked, room);
    return memcmp(at, &seal, bytes) == 0 || is_returned(at, (const char *)&seal, bytes);
}
