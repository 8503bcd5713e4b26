// Promise 17: bounded mode.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

constexpr std::size_t room = 3;

thread_pool_options bounded(when_full full, unsigned workers = 1) {
  thread_pool_options options;
  options.workers = workers;
  options.max_pending = room;
  options.full = full;
  return options;
}

/// Keeps the only worker busy at the gate and queues as many tasks as fit.
std::vector<future<int>> fill_up(thread_pool& pool, gate& g) {
  pool.post([&g] { g.wait(); });
  EXPECT_TRUE(eventually([&] { return g.arrived() == 1; }));
  std::vector<future<int>> queued;
  for (int i = 0; i < static_cast<int>(room); ++i) queued.push_back(pool.submit([i] { return i; }));
  return queued;
}

void expect_all_ran(const std::vector<future<int>>& futures) {
  for (std::size_t i = 0; i < futures.size(); ++i) EXPECT_EQ(futures[i].get_for(generous), static_cast<int>(i));
}

TEST(Promise17Bounded, FailThrowsAndLosesNothing) {
  gate g;
  tally t;
  thread_pool pool(bounded(when_full::fail));
  const gate_opener opener(g);
  const auto queued = fill_up(pool, g);
  EXPECT_THROW(pool.submit([] {}), pool_full_error);
  EXPECT_THROW(pool.post([c = counted(t)] {}), pool_full_error);
  EXPECT_EQ(t.alive, 0) << "what was refused is let go";
  g.open();
  expect_all_ran(queued);
  EXPECT_TRUE(eventually([&] {
    try {
      return pool.submit([] { return 7; }).get_for(generous) == 7;
    } catch (const pool_full_error&) {
      return false;
    }
  })) << "there is room again";
}

TEST(Promise17Bounded, FailHoldsFromInsideATaskToo) {
  thread_pool pool(bounded(when_full::fail));
  const auto refused_after = pool.submit([&] {
    std::size_t accepted = 0;
    try {
      while (accepted <= room) {
        pool.post([] {});
        ++accepted;
      }
    } catch (const pool_full_error&) {
    }
    return accepted;
  });
  EXPECT_EQ(refused_after.get_for(generous), room);
}

TEST(Promise17Bounded, CallerRunsRunsAtOnceOnTheSubmittingThread) {
  gate g;
  thread_pool pool(bounded(when_full::caller_runs));
  const gate_opener opener(g);
  const auto queued = fill_up(pool, g);
  const auto here = pool.submit([] { return std::this_thread::get_id(); });
  EXPECT_TRUE(here.done());
  EXPECT_EQ(here.get(), std::this_thread::get_id());
  int posted = 0;
  pool.post([&] { ++posted; });
  EXPECT_EQ(posted, 1);
  const auto error = pool.submit([] { throw 17; });
  EXPECT_THROW(error.get(), int) << "an error goes to the future, not to the caller of submit";
  g.open();
  expect_all_ran(queued);
}

TEST(Promise17Bounded, BlockWaitsForRoom) {
  gate g;
  thread_pool pool(bounded(when_full::block));
  std::atomic<pid_t> id{0};
  std::optional<future<std::thread::id>> late;
  std::atomic<bool> accepted{false};
  std::jthread submitter;
  const gate_opener opener(g);
  const auto queued = fill_up(pool, g);
  submitter = std::jthread([&] {
    id = gettid();
    late = pool.submit([] { return std::this_thread::get_id(); });
    accepted = true;
  });
  const auto submitter_id = submitter.get_id();
  ASSERT_TRUE(eventually([&] { return id != 0 && is_asleep(id); }));
  EXPECT_FALSE(accepted);
  g.open();
  submitter.join();
  ASSERT_TRUE(accepted);
  EXPECT_NE(late->get_for(generous), submitter_id) << "it waited; it did not run the task itself";
  expect_all_ran(queued);
}

TEST(Promise17Bounded, BlockInsideATaskRunsTheNewOneAtOnce) {
  constexpr int tasks = 10 * static_cast<int>(room);
  thread_pool pool(bounded(when_full::block));
  std::atomic<int> ran{0};
  const auto f = pool.submit([&] {
    for (int i = 0; i < tasks; ++i) pool.post([&] { ++ran; });
    return ran.load();
  });
  EXPECT_EQ(f.get_for(generous), tasks - static_cast<int>(room)) << "all but those that fitted ran in the caller";
  pool.shutdown();
  EXPECT_EQ(ran, tasks);
}

/// A task that posts its successor, until enough have run or the pool refuses.
void post_successor(thread_pool& pool, int left, std::atomic<int>& ran, std::atomic<int>& refused) {
  ++ran;
  if (left == 0) return;
  try {
    pool.post([&pool, left, &ran, &refused] { post_successor(pool, left - 1, ran, refused); });
  } catch (const pool_full_error&) {
    ++refused;
  }
}

