// No heap call per task: after a warm-up, submit, get, post, on_done and nested spawns run on recycled memory.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <latch>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "runtime/sched/pool_core.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/stress.hpp"

namespace {
std::atomic<long> heap_calls{0};  // of all threads; operator new comes by here as well
}

// NOLINTBEGIN(bugprone-reserved-identifier): these names are how the sanitizers and glibc let a program look on
extern "C" {
#ifdef REMUDA_TEST_SANITIZER_HEAP

// A sanitizer has a heap of its own, which tells about each call.
void __sanitizer_malloc_hook(const volatile void*, std::size_t) { heap_calls.fetch_add(1, std::memory_order_relaxed); }
void __sanitizer_free_hook(const volatile void*) { heap_calls.fetch_add(1, std::memory_order_relaxed); }

#else

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
  heap_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  heap_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* p, std::size_t size) {
  heap_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(p, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  heap_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  heap_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  heap_calls.fetch_add(1, std::memory_order_relaxed);
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* p) {
  if (p != nullptr) heap_calls.fetch_add(1, std::memory_order_relaxed);
  __libc_free(p);
}

#endif
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

using namespace remuda;
using namespace remuda::test;

constexpr unsigned workers = 2;

/// Runs `round` until the memory of its busiest moment is there, then counts the heap calls of many more rounds.
template <class Round>
void expect_no_heap_call(thread_pool& pool, Round round) {
  // Warm-up: more tasks at a time than any round has, queued by this thread and by each worker.
  constexpr int burst = 5'000;
  for (int i = 0; i < 3; ++i) {
    std::latch all_workers(static_cast<std::ptrdiff_t>(pool.size()));
    std::vector<future<void>> futures;
    for (unsigned w = 0; w < pool.size(); ++w) {
      futures.push_back(pool.submit([&] {
        all_workers.arrive_and_wait();
        std::vector<future<void>> mine;
        for (int k = 0; k < burst; ++k) {
          mine.push_back(pool.submit([] {}));
          mine.back().on_done([](const future<void>&) {});
        }
        for (const auto& f : mine) f.wait();
      }));
    }
    for (int k = 0; k < burst; ++k) {
      futures.push_back(pool.submit([] {}));
      futures.back().on_done([](const future<void>&) {});
    }
    for (const auto& f : futures) f.wait();
  }
  const int rounds = scaled(20'000);
  for (int i = 0; i < rounds; ++i) round();
  const long before = heap_calls;
  for (int i = 0; i < rounds; ++i) round();
  EXPECT_EQ(heap_calls - before, 0) << "in " << rounds << " rounds";
}

TEST(NoHeapCall, TheCounterCounts) {
  const long before = heap_calls;
  auto* volatile p = new int(3);  // volatile: the compiler may not leave the pair out
  EXPECT_GE(heap_calls - before, 1);
  delete p;
  EXPECT_GE(heap_calls - before, 2);
}

TEST(NoHeapCall, SubmitAndGet) {
  thread_pool pool(workers);
  long sum = 0;
  expect_no_heap_call(pool, [&] { sum += pool.submit([](int i) { return i; }, 1).get(); });
  EXPECT_GT(sum, 0);
}

TEST(NoHeapCall, SubmitManyThenGetAll) {
  constexpr std::size_t many = 50;
  thread_pool pool(workers);
  std::vector<future<std::size_t>> futures(many);
  std::size_t sum = 0;
  expect_no_heap_call(pool, [&] {
    for (std::size_t i = 0; i < many; ++i) futures[i] = pool.submit([i] { return i; });
    for (const auto& f : futures) sum += f.get();
  });
  EXPECT_GT(sum, 0U);
}

TEST(NoHeapCall, Post) {
  thread_pool pool(workers);
  std::atomic<long> posted{0};
  std::atomic<long> ran{0};
  expect_no_heap_call(pool, [&] {
    ++posted;
    pool.post([&ran] { ran.fetch_add(1); });
    while (ran != posted) std::this_thread::yield();
  });
}

TEST(NoHeapCall, OnDone) {
  thread_pool pool(workers);
  std::atomic<long> added{0};
  std::atomic<long> called{0};
  expect_no_heap_call(pool, [&] {
    ++added;
    pool.submit([] { return 1; }).on_done([&called](const future<int>& f) { called.fetch_add(f.get()); });
    while (called != added) std::this_thread::yield();
  });
}

TEST(NoHeapCall, Then) {
  thread_pool pool(workers);
  long sum = 0;
  expect_no_heap_call(pool, [&] { sum += pool.submit([] { return 1; }).then([](int i) { return i + 1; }).get(); });
  EXPECT_GT(sum, 0);
}

TEST(NoHeapCall, Promise) {
  thread_pool pool(workers);
  expect_no_heap_call(pool, [] {
    promise<int> p;
    const auto f = p.get_future();
    p.set_value(1);
    f.get();
  });
}

int tree(thread_pool& pool, int depth) {
  if (depth == 0) return 1;
  const auto left = pool.submit([&pool, depth] { return tree(pool, depth - 1); });
  const auto right = pool.submit([&pool, depth] { return tree(pool, depth - 1); });
  return left.get() + right.get();
}

/// Makes more tasks block at a time than a round of trees does, so that all the spare threads are there that will ever
/// be needed. Then lets each thread of the pool spawn after it has blocked, when another one has its seat: what it
/// submits goes to the outside queue, which makes a producer for a thread once. The threads that have the seats while
/// the others are blocked have their turn in the next wave, as they take the first of its tasks.
void start_spare_threads(thread_pool& pool, int depth) {
  const int most_blocked = 1 << (depth + 1);
  std::mutex mutex;
  std::set<std::thread::id> have_blocked;
  const auto wave = [&] {
    promise<void> all_blocked;
    std::atomic<int> blocked{0};
    std::vector<future<int>> futures;
    for (int i = 0; i < most_blocked; ++i) {
      futures.push_back(pool.submit([&, f = all_blocked.get_future()] {
        ++blocked;
        f.wait();
        // Who came too late to block has its seat still.
        if (detail::this_thread->seat == nullptr) {
          const std::lock_guard lock(mutex);
          have_blocked.insert(std::this_thread::get_id());
        }
        return tree(pool, depth);
      }));
    }
    const auto all = eventually([&] { return blocked == most_blocked; });
    all_blocked.set_value();
    for (const auto& f : futures) f.wait();
    return static_cast<bool>(all) && have_blocked.size() >= workers + pool.stats().spare_threads;
  };
  ASSERT_TRUE(eventually(wave));
}

TEST(NoHeapCall, NestedSpawns) {
  constexpr int depth = 4;
  thread_pool pool(workers);
  start_spare_threads(pool, depth);
  long leaves = 0;
  expect_no_heap_call(pool, [&] { leaves += pool.submit([&pool] { return tree(pool, depth); }).get(); });
  EXPECT_GT(leaves, 0);
}

TEST(NoHeapCall, HandOff) {
  thread_pool pool(workers);
  start_spare_threads(pool, 4);
  long sum = 0;
  expect_no_heap_call(pool, [&] { sum += pool.submit([] { return blocking([] { return 1; }); }).get(); });
  EXPECT_GT(sum, 0);
}

TEST(NoHeapCall, Cancelled) {
  thread_pool pool(1);  // else one worker may be in the middle of the queue while others go on, and the queue grows
  expect_no_heap_call(pool, [&] {
    pool.submit([] {}).cancel();
    pool.submit([] {}).wait();  // the queue does not grow without bound: cancelled tasks leave it when their turn comes
  });
}

}  // namespace
