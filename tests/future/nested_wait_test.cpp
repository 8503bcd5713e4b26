// Promise 8: waiting inside a task.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "remuda/combine.hpp"
#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise08NestedGet, OnOneWorker) {
  thread_pool pool(1);
  EXPECT_EQ(pool.submit([&] { return pool.submit([] { return 3; }).get() + 1; }).get(), 4);
}

TEST(Promise08NestedGet, EightTasksThatWaitForAChildOnTwoWorkers) {
  constexpr int tasks = 8;
  thread_pool pool(2);
  std::latch all_started_or_queued(1);
  std::vector<future<int>> parents;
  for (int i = 0; i < tasks; ++i) {
    parents.push_back(pool.submit([&, i] {
      all_started_or_queued.wait();
      return pool.submit([i] { return i; }).get();
    }));
  }
  all_started_or_queued.count_down();
  for (int i = 0; i < tasks; ++i) EXPECT_EQ(parents[static_cast<std::size_t>(i)].get_for(generous), i);
}

TEST(Promise08NestedGet, ChildrenSubmittedBeforeTheirParentsWait) {
  constexpr int children = 100;
  for (const unsigned workers : {1U, 2U, 3U}) {
    thread_pool pool(workers);
    const auto sum = pool.submit([&] {
      std::vector<future<int>> all;
      for (int i = 1; i <= children; ++i) all.push_back(pool.submit([i] { return i; }));
      int total = 0;
      for (const auto& f : all) total += f.get();
      return total;
    });
    EXPECT_EQ(sum.get_for(generous), children * (children + 1) / 2) << workers << " workers";
  }
}

/// Task `depth` submits task `depth - 1` and waits for it.
int chain(thread_pool& pool, int depth) {
  if (depth == 0) return 0;
  return pool.submit([&pool, depth] { return chain(pool, depth - 1); }).get() + 1;
}

TEST(Promise08NestedGet, ChainOfAThousandOnOneWorker) {
  constexpr int depth = 1000;
  thread_pool pool(1);
  EXPECT_EQ(pool.submit([&] { return chain(pool, depth); }).get_for(generous), depth);
}

// The worker meets the end of the chain first, so that every wait finds a task that nobody has started: more of them on
// top of each other than one stack holds.
TEST(Promise08NestedGet, ChainOfAHundredThousandWaitsOnOneWorker) {
  const auto links = static_cast<std::size_t>(scaled(100'000));
  gate g;
  std::vector<future<int>> futures(links + 1);  // complete before the gate opens
  thread_pool pool(1);
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  for (std::size_t i = links; i > 0; --i) {
    futures[i] = pool.submit([&before = futures[i - 1]] { return before.get() + 1; });
  }
  futures[0] = pool.submit([] { return 0; });
  g.open();
  EXPECT_EQ(futures[links].get_for(generous), static_cast<int>(links));
}

/// A tree in which every node waits for its children; returns the number of its leaves.
int tree(thread_pool& pool, int depth) {
  if (depth == 0) return 1;
  const auto left = pool.submit([&pool, depth] { return tree(pool, depth - 1); });
  const auto right = pool.submit([&pool, depth] { return tree(pool, depth - 1); });
  return left.get() + right.get();
}

TEST(Promise08NestedGet, Trees) {
  constexpr int depth = 12;
  for (const unsigned workers : {1U, 2U, 4U}) {
    thread_pool pool(workers);
    EXPECT_EQ(pool.submit([&] { return tree(pool, depth); }).get_for(generous), 1 << depth) << workers << " workers";
  }
}

/// Two pools whose tasks wait for each other's.
int ping_pong(thread_pool& mine, thread_pool& other, int depth) {
  if (depth == 0) return 1;
  const auto there = other.submit([&mine, &other, depth] { return ping_pong(other, mine, depth - 1); });
  const auto here = mine.submit([&mine, &other, depth] { return ping_pong(mine, other, depth - 1); });
  return here.get() + there.get();
}

TEST(Promise08NestedGet, MutualTreesOfTwoPools) {
  constexpr int depth = 6;
  thread_pool a(1);
  thread_pool b(1);
  EXPECT_EQ(a.submit([&] { return ping_pong(a, b, depth); }).get_for(generous), 1 << depth);
}

TEST(Promise08NestedGet, OfTasksThatWaitForEachOthersChildren) {
  thread_pool pool(2);
  promise<future<int>> child_of_a;
  promise<future<int>> child_of_b;
  const auto a = pool.submit([&, theirs = child_of_b.get_future()] {
    child_of_a.set_value(pool.submit([] { return 1; }));
    return theirs.get().get();
  });
  const auto b = pool.submit([&, theirs = child_of_a.get_future()] {
    child_of_b.set_value(pool.submit([] { return 2; }));
    return theirs.get().get();
  });
  EXPECT_EQ(a.get_for(generous), 2);
  EXPECT_EQ(b.get_for(generous), 1);
}

TEST(Promise08NestedGet, OfAContinuation) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    const auto child = pool.submit([] { return 1; });
    return child.then([](int i) { return i + 1; }).then([](int i) { return i + 1; }).get();
  });
  EXPECT_EQ(f.get_for(generous), 3);
}

