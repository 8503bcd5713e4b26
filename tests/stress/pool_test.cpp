// Races in the life of a pool: nothing is lost, nothing happens twice, nothing hangs.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
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

constexpr int submitters = 3;

/// What submitters saw while another thread shut the pool down.
struct outcome {
  std::atomic<int> ran{0};
  std::atomic<int> posted{0};
  std::atomic<int> posts_ran{0};
  std::atomic<int> values{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> refused{0};
  tally closures;
};

void submit_until_refused(thread_pool& pool, outcome& out) {
  std::vector<future<void>> futures;
  for (bool open = true; open;) {
    try {
      futures.push_back(pool.submit([&out, c = counted(out.closures)] { ++out.ran; }));
      pool.post([&out, c = counted(out.closures)] { ++out.posts_ran; });
      ++out.posted;
    } catch (const shutdown_error&) {
      ++out.refused;
      open = false;
    }
  }
  for (const auto& f : futures) {
    ASSERT_TRUE(f.wait_for(generous)) << "an accepted future never ended";
    ++(f.cancelled() ? out.cancelled : out.values);
  }
}

TEST(Stress19Shutdown, AgainstSubmittersEveryAcceptedFutureEnds) {
  const int rounds = scaled(300);
  for (int round = 0; round < rounds; ++round) {
    const auto mode = round % 2 == 0 ? shutdown_mode::wait : shutdown_mode::cancel_pending;
    outcome out;
    thread_pool pool(2);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < submitters; ++i) threads.emplace_back([&] { submit_until_refused(pool, out); });
      while (out.posted < round % 50) std::this_thread::yield();
      pool.shutdown(mode);
    }
    ASSERT_EQ(out.refused, submitters);
    ASSERT_EQ(out.ran, out.values);
    if (mode == shutdown_mode::wait) {
      ASSERT_EQ(out.cancelled, 0);
      ASSERT_EQ(out.posts_ran, out.posted) << "a posted task was lost";
    } else {
      ASSERT_LE(out.posts_ran, out.posted);
    }
    ASSERT_EQ(out.closures.alive, 0);
  }
}

std::atomic<bool> hold_submitters{false};
std::atomic<int> held_submitters{0};

/// Keeps the thread where it is, until the shutdown has come; but not for ever, as it may hold what a shutdown needs.
void stand_still(int) {
  const int error = errno;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = [](const timespec& t) { return t.tv_sec * 1'000'000 + t.tv_nsec / 1000; };
  constexpr long most = 5'000;
  const long end = microseconds(now) + most;
  ++held_submitters;
  while (hold_submitters && microseconds(now) < end) {
    sched_yield();
    clock_gettime(CLOCK_MONOTONIC, &now);
  }
  errno = error;
}

/// A closure of more than the slab has room for: another thread's task may get its address as soon as it has run.
struct large {
  char bytes[2000];
};

// Submitters that stand between the look at the pool and the push, or between the push and the look after it.
TEST(Stress19Shutdown, AgainstSubmittersThatAreHeldWhereverTheyAre) {
  const int rounds = scaled(300);
  struct sigaction hold {};
  struct sigaction old {};
  hold.sa_handler = &stand_still;
  hold.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &hold, &old), 0);
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    std::atomic<int> accepted{0};
    std::atomic<int> ran{0};
    std::atomic<int> refused{0};
    thread_pool_options options;
    options.workers = 1;
    options.policy = wait_policy::busy_poll;  // no wake-ups, so that most of a submitter's time goes into the push
    thread_pool pool(options);
    std::vector<std::jthread> threads;
    for (int i = 0; i < submitters; ++i) {
      threads.emplace_back([&] {
        constexpr int most_behind = 10'000;  // the only worker may have lost its core
        for (bool open = true; open;) {
          while (accepted - ran > most_behind) std::this_thread::yield();
          try {
            pool.post([&ran, l = large{}] { ran += l.bytes[0] == 0 ? 1 : 0; });
            ++accepted;
          } catch (const shutdown_error&) {
            ++refused;
            open = false;
          }
        }
      });
    }
    while (accepted < round % 50) std::this_thread::yield();
    hold_submitters = true;
    held_submitters = 0;
    for (auto& t : threads) pthread_kill(t.native_handle(), SIGUSR1);
    EXPECT_TRUE(eventually([] { return held_submitters == submitters; }));
    pool.shutdown();
    hold_submitters = false;
    threads.clear();
    EXPECT_EQ(ran, accepted) << "what was accepted has run, and nothing else, round " << round;
    EXPECT_EQ(refused, submitters);
  }
  sigaction(SIGUSR1, &old, nullptr);
}

