// Promise 8: what a worker that blocks does with its core, and what never runs on its stack.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise08HandOff, BlockedWorkersCoreGoesOnWithOtherTasks) {
  thread_pool pool(1);
  promise<int> outside;
  const auto blocked = pool.submit([f = outside.get_future()] { return f.get(); });
  ASSERT_TRUE(eventually([&] { return blocked.running(); }));
  EXPECT_EQ(pool.submit([] { return 3; }).get_for(generous), 3) << "the only worker waits, its seat does not";
  EXPECT_EQ(pool.stats().spare_threads, 1U);
  EXPECT_FALSE(blocked.done());
  outside.set_value(4);
  EXPECT_EQ(blocked.get_for(generous), 4);
}

TEST(Promise08HandOff, ManyBlockedTasksDoNotStopThePool) {
  constexpr int blocked_tasks = scaled(1000);
  std::atomic<int> started{0};
  thread_pool pool(2);
  promise<int> outside;
  std::vector<future<int>> blocked;
  for (int i = 0; i < blocked_tasks; ++i) {
    blocked.push_back(pool.submit([&started, f = outside.get_future()] {
      ++started;
      return f.get();
    }));
  }
  ASSERT_TRUE(eventually([&] { return started == blocked_tasks; })) << "all of them start though each blocks a thread";
  EXPECT_EQ(pool.submit([] { return 3; }).get_for(generous), 3);
  outside.set_value(4);
  for (const auto& f : blocked) EXPECT_EQ(f.get_for(generous), 4);
}

TEST(Promise08HandOff, SpareThreadsAreReusedAndDoNotAddUp) {
  thread_pool pool(1);
  constexpr int rounds = 100;
  for (int i = 0; i < rounds; ++i) {
    promise<int> outside;
    std::atomic<pid_t> thread{0};
    const auto blocked = pool.submit([&thread, f = outside.get_future()] {
      thread = gettid();
      return f.get();
    });
    ASSERT_TRUE(eventually([&] { return blocked.running(); }));
    ASSERT_EQ(pool.submit([] { return 3; }).get_for(generous), 3);
    outside.set_value(4);
    ASSERT_EQ(blocked.get_for(generous), 4);
    ASSERT_TRUE(eventually([&] { return is_asleep(thread); })) << "it can be had again";
  }
  EXPECT_LE(pool.stats().spare_threads, 3U) << "one blocks at a time, so a few threads serve all rounds";
}

TEST(Promise08HandOff, NoMoreTasksRunAtOnceThanThereAreWorkers) {
  constexpr int tasks = 30;
  constexpr int workers = 2;
  thread_pool pool(workers);
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  const auto run = [&] {
    const int now = ++running;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    --running;
  };
  promise<int> outside;
  std::vector<future<void>> blocked;
  for (int i = 0; i < tasks; ++i) blocked.push_back(pool.submit([f = outside.get_future()] { f.get(); }));
  std::vector<future<void>> others;
  for (int i = 0; i < scaled(10'000); ++i) others.push_back(pool.submit(run));
  for (const auto& f : others) ASSERT_TRUE(f.wait_for(generous));
  outside.set_value(1);
  for (const auto& f : blocked) ASSERT_TRUE(f.wait_for(generous));
  EXPECT_LE(most, workers);
}

thread_local bool blocked_here = false;

TEST(Promise08HandOff, NoUnrelatedTaskRunsOnABlockedStack) {
  constexpr int waiters = 16;
  const int unrelated = scaled(20'000);
  thread_pool pool(2);
  std::atomic<int> intruders{0};
  std::atomic<int> ran{0};
  promise<int> outside;
  std::vector<future<void>> all;
  for (int i = 0; i < waiters; ++i) {
    all.push_back(pool.submit([f = outside.get_future()] {
      blocked_here = true;
      f.get();
      blocked_here = false;
    }));
  }
  for (int i = 0; i < unrelated; ++i) {
    all.push_back(pool.submit([&] {
      ++ran;
      if (blocked_here) ++intruders;
    }));
  }
  ASSERT_TRUE(eventually([&] { return ran == unrelated; }));
  outside.set_value(1);
  for (const auto& f : all) ASSERT_TRUE(f.wait_for(generous));
  EXPECT_EQ(intruders, 0);
}

TEST(Promise08HandOff, AClaimedTaskIsTheOnlyOneThatRunsOnTheWaitersStack) {
  const int rounds = scaled(2'000);
  thread_pool pool(2);
  std::atomic<int> intruders{0};
  const auto noise = [&] {
    if (blocked_here) ++intruders;
  };
  std::vector<future<void>> all;
  for (int i = 0; i < rounds; ++i) {
    all.push_back(pool.submit([&] {
      const auto before = pool.submit(noise);
      const auto child = pool.submit([] { blocked_here = false; });  // the awaited task may run here
      const auto after = pool.submit(noise);
      blocked_here = true;
      child.get();
      blocked_here = false;
    }));
  }
  for (const auto& f : all) ASSERT_TRUE(f.wait_for(generous));
  pool.shutdown();
  EXPECT_EQ(intruders, 0);
}

TEST(Promise08Blocking, OtherTasksGoOn) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  const auto blocked = pool.submit([&] {
    return blocking([&] {
      g.wait();
      return 4;
    });
  });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  EXPECT_EQ(pool.submit([] { return 3; }).get_for(generous), 3);
  EXPECT_FALSE(blocked.done());
  g.open();
  EXPECT_EQ(blocked.get_for(generous), 4);
}

TEST(Promise08Blocking, PassesReferencesAndErrorsThrough) {
  int target = 0;
  EXPECT_EQ(&blocking([&]() -> int& { return target; }), &target) << "outside of a task it just calls";
  EXPECT_THROW(blocking([] { throw std::domain_error("no"); }), std::domain_error);
  thread_pool pool(1);
  EXPECT_THROW(pool.submit([] { blocking([] { throw std::domain_error("no"); }); }).get(), std::domain_error);
  EXPECT_EQ(pool.submit([] { return 1; }).get_for(generous), 1);
}

TEST(Promise08Blocking, MayBeNestedAndMayWait) {
  thread_pool pool(1);
  const auto f = pool.submit(
      [&] { return blocking([&] { return blocking([&] { return pool.submit([] { return 3; }).get(); }) + 1; }); });
  EXPECT_EQ(f.get_for(generous), 4);
  const auto twice = pool.submit([&] { return blocking([] { return 1; }) + blocking([] { return 2; }); });
  EXPECT_EQ(twice.get_for(generous), 3);
}

TEST(Promise08Blocking, TaskMaySubmitAfterIt) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    blocking([] {});
    return pool.submit([] { return 3; }).get();
  });
  EXPECT_EQ(f.get_for(generous), 3);
}

}  // namespace
