/*
 * Every replaceable form of operator new and operator delete, called by its own name and by
 * expressions; what they do when there is no memory; and blocks that cross to the C family.
 */
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <memory_resource>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" {
#include "check.h"
#include "names.h"
}

namespace {

constexpr std::size_t impossible = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;

bool is_aligned(const void *ptr, std::size_t align)
{
    return reinterpret_cast<std::uintptr_t>(ptr) % align == 0;
}

/* ---- Each form ---------------------------------------------------------------------------- */

void *use(void *ptr, std::size_t size, std::size_t align = 16)
{
    CHECK(ptr != nullptr);
    CHECK(is_aligned(ptr, align));
    CHECK(malloc_usable_size(ptr) >= size);
    memset(ptr, 0x29, size);
    return opaque(ptr);
}

void call_plain_forms(std::size_t size)
{
    const std::nothrow_t &nothrow = std::nothrow;
    ::operator delete(use(::operator new(size), size));
    ::operator delete(use(::operator new(size), size), size);
    ::operator delete(use(::operator new(size, nothrow), size), nothrow);
    ::operator delete[](use(::operator new[](size), size));
    ::operator delete[](use(::operator new[](size), size), size);
    ::operator delete[](use(::operator new[](size, nothrow), size), nothrow);
}

void call_aligned_forms(std::size_t size, std::size_t align)
{
    const std::nothrow_t &nothrow = std::nothrow;
    const auto a = static_cast<std::align_val_t>(align);
    ::operator delete(use(::operator new(size, a), size, align), a);
    ::operator delete(use(::operator new(size, a), size, align), size, a);
    ::operator delete(use(::operator new(size, a, nothrow), size, align), a, nothrow);
    ::operator delete[](use(::operator new[](size, a), size, align), a);
    ::operator delete[](use(::operator new[](size, a), size, align), size, a);
    ::operator delete[](use(::operator new[](size, a, nothrow), size, align), a, nothrow);
}

void every_form_serves_and_frees()
{
    for (std::size_t size = 0; size < 3000000; size = size * 2 + 1) {
        call_plain_forms(size);
        for (std::size_t align = 1; align <= 65536; align *= 4)
            call_aligned_forms(size, align);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    ::operator delete (nullptr, std::size_t{8});
    ::operator delete (nullptr, std::align_val_t{64});
}

void new_of_zero_is_unique()
{
    void *one = opaque(::operator new(0));
    void *other = opaque(::operator new(0));
    CHECK(one != nullptr && other != nullptr && one != other);
    ::operator delete(one);
    ::operator delete(other);
}

/* Both families share one heap: what new gave, free takes, as far as the heap is concerned. */
void families_share_a_heap()
{
    free(opaque(::operator new(100)));
    ::operator delete(opaque(malloc(100)));
    void *block = realloc(opaque(::operator new(100)), 5000);
    CHECK(block != nullptr);
    ::operator delete[](block);
}

struct alignas(256) wide {
    unsigned char bytes[300];
};

struct counted {
    static int alive;
    std::string text = std::string(100, 'x');
    counted()
    {
        alive++;
    }
    ~counted()
    {
        alive--;
    }
};
int counted::alive = 0;

void expressions_work()
{
    auto *one = new wide;
    auto *many = new wide[7];
    CHECK(is_aligned(one, 256) && is_aligned(many, 256));
    delete one;
    delete[] many;
    auto *objects = new counted[50];
    CHECK(counted::alive == 50);
    delete[] objects;
    CHECK(counted::alive == 0);
    auto shared = std::make_shared<wide>();
    CHECK(is_aligned(shared.get(), 256));
}

/* ---- No memory ---------------------------------------------------------------------------- */

template <class Body> bool throws_bad_alloc(Body body)
{
    try {
        opaque(body());
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void impossible_sizes_throw()
{
    const std::size_t size = opaque_size(impossible);
    CHECK(throws_bad_alloc([&] { return ::operator new(size); }));
    CHECK(throws_bad_alloc([&] { return ::operator new[](size); }));
    CHECK(throws_bad_alloc([&] { return ::operator new (size, std::align_val_t{64}); }));
    CHECK(throws_bad_alloc([&] { return ::operator new[](size, std::align_val_t{4096}); }));
    CHECK(throws_bad_alloc([&] { return ::operator new(opaque_size(SIZE_MAX)); }));
    CHECK(throws_bad_alloc([&] { return new wide[opaque_size(SIZE_MAX / 8)]; }));
}

void nothrow_forms_return_null()
{
    const std::size_t size = opaque_size(impossible);
    CHECK(opaque(::operator new(size, std::nothrow)) == nullptr);
    CHECK(opaque(::operator new[](size, std::nothrow)) == nullptr);
    CHECK(opaque(::operator new (size, std::align_val_t{64}, std::nothrow)) == nullptr);
    CHECK(opaque(::operator new[](size, std::align_val_t{64}, std::nothrow)) == nullptr);
}

int handler_calls;

void give_up_at_the_third_call()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void handler_is_called_until_it_gives_up()
{
    handler_calls = 0;
    std::set_new_handler(give_up_at_the_third_call);
    CHECK(throws_bad_alloc([] { return ::operator new(opaque_size(impossible)); }));
    CHECK(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(give_up_at_the_third_call);
    CHECK(opaque(::operator new(opaque_size(impossible), std::nothrow)) == nullptr);
    CHECK(handler_calls == 3);
}

struct out_of_ideas : std::bad_alloc {};

void throw_own()
{
    throw out_of_ideas();
}

void handler_may_throw()
{
    std::set_new_handler(throw_own);
    bool caught = false;
    try {
        opaque(::operator new(opaque_size(impossible)));
    } catch (const out_of_ideas &) {
        caught = true;
    }
    CHECK(caught);
    CHECK(opaque(::operator new(opaque_size(impossible), std::nothrow)) == nullptr);
    CHECK(opaque(::operator new[](opaque_size(impossible), std::nothrow)) == nullptr);
    CHECK(opaque(::operator new (opaque_size(impossible), std::align_val_t{64}, std::nothrow)) ==
          nullptr);
    std::set_new_handler(nullptr);
}

/* ---- Exceptions and containers ------------------------------------------------------------ */

struct throws_in_constructor {
    std::vector<int> numbers = std::vector<int>(1000, 7);
    explicit throws_in_constructor(int depth)
    {
        if (depth == 0)
            throw std::runtime_error(std::string(500, 'e'));
        throws_in_constructor inner(depth - 1);
    }
};

void exceptions_unwind()
{
    for (int i = 0; i < 1000; i++) {
        try {
            auto object = std::make_unique<throws_in_constructor>(i % 10);
            CHECK(false);
        } catch (const std::runtime_error &error) {
            CHECK(strlen(error.what()) == 500);
        }
    }
}

void standard_resources_work()
{
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::unordered_map<int, std::pmr::string> texts(&pool);
    for (int i = 0; i < 10000; i++)
        texts.emplace(i, std::pmr::string(static_cast<std::size_t>(i % 200), 'a'));
    for (int i = 0; i < 10000; i++)
        CHECK(texts.at(i).size() == static_cast<std::size_t>(i % 200));
    std::pmr::monotonic_buffer_resource monotonic;
    std::pmr::vector<std::pmr::string> list(&monotonic);
    for (int i = 0; i < 1000; i++)
        list.emplace_back("a text that is too long for the short form of a string");
    CHECK(list.size() == 1000);
}

} // namespace

int main()
{
    require_duet();
    every_form_serves_and_frees();
    new_of_zero_is_unique();
    families_share_a_heap();
    expressions_work();
    impossible_sizes_throw();
    nothrow_forms_return_null();
    handler_is_called_until_it_gives_up();
    handler_may_throw();
    exceptions_unwind();
    standard_resources_work();
    std::puts("operators: all forms");
    return 0;
}
