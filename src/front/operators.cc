/*
 * Every replaceable operator new and operator delete.
 *
 * The library must not need a C++ runtime, and yet throw and catch where there is one: so all
 * that it uses of the runtime are weak references, which a C program leaves at zero. Without a
 * runtime nobody can have set a new-handler, and running out of memory ends in a message.
 */
#include <dlfcn.h>

#include <cstddef>
#include <initializer_list>
#include <new>

#include "duet.h"

/* The unwinder's entry points that the `catch` below compiles to. */
__asm__(".weak __gxx_personality_v0\n"
        ".weak __cxa_begin_catch\n"
        ".weak __cxa_end_catch\n"
        ".weak __cxa_rethrow\n"
        ".weak _Unwind_Resume\n"
        ".weak _ZSt9terminatev\n"
        ".weak __clang_call_terminate\n");

extern "C" {
/* std::get_new_handler and std::__throw_bad_alloc, which libstdc++ and libc++ both have. */
__attribute__((weak)) std::new_handler _ZSt15get_new_handlerv() noexcept;
__attribute__((weak, noreturn)) void _ZSt17__throw_bad_allocv();

/* Not in a static program. */
__attribute__((weak)) void *dlopen(const char *path, int flags) noexcept;
__attribute__((weak)) void *dlsym(void *library, const char *name) noexcept;

/* base/fatal.h is C. */
[[noreturn]] void fatal(const char *what);
}

#define EXPORTED __attribute__((visibility("default")))

namespace {

constexpr std::size_t default_align = alignof(std::max_align_t);

void *try_alloc(std::size_t size, std::size_t align) noexcept
{
    return align <= default_align ? duet_malloc(size) : duet_aligned_alloc(align, size);
}

/* A runtime that came with a library opened later is no reference of ours. */
void *find_in_runtime(const char *name) noexcept
{
    if (dlopen == nullptr || dlsym == nullptr)
        return nullptr;
    for (const char *runtime : {"libstdc++.so.6", "libc++.so.1"}) {
        void *library = dlopen(runtime, RTLD_LAZY | RTLD_NOLOAD);
        if (library != nullptr)
            return dlsym(library, name);
    }
    return nullptr;
}

std::new_handler current_handler() noexcept
{
    auto get = _ZSt15get_new_handlerv;
    if (get == nullptr)
        get = reinterpret_cast<decltype(get)>(find_in_runtime("_ZSt15get_new_handlerv"));
    return get != nullptr ? get() : nullptr;
}

[[noreturn]] void throw_bad_alloc()
{
    auto thrower = _ZSt17__throw_bad_allocv;
    if (thrower == nullptr)
        thrower = reinterpret_cast<decltype(thrower)>(find_in_runtime("_ZSt17__throw_bad_allocv"));
    if (thrower != nullptr)
        thrower();
    fatal("operator new: out of memory, and there is no C++ runtime to throw bad_alloc");
}

/* As the standard has it: the handler is called until there is memory, or no handler, or the
 * handler throws or does not return. */
__attribute__((noinline, cold)) void *alloc_or_throw(std::size_t size, std::size_t align)
{
    for (;;) {
        std::new_handler handler = current_handler();
        if (handler == nullptr)
            throw_bad_alloc();
        handler();
        if (void *block = try_alloc(size, align))
            return block;
    }
}

__attribute__((noinline, cold)) void *alloc_or_null(std::size_t size, std::size_t align) noexcept
{
    while (std::new_handler handler = current_handler()) {
        try {
            handler();
        } catch (...) {
            return nullptr;
        }
        if (void *block = try_alloc(size, align))
            return block;
    }
    return nullptr;
}

inline void *alloc_throwing(std::size_t size, std::size_t align = default_align)
{
    void *block = try_alloc(size, align);
    return __builtin_expect(block != nullptr, 1) ? block : alloc_or_throw(size, align);
}

inline void *alloc_nothrow(std::size_t size, std::size_t align = default_align) noexcept
{
    void *block = try_alloc(size, align);
    return __builtin_expect(block != nullptr, 1) ? block : alloc_or_null(size, align);
}

} // namespace

/* clang-format off */
EXPORTED void *operator new(std::size_t size) { return alloc_throwing(size); }
EXPORTED void *operator new[](std::size_t size) { return alloc_throwing(size); }
EXPORTED void *operator new(std::size_t size, const std::nothrow_t &) noexcept { return alloc_nothrow(size); }
EXPORTED void *operator new[](std::size_t size, const std::nothrow_t &) noexcept { return alloc_nothrow(size); }
EXPORTED void *operator new(std::size_t size, std::align_val_t align) { return alloc_throwing(size, std::size_t(align)); }
EXPORTED void *operator new[](std::size_t size, std::align_val_t align) { return alloc_throwing(size, std::size_t(align)); }
EXPORTED void *operator new(std::size_t size, std::align_val_t align, const std::nothrow_t &) noexcept { return alloc_nothrow(size, std::size_t(align)); }
EXPORTED void *operator new[](std::size_t size, std::align_val_t align, const std::nothrow_t &) noexcept { return alloc_nothrow(size, std::size_t(align)); }

EXPORTED void operator delete(void *ptr) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete[](void *ptr) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete(void *ptr, const std::nothrow_t &) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete[](void *ptr, const std::nothrow_t &) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete(void *ptr, std::size_t size) noexcept { duet_free_sized(ptr, size); }
EXPORTED void operator delete[](void *ptr, std::size_t size) noexcept { duet_free_sized(ptr, size); }
EXPORTED void operator delete(void *ptr, std::align_val_t) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete[](void *ptr, std::align_val_t) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete(void *ptr, std::align_val_t, const std::nothrow_t &) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete[](void *ptr, std::align_val_t, const std::nothrow_t &) noexcept { duet_mfree(ptr); }
EXPORTED void operator delete(void *ptr, std::size_t size, std::align_val_t align) noexcept { duet_free_aligned_sized(ptr, std::size_t(align), size); }
EXPORTED void operator delete[](void *ptr, std::size_t size, std::align_val_t align) noexcept { duet_free_aligned_sized(ptr, std::size_t(align), size); }
/* clang-format on */
