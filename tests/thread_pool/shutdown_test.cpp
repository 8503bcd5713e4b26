// Promises 18 and 19: shutdown().
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/pool.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

constexpr shutdown_mode both_modes[] = {shutdown_mode::wait, shutdown_mode::cancel_pending};

TEST(Promise18Shutdown, SubmitAfterItThrowsAtTheCall) {
  for (const auto mode : both_modes) {
    tally t;
    thread_pool pool(2);
    pool.shutdown(mode);
    EXPECT_THROW(pool.submit([] { return 1; }), shutdown_error);
    EXPECT_THROW(pool.post([] {}), shutdown_error);
    EXPECT_THROW(pool.submit([c = counted(t)](const counted&) {}, counted(t)), shutdown_error);
    EXPECT_EQ(t.alive, 0) << "what was refused is let go";
  }
}

TEST(Promise18Shutdown, TwiceIsHarmless) {
  for (const auto first : both_modes) {
    for (const auto second : both_modes) {
      thread_pool pool(2);
      const auto f = pool.submit([] { return 1; });
      f.wait();
      pool.shutdown(first);
      EXPECT_NO_THROW(pool.shutdown(second));
      EXPECT_EQ(f.get(), 1);
    }
  }
}

TEST(Promise18Shutdown, FromManyThreadsAtOnceReturnsWhenAllIsDone) {
  constexpr int stoppers = 4;
  constexpr int tasks = 100;
  thread_pool pool(2);
  std::atomic<int> ran{0};
  for (int i = 0; i < tasks; ++i) pool.post([&] { ++ran; });
  std::vector<std::jthread> threads;
  for (int i = 0; i < stoppers; ++i) {
    threads.emplace_back([&] {
      pool.shutdown();
      EXPECT_EQ(ran, tasks);
    });
  }
}

TEST(Promise18Shutdown, FromInsideATaskDoesNotDeadlock) {
  for (const auto mode : both_modes) {
    for (const unsigned workers : {1U, 3U}) {
      thread_pool pool(workers);
      const auto f = pool.submit([&] {
        pool.shutdown(mode);
        return 3;
      });
      EXPECT_EQ(f.get_for(generous), 3);
      EXPECT_TRUE(refuses(pool));
      pool.shutdown();
    }
  }
}

TEST(Promise18Shutdown, FromInsideACallbackDoesNotDeadlock) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  std::atomic<bool> returned{false};
  pool.submit([&] { g.wait(); }).on_done([&](const future<void>&) {
    pool.shutdown();
    returned = true;
  });
  g.open();
  EXPECT_TRUE(eventually([&] { return returned.load(); }));
}

TEST(Promise18Shutdown, OfAnIdlePoolAndRightAfterTheStart) {
  for (const auto mode : both_modes) {
    thread_pool pool(3);
    pool.shutdown(mode);
  }
}

