// Promises 4 and 5: reading a result, and being woken by one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

static_assert(std::is_same_v<decltype(std::declval<const future<std::string>&>().get()), const std::string&>);
static_assert(std::is_same_v<decltype(std::declval<const future<std::string>&>().get_for(1s)), const std::string&>);
static_assert(std::is_same_v<decltype(std::declval<future<std::string>&>().take()), std::string>);
static_assert(std::is_same_v<decltype(std::declval<const future<void>&>().get()), void>);
static_assert(std::is_same_v<decltype(std::declval<const future<int&>&>().get()), int&>);

TEST(Promise04Get, ForZeroOnAnUnfinishedFutureTimesOut) {
  promise<int> p;
  const auto f = p.get_future();
  EXPECT_THROW(f.get_for(0s), timeout_error);
  EXPECT_THROW(f.get_for(-1s), timeout_error);
  EXPECT_FALSE(f.wait_for(0s));
  EXPECT_FALSE(f.done());
  p.set_value(3);
  EXPECT_EQ(f.get_for(0s), 3) << "the future stays usable, and a finished one needs no time";
  EXPECT_TRUE(f.wait_for(0s));
}

TEST(Promise04Get, TimeOutLeavesTheTaskRunning) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  const auto f = pool.submit([&] {
    g.wait();
    return 5;
  });
  ASSERT_TRUE(eventually([&] { return f.running(); }));
  EXPECT_THROW(f.get_for(0s), timeout_error);
  EXPECT_THROW(f.get_for(1ms), timeout_error);
  EXPECT_TRUE(f.running());
  g.open();
  EXPECT_EQ(f.get_for(generous), 5);
}

TEST(Promise04Get, TimeOutWaitsForAllOfIt) {
  promise<int> p;
  const auto f = p.get_future();
  constexpr auto time = 20ms;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(f.get_for(time), timeout_error);
  EXPECT_FALSE(f.wait_for(time));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 2 * time);
}

TEST(Promise04Get, TheLongestTimeOutIsForEver) {
  promise<int> p;
  const auto f = p.get_future();
  const auto longest = std::chrono::hours::max();
  std::jthread setter([&] { p.set_value(3); });
  EXPECT_EQ(f.get_for(longest), 3);
  EXPECT_TRUE(f.wait_for(std::chrono::duration<double>::max()));
}

TEST(Promise04Get, AnyNumberOfTimesFromAnyThreadIsTheSameObject) {
  constexpr int threads = 4;
  constexpr int times = 100;
  promise<std::string> p;
  const auto f = p.get_future();
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> readers;
    const std::string* first = nullptr;
    std::atomic<const std::string*> seen{first};
    for (int i = 0; i < threads; ++i) {
      readers.emplace_back([&] {
        for (int k = 0; k < times; ++k) {
          const std::string& value = f.get();
          const std::string* expected = nullptr;
          if (!seen.compare_exchange_strong(expected, &value) && expected != &value) ++wrong;
          if (value != "value") ++wrong;
        }
      });
    }
    p.set_value("value");
  }
  EXPECT_EQ(wrong, 0);
}

struct detailed_error : std::runtime_error {
  explicit detailed_error(int c) : std::runtime_error("detailed"), code(c) {}
  int code;
};

TEST(Promise04Get, RethrowsTheStoredExceptionEachTime) {
  promise<int> p;
  p.set_error(std::make_exception_ptr(detailed_error(42)));
  const auto f = p.get_future();
  constexpr int times = 3;
  for (int i = 0; i < times; ++i) {
    try {
      f.get();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const detailed_error& e) {
      EXPECT_EQ(e.code, 42);
    }
    EXPECT_THROW(f.get_for(0s), detailed_error);
    EXPECT_THROW(future<int>(f).take(), detailed_error) << "an error cannot be taken away";
    EXPECT_THROW(std::rethrow_exception(f.error()), detailed_error);
  }
}

TEST(Promise04Get, ErrorIsNullForAValue) {
  promise<int> p;
  p.set_value(1);
  EXPECT_EQ(p.get_future().error(), nullptr);
}

TEST(Promise04Get, TakeMovesTheValueOut) {
  promise<std::unique_ptr<int>> p;
  auto value = std::make_unique<int>(3);
  const int* address = value.get();
  p.set_value(std::move(value));
  auto f = p.get_future();
  const auto taken = f.take();
  EXPECT_EQ(taken.get(), address);
  EXPECT_TRUE(f.done());
}

TEST(Promise04Get, SecondTakeAndGetAfterItThrow) {
  promise<int> p;
  p.set_value(3);
  auto f = p.get_future();
  EXPECT_EQ(f.take(), 3);
  EXPECT_THROW(f.take(), invalid_state_error);
  EXPECT_THROW(future<int>(f).take(), invalid_state_error);
  EXPECT_THROW(f.get(), invalid_state_error);
  EXPECT_THROW(f.get_for(0s), invalid_state_error);
}

