// Promise 13: as_completed(); and of promise 11 what concerns it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "remuda/combine.hpp"
#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

template <class T>
std::vector<future<T>> futures_of(const std::vector<promise<T>>& promises) {
  std::vector<future<T>> out;
  for (const auto& p : promises) out.push_back(p.get_future());
  return out;
}

static_assert(std::input_iterator<completion_range<int>::iterator>);
static_assert(std::is_move_constructible_v<completion_range<int>> &&
              !std::is_copy_constructible_v<completion_range<int>>);

TEST(Promise11AsCompleted, DuplicatesCollapseToOne) {
  promise<int> a;
  promise<int> b;
  a.set_value(1);
  b.set_value(2);
  int count = 0;
  int sum = 0;
  for (const future<int> f : as_completed(std::vector{a.get_future(), b.get_future(), a.get_future()})) {
    ++count;
    sum += f.get();
  }
  EXPECT_EQ(count, 2);
  EXPECT_EQ(sum, 3);
}

TEST(Promise11AsCompleted, EmptyInputEndsAtOnce) {
  for (const future<int> f : as_completed(std::vector<future<int>>())) ADD_FAILURE() << f;
  for (const future<int> f : as_completed(std::vector<future<int>>(), for_ever)) ADD_FAILURE() << f;
  for (const future<int> f : as_completed(std::vector<future<int>>(), 0s)) ADD_FAILURE() << f;
}

TEST(Promise13AsCompleted, FinishedOnesComeFirst) {
  std::vector<promise<int>> promises(3);
  promises[2].set_value(2);
  const auto futures = futures_of(promises);
  auto range = as_completed(futures);
  auto at = range.begin();
  EXPECT_EQ(*at, futures[2]);
  promises[0].set_value(0);
  ++at;
  EXPECT_EQ(*at, futures[0]);
  promises[1].set_value(1);
  ++at;
  EXPECT_EQ(*at, futures[1]);
  ++at;
  EXPECT_TRUE(at == range.end());
}

TEST(Promise13AsCompleted, InOrderOfCompletionWhateverTheOutcome) {
  std::vector<promise<int>> promises(4);
  const auto futures = futures_of(promises);
  auto range = as_completed(futures);
  promises[2].set_value(2);
  ASSERT_TRUE(futures[0].cancel());
  promises[3].set_error(std::make_exception_ptr(std::domain_error("no")));
  { const promise<int> broken = std::move(promises[1]); }
  std::vector<future<int>> order;
  for (future<int> f : range) order.push_back(f);
  EXPECT_EQ(order, (std::vector{futures[2], futures[0], futures[3], futures[1]}));
}

