/*
 * A new-handler that frees memory: under an address space limit (whoever starts this sets it with
 * `ulimit -v`), operator new must come back for what the handler has given up.
 */
#include <cstdio>
#include <new>
#include <sys/resource.h>

extern "C" {
#include "check.h"
#include "names.h"
}

namespace {

void *reserve;
int handler_calls;

void give_up_reserve()
{
    handler_calls++;
    CHECK(reserve != nullptr); /* called once is enough */
    free(reserve);
    reserve = nullptr;
}

} // namespace

int main()
{
    require_duet();
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY);
    const std::size_t size = opaque_size(static_cast<std::size_t>(limit.rlim_cur) / 2);
    reserve = malloc(size);
    CHECK(reserve != nullptr);
    CHECK(opaque(malloc(size)) == nullptr); /* so there is no room for two */
    std::set_new_handler(give_up_reserve);
    void *block = opaque(::operator new(size));
    CHECK(block != nullptr && handler_calls == 1);
    ::operator delete(block);

    /* The form that does not throw asks the handler, too. */
    reserve = malloc(size);
    CHECK(reserve != nullptr);
    block = opaque(::operator new(size, std::nothrow));
    CHECK(block != nullptr && handler_calls == 2);
    ::operator delete(block, std::nothrow);
    std::puts("new_handler: memory freed and found");
    return 0;
}