// Each successor runs on top of its predecessor only while there is stack: there are far more than one stack holds.
TEST(Promise17Bounded, TaskThatPostsItselfInAFullPoolComesToAnEnd) {
  const int successors = scaled(300'000);
  for (const auto full : {when_full::block, when_full::caller_runs, when_full::fail}) {
    std::atomic<int> ran{0};
    std::atomic<int> refused{0};
    {
      gate g;
      thread_pool pool(bounded(full));
      const gate_opener opener(g);
      pool.post([&] {
        g.wait();
        post_successor(pool, successors, ran, refused);
      });
      ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
      for (std::size_t i = 0; i < room; ++i) pool.post([] {});
      g.open();
    }
    EXPECT_EQ(refused, full == when_full::fail ? 1 : 0);
    EXPECT_EQ(ran, full == when_full::fail ? 1 : successors + 1);
  }
}

TEST(Promise17Bounded, TaskOfACallerThatPostsItselfInAFullPoolComesToAnEnd) {
  const int successors = scaled(300'000);
  std::atomic<int> ran{0};
  std::atomic<int> refused{0};
  {
    gate g;
    thread_pool pool(bounded(when_full::caller_runs));
    const gate_opener opener(g);
    const auto queued = fill_up(pool, g);
    pool.post([&] { post_successor(pool, successors, ran, refused); });
    EXPECT_GT(ran, 1) << "here, though not all of them";
    EXPECT_LT(ran, successors);
  }
  EXPECT_EQ(ran, successors + 1);
  EXPECT_EQ(refused, 0);
}

TEST(Promise17Bounded, BlockedSubmittersEndWhenThePoolDoes) {
  constexpr int submitters = 4;
  gate g;
  thread_pool pool(bounded(when_full::block));
  std::vector<std::atomic<pid_t>> ids(submitters);
  std::atomic<int> accepted{0};
  std::atomic<int> refused{0};
  std::atomic<int> ran{0};
  std::vector<std::jthread> threads;
  const gate_opener opener(g);
  const auto queued = fill_up(pool, g);
  for (auto& id : ids) {
    threads.emplace_back([&] {
      id = gettid();
      try {
        pool.post([&] { ++ran; });
        ++accepted;
      } catch (const shutdown_error&) {
        ++refused;
      }
    });
  }
  for (const auto& id : ids) ASSERT_TRUE(eventually([&] { return id != 0 && is_asleep(id); }));
  std::jthread stopper([&] { pool.shutdown(); });
  g.open();
  threads.clear();
  stopper.join();
  EXPECT_EQ(accepted + refused, submitters);
  EXPECT_EQ(ran, accepted) << "what was accepted has run, what was refused has not";
  expect_all_ran(queued);
}

TEST(Promise18Bounded, FullPoolThatShutsDownSaysSo) {
  for (const auto full : {when_full::block, when_full::caller_runs, when_full::fail}) {
    gate g;
    thread_pool pool(bounded(full));
    std::jthread stopper;
    const gate_opener opener(g);
    const auto queued = fill_up(pool, g);
    stopper = std::jthread([&] { pool.shutdown(); });
    const auto says_shutdown = [&] {
      try {
        pool.post([] {});
        return false;
      } catch (const pool_full_error&) {
        return false;
      } catch (const shutdown_error&) {
        return true;
      }
    };
    // well before the gate opens by itself
    EXPECT_TRUE(eventually(says_shutdown, generous / 4)) << "though it has no room either";
  }
}

TEST(Promise17Bounded, NothingIsLostUnderPressure) {
  constexpr int submitters = 4;
  const int each = scaled(5'000);
  for (const auto full : {when_full::block, when_full::caller_runs, when_full::fail}) {
    std::atomic<int> ran{0};
    std::atomic<int> refused{0};
    thread_pool pool(bounded(full, 2));
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < submitters; ++i) {
        threads.emplace_back([&] {
          for (int k = 0; k < each; ++k) {
            try {
              pool.post([&] { ++ran; });
            } catch (const pool_full_error&) {
              ++refused;
            }
          }
        });
      }
    }
    pool.shutdown();
    EXPECT_EQ(ran + refused, submitters * each);
    if (full != when_full::fail) {
      EXPECT_EQ(refused, 0);
    }
  }
}

TEST(Promise17Bounded, NeverMorePendingThanTheBound) {
  gate g;
  thread_pool pool(bounded(when_full::fail));
  const gate_opener opener(g);
  fill_up(pool, g);
  EXPECT_EQ(pool.stats().pending, room);
}

}  // namespace
