// Promises 18 to 21: how a pool ends.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "remuda/combine.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

constexpr shutdown_mode both_modes[] = {shutdown_mode::wait, shutdown_mode::cancel_pending};

/// True once the pool refuses what comes from outside.
bool refuses(thread_pool& pool) {
  try {
    pool.post([] {});
    return false;
  } catch (const shutdown_error&) {
    return true;
  }
}

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

TEST(Promise20Destructor, IsShutdownWait) {
  const int tasks = scaled(5'000);
  std::atomic<int> ran{0};
  std::atomic<int> called{0};
  {
    thread_pool pool(2);
    for (int i = 0; i < tasks; ++i) {
      pool.submit([&] { ++ran; }).on_done([&](const future<void>&) { ++called; });
    }
  }
  EXPECT_EQ(ran, tasks);
  EXPECT_EQ(called, tasks);
}

TEST(Promise20Destructor, FuturesOutliveThePool) {
  future<std::string> f;
  {
    thread_pool pool(1);
    f = pool.submit([] { return std::string("value"); });
  }
  EXPECT_EQ(f.get_for(0s), "value");
  int calls = 0;
  f.on_done([&](const future<std::string>&) { ++calls; });
  EXPECT_EQ(f.then([](const std::string& s) { return s.size(); }).get_for(0s), 5U);
  EXPECT_EQ(calls, 1);
}

TEST(Promise20Destructor, FromInsideOneOfItsOwnTasks) {
  constexpr int tasks = 100;
  const auto before = thread_ids();
  std::atomic<int> ran{0};
  gate g;
  auto pool = std::make_unique<thread_pool>(2);
  const gate_opener opener(g);
  std::vector<future<void>> futures;
  const auto last_wish = pool->submit([&] {
    g.wait();
    pool.reset();
  });
  for (int i = 0; i < tasks; ++i) futures.push_back(pool->submit([&] { ++ran; }));
  g.open();
  EXPECT_TRUE(last_wish.wait_for(generous));
  for (const auto& f : futures) EXPECT_TRUE(f.wait_for(generous));
  EXPECT_EQ(ran, tasks) << "all accepted work is done";
  EXPECT_TRUE(eventually([&] { return thread_ids() == before; })) << "and the workers end by themselves";
}

TEST(Promise20Destructor, ByTheLastOwnerThatIsATask) {
  const auto before = thread_ids();
  std::weak_ptr<thread_pool> watch;
  {
    gate g;
    auto pool = std::make_shared<thread_pool>(2);
    watch = pool;
    auto* raw = pool.get();
    raw->post([&g, mine = std::move(pool)] { g.wait(); });
    g.open();
    EXPECT_TRUE(eventually([&] { return watch.expired(); }));
  }
  EXPECT_TRUE(eventually([&] { return thread_ids() == before; }));
}

TEST(Promise20Destructor, FromInsideACallback) {
  const auto before = thread_ids();
  gate g;
  auto pool = std::make_unique<thread_pool>(1);
  const gate_opener opener(g);
  std::atomic<bool> returned{false};
  pool->submit([&] { g.wait(); }).on_done([&](const future<void>&) {
    pool.reset();
    returned = true;
  });
  g.open();
  EXPECT_TRUE(eventually([&] { return returned.load(); }));
  EXPECT_TRUE(eventually([&] { return thread_ids() == before; }));
}

TEST(Promise20Static, PoolEndsCleanlyAtExitAndRunsWhatItAccepted) {
  constexpr int tasks = 100;
  // shared with the child, which is gone when it is read
  void* memory = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* ran = new (memory) std::atomic<int>(0);
  const auto result = in_child([&]() -> std::string {
    static thread_pool pool(2);
    for (int i = 0; i < tasks; ++i) {
      pool.post([ran] {
        std::this_thread::yield();
        ++*ran;
      });
    }
    std::exit(0);
  });
  EXPECT_TRUE(well(result)) << result;
  EXPECT_EQ(*ran, tasks);
  munmap(memory, sizeof(std::atomic<int>));
}

TEST(Promise20Late, RunningTaskMayStillSubmitWhileShutdownWaits) {
  gate g;
  thread_pool pool(2);
  std::jthread stopper;
  const gate_opener opener(g);
  const auto f = pool.submit([&] {
    g.wait();
    const auto waited_for = pool.submit([] { return 3; });
    pool.post([] {});
    return waited_for.get();
  });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  stopper = std::jthread([&] { pool.shutdown(); });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  g.open();
  EXPECT_EQ(f.get_for(generous), 3);
}

/// Each node submits its two children and does not wait for them.
void grow(thread_pool& pool, int depth, std::atomic<int>& nodes) {
  ++nodes;
  if (depth == 0) return;
  pool.post([&pool, depth, &nodes] { grow(pool, depth - 1, nodes); });
  pool.post([&pool, depth, &nodes] { grow(pool, depth - 1, nodes); });
}

TEST(Promise20Late, RecursionThatIsUnderWayIsCarriedToItsEnd) {
  constexpr int depth = 12;
  gate g;
  thread_pool pool(2);
  std::jthread stopper;
  const gate_opener opener(g);
  std::atomic<int> nodes{0};
  pool.post([&] {
    g.wait();
    grow(pool, depth, nodes);
  });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  stopper = std::jthread([&] { pool.shutdown(); });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  g.open();
  stopper.join();
  EXPECT_EQ(nodes, (1 << (depth + 1)) - 1);
}

TEST(Promise20Late, OutsideThreadsMayNotSubmitMeanwhile) {
  gate g;
  thread_pool pool(1);
  std::jthread stopper;
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  stopper = std::jthread([&] { pool.shutdown(); });
  EXPECT_TRUE(eventually([&] { return refuses(pool); }));
  EXPECT_THROW(pool.submit([] {}), shutdown_error);
}

TEST(Promise21After, NoThreadAndNoDescriptorIsLeft) {
  { const thread_pool warm_up(1); }  // what the process opens once, for ever
  const auto threads = thread_ids();
  const auto files = descriptors();
  for (const auto mode : both_modes) {
    thread_pool pool(4);
    std::vector<promise<int>> outside(10);
    std::vector<future<int>> blocked;
    for (const auto& p : outside) blocked.push_back(pool.submit([f = p.get_future()] { return f.get(); }));
    ASSERT_TRUE(eventually([&] { return pool.submit([] {}).wait_for(0s) || pool.stats().spare_threads > 0; }));
    for (auto& p : outside) p.set_value(1);
    for (const auto& f : blocked) ASSERT_EQ(f.get_for(generous), 1);
    pool.shutdown(mode);
    EXPECT_TRUE(eventually([&] { return thread_ids() == threads; })) << "spare threads included";
    EXPECT_EQ(descriptors(), files);
  }
}

TEST(Promise21After, NoThreadIsLeftOfManyPools) {
  const auto threads = thread_ids();
  const int rounds = scaled(100);
  for (int i = 0; i < rounds; ++i) {
    thread_pool pool(3);
    pool.post([] {});
  }
  EXPECT_TRUE(eventually([&] { return thread_ids() == threads; }));
}

}  // namespace
