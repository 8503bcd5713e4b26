// when_all and when_any: the part of promises 11 and 12 that gives futures instead of blocking.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "remuda/combine.hpp"
#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

template <class T>
std::vector<future<T>> futures_of(const std::vector<promise<T>>& promises) {
  std::vector<future<T>> out;
  for (const auto& p : promises) out.push_back(p.get_future());
  return out;
}

TEST(Promise11WhenAll, EmptyListIsDoneAtOnce) {
  const auto f = when_all(std::vector<future<int>>());
  EXPECT_TRUE(f.done());
  EXPECT_TRUE(f.get().empty());
}

TEST(Promise11WhenAll, FinishedOnesCountAtOnce) {
  promise<int> p;
  p.set_value(1);
  EXPECT_TRUE(when_all(std::vector{p.get_future(), p.get_future()}).done());
  EXPECT_TRUE(when_all(p.get_future()).done());
}

TEST(Promise12WhenAll, CompletesWithTheLastInInputOrder) {
  std::vector<promise<int>> promises(3);
  const auto futures = futures_of(promises);
  const auto all = when_all(futures);
  promises[2].set_value(2);
  promises[0].set_value(0);
  EXPECT_FALSE(all.done());
  promises[1].set_value(1);
  ASSERT_TRUE(all.done());
  EXPECT_EQ(all.get(), futures);
}

TEST(Promise12WhenAll, WhateverTheOutcome) {
  std::vector<promise<int>> promises(3);
  const auto futures = futures_of(promises);
  const auto all = when_all(futures);
  ASSERT_TRUE(futures[1].cancel());
  promises[0].set_error(std::make_exception_ptr(std::domain_error("no")));
  EXPECT_FALSE(all.done());
  { const promise<int> broken = std::move(promises[2]); }
  ASSERT_TRUE(all.done());
  EXPECT_EQ(all.error(), nullptr) << "it has no error of its own";
  EXPECT_THROW(all.get()[0].get(), std::domain_error);
  EXPECT_THROW(all.get()[1].get(), cancelled_error);
  EXPECT_THROW(all.get()[2].get(), broken_promise);
}

TEST(Promise12WhenAll, OfDifferentTypes) {
  promise<int> number;
  promise<std::unique_ptr<int>> pointer;
  promise<void> nothing;
  const auto all = when_all(number.get_future(), pointer.get_future(), nothing.get_future());
  static_assert(std::is_same_v<std::remove_const_t<decltype(all)>,
                               future<std::tuple<future<int>, future<std::unique_ptr<int>>, future<void>>>>);
  nothing.set_value();
  number.set_value(1);
  EXPECT_FALSE(all.done());
  pointer.set_value(std::make_unique<int>(2));
  ASSERT_TRUE(all.done());
  EXPECT_EQ(std::get<0>(all.get()).get(), 1);
  EXPECT_EQ(*std::get<1>(all.get()).get(), 2);
  EXPECT_TRUE(std::get<2>(all.get()).done());
}

TEST(Promise12WhenAll, EmptyHandleIsRefused) {
  promise<int> p;
  EXPECT_THROW(when_all(std::vector{p.get_future(), future<int>()}), invalid_state_error);
  EXPECT_THROW(when_all(p.get_future(), future<void>()), invalid_state_error);
  EXPECT_THROW(when_any(std::vector{p.get_future(), future<int>()}), invalid_state_error);
}

TEST(Promise12WhenAll, CancellingItLeavesTheFuturesAlone) {
  promise<int> p;
  auto all = when_all(std::vector{p.get_future()});
  EXPECT_TRUE(all.cancel());
  all = {};
  p.set_value(1);
  EXPECT_EQ(p.get_future().get(), 1);
}

TEST(Promise12WhenAll, PipesIntoThen) {
  thread_pool pool(2);
  std::vector<future<int>> futures;
  for (int i = 1; i <= 10; ++i) futures.push_back(pool.submit([i] { return i; }));
  const auto sum = when_all(futures).then([](const std::vector<future<int>>& all) {
    int total = 0;
    for (const auto& f : all) total += f.get();
    return total;
  });
  EXPECT_EQ(sum.get_for(generous), 55);
}

TEST(Promise11WhenAny, EmptyListIsRefused) {
  EXPECT_THROW(when_any(std::vector<future<int>>()), std::invalid_argument);
}

TEST(Promise11WhenAny, FinishedOneCountsAtOnce) {
  std::vector<promise<int>> promises(3);
  promises[1].set_value(1);
  const auto any = when_any(futures_of(promises));
  ASSERT_TRUE(any.done());
  EXPECT_EQ(any.get().index, 1U);
}

TEST(Promise12WhenAny, CompletesWithTheFirstAndNamesIt) {
  std::vector<promise<int>> promises(3);
  const auto futures = futures_of(promises);
  const auto any = when_any(futures);
  EXPECT_FALSE(any.done());
  promises[2].set_value(7);
  ASSERT_TRUE(any.done());
  EXPECT_EQ(any.get().index, 2U);
  EXPECT_EQ(any.get().futures, futures);
  EXPECT_EQ(any.get().futures[2].get(), 7);
  promises[0].set_value(1);
  EXPECT_EQ(any.get().index, 2U);
}

TEST(Promise12WhenAny, AnErrorOrACancellationIsAnEndToo) {
  std::vector<promise<int>> promises(2);
  const auto by_error = when_any(futures_of(promises));
  promises[1].set_error(std::make_exception_ptr(std::domain_error("no")));
  ASSERT_TRUE(by_error.done());
  EXPECT_EQ(by_error.get().index, 1U);

  const std::vector<promise<int>> others(2);
  const auto by_cancellation = when_any(futures_of(others));
  ASSERT_TRUE(others[0].get_future().cancel());
  ASSERT_TRUE(by_cancellation.done());
  EXPECT_EQ(by_cancellation.get().index, 0U);
}

TEST(Promise11WhenAny, OfTheSameFutureTwice) {
  promise<int> p;
  const auto any = when_any(std::vector{p.get_future(), p.get_future()});
  EXPECT_FALSE(any.done());
  p.set_value(1);
  ASSERT_TRUE(any.done());
  EXPECT_LT(any.get().index, 2U);
}

TEST(Promise12WhenAny, ResultDroppedEarly) {
  std::vector<promise<int>> promises(3);
  when_any(futures_of(promises));
  for (auto& p : promises) p.set_value(1);
  EXPECT_EQ(promises[0].get_future().get(), 1);
}

TEST(Promise12WhenAny, LosersAreKeptByNobodyWhenItIsDecided) {
  std::vector<promise<std::shared_ptr<int>>> promises(2);
  std::weak_ptr<int> loser;
  {
    const auto any = when_any(futures_of(promises));
    promises[0].set_value(nullptr);
    ASSERT_TRUE(any.done());
  }
  auto value = std::make_shared<int>(1);
  loser = value;
  promises[1].set_value(std::move(value));
  promises.pop_back();
  EXPECT_TRUE(loser.expired());
}

TEST(Promise12WhenAny, OfTasks) {
  gate g;
  thread_pool pool(2);
  const gate_opener opener(g);
  const auto slow = pool.submit([&] {
    g.wait();
    return 1;
  });
  const auto quick = pool.submit([] { return 2; });
  const auto any = when_any(std::vector{slow, quick});
  EXPECT_EQ(any.get_for(generous).index, 1U);
}

}  // namespace
