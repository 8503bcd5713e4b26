// Threads, callbacks and workers of a process pool that wait for each other.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;

int same(int n) { return n; }

int slow(int n) {
  std::this_thread::sleep_for(50ms);
  return n;
}

TEST(Promise01ProcessPool, ACallbackAfterAWaitThatGaveUp) {
  remuda::process_pool pool{1};
  std::atomic<int> seen{0};
  auto f = pool.submit(slow, 5);
  EXPECT_FALSE(f.wait_for(1ms));
  f.on_done([&](const remuda::future<int>& done) { seen = done.get(); });
  EXPECT_TRUE(eventually([&] { return seen == 5; }));
}

TEST(Promise08ProcessPool, ACallbackWaitsForWhatCameWithIt) {
  remuda::process_pool pool{1};
  for (int round = 0; round < 50; ++round) {
    auto first = pool.submit(same, 1);
    auto second = pool.submit(same, 2);
    auto sum = first.then([second](int n) { return n + second.get(); });
    EXPECT_EQ(sum.get(), 3);
    EXPECT_EQ(first.get(), 1);
  }
}

TEST(Promise08ProcessPool, ACallbackOfADeadTaskWaitsForTheNextWorker) {
  remuda::process_pool pool{1};
  remuda::promise<int> after;
  auto result = after.get_future();
  auto dead = pool.submit([] { std::abort(); });
  auto behind = pool.submit(same, 1);
  dead.on_done([&](const auto&) { after.set_value(behind.get() + pool.submit(same, 2).get()); });
  EXPECT_EQ(result.get(), 3);
  EXPECT_THROW(dead.get(), remuda::worker_died);
}

TEST(Promise18ProcessPool, ShutdownInACallbackOnTheThreadThatWaits) {
  for (int round = 0; round < 20; ++round) {
    remuda::process_pool pool{1};
    auto f = pool.submit(same, 1);
    f.on_done([&](const auto&) { pool.shutdown(); });
    EXPECT_EQ(f.get(), 1);
    pool.shutdown();
    EXPECT_THROW(pool.submit(same, 1), remuda::shutdown_error);
  }
}

TEST(Promise28ProcessPool, OneTaskAWorker) {
  remuda::process_pool_options options;
  options.workers = 2;
  options.max_tasks_per_worker = 1;
  remuda::process_pool pool{options};
  std::vector<remuda::future<int>> all;
  for (int i = 0; i < 20; ++i) all.push_back(pool.submit(same, i));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i);
  EXPECT_EQ(pool.stats().died, 0U);
}

TEST(Promise26ProcessPool, ATimeLimitHitsTheGuiltyTaskAlone) {
  remuda::process_pool pool{1};
  std::vector<remuda::future<int>> innocent;
  auto guilty = pool.submit(remuda::task_options{.timeout = 50ms}, [] { std::this_thread::sleep_for(1h); });
  for (int i = 0; i < 50; ++i) innocent.push_back(pool.submit(same, i));
  EXPECT_THROW(guilty.get(), remuda::timeout_error);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(innocent[static_cast<std::size_t>(i)].get(), i);
  EXPECT_EQ(pool.stats().timed_out, 1U);
}

TEST(Promise32ProcessPool, OutputComesLineByLineToAHookThatMayWait) {
  std::atomic<int> lines{0};
  // Atomic for ThreadSanitizer: that the hook comes after the submit is ordered by the worker process alone, which it
  // does not see.
  std::atomic<remuda::process_pool*> submits_to{nullptr};
  remuda::process_pool_options options;
  options.workers = 1;
  options.on_output = [&](remuda::output_stream, unsigned, std::string_view line) {
    if (line.starts_with("line")) lines += submits_to.load()->submit(same, 1).get();
  };
  remuda::process_pool pool(options);
  submits_to = &pool;
  pool.submit([] {
    for (int i = 0; i < 20; ++i) std::printf("line %d\n", i);
  });
  EXPECT_TRUE(eventually([&] { return lines == 20; }));
  pool.shutdown();
}

}  // namespace