TEST(Stress19Shutdown, AgainstOtherShutdowns) {
  const int rounds = scaled(300);
  for (int round = 0; round < rounds; ++round) {
    outcome out;
    thread_pool pool(2);
    std::vector<std::jthread> threads;
    for (int i = 0; i < submitters; ++i) {
      threads.emplace_back([&] { submit_until_refused(pool, out); });
      threads.emplace_back([&, i] {
        while (out.posted < round % 20) std::this_thread::yield();
        pool.shutdown(i == 0 ? shutdown_mode::cancel_pending : shutdown_mode::wait);
      });
    }
    threads.clear();
    ASSERT_EQ(out.ran, out.values);
    ASSERT_EQ(out.closures.alive, 0);
  }
}

/// Spawns a tree of tasks of which the inner ones wait for one child and leave the other alone.
int spawn(thread_pool& pool, int depth, std::atomic<int>& ran) {
  ++ran;
  if (depth == 0) return 1;
  pool.post([&pool, depth, &ran] { spawn(pool, depth - 1, ran); });
  return pool.submit([&pool, depth, &ran] { return spawn(pool, depth - 1, ran); }).get() + 1;
}

TEST(Stress20Shutdown, AgainstTreesThatAreGrowing) {
  constexpr int depth = 8;
  const int rounds = scaled(100);
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> ran{0};
    future<int> f;
    {
      thread_pool pool(static_cast<unsigned>(1 + round % 3));
      f = pool.submit([&] { return spawn(pool, depth, ran); });
    }
    ASSERT_EQ(f.get_for(generous), depth + 1);
    ASSERT_EQ(ran, (1 << (depth + 1)) - 1);
  }
}

TEST(Stress14Submit, ProducersAndNestedSpawnsAreCountedExactly) {
  constexpr int producers = 4;
  constexpr int children = 3;
  const int each = scaled(20'000);
  std::atomic<int> ran{0};
  std::atomic<int> called{0};
  thread_pool pool(3);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < producers; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < each; ++k) {
          pool.submit([&] {
                for (int c = 0; c < children; ++c) pool.post([&] { ++ran; });
                ++ran;
              })
              .on_done([&](const future<void>&) { ++called; });
        }
      });
    }
  }
  pool.shutdown();
  EXPECT_EQ(ran, producers * each * (children + 1));
  EXPECT_EQ(called, producers * each);
  EXPECT_EQ(pool.stats().total().run, static_cast<std::uint64_t>(producers * each * (children + 1)));
}

