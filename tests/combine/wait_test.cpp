// Promises 11 and 12: wait().
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <list>
#include <ranges>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "remuda/combine.hpp"
#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

constexpr std::array all_conditions{wait_until::first_completed, wait_until::first_failed, wait_until::all_completed};

template <class T>
std::vector<future<T>> futures_of(const std::vector<promise<T>>& promises) {
  std::vector<future<T>> out;
  for (const auto& p : promises) out.push_back(p.get_future());
  return out;
}

void fail(promise<int>& p) { p.set_error(std::make_exception_ptr(std::domain_error("no"))); }

/// Runs `wait(futures, condition)` on a thread of its own; the future ends with the sizes of (done, pending).
class waiting_thread {
 public:
  waiting_thread(std::vector<future<int>> futures, wait_until condition)
      : thread_([this, condition, list = std::move(futures)] {
          id_ = gettid();
          const auto result = wait(list, condition);
          done_ = static_cast<int>(result.done.size());
        }) {}

  bool asleep() const { return id_ != 0 && is_asleep(id_); }
  /// How many were done when it returned; -1 while it waits.
  int done() const { return done_; }

 private:
  std::atomic<pid_t> id_{0};
  std::atomic<int> done_{-1};
  std::jthread thread_;
};

TEST(Promise11Wait, DuplicatesCollapseToOne) {
  promise<int> finished;
  const promise<int> open;
  finished.set_value(1);
  const auto a = finished.get_future();
  const auto b = open.get_future();
  const auto result = wait(std::vector{a, b, a, b, a}, wait_until::all_completed, 0s);
  EXPECT_EQ(result.done, std::vector{a});
  EXPECT_EQ(result.pending, std::vector{b});
}

TEST(Promise11Wait, FinishedOnesCountAtOnce) {
  promise<int> value;
  promise<int> error;
  const promise<int> cancelled;
  const promise<int> open;
  value.set_value(1);
  fail(error);
  ASSERT_TRUE(cancelled.get_future().cancel());
  const std::vector finished{value.get_future(), error.get_future(), cancelled.get_future()};
  for (const auto condition : all_conditions) {
    EXPECT_EQ(wait(finished, condition).done, finished);
    EXPECT_EQ(wait(finished, condition, 0s).done, finished);
  }
  for (const auto condition : {wait_until::first_completed, wait_until::first_failed}) {
    auto more = finished;
    more.push_back(open.get_future());
    const auto result = wait(more, condition);
    EXPECT_EQ(result.done, finished);
    EXPECT_EQ(result.pending, std::vector{open.get_future()});
  }
}

TEST(Promise11Wait, EmptyInputReturnsAtOnce) {
  for (const auto condition : all_conditions) {
    for (const auto& result :
         {wait(std::vector<future<int>>(), condition), wait(std::vector<future<int>>(), condition, for_ever)}) {
      EXPECT_TRUE(result.done.empty());
      EXPECT_TRUE(result.pending.empty());
    }
  }
}

TEST(Promise11Wait, EmptyHandleIsRefused) {
  promise<int> p;
  p.set_value(1);
  EXPECT_THROW(wait(std::vector{p.get_future(), future<int>()}), invalid_state_error);
}

TEST(Promise11Wait, AnyRangeOfFutures) {
  promise<int> p;
  p.set_value(1);
  std::array array{p.get_future()};
  EXPECT_EQ(wait(array).done.size(), 1U);
  EXPECT_EQ(wait(std::span<future<int>>(array)).done.size(), 1U);
  EXPECT_EQ(wait(std::list{p.get_future()}).done.size(), 1U);
  EXPECT_EQ(wait(std::views::iota(0, 3) | std::views::transform([&](int) { return p.get_future(); })).done.size(), 1U);
}

TEST(Promise12Wait, FirstCompletedReturnsWithTheFirst) {
  std::vector<promise<int>> promises(3);
  const waiting_thread waiter(futures_of(promises), wait_until::first_completed);
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  EXPECT_EQ(waiter.done(), -1);
  promises[1].set_value(1);
  EXPECT_TRUE(eventually([&] { return waiter.done() != -1; }));
  EXPECT_EQ(waiter.done(), 1);
}

TEST(Promise12Wait, FirstCompletedReturnsWithACancelledOne) {
  const std::vector<promise<int>> promises(3);
  const waiting_thread waiter(futures_of(promises), wait_until::first_completed);
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  ASSERT_TRUE(promises[2].get_future().cancel());
  EXPECT_TRUE(eventually([&] { return waiter.done() == 1; }));
}