TEST(Promise19Wait, EveryAcceptedTaskHasRunAndItsCallbacksToo) {
  const int tasks = scaled(5'000);
  for (const unsigned workers : {1U, 4U}) {
    std::atomic<int> ran{0};
    std::atomic<int> called{0};
    thread_pool pool(workers);
    std::vector<future<void>> futures;
    for (int i = 0; i < tasks; ++i) {
      futures.push_back(pool.submit([&] { ++ran; }));
      futures.back().on_done([&](const future<void>&) { ++called; });
      pool.post([&] { ++ran; });
    }
    pool.shutdown();
    EXPECT_EQ(ran, 2 * tasks);
    EXPECT_EQ(called, tasks);
    for (const auto& f : futures) EXPECT_NO_THROW(f.get_for(0s));
  }
}

TEST(Promise19Wait, WaitsForASlowCallback) {
  gate g;
  std::atomic<bool> over{false};
  std::atomic<bool> returned{false};
  thread_pool pool(2);
  std::jthread stopper;
  const gate_opener opener(g);
  gate start;
  pool.submit([&] { start.wait(); }).on_done([&](const future<void>&) {
    g.wait();
    over = true;
  });
  start.open();
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  stopper = std::jthread([&] {
    pool.shutdown();
    EXPECT_TRUE(over);
    returned = true;
  });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  EXPECT_FALSE(returned);
}

TEST(Promise19Wait, WaitsForATaskThatIsBlockedInAWait) {
  thread_pool pool(1);
  auto outside = std::make_unique<promise<int>>();
  const auto f = pool.submit([result = outside->get_future()] { return result.get(); });
  ASSERT_TRUE(eventually([&] { return f.running(); }));
  std::jthread stopper([&] {
    pool.shutdown();
    EXPECT_TRUE(f.done());
  });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  outside->set_value(3);
  EXPECT_EQ(f.get_for(generous), 3);
}

TEST(Promise19CancelPending, WhatHasNotStartedIsCancelledWhatRunsFinishes) {
  constexpr int queued_tasks = 100;
  gate g;
  thread_pool pool(1);
  std::jthread stopper;
  const gate_opener opener(g);
  std::atomic<int> ran{0};
  std::atomic<int> called{0};
  tally t;
  const auto running = pool.submit([&] {
    g.wait();
    return 5;
  });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  std::vector<future<void>> queued;
  for (int i = 0; i < queued_tasks; ++i) {
    queued.push_back(pool.submit([&, c = counted(t)] { ++ran; }));
    queued.back().on_done([&](const future<void>& f) { called += f.cancelled() ? 1 : 0; });
    pool.post([&, c = counted(t)] { ++ran; });
  }
  stopper = std::jthread([&] { pool.shutdown(shutdown_mode::cancel_pending); });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  EXPECT_FALSE(running.done());
  g.open();
  stopper.join();
  EXPECT_EQ(running.get_for(0s), 5);
  for (const auto& f : queued) EXPECT_TRUE(f.cancelled());
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(called, queued_tasks) << "the callbacks of cancelled tasks have run too";
  EXPECT_EQ(t.alive, 0) << "posted tasks are let go as well";
}

TEST(Promise19CancelPending, TaskThatWaitsForAnUnstartedOneSeesItCancelledAndDoesNotRunIt) {
  gate g;
  thread_pool pool(1);
  std::jthread stopper;
  const gate_opener opener(g);
  std::atomic<int> ran{0};
  const auto parent = pool.submit([&] {
    const auto before = pool.submit([&] { ++ran; });
    g.wait();
    const auto after = pool.submit([&] { ++ran; });
    EXPECT_THROW(before.get(), cancelled_error);
    EXPECT_THROW(after.get(), cancelled_error);
    EXPECT_THROW(pool.submit([&] { ++ran; }).get(), cancelled_error);
  });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  stopper = std::jthread([&] { pool.shutdown(shutdown_mode::cancel_pending); });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  g.open();
  EXPECT_NO_THROW(parent.get_for(generous));
  EXPECT_EQ(ran, 0);
}

TEST(Promise19CancelPending, EachFutureEndsInExactlyOneState) {
  const int rounds = scaled(200);
  constexpr int tasks = 50;
  for (int round = 0; round < rounds; ++round) {
    thread_pool pool(2);
    std::atomic<int> ran{0};
    std::vector<future<void>> futures;
    std::vector<std::atomic<int>> calls(tasks);
    for (int i = 0; i < tasks; ++i) {
      futures.push_back(pool.submit([&] { ++ran; }));
      futures.back().on_done([&calls, i](const future<void>&) { ++calls[static_cast<std::size_t>(i)]; });
    }
    pool.shutdown(shutdown_mode::cancel_pending);
    int values = 0;
    int cancelled = 0;
    for (const auto& f : futures) {
      ASSERT_TRUE(f.done());
      (f.cancelled() ? cancelled : values) += 1;
      if (!f.cancelled()) {
        ASSERT_NO_THROW(f.get_for(0s));
      }
    }
    ASSERT_EQ(values, ran);
    ASSERT_EQ(values + cancelled, tasks);
    for (const auto& c : calls) ASSERT_EQ(c, 1);
  }
}

TEST(Promise19CancelPending, WhileAnotherShutdownWaitsLosesNothing) {
  gate g;
  thread_pool pool(1);
  std::jthread waiter;
  std::jthread canceller;
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  std::atomic<int> ran{0};
  const auto queued = pool.submit([&] { ++ran; });
  waiter = std::jthread([&] { pool.shutdown(); });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  canceller = std::jthread([&] { pool.shutdown(shutdown_mode::cancel_pending); });
  g.open();
  waiter.join();
  canceller.join();
  ASSERT_TRUE(queued.done()) << "run or cancelled, whichever came first";
  EXPECT_EQ(ran, queued.cancelled() ? 0 : 1);
}

}  // namespace
