// Time limits of tasks, and tasks that are stopped by force.
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <thread>
#include <vector>

#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;
using remuda::test::processes_of;

int twice(int n) { return 2 * n; }

void run_for_ever() {
  for (volatile int i = 0;;) i = 1 - i;
}

void stop() { std::raise(SIGSTOP); }

void sleep_without_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (;;) std::this_thread::sleep_for(1h);
}

struct endless {
  const char* name;
  void (*run)();
};

class EndlessTasks : public testing::TestWithParam<endless> {};

INSTANTIATE_TEST_SUITE_P(, EndlessTasks,
                         testing::Values(endless{"loop", run_for_ever}, endless{"stopped", stop},
                                         endless{"no_signals", sleep_without_signals}),
                         [](const auto& p) { return p.param.name; });

TEST_P(EndlessTasks, P26_EndAtTheirLimitAndNothingBehindThemIsLost) {
  remuda::process_pool pool{1};
  const pid_t before = processes_of(pool).at(0);
  const auto guilty = pool.submit(remuda::task_options{.timeout = 100ms}, GetParam().run);
  std::vector<remuda::future<int>> behind;
  for (int i = 0; i < 50; ++i) behind.push_back(pool.submit(twice, i));
  EXPECT_THROW(guilty.get(), remuda::timeout_error);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_NE(processes_of(pool).at(0), before);
  EXPECT_EQ(pool.stats().timed_out, 1U);
  EXPECT_FALSE(remuda::test::is_there(before));
}

TEST_P(EndlessTasks, P03_EndWhenCancelledByForceAndNothingBehindThemIsLost) {
  remuda::process_pool pool{1};
  const pid_t before = processes_of(pool).at(0);
  const auto guilty = pool.submit(GetParam().run);
  std::vector<remuda::future<int>> behind;
  for (int i = 0; i < 50; ++i) behind.push_back(pool.submit(twice, i));
  ASSERT_TRUE(eventually([&] { return guilty.running(); }));
  EXPECT_FALSE(guilty.cancel());
  EXPECT_TRUE(guilty.cancel(remuda::cancel_mode::force));
  EXPECT_TRUE(guilty.cancelled());
  EXPECT_THROW(guilty.get(), remuda::cancelled_error);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_NE(processes_of(pool).at(0), before);
}

TEST(Promise26TimeLimit, CountsFromTheStartNotFromSubmit) {
  constexpr int tries = 5;  // the worker may be kept from its CPU for a second just then
  int in_time = 0;
  for (int i = 0; i < tries && in_time == 0; ++i) {
    remuda::process_pool pool{1};
    const auto first = pool.submit([] { std::this_thread::sleep_for(1500ms); });
    const auto second = pool.submit(remuda::task_options{.timeout = 1s}, twice, 4);
    second.wait();
    EXPECT_TRUE(first.done());
    if (pool.stats().timed_out != 0) continue;
    ++in_time;
    EXPECT_EQ(second.get(), 8);
  }
  EXPECT_EQ(in_time, 1);
}

TEST(Promise26TimeLimit, OfEachTaskBehindAnother) {
  remuda::process_pool pool{1};
  std::vector<remuda::future<void>> late;
  std::vector<remuda::future<int>> others;
  for (int i = 0; i < 4; ++i) {
    late.push_back(pool.submit(remuda::task_options{.timeout = 50ms}, run_for_ever));
    others.push_back(pool.submit(remuda::task_options{.timeout = 1h}, twice, i));
  }
  for (const auto& f : late) EXPECT_THROW(f.get(), remuda::timeout_error);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_EQ(pool.stats().timed_out, 4U);
}

TEST(Promise26TimeLimit, ThatDoesNotPassChangesNothing) {
  remuda::process_pool pool{1};
  const pid_t before = processes_of(pool).at(0);
  // the longest there is must not overflow
  EXPECT_EQ(pool.submit(remuda::task_options{.timeout = std::chrono::nanoseconds::max()}, twice, 1).get(), 2);
  EXPECT_EQ(pool.submit(remuda::task_options{.timeout = 1h}, twice, 2).get(), 4);
  EXPECT_EQ(processes_of(pool).at(0), before);
}

TEST(Promise03Force, RacesWithTheEndOfTheTask) {
  remuda::process_pool pool{2};
  int cancelled = 0;
  for (int i = 0; i < 60; ++i) {
    const auto f = pool.submit(
        [](int n) {
          std::this_thread::sleep_for(std::chrono::microseconds(n % 7 * 50));
          return n;
        },
        i);
    const auto innocent = pool.submit(twice, i);
    // not in place of a condition: the moment varies
    std::this_thread::sleep_for(std::chrono::microseconds(i % 11 * 40));
    if (f.cancel(remuda::cancel_mode::force)) {
      ++cancelled;
      EXPECT_THROW(f.get(), remuda::cancelled_error);
    } else {
      EXPECT_EQ(f.get(), i);
    }
    EXPECT_EQ(innocent.get(), 2 * i);
  }
  RecordProperty("cancelled", cancelled);
}

TEST(Promise03Force, LeavesAFinishedTaskAsItIs) {
  remuda::process_pool pool{1};
  const auto f = pool.submit(twice, 1);
  EXPECT_EQ(f.get(), 2);
  const pid_t before = processes_of(pool).at(0);
  EXPECT_FALSE(f.cancel(remuda::cancel_mode::force));
  EXPECT_EQ(f.get(), 2);
  EXPECT_EQ(pool.submit(getpid).get(), before);
}

}  // namespace
