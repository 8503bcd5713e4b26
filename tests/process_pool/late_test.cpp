// What comes late: results that nobody has taken yet when their worker ends, tasks that a dying or broken pool is
// given, time limits behind tasks that were taken back.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <future>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;
using remuda::test::with_workers;

std::vector<char> counted(remuda::shared_buffer<int> runs, std::size_t i, std::size_t bytes) {
  ++runs[i];
  return std::vector<char>(bytes, 'x');
}

/// Many results lie in the ring, of which two threads take some, when the worker ends.
void results_count(unsigned max_tasks, std::size_t tasks, std::size_t bytes, int rounds) {
  auto options = with_workers(1);
  options.max_tasks_per_worker = max_tasks;
  remuda::process_pool pool(options);
  for (int round = 0; round < rounds; ++round) {
    const auto runs = pool.make_buffer<int>(tasks);
    std::vector<remuda::future<std::vector<char>>> results;
    results.reserve(tasks);
    for (std::size_t i = 0; i < tasks; ++i) results.push_back(pool.submit(counted, runs, i, bytes));
    const auto last = max_tasks == 0 ? pool.submit([] { ::_exit(3); }) : remuda::future<void>();
    std::thread other([&] {
      for (const auto& f : results) f.wait();
    });
    for (std::size_t i = 0; i < tasks; ++i) EXPECT_NO_THROW(EXPECT_EQ(results[i].get().size(), bytes)) << i;
    if (max_tasks == 0) {
      EXPECT_THROW(last.get(), remuda::worker_died);
    }
    other.join();
    for (std::size_t i = 0; i < tasks; ++i) EXPECT_EQ(runs[i], 1) << i;
  }
}

TEST(LateResults, P25_GivenBeforeADeathCount) { results_count(0, 200, 100'000, 5); }

TEST(LateResults, P28_GivenBeforeAPlannedEndCount) { results_count(100, 250, 100'000, 5); }

TEST(LateSubmit, P25_FromACallbackOfABrokenPoolIsRefused) {
  for (const bool bounded : {false, true}) {
    auto options = with_workers(1);
    if (bounded) options.max_pending = 10;
    remuda::process_pool pool(options);
    std::promise<void> refused;
    const auto f = pool.submit([] { std::this_thread::sleep_for(1h); });
    ASSERT_TRUE(eventually([&] { return f.running(); }));
    f.on_done([&](const remuda::future<void>&) {
      try {
        pool.submit([] {});
        refused.set_value();
      } catch (...) {
        refused.set_exception(std::current_exception());
      }
    });
    pool.kill();
    EXPECT_THROW(f.get(), remuda::error);
    EXPECT_THROW(refused.get_future().get(), remuda::broken_pool_error);
  }
}

TEST(LateSubmit, P18_FromTheOutputHookWhenTheWorkersEndIsRefused) {
  std::atomic<int> lines = 0;
  std::atomic<int> refused = 0;
  std::atomic<remuda::process_pool*> that = nullptr;
  auto options = with_workers(1);
  options.on_output = [&](remuda::output_stream, unsigned, std::string_view) {
    ++lines;
    try {
      that.load()->submit([] {});
    } catch (const remuda::shutdown_error&) {
      ++refused;
    }
  };
  remuda::process_pool pool(options);
  that = &pool;
  // Without its end the line comes out when the worker is gone.
  pool.submit([] {
        std::fputs("no end of line", stdout);
        std::fflush(stdout);
      })
      .get();
  pool.shutdown();
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(refused, 1);
}

TEST(LateLimit, P26_HoldsBehindATaskThatWasTakenBack) {
  remuda::process_pool pool(with_workers(1));
  const pid_t worker = pool.submit(getpid).get();
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  ASSERT_TRUE(eventually([&] { return remuda::test::state_of(worker) == 'T'; }));
  const auto taken_back = pool.submit([] {});
  ASSERT_TRUE(taken_back.cancel());
  const auto f = pool.submit(remuda::task_options{.timeout = 50ms, .retries = 0}, [] {});
  EXPECT_THROW(f.get(), remuda::timeout_error);
  EXPECT_NE(pool.submit(getpid).get(), worker);
}

TEST(LimitOnFileSizes, P29_CostsBuffersAndNotTheProgram) {
  const auto child = remuda::test::in_child([]() -> std::string {
    const rlimit files{rlim_t{1} << 30, rlim_t{1} << 30};
    if (::setrlimit(RLIMIT_FSIZE, &files) != 0) return "no limit";
    remuda::process_pool pool(1);
    if (pool.submit([] { return 4; }).get() != 4) return "no result";
    if (pool.make_buffer<char>(1000).size() != 1000) return "no buffer";
    try {
      pool.make_buffer<char>(std::size_t{2} << 30);
      return "a buffer larger than any file";
    } catch (const std::bad_alloc&) {
    }
    const rlimit few{rlim_t{1} << 20, rlim_t{1} << 20};
    if (::setrlimit(RLIMIT_FSIZE, &few) != 0) return "no small limit";
    try {
      remuda::process_pool too_large(1);
      return "a pool without room for its memory";
    } catch (const std::system_error& e) {
      return e.code() == std::errc::file_too_large ? "" : e.what();
    }
  });
  EXPECT_TRUE(well(child)) << child;
}

}  // namespace
