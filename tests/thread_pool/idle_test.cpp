// Promise 34: an idle pool uses no CPU.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

/// What a thread has done so far. A thread that sleeps all the time between two observations shows the same twice.
struct activity {
  long long cpu_time;
  long switches;  // how often it went to sleep or was made to wait
  bool operator==(const activity&) const = default;
};

const std::string name = "idle";  // of the pools in question

/// The activity of the pools' threads. A sanitizer's own thread is not among them.
std::map<pid_t, activity> look() {
  std::map<pid_t, activity> out;
  for (const pid_t thread : thread_ids()) {
    if (!thread_name(thread).starts_with(name + "/")) continue;
    out[thread] = {thread_cpu_time(thread), thread_status(thread, "voluntary_ctxt_switches") +
                                                thread_status(thread, "nonvoluntary_ctxt_switches")};
  }
  return out;
}

/// True when between two observations a good while apart no thread of the pool has done anything, and none was woken.
bool nothing_happens(const thread_pool& pool) {
  constexpr std::chrono::milliseconds while_watching{500};
  const auto total = pool.stats().total();
  const auto before = look();
  std::this_thread::sleep_for(while_watching);  // what is measured is that this time passes with nothing done in it
  const auto after = look();
  const auto later = pool.stats().total();
  return before == after && after.size() >= pool.size() && total.parked == later.parked && total.woken == later.woken;
}

void expect_sleeps(wait_policy policy, unsigned workers, int tasks) {
  thread_pool_options options;
  options.workers = workers;
  options.policy = policy;
  options.name = name;
  thread_pool pool(options);
  std::vector<future<void>> futures;
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit([] {}));
  for (const auto& f : futures) f.wait();
  // "eventually", as a pool may spin for the time that it was given after work has ended
  EXPECT_TRUE(eventually([&] {
    const auto stats = pool.stats();
    return std::all_of(stats.workers.begin(), stats.workers.end(), [](const auto& w) { return w.parked >= 1; }) &&
           nothing_happens(pool);
  })) << "each worker went to sleep";
  EXPECT_EQ(pool.submit([] { return 3; }).get_for(generous), 3) << "and it wakes up again";
}

TEST(Promise34Idle, EfficientPoolThatNeverWorked) { expect_sleeps(wait_policy::efficient, 4, 0); }
TEST(Promise34Idle, EfficientPoolAfterWork) { expect_sleeps(wait_policy::efficient, 4, 1000); }
TEST(Promise34Idle, BalancedPoolThatNeverWorked) { expect_sleeps(wait_policy::balanced, 4, 0); }
TEST(Promise34Idle, BalancedPoolAfterWork) { expect_sleeps(wait_policy::balanced, 4, 1000); }
TEST(Promise34Idle, BalancedPoolOfOneAfterWork) { expect_sleeps(wait_policy::balanced, 1, 1000); }

TEST(Promise34Idle, PoolWithABlockedTaskAndASpareThread) {
  thread_pool_options options;
  options.workers = 2;
  options.name = name;
  thread_pool pool(options);
  promise<int> outside;
  const auto blocked = pool.submit([f = outside.get_future()] { return f.get(); });
  ASSERT_TRUE(eventually([&] { return pool.stats().spare_threads == 1; }));
  EXPECT_TRUE(eventually([&] { return nothing_happens(pool); }));
  outside.set_value(3);
  EXPECT_EQ(blocked.get_for(generous), 3);
  EXPECT_TRUE(eventually([&] { return nothing_happens(pool); })) << "also with a thread too many again";
}

TEST(Promise34Idle, BusyPollNeverSleepsOnceItIsAwakeAndStillEnds) {
  constexpr int rounds = 1000;
  thread_pool_options options;
  options.workers = 1;
  options.policy = wait_policy::busy_poll;
  thread_pool pool(options);
  EXPECT_EQ(pool.submit([] { return 3; }).get_for(generous), 3);
  const auto parked = pool.stats().total().parked;
  for (int i = 0; i < rounds; ++i) {
    const auto f = pool.submit([&] { return pool.submit([] { return 4; }).get(); });
    ASSERT_EQ(f.get_for(generous), 4);
  }
  EXPECT_EQ(pool.stats().total().parked, parked);
}

}  // namespace
