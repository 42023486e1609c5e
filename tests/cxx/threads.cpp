/*
 * A threaded C++ program of the ordinary kind: containers in threads, objects that cross threads,
 * thread-local objects whose destructors free and allocate, exceptions in threads. Its output is
 * the same whatever it runs on, so that runs can be compared.
 */
#include <atomic>
#include <cstdio>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int thread_count = 8;
constexpr int rounds = 20000;

std::atomic<int> locals_destroyed{0};
std::atomic<long> total{0};

/* Destroyed after the thread's body, when the C library has begun to take the thread apart. */
struct thread_local_state {
    std::vector<std::unique_ptr<std::string>> texts;
    ~thread_local_state()
    {
        long length = 0;
        for (auto &text : texts)
            length += static_cast<long>(text->size());
        texts.clear();
        auto last = std::make_unique<std::string>(300, 'z');
        total += length + static_cast<long>(last->size());
        locals_destroyed++;
    }
};
thread_local thread_local_state local;

/* Objects on their way from thread to thread; each is deleted by whoever takes it out. */
class exchange {
  public:
    std::unique_ptr<std::string> swap(std::unique_ptr<std::string> text)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        texts_.push(std::move(text));
        if (texts_.size() < 100)
            return nullptr;
        auto out = std::move(texts_.front());
        texts_.pop();
        return out;
    }

  private:
    std::mutex mutex_;
    std::queue<std::unique_ptr<std::string>> texts_;
};
exchange mail;

struct alignas(64) aligned_pair {
    long a, b;
};

long throw_and_catch(int i)
{
    try {
        if (i % 2 == 0)
            throw std::runtime_error(std::string(200, 't'));
        throw std::bad_alloc();
    } catch (const std::runtime_error &error) {
        return static_cast<long>(std::string(error.what()).size());
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

void work(int number)
{
    std::map<int, std::string> sorted;
    long sum = 0;
    for (int i = 0; i < rounds; i++) {
        sorted[(i * 7919 + number) % 1000] = std::string(static_cast<std::size_t>(i % 300), 'm');
        if (auto text = mail.swap(std::make_unique<std::string>(50 + i % 50, 'x')); text && i < 0)
            sum++;
        if (i % 100 == 0) {
            auto pair = std::make_unique<aligned_pair[]>(static_cast<std::size_t>(i % 7 + 1));
            pair[0].a = i;
            sum += pair[0].a + throw_and_catch(i / 100);
            local.texts.push_back(std::make_unique<std::string>(static_cast<std::size_t>(i), 'l'));
        }
    }
    for (const auto &[key, text] : sorted)
        sum += key + static_cast<long>(text.size());
    total += sum;
}

} // namespace

int main()
{
    std::vector<std::thread> threads;
    for (int i = 0; i < thread_count; i++)
        threads.emplace_back(work, i);
    for (auto &thread : threads)
        thread.join();
    std::vector<std::future<std::size_t>> futures;
    for (int i = 0; i < 50; i++) {
        futures.push_back(std::async(std::launch::async, [i] {
            return std::string(static_cast<std::size_t>(i) * 100, 'f').size();
        }));
    }
    for (auto &future : futures)
        total += static_cast<long>(future.get());
    std::printf("threads: total %ld, locals %d\n", total.load(), locals_destroyed.load());
    return locals_destroyed.load() == thread_count ? 0 : 1;
}