TEST(Promise08NestedGet, OfAPromiseThatAQueuedTaskSets) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    auto p = std::make_shared<promise<int>>();
    const auto set = p->get_future();
    pool.post([p = std::move(p)] { p->set_value(3); });
    return set.get();
  });
  EXPECT_EQ(f.get_for(generous), 3);
}

TEST(Promise08NestedGet, OfCombinedFutures) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    std::vector<future<int>> children;
    for (int i = 0; i < 3; ++i) children.push_back(pool.submit([i] { return i; }));
    int total = 0;
    const auto all = when_all(children);
    for (const auto& child : all.get()) total += child.get();
    for (future<int> child : as_completed(children)) total += child.get();
    total += static_cast<int>(wait(children).done.size());
    const auto more = pool.submit([] { return 4; });
    const auto first = when_any(std::vector{more}).get();
    return total + first.futures[first.index].get();
  });
  EXPECT_EQ(f.get_for(generous), 3 + 3 + 3 + 4);
}

TEST(Promise08NestedGet, InsideACallback) {
  promise<int> result;
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  const auto f = pool.submit([&] { g.wait(); });
  f.on_done([&](const future<void>&) { result.set_value(pool.submit([] { return 3; }).get()); });
  g.open();
  EXPECT_EQ(result.get_future().get_for(generous), 3);
}

// The callbacks of what a callback completes run after it; waiting for what they do must not wait for its own end.
TEST(Promise08NestedGet, InsideACallbackForAContinuationOfWhatItCompleted) {
  promise<void> first;
  promise<int> second;
  const auto next = second.get_future().then([](int i) { return i + 1; });
  bool finished = false;
  first.get_future().on_done([&](const future<void>&) {
    second.set_value(3);
    finished = next.wait_for(generous);
  });
  first.set_value();
  EXPECT_TRUE(finished);
  EXPECT_EQ(next.get_for(generous), 4);
}

TEST(Promise08NestedGet, WaitFirstCompletedOnOneWorker) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    std::vector<future<int>> children;
    for (int i = 0; i < 3; ++i) children.push_back(pool.submit([i] { return i; }));
    return wait(children, wait_until::first_completed).done.size();
  });
  EXPECT_GE(f.get_for(generous), 1U);
}

TEST(Promise08NestedGet, EveryWayToWait) {
  const std::vector<std::function<void(future<int>)>> ways{
      [](const future<int>& f) { f.get(); },   [](const future<int>& f) { f.get_for(for_ever); },
      [](const future<int>& f) { f.wait(); },  [](const future<int>& f) { EXPECT_TRUE(f.wait_for(for_ever)); },
      [](const future<int>& f) { f.error(); }, [](future<int> f) { f.take(); },
  };
  thread_pool pool(1);
  for (const auto& way : ways) {
    const auto f = pool.submit([&] {
      const auto child = pool.submit([] { return 3; });
      way(child);
      return child.done();
    });
    EXPECT_TRUE(f.get_for(generous));
  }
}

TEST(Promise08NestedGet, TimeOutInsideATask) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    const promise<int> never;
    EXPECT_THROW(never.get_future().get_for(std::chrono::milliseconds(1)), timeout_error);
    EXPECT_FALSE(never.get_future().wait_for(std::chrono::milliseconds(1)));
    return 3;
  });
  EXPECT_EQ(f.get_for(generous), 3);
  EXPECT_EQ(pool.submit([] { return 4; }).get_for(generous), 4);
}

// Whoever asks again and again without running the task must let somebody else run it.
TEST(Promise08NestedGet, PollingForATaskThatNobodyHasStarted) {
  for (const auto time : {std::chrono::milliseconds(0), std::chrono::milliseconds(1)}) {
    thread_pool pool(1);
    const auto f = pool.submit([&] {
      const auto child = pool.submit([] { return 3; });
      const auto end = std::chrono::steady_clock::now() + generous;
      while (!child.wait_for(time) && std::chrono::steady_clock::now() < end) {
      }
      return child.done();
    });
    EXPECT_TRUE(f.get()) << time.count() << " ms";
  }
}

TEST(Promise08NestedGet, WaitingWorkerRunsTheAwaitedTaskItself) {
  thread_pool pool(1);
  const auto same = pool.submit([&] {
    const auto me = std::this_thread::get_id();
    return pool.submit([] { return std::this_thread::get_id(); }).get() == me;
  });
  EXPECT_TRUE(same.get());
  EXPECT_EQ(pool.stats().spare_threads, 0U);
}

TEST(Promise08NestedGet, RunHereFromOutside) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  const auto f = pool.submit([] { return std::this_thread::get_id(); });
  EXPECT_TRUE(f.run_here());
  EXPECT_EQ(f.get(), std::this_thread::get_id());
  EXPECT_FALSE(f.run_here());
  const promise<int> no_task;
  EXPECT_FALSE(no_task.get_future().run_here());
}

}  // namespace