// One task at a time with a rest between: the moment when workers go to sleep and a task comes is met again and again.
TEST(Stress34Idle, NoWakeIsLostAtTheMomentOfGoingToSleep) {
  const int rounds = scaled(30'000);
  for (const auto policy : {wait_policy::efficient, wait_policy::balanced, wait_policy::busy_poll}) {
    thread_pool_options options;
    options.workers = 2;
    options.policy = policy;
    thread_pool pool(options);
    for (int i = 0; i < rounds; ++i) {
      const auto f = pool.submit([i] { return i; });
      while (!f.done()) {
        if (f.wait_for(generous)) break;
        FAIL() << "a task was queued while all workers slept, round " << i;
      }
      std::atomic<int> rest{i % 500};
      while (rest.fetch_sub(1) > 0) {
      }
    }
  }
}

TEST(Stress34Idle, NoWakeIsLostWhenTasksSpawn) {
  const int rounds = scaled(5'000);
  constexpr int width = 3;
  thread_pool_options options;
  options.workers = 3;
  options.policy = wait_policy::efficient;
  thread_pool pool(options);
  for (int i = 0; i < rounds; ++i) {
    struct countdown {
      std::atomic<int> left{width};
      promise<void> over;
    };
    const auto count = std::make_shared<countdown>();  // shared: set_value may outlast the wait for it
    pool.post([&pool, count] {
      for (int k = 0; k < width; ++k) {
        pool.post([count] {
          if (--count->left == 0) count->over.set_value();
        });
      }
    });
    ASSERT_TRUE(count->over.get_future().wait_for(generous)) << "round " << i;
  }
}

TEST(Stress08HandOff, BlockAndUnblockAgainstWorkAndShutdown) {
  const int rounds = scaled(100);
  constexpr int pairs = 20;
  for (int round = 0; round < rounds; ++round) {
    thread_pool pool(2);
    std::vector<future<int>> waiting;
    std::vector<std::shared_ptr<promise<int>>> promises;
    for (int i = 0; i < pairs; ++i) {
      auto p = std::make_shared<promise<int>>();
      waiting.push_back(pool.submit([f = p->get_future()] { return f.get(); }));
      pool.post([p, i] { p->set_value(i); });
      waiting.push_back(pool.submit([&pool] { return blocking([&] { return pool.submit([] { return 1; }).get(); }); }));
    }
    if (round % 2 == 0) pool.shutdown();
    for (const auto& f : waiting) ASSERT_NO_THROW(f.get_for(generous)) << "round " << round;
  }
}

TEST(Stress08HandOff, TwoPoolsThatWaitForEachOther) {
  const int rounds = scaled(100);
  constexpr int tasks = 50;
  thread_pool a(2);
  thread_pool b(1);
  for (int round = 0; round < rounds; ++round) {
    std::vector<future<int>> futures;
    for (int i = 0; i < tasks; ++i) {
      futures.push_back(
          a.submit([&, i] { return b.submit([&, i] { return a.submit([i] { return i; }).get(); }).get(); }));
    }
    for (int i = 0; i < tasks; ++i) ASSERT_EQ(futures[static_cast<std::size_t>(i)].get_for(generous), i);
  }
}

TEST(Stress20Destructor, PoolsCreatedAndDestroyedWithWorkInFlight) {
  const int rounds = scaled(300);
  const auto threads = thread_ids();
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> ran{0};
    const int tasks = round % 40;
    {
      thread_pool pool(static_cast<unsigned>(1 + round % 4));
      for (int i = 0; i < tasks; ++i) {
        pool.post([&] {
          ++ran;
          pool.post([&] { ++ran; });
        });
      }
    }
    ASSERT_EQ(ran, 2 * tasks) << "round " << round;
  }
  EXPECT_TRUE(eventually([&] { return thread_ids() == threads; }));
}

TEST(Stress20Destructor, FromItsOwnTaskAgainstTheOwner) {
  const int rounds = scaled(300);
  const auto threads = thread_ids();
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> ran{0};
    constexpr int tasks = 10;
    auto pool = std::make_shared<thread_pool>(2);
    std::vector<future<void>> futures;
    for (int i = 0; i < tasks; ++i) {
      futures.push_back(pool->submit([&ran, keeps = pool] { ++ran; }));
    }
    pool.reset();  // the last owner is this thread or one of the tasks
    for (const auto& f : futures) ASSERT_TRUE(f.wait_for(generous));
    ASSERT_EQ(ran, tasks);
  }
  EXPECT_TRUE(eventually([&] { return thread_ids() == threads; }));
}

TEST(Stress12Wait, CombinedFuturesOfAPool) {
  const int rounds = scaled(1'000);
  constexpr int tasks = 10;
  thread_pool pool(2);
  for (int round = 0; round < rounds; ++round) {
    std::vector<future<int>> futures;
    for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit([i] { return i; }));
    const auto all = when_all(futures);
    const auto any = when_any(futures);
    ASSERT_FALSE(wait(futures, wait_until::first_completed, generous).done.empty());
    ASSERT_TRUE(any.get_for(generous).futures[any.get().index].done());
    int sum = 0;
    for (const future<int> f : as_completed(futures, generous)) sum += f.get();
    ASSERT_EQ(sum, tasks * (tasks - 1) / 2);
    ASSERT_EQ(all.get_for(generous).size(), futures.size());
  }
}

}  // namespace