TEST(Promise04Get, TakeOfVoidAndOfAReference) {
  promise<void> nothing;
  nothing.set_value();
  auto f = nothing.get_future();
  EXPECT_NO_THROW(f.take());
  EXPECT_THROW(f.take(), invalid_state_error);

  int target = 0;
  promise<int&> reference;
  reference.set_value(target);
  auto r = reference.get_future();
  EXPECT_EQ(&r.take(), &target);
  EXPECT_THROW(r.take(), invalid_state_error);
}

TEST(Promise04Get, TakeRacingWithTakeHasOneWinner) {
  constexpr int threads = 4;
  promise<std::unique_ptr<int>> p;
  std::atomic<int> winners{0};
  std::atomic<int> losers{0};
  {
    std::vector<std::jthread> takers;
    for (int i = 0; i < threads; ++i) {
      takers.emplace_back([&, f = p.get_future()]() mutable {
        try {
          EXPECT_EQ(*f.take(), 3);
          ++winners;
        } catch (const invalid_state_error&) {
          ++losers;
        }
      });
    }
    p.set_value(std::make_unique<int>(3));
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(losers, threads - 1);
}

TEST(Promise04Get, OfAnEmptyHandleThrows) {
  future<int> empty;
  EXPECT_FALSE(empty.valid());
  EXPECT_THROW(empty.get(), invalid_state_error);
  EXPECT_THROW(empty.get_for(0s), invalid_state_error);
  EXPECT_THROW(empty.take(), invalid_state_error);
  EXPECT_THROW(empty.wait(), invalid_state_error);
  EXPECT_THROW(empty.wait_for(0s), invalid_state_error);
  EXPECT_THROW(empty.done(), invalid_state_error);
  EXPECT_THROW(empty.cancel(), invalid_state_error);
  EXPECT_THROW(empty.error(), invalid_state_error);
  EXPECT_THROW(empty.on_done([](const future<int>&) {}), invalid_state_error);
  EXPECT_THROW(empty.then([](int) {}), invalid_state_error);
}

TEST(Promise04Get, HandlesAreSharedAndCompareByResult) {
  promise<int> p;
  promise<int> other;
  auto f = p.get_future();
  const auto copy = f;
  EXPECT_EQ(f, copy);
  EXPECT_FALSE(f == other.get_future());
  const auto moved = std::move(f);
  EXPECT_FALSE(f.valid());  // NOLINT(bugprone-use-after-move): that is what is asked
  EXPECT_EQ(moved, copy);
  p.set_value(3);
  EXPECT_EQ(&copy.get(), &moved.get());
}

/// Each way to block on a future, as a call that returns when it is woken.
const std::vector<std::function<void(future<int>)>>& ways_to_wait() {
  static const std::vector<std::function<void(future<int>)>> ways{
      [](const future<int>& f) { f.get(); },          [](const future<int>& f) { f.get_for(for_ever); },
      [](const future<int>& f) { f.wait(); },         [](const future<int>& f) { f.wait_for(for_ever); },
      [](const future<int>& f) { return f.error(); }, [](future<int> f) { f.take(); },
  };
  return ways;
}

/// Blocks one thread for each way, completes the future when all are asleep, and sees all of them return.
template <class Complete>
void expect_all_wake(Complete complete) {
  std::vector<std::atomic<pid_t>> ids(ways_to_wait().size());
  std::atomic<std::size_t> woken{0};
  std::vector<std::jthread> waiters;
  promise<int> p;  // last, so that it breaks and lets the waiters go if this ends early
  for (std::size_t i = 0; i < ids.size(); ++i) {
    waiters.emplace_back([&, i, f = p.get_future()] {
      ids[i] = gettid();
      try {
        ways_to_wait()[i](f);
      } catch (...) {  // which error it is, is the matter of other tests
      }
      ++woken;
    });
  }
  for (const auto& id : ids) ASSERT_TRUE(eventually([&] { return id != 0 && is_asleep(id); }));
  EXPECT_EQ(woken, 0U);
  complete(p);
  EXPECT_TRUE(eventually([&] { return woken == ids.size(); }));
}

TEST(Promise05Wake, OnAValue) {
  expect_all_wake([](promise<int>& p) { p.set_value(1); });
}

TEST(Promise05Wake, OnAnError) {
  expect_all_wake([](promise<int>& p) { p.set_error(std::make_exception_ptr(std::runtime_error("no"))); });
}

TEST(Promise05Wake, OnCancellation) {
  expect_all_wake([](promise<int>& p) { EXPECT_TRUE(p.get_future().cancel()); });
}

TEST(Promise05Wake, OnABrokenPromise) {
  expect_all_wake([](promise<int>& p) { const promise<int> dropped = std::move(p); });
}

TEST(Promise05Wake, OnTheEndOfATask) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  const auto f = pool.submit([&] {
    g.wait();
    return 5;
  });
  std::atomic<pid_t> id{0};
  std::atomic<bool> woken{false};
  std::jthread waiter([&] {
    id = gettid();
    EXPECT_EQ(f.get(), 5);
    woken = true;
  });
  ASSERT_TRUE(eventually([&] { return id != 0 && is_asleep(id); }));
  EXPECT_FALSE(woken);
  g.open();
  EXPECT_TRUE(eventually([&] { return woken.load(); }));
}

}  // namespace