TEST(Promise13AsCompleted, OrderOfALongRun) {
  const auto count = static_cast<std::size_t>(scaled(10'000));
  std::vector<promise<int>> promises(count);
  const auto futures = futures_of(promises);
  auto range = as_completed(futures);
  std::jthread completer([&] {
    for (std::size_t i = count; i > 0; --i) promises[i - 1].set_value(static_cast<int>(i - 1));
  });
  int expected = static_cast<int>(count);
  for (const future<int> f : range) ASSERT_EQ(f.get(), --expected);
  EXPECT_EQ(expected, 0);
}

TEST(Promise13AsCompleted, YieldsEachTaskOnce) {
  constexpr int rounds = 20;
  const int tasks = scaled(1'000);
  thread_pool pool(2);
  for (int round = 0; round < rounds; ++round) {
    std::vector<future<int>> futures;
    for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit([i] { return i; }));
    std::vector<int> seen;
    for (const future<int> f : as_completed(futures, generous)) {
      ASSERT_TRUE(f.done());
      seen.push_back(f.get());
    }
    std::sort(seen.begin(), seen.end());
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(tasks));
    for (int i = 0; i < tasks; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
  }
}

TEST(Promise13AsCompleted, TimeOutFirstYieldsWhatIsDone) {
  std::vector<promise<int>> promises(4);
  const auto futures = futures_of(promises);
  promises[3].set_value(3);
  promises[1].set_value(1);
  std::set<int> seen;
  try {
    for (const future<int> f : as_completed(futures, 0s)) seen.insert(f.get());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const timeout_error& e) {
    EXPECT_STREQ(e.what(), "2 (of 4) futures unfinished");
  }
  EXPECT_EQ(seen, (std::set<int>{1, 3}));
}

TEST(Promise13AsCompleted, TimeOutWithNothingDoneThrowsAtBegin) {
  const std::vector<promise<int>> promises(4);
  auto range = as_completed(futures_of(promises), 1ms);
  EXPECT_THROW(range.begin(), timeout_error);
}

TEST(Promise13AsCompleted, TimeOutDoesNotMatterWhenAllAreDone) {
  promise<int> p;
  p.set_value(1);
  int count = 0;
  for (const future<int> f : as_completed(std::vector{p.get_future()}, -1s)) count += f.get();
  EXPECT_EQ(count, 1);
}

TEST(Promise13AsCompleted, FuturesStayUsableAfterATimeOut) {
  promise<int> p;
  const auto f = p.get_future();
  {
    auto range = as_completed(std::vector{f}, 0s);
    EXPECT_THROW(range.begin(), timeout_error);
  }
  int calls = 0;
  f.on_done([&](const future<int>&) { ++calls; });
  p.set_value(3);
  EXPECT_EQ(f.get(), 3);
  EXPECT_EQ(calls, 1);
}

TEST(Promise13AsCompleted, KeepsNoReferenceToWhatItYielded) {
  constexpr std::size_t count = 3;
  std::vector<std::weak_ptr<int>> values;
  std::vector<future<std::shared_ptr<int>>> futures;
  for (std::size_t i = 0; i < count; ++i) {
    promise<std::shared_ptr<int>> p;
    auto value = std::make_shared<int>(static_cast<int>(i));
    values.emplace_back(value);
    p.set_value(std::move(value));
    futures.push_back(p.get_future());
  }
  auto range = as_completed(futures);
  futures.clear();
  std::size_t seen = 0;
  for (auto f : range) {
    const auto index = static_cast<std::size_t>(*f.get());
    EXPECT_FALSE(values[index].expired());
    f = {};
    EXPECT_TRUE(values[index].expired()) << "the range keeps " << index;
    ++seen;
  }
  EXPECT_EQ(seen, count);
}

TEST(Promise13AsCompleted, MayBeLeftEarly) {
  std::vector<promise<int>> promises(3);
  promises[1].set_value(1);
  for (const future<int> f : as_completed(futures_of(promises))) {
    EXPECT_EQ(f.get(), 1);
    break;
  }
  promises[0].set_value(0);  // nobody listens any more
  EXPECT_EQ(promises[0].get_future().get(), 0);
  { const auto never_walked = as_completed(futures_of(promises)); }
  promises[2].set_value(2);
}

TEST(Promise13AsCompleted, RangeMayBeMovedBeforeItIsWalked) {
  std::vector<promise<int>> promises(2);
  auto first = as_completed(futures_of(promises));
  auto range = std::move(first);
  promises[1].set_value(1);
  promises[0].set_value(0);
  std::vector<int> order;
  for (const future<int> f : range) order.push_back(f.get());
  EXPECT_EQ(order, (std::vector{1, 0}));
}

TEST(Promise13AsCompleted, RangeMayBeReplacedBeforeItIsWalked) {
  promise<int> later;
  auto range = [] {
    promise<int> p;
    auto out = as_completed(std::vector{p.get_future()});
    p.set_value(1);
    return out;  // from here on the range alone keeps the future
  }();
  range = as_completed(std::vector{later.get_future()});
  later.set_value(2);
  std::vector<int> order;
  for (const future<int> f : range) order.push_back(f.get());
  EXPECT_EQ(order, std::vector{2});
}

}  // namespace
