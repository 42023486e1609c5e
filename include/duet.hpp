/*
 * duet for C++17: the interface with lengths of duet.h behind the two doors that the standard
 * library has for allocators.
 *
 *     std::vector<T, duet::allocator<T>> numbers;      // chosen when it is compiled
 *
 *     duet::memory_resource heap;                      // chosen when it runs
 *     std::pmr::vector<T> numbers(&heap);
 *
 * A container knows the length and alignment of what it gives back, so neither is looked up. In
 * a program that runs on duet, new and delete are duet's as well, and these two gain only that;
 * in any other program that links with duet they put just the chosen containers on it.
 *
 * Both are stateless: all objects are equal, and memory from one may go back through another.
 * Without exceptions (-fno-exceptions), want of memory ends the program.
 */
#ifndef DUET_HPP
#define DUET_HPP

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#if defined(__has_include)
#if __has_include(<memory_resource>)
#include <memory_resource>
#endif
#endif

#include "duet.h"

namespace duet {

namespace detail {

[[noreturn]] inline void throw_bad_alloc()
{
#if defined(__cpp_exceptions)
    throw std::bad_alloc();
#else
    std::abort();
#endif
}

/* As operator new does: before it gives up, it lets the program's new-handler free memory. */
inline void *allocate(std::size_t length, std::size_t align)
{
    for (;;) {
        void *ptr = duet_alloc(length, align);
        if (ptr != nullptr)
            return ptr;
        std::new_handler handler = std::get_new_handler();
        if (handler == nullptr)
            throw_bad_alloc();
        handler();
    }
}

} // namespace detail

/* Allocator for the standard containers. Over-aligned types are aligned as they ask. */
template <class T> class allocator {
  public:
    using value_type = T;
    using is_always_equal = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;

    constexpr allocator() noexcept = default;
    template <class U> constexpr allocator(const allocator<U> &) noexcept
    {
    }

    /* Throws std::bad_array_new_length where count * sizeof(T) overflows, as std::allocator. */
    [[nodiscard]] T *allocate(std::size_t count)
    {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
#if defined(__cpp_exceptions)
            throw std::bad_array_new_length();
#else
            std::abort();
#endif
        }
        return static_cast<T *>(detail::allocate(count * sizeof(T), alignof(T)));
    }

    void deallocate(T *ptr, std::size_t count) noexcept
    {
        duet_free(ptr, count * sizeof(T), alignof(T));
    }
};

template <class T, class U>
constexpr bool operator==(const allocator<T> &, const allocator<U> &) noexcept
{
    return true;
}

template <class T, class U>
constexpr bool operator!=(const allocator<T> &, const allocator<U> &) noexcept
{
    return false;
}

#if defined(__cpp_lib_memory_resource)

/* The same for std::pmr. Usable as std::pmr::set_default_resource's argument and as upstream of
 * the standard's pools. */
class memory_resource : public std::pmr::memory_resource {
  private:
    void *do_allocate(std::size_t length, std::size_t align) override
    {
        return detail::allocate(length, align);
    }

    void do_deallocate(void *ptr, std::size_t length, std::size_t align) override
    {
        duet_free(ptr, length, align);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        return class_of(*this) == class_of(other);
    }

    /* What dynamic_cast goes by, but -fno-rtti forbids it: an object with virtual functions
     * begins with the address of its class's table, in every C++ ABI on Linux. */
    static const void *class_of(const std::pmr::memory_resource &resource) noexcept
    {
        const void *table;
        std::memcpy(&table, static_cast<const void *>(&resource), sizeof table);
        return table;
    }
};

#endif

} // namespace duet

#endif
