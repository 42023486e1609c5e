/*
 * duet.hpp compiled with -fno-rtti and -fno-exceptions: the containers work, all resources are
 * still equal, and want of memory ends the program.
 */
#include <csignal>
#include <cstdio>
#include <memory_resource>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "duet.hpp"

extern "C" {
#include "check.h"
}

#if defined(__cpp_rtti) || defined(__cpp_exceptions)
#error "compile this with -fno-rtti -fno-exceptions"
#endif

namespace {

void containers_live_on_duet()
{
    duet::memory_resource heap;
    std::vector<long, duet::allocator<long>> numbers;
    std::pmr::vector<std::pmr::string> texts(&heap);
    for (long i = 0; i < 10000; i++) {
        numbers.push_back(i);
        texts.emplace_back(static_cast<std::size_t>(i % 300), 'p');
    }
    for (std::size_t i = 0; i < 10000; i++) {
        CHECK(numbers[i] == static_cast<long>(i));
        CHECK(texts[i].size() == i % 300);
    }
}

void resources_are_equal_to_their_like_only()
{
    duet::memory_resource heap, other;
    std::pmr::unsynchronized_pool_resource pool(&heap);
    CHECK(heap == heap && heap == other && other == heap);
    CHECK(!heap.is_equal(*std::pmr::new_delete_resource()));
    CHECK(!heap.is_equal(*std::pmr::null_memory_resource()));
    CHECK(!heap.is_equal(pool));
    other.deallocate(heap.allocate(100, 64), 100, 64);
}

/* In a child, whose end is looked at. */
template <class Body> void expect_abort(Body body)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        std::signal(SIGABRT, SIG_DFL);
        body();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

void want_of_memory_aborts()
{
    volatile std::size_t most = PTRDIFF_MAX / sizeof(long);
    volatile std::size_t overflow = SIZE_MAX / sizeof(long) + 1;
    expect_abort([&] { (void)duet::allocator<long>().allocate(most); });
    expect_abort([&] { (void)duet::allocator<long>().allocate(overflow); });
    expect_abort([&] { (void)duet::memory_resource().allocate(most); });
}

} // namespace

int main()
{
    containers_live_on_duet();
    resources_are_equal_to_their_like_only();
    want_of_memory_aborts();
    std::puts("adapters_plain: all containers");
    return 0;
}
