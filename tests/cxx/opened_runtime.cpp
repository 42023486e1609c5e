/*
 * A C++ library that a C program opens: the C++ runtime comes with it, long after the allocator's
 * references to a runtime were resolved to nothing. Memory that is not there must be a bad_alloc
 * here all the same, and a new-handler must be asked.
 */
#include <cstddef>
#include <cstdint>
#include <new>

namespace {

volatile std::size_t impossible = PTRDIFF_MAX - 4096;
int handler_calls;

void handler()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

} // namespace

extern "C" __attribute__((visibility("default"))) int run_out_of_memory()
{
    std::set_new_handler(handler);
    try {
        ::operator delete(::operator new(impossible));
    } catch (const std::bad_alloc &) {
        return handler_calls;
    }
    return -1;
}
