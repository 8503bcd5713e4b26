// Promises 20 and 21: what the destructor does, what goes on while a pool ends, and what is left.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/pool.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

constexpr shutdown_mode both_modes[] = {shutdown_mode::wait, shutdown_mode::cancel_pending};

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

TEST(Promise20Late, TaskThatHasBlockedMayStillSubmitWhileShutdownWaits) {
  std::atomic<int> posted{0};
  promise<void> outside;
  thread_pool pool(1);
  std::jthread stopper;
  const auto f = pool.submit([&, waits_for = outside.get_future()] {
    waits_for.get();  // from here on it runs beside the worker that has taken its place
    pool.post([&] { ++posted; });
    return pool.submit([] { return 3; }).get();
  });
  ASSERT_TRUE(eventually([&] { return pool.stats().spare_threads == 1; }));
  stopper = std::jthread([&] { pool.shutdown(); });
  EXPECT_TRUE(eventually([&] { return refuses(pool); }));
  outside.set_value();
  EXPECT_EQ(f.get_for(generous), 3);
  stopper.join();
  EXPECT_EQ(posted, 1) << "the pool does not end before the task does";
}

TEST(Promise20Late, TaskThatAnotherThreadRunsMayStillSubmitWhileShutdownWaits) {
  gate worker;
  gate g;
  thread_pool pool(1);
  std::jthread runner;
  std::jthread stopper;
  const gate_opener opener(g);
  const gate_opener worker_opener(worker);
  pool.post([&] { worker.wait(); });
  ASSERT_TRUE(eventually([&] { return worker.arrived() == 1; }));
  const auto f = pool.submit([&] {
    g.wait();
    return pool.submit([] { return 3; });
  });
  runner = std::jthread([f] { EXPECT_TRUE(f.run_here()); });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  stopper = std::jthread([&] { pool.shutdown(); });
  EXPECT_TRUE(eventually([&] { return refuses(pool); }));
  worker.open();
  g.open();
  EXPECT_EQ(f.get_for(generous).get_for(generous), 3);
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
