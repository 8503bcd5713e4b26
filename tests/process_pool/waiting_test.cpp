// Threads, callbacks and workers of a process pool that wait for each other.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;

int same(int n) { return n; }

TEST(Promise01ProcessPool, ACallbackAfterAWaitThatGaveUp) {
  remuda::process_pool pool{1};
  std::atomic<int> seen{0};
  const remuda::test::file_gate gate;
  auto f = pool.submit(
      [](const std::string& held_by) {
        remuda::test::file_gate::wait(held_by);
        return 5;
      },
      gate.path());
  EXPECT_FALSE(f.wait_for(1ms));
  gate.open();
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

// --- callbacks of tasks that cannot be sent, while others are in the hands of the thread that runs them
// ---------------------------------------------------------------------------------------------

constexpr auto too_long = 30s;  // for a wait in a callback; without an end the pool could not end either

int hold_until(const remuda::shared_buffer<int>& stage, int wanted, const std::string&) {
  while (std::atomic_ref<int>(stage[0]).load() < wanted) std::this_thread::yield();
  return wanted;
}

/// Can be encoded so many times, all of them together.
struct ticket {
  static inline std::atomic<int> left{0};

  template <class Archive>
  void save(Archive& to) const {
    if (left-- <= 0) throw std::runtime_error("no ticket");
    to(0);
  }
  template <class Archive>
  void load(Archive& from) {
    int n = 0;
    from(n);
  }
};

void use(const ticket&) {}
std::size_t size_of(const std::string& s) { return s.size(); }

TEST(Promise08ProcessPool, ACallbackWaitsForWhatWasToBeSentNext) {
  remuda::process_pool_options options;
  options.workers = 1;
  options.max_payload = std::size_t{64} << 10;
  remuda::process_pool pool{options};
  const std::string large(std::size_t{40} << 10, 'x');  // the worker has room for one
  const auto stage = pool.make_buffer<int>(1);
  ticket::left = 0;
  auto first = pool.submit(hold_until, stage, 1, large);
  auto second = pool.submit(size_of, large);
  auto refused = pool.submit(use, ticket{});
  auto next = pool.submit(size_of, large);  // waits for room, as the two before
  remuda::promise<bool> in_time;
  auto result = in_time.get_future();
  refused.on_done([&](const auto&) { in_time.set_value(next.wait_for(too_long)); });
  std::atomic_ref<int>(stage[0]).store(1);
  EXPECT_TRUE(result.get());  // and not for the tasks, so that the pool's own thread deals with them
  EXPECT_THROW(refused.get(), std::runtime_error);
  EXPECT_EQ(next.get() + second.get(), 2 * large.size());
}

TEST(Promise08ProcessPool, ACallbackWaitsForTheTaskThatIsCancelledByForce) {
  remuda::process_pool pool{2};
  const auto stage = pool.make_buffer<int>(1);
  auto one = pool.submit(hold_until, stage, 1, std::string());
  auto other = pool.submit(hold_until, stage, 1, std::string());
  ASSERT_TRUE(eventually([&] { return one.running() && other.running(); }));
  // Behind both of them. Those behind the cancelled one are encoded once more, for the other worker, and cannot be.
  constexpr int tasks = 8;
  ticket::left = tasks;
  std::atomic<int> refused{0};
  std::atomic<int> too_early{0};
  std::vector<remuda::future<void>> behind;
  for (int i = 0; i < tasks; ++i) {
    behind.push_back(pool.submit(use, ticket{}));
    behind.back().on_done([&](const remuda::future<void>& f) {
      if (!f.error()) return;
      ++refused;
      if (!other.wait_for(too_early == 0 ? too_long : 0s)) ++too_early;
    });
  }
  EXPECT_TRUE(other.cancel(remuda::cancel_mode::force));
  std::atomic_ref<int>(stage[0]).store(1);
  remuda::wait(behind);
  pool.shutdown();
  EXPECT_GT(refused, 0);
  EXPECT_EQ(too_early, 0);
}

/// Leaves a line without an end, and a child that keeps the pipe open until the parent has closed it.
void print_and_die() {
  if (fork() == 0) {
    pollfd out{STDOUT_FILENO, 0, 0};
    poll(&out, 1, 60'000);
    _exit(0);
  }
  std::printf("last words");
  std::fflush(stdout);
  _exit(3);
}

TEST(Promise32ProcessPool, AHookMayWaitWithTheLastLineOfADeadWorker) {
  std::atomic<remuda::process_pool*> submits_to{nullptr};
  std::atomic<int> answer{0};
  remuda::process_pool_options options;
  options.workers = 1;
  options.on_output = [&](remuda::output_stream, unsigned, std::string_view line) {
    if (line != "last words") return;
    const auto f = submits_to.load()->submit(same, 1);
    answer = f.wait_for(too_long) ? f.get() : -1;
  };
  remuda::process_pool pool(options);
  submits_to = &pool;
  auto dead = pool.submit(print_and_die);
  EXPECT_TRUE(eventually([&] { return answer != 0; }));
  EXPECT_EQ(answer, 1);
  EXPECT_THROW(dead.get(), remuda::worker_died);
}

}  // namespace
