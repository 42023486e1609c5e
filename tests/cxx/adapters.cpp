/*
 * duet.hpp: the containers of the standard library on duet::allocator and duet::memory_resource.
 * What they hold is counted by the allocator itself, so that one that quietly used the default
 * would be seen.
 */
#include <cstdint>
#include <cstdio>
#include <list>
#include <map>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "duet.hpp"

extern "C" {
#include "check.h"
}

namespace {

template <class T> using vector = std::vector<T, duet::allocator<T>>;
template <class K, class V>
using map = std::map<K, V, std::less<K>, duet::allocator<std::pair<const K, V>>>;
using string = std::basic_string<char, std::char_traits<char>, duet::allocator<char>>;

struct alignas(128) wide {
    unsigned char bytes[128];
};

static_assert(std::is_empty_v<duet::allocator<int>>, "it is stateless");
static_assert(std::allocator_traits<duet::allocator<int>>::is_always_equal::value, "");
static_assert(duet::allocator<int>() == duet::allocator<wide>(), "");

std::size_t bytes_in_use()
{
    struct duet_heap_stats stats;
    duet_stats(&stats);
    return stats.cell_bytes + stats.large_bytes;
}

void containers_live_on_duet()
{
    const std::size_t before = bytes_in_use();
    {
        vector<long> numbers;
        for (long i = 0; i < 100000; i++)
            numbers.push_back(i);
        CHECK(bytes_in_use() >= before + 100000 * sizeof(long));
        map<int, string> texts;
        for (int i = 0; i < 5000; i++)
            texts.emplace(i, string(static_cast<std::size_t>(i % 500), 'd'));
        for (int i = 0; i < 5000; i++)
            CHECK(texts.at(i).size() == static_cast<std::size_t>(i % 500));
        for (long i = 0; i < 100000; i++)
            CHECK(numbers[static_cast<std::size_t>(i)] == i);
        vector<long> moved = std::move(numbers);
        vector<long> copied = moved;
        CHECK(copied == moved);
    }
    CHECK(bytes_in_use() == before);
}

void over_aligned_types_are_aligned()
{
    vector<wide> wides;
    for (int i = 0; i < 1000; i++) {
        wides.emplace_back();
        CHECK(reinterpret_cast<std::uintptr_t>(wides.data()) % alignof(wide) == 0);
    }
    std::list<wide, duet::allocator<wide>> list(100);
    for (const wide &item : list)
        CHECK(reinterpret_cast<std::uintptr_t>(&item) % alignof(wide) == 0);
}

template <class Exception, class Body> bool throws(Body body)
{
    try {
        body();
    } catch (const Exception &) {
        return true;
    }
    return false;
}

void want_of_memory_throws()
{
    duet::allocator<long> allocator;
    volatile std::size_t most = PTRDIFF_MAX / sizeof(long);
    volatile std::size_t overflow = SIZE_MAX / sizeof(long) + 1;
    CHECK(throws<std::bad_alloc>([&] { (void)allocator.allocate(most); }));
    CHECK(throws<std::bad_array_new_length>([&] { (void)allocator.allocate(overflow); }));
    duet::memory_resource heap;
    CHECK(throws<std::bad_alloc>([&] { (void)heap.allocate(most * sizeof(long)); }));
}

int handler_calls;

void count_and_give_up()
{
    handler_calls++;
    std::set_new_handler(nullptr);
}

void new_handler_is_asked()
{
    duet::allocator<char> allocator;
    volatile std::size_t most = PTRDIFF_MAX;
    std::set_new_handler(count_and_give_up);
    CHECK(throws<std::bad_alloc>([&] { (void)allocator.allocate(most); }));
    CHECK(handler_calls == 1);
}

void resource_serves_pmr()
{
    const std::size_t before = bytes_in_use();
    {
        duet::memory_resource heap, other;
        CHECK(heap == other);
        CHECK(!heap.is_equal(*std::pmr::new_delete_resource()));
        std::pmr::vector<std::pmr::string> texts(&heap);
        for (std::size_t i = 0; i < 10000; i++)
            texts.emplace_back(i % 300, 'p');
        for (std::size_t i = 0; i < 10000; i++)
            CHECK(texts[i].size() == i % 300);
        CHECK(bytes_in_use() >= before + 10000 * sizeof(std::pmr::string));
        std::pmr::unsynchronized_pool_resource pool(&heap);
        std::pmr::map<int, int> numbers(&pool);
        for (int i = 0; i < 1000; i++)
            numbers[i] = i;
        void *aligned = heap.allocate(100, 4096);
        CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 4096 == 0);
        other.deallocate(aligned, 100, 4096);
    }
    CHECK(bytes_in_use() == before);
}

} // namespace

int main()
{
    containers_live_on_duet();
    over_aligned_types_are_aligned();
    want_of_memory_throws();
    new_handler_is_asked();
    resource_serves_pmr();
    std::puts("adapters: all containers");
    return 0;
}
