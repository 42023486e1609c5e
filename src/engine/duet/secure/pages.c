#include "engine/duet/secure/pages.h"

#include <string.h>

#include "base/bits.h"
#include "engine/duet/secure/zeros.h"
#include "os/os.h"

bool pages_look(struct pages *pages, const char *start, size_t bytes)
{
    pages->page_bytes = os_page_bytes();
    pages->first = (const char *)round_down((uintptr_t)start, pages->page_bytes);
    size_t length = round_up((size_t)(start + bytes - pages->first), pages->page_bytes);
    bool told = os_look_for_pages(pages->first, length, pages->there);
    if (!told)
        memset(pages->there, 1, sizeof pages->there);
    return told;
}

size_t pages_run(const struct pages *pages, const char *at, const char *end, bool *there)
{
    size_t number = (size_t)(at - pages->first) / pages->page_bytes;
    *there = pages->there[number] & 1;
    const char *next;
    do
        next = pages->first + ++number * pages->page_bytes;
    while (next < end && (pages->there[number] & 1) == *there);
    return (size_t)((next < end ? next : end) - at);
}

bool pages_are_zeros(const struct pages *pages, const char *start, size_t bytes, bool *sparse)
{
    const char *end = start + bytes;
    bool there;
    size_t run;
    for (const char *at = start; at < end; at += run) {
        run = pages_run(pages, at, end, &there);
        if (there && !zeros_are_all_long(at, run))
            return false;
        *sparse |= !there;
    }
    return true;
}
