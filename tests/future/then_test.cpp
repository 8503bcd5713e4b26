// then(): continuations, which run as callbacks do (promise 1) and pass outcomes on.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise01Then, GetsTheValueAndGivesTheNext) {
  promise<int> p;
  const auto f = p.get_future().then([](int i) { return std::to_string(i); });
  static_assert(std::is_same_v<decltype(f), const future<std::string>>);
  EXPECT_FALSE(f.done());
  p.set_value(3);
  EXPECT_EQ(f.get(), "3");
}

TEST(Promise01Then, OfADoneFutureRunsAtOnce) {
  promise<int> p;
  p.set_value(3);
  std::thread::id where;
  const auto f = p.get_future().then([&](int) { where = std::this_thread::get_id(); });
  EXPECT_TRUE(f.done());
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST(Promise01Then, OfVoidAndOfAReference) {
  promise<void> nothing;
  const auto seven = nothing.get_future().then([] { return 7; });
  nothing.set_value();
  EXPECT_EQ(seven.get(), 7);

  int target = 0;
  promise<int&> reference;
  const auto same = reference.get_future().then([](int& i) -> int& { return i; });
  static_assert(std::is_same_v<decltype(same), const future<int&>>);
  reference.set_value(target);
  EXPECT_EQ(&same.get(), &target);
}

TEST(Promise01Then, MoveOnlyValuesAndFunctions) {
  promise<std::unique_ptr<int>> p;
  auto f = p.get_future().then(
      [owned = std::make_unique<int>(4)](const std::unique_ptr<int>& i) { return std::make_unique<int>(*i + *owned); });
  p.set_value(std::make_unique<int>(3));
  EXPECT_EQ(*f.take(), 7);
}

TEST(Promise01Then, ErrorPassesTheFunctionBy) {
  promise<int> p;
  bool called = false;
  const auto f = p.get_future().then([&](int) { called = true; }).then([&] { called = true; });
  p.set_error(std::make_exception_ptr(std::domain_error("no")));
  EXPECT_THROW(f.get(), std::domain_error);
  EXPECT_FALSE(called);
}

TEST(Promise01Then, CancellationPassesTheFunctionBy) {
  const promise<int> p;
  bool called = false;
  const auto f = p.get_future().then([&](int) { called = true; });
  EXPECT_TRUE(p.get_future().cancel());
  EXPECT_TRUE(f.cancelled());
  EXPECT_FALSE(called);
}

TEST(Promise01Then, WhatTheFunctionThrowsArrives) {
  promise<int> p;
  const auto f = p.get_future().then([](int) -> int { throw std::domain_error("no"); });
  p.set_value(1);
  EXPECT_THROW(f.get(), std::domain_error);
  EXPECT_EQ(p.get_future().get(), 1);
}

TEST(Promise01Then, CancelledContinuationDoesNotTouchItsSource) {
  promise<int> p;
  const auto f = p.get_future().then([](int i) { return i; });
  EXPECT_TRUE(f.cancel());
  EXPECT_FALSE(p.get_future().done());
  p.set_value(1);
  EXPECT_TRUE(f.cancelled());
  EXPECT_EQ(p.get_future().get(), 1);
}

TEST(Promise01Then, AfterTakeIsAnError) {
  promise<int> p;
  p.set_value(1);
  auto source = p.get_future();
  ASSERT_EQ(source.take(), 1);
  bool called = false;
  const auto f = source.then([&](int) { called = true; });
  EXPECT_THROW(f.get(), invalid_state_error);
  EXPECT_FALSE(called);
}

TEST(Promise01Then, SeveralRunInTheOrderAdded) {
  promise<void> p;
  std::string order;
  const auto a = p.get_future().then([&] { order += 'a'; });
  p.get_future().on_done([&](const future<void>&) { order += 'b'; });
  const auto c = p.get_future().then([&] { order += 'c'; });
  p.set_value();
  EXPECT_EQ(order, "abc");
}

TEST(Promise01Then, LetsGoOfTheFunctionWhenItHasRun) {
  tally t;
  promise<void> p;
  const auto f = p.get_future().then([c = counted(t)] {});
  EXPECT_EQ(t.alive, 1);
  p.set_value();
  EXPECT_EQ(t.alive, 0);
}

TEST(Promise01Then, LongChainUsesConstantStackWhateverTheOutcome) {
  const int links = scaled(200'000);
  for (const std::string outcome : {"value", "error", "cancelled", "broken"}) {
    promise<int> p;
    auto last = p.get_future();
    for (int i = 0; i < links; ++i) last = last.then([](int n) { return n + 1; });
    if (outcome == "value") {
      p.set_value(0);
      EXPECT_EQ(last.get(), links);
    } else if (outcome == "error") {
      p.set_error(std::make_exception_ptr(std::domain_error("no")));
      EXPECT_THROW(last.get(), std::domain_error);
    } else if (outcome == "cancelled") {
      EXPECT_TRUE(p.get_future().cancel());
      EXPECT_TRUE(last.cancelled());
    } else {
      { const promise<int> dropped = std::move(p); }
      EXPECT_THROW(last.get(), broken_promise);
    }
  }
}

TEST(Promise01Then, OnAPoolRunsOnTheWorkerThatCompletes) {
  gate g;
  thread_pool pool(2);
  const gate_opener opener(g);
  const auto task = pool.submit([&] {
    g.wait();
    return std::this_thread::get_id();
  });
  const auto same = task.then([](std::thread::id id) { return id == std::this_thread::get_id(); });
  g.open();
  EXPECT_TRUE(same.get());
}

}  // namespace