TEST(Promise12Wait, FirstFailedGoesOnOverValuesAndCancellations) {
  std::vector<promise<int>> promises(4);
  const waiting_thread waiter(futures_of(promises), wait_until::first_failed);
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  promises[0].set_value(1);
  ASSERT_TRUE(promises[1].get_future().cancel());
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  EXPECT_EQ(waiter.done(), -1);
  fail(promises[2]);
  EXPECT_TRUE(eventually([&] { return waiter.done() != -1; }));
  EXPECT_EQ(waiter.done(), 3);
}

TEST(Promise12Wait, FirstFailedWithoutAFailureIsAll) {
  std::vector<promise<int>> promises(2);
  const waiting_thread waiter(futures_of(promises), wait_until::first_failed);
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  promises[0].set_value(1);
  EXPECT_EQ(waiter.done(), -1);
  promises[1].set_value(1);
  EXPECT_TRUE(eventually([&] { return waiter.done() == 2; }));
}

TEST(Promise12Wait, AllCompletedWaitsForTheLastWhateverTheOutcome) {
  std::vector<promise<int>> promises(3);
  const waiting_thread waiter(futures_of(promises), wait_until::all_completed);
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  fail(promises[2]);
  ASSERT_TRUE(promises[0].get_future().cancel());
  ASSERT_TRUE(eventually([&] { return waiter.asleep(); }));
  EXPECT_EQ(waiter.done(), -1);
  promises[1].set_value(1);
  EXPECT_TRUE(eventually([&] { return waiter.done() == 3; }));
}

TEST(Promise12Wait, AllIsTheDefault) {
  promise<int> a;
  promise<int> b;
  a.set_value(1);
  std::jthread later([&] { b.set_value(2); });
  const auto result = wait(std::vector{a.get_future(), b.get_future()});
  EXPECT_EQ(result.done, (std::vector{a.get_future(), b.get_future()}));
  EXPECT_TRUE(result.pending.empty());
}

TEST(Promise12Wait, TimeOutGivesThePair) {
  for (const auto condition : all_conditions) {
    for (const auto timeout : {-1ms, 0ms, 5ms}) {
      std::vector<promise<int>> promises(3);
      if (condition != wait_until::first_completed) promises[1].set_value(1);
      const auto futures = futures_of(promises);
      const auto result = wait(futures, condition, timeout);
      if (condition == wait_until::first_completed) {
        EXPECT_TRUE(result.done.empty());
        EXPECT_EQ(result.pending, futures);
      } else {
        EXPECT_EQ(result.done, std::vector{futures[1]});
        EXPECT_EQ(result.pending, (std::vector{futures[0], futures[2]}));
      }
    }
  }
}

TEST(Promise12Wait, TimeOutWaitsForAllOfIt) {
  const promise<int> p;
  constexpr auto time = 20ms;
  for (const auto condition : all_conditions) {
    const auto start = std::chrono::steady_clock::now();
    wait(std::vector{p.get_future()}, condition, time);
    EXPECT_GE(std::chrono::steady_clock::now() - start, time);
  }
}

TEST(Promise12Wait, LongestTimeOutIsForEver) {
  for (const auto condition : all_conditions) {
    promise<int> p;
    std::jthread later([&] { p.set_value(2); });
    EXPECT_EQ(wait(std::vector{p.get_future()}, condition, std::chrono::hours::max()).done.size(), 1U);
  }
}

TEST(Promise12Wait, TimedOutOnesStayUsable) {
  promise<int> p;
  const auto f = p.get_future();
  for (const auto condition : all_conditions) wait(std::vector{f}, condition, 0s);
  int calls = 0;
  f.on_done([&](const future<int>&) { ++calls; });
  p.set_value(3);
  EXPECT_EQ(f.get(), 3);
  EXPECT_EQ(calls, 1);
}

TEST(Promise12Wait, HundredReleasedAtOneMomentAreNeverMissed) {
  constexpr int tasks = 100;
  constexpr unsigned workers = 4;
  const int rounds = scaled(200);
  thread_pool pool(workers);
  for (int round = 0; round < rounds; ++round) {
    std::atomic<bool> go{false};
    std::vector<future<int>> futures;
    for (int i = 0; i < tasks; ++i) {
      futures.push_back(pool.submit([&go, i] {
        while (!go) std::this_thread::yield();
        return i;
      }));
    }
    std::jthread release([&] { go = true; });
    const auto result = wait(futures, wait_until::all_completed, generous);
    ASSERT_EQ(result.done.size(), static_cast<std::size_t>(tasks)) << "round " << round;
    for (int i = 0; i < tasks; ++i) ASSERT_EQ(futures[static_cast<std::size_t>(i)].get_for(0s), i);
  }
}

}  // namespace
