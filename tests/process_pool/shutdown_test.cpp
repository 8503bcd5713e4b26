// How a process pool ends.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;
using remuda::test::file_gate;

int twice(int n) { return 2 * n; }

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

TEST(Promise18ProcessPool, SubmitAfterShutdownThrows) {
  remuda::process_pool pool{1};
  pool.shutdown();
  EXPECT_THROW(pool.submit(twice, 1), remuda::shutdown_error);
  EXPECT_THROW(pool.post(twice, 1), remuda::shutdown_error);
  pool.shutdown();
  pool.shutdown(remuda::shutdown_mode::cancel_pending);
}

TEST(Promise18ProcessPool, FromACallbackItDoesNotDeadlock) {
  remuda::process_pool pool{1};
  std::atomic<bool> returned{false};
  pool.submit(twice, 1).on_done([&](const auto&) {
    pool.shutdown();
    returned = true;
  });
  pool.shutdown();
  EXPECT_TRUE(returned);
}

TEST(Promise19ProcessPool, WaitRunsEverything) {
  std::vector<remuda::future<int>> all;
  {
    remuda::process_pool pool{2};
    for (int i = 0; i < 1000; ++i) all.push_back(pool.submit(twice, i));
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(all[static_cast<std::size_t>(i)].done());
    EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), 2 * i);
  }
}

// Its own thread polls for a result that this one takes.
TEST(Promise19ProcessPool, OfAPoolThatPolls) {
  for (int round = 0; round < 30; ++round) {
    remuda::process_pool_options options;
    options.workers = 1;
    options.policy = remuda::wait_policy::busy_poll;
    remuda::process_pool pool(options);
    EXPECT_EQ(pool.submit(twice, round).get(), 2 * round);
  }
}

TEST(Promise19ProcessPool, CancelPendingEndsEachFutureInOneState) {
  std::vector<remuda::future<void>> all;
  remuda::process_pool pool{2};
  const file_gate gate;
  for (int i = 0; i < 1000; ++i) all.push_back(pool.submit(file_gate::wait, gate.path()));
  ASSERT_TRUE(eventually([&] { return all.front().running(); }));
  std::thread closing([&] { pool.shutdown(remuda::shutdown_mode::cancel_pending); });
  EXPECT_TRUE(eventually([&] { return all.back().done(); }));
  gate.open();
  closing.join();
  int run = 0;
  int cancelled = 0;
  for (const auto& f : all) {
    ASSERT_TRUE(f.done());
    ++(f.cancelled() ? cancelled : run);
    if (!f.cancelled()) f.get();
  }
  EXPECT_GE(run, 1);
  EXPECT_GT(cancelled, 0);
}

TEST(Promise20ProcessPool, ACallbackMaySubmitWhileShutdownWaits) {
  std::atomic<int> last{0};
  remuda::process_pool pool{1};
  pool.submit(
          [](int n) {
            std::this_thread::sleep_for(50ms);
            return n;
          },
          1)
      .on_done([&](const remuda::future<int>& f) {
        pool.submit(twice, f.get()).on_done([&](const remuda::future<int>& g) { last = g.get(); });
      });
  pool.shutdown();
  EXPECT_EQ(last, 2);
}

TEST(Promise20ProcessPool, DestroyedByItsOwnCallback) {
  remuda::promise<void> gone;
  auto result = gone.get_future();
  auto pool = std::make_unique<remuda::process_pool>(1U);
  auto& there = *pool;
  there.submit(twice, 1).on_done([&](const auto&) {
    pool.reset();
    gone.set_value();
  });
  result.get();
  EXPECT_EQ(pool, nullptr);
}

TEST(Promise21ProcessPool, NothingIsLeft) {
  { remuda::process_pool warm{2}; }  // what a first pool opens for good, such as the machine's description
  const auto before = open_descriptors();
  for (const auto start : {remuda::start_method::zygote, remuda::start_method::fork}) {
    remuda::process_pool_options options;
    options.workers = 3;
    options.start = start;
    remuda::process_pool pool{options};
    for (int i = 0; i < 100; ++i) pool.submit(twice, i);
  }
  EXPECT_EQ(open_descriptors(), before);
  errno = 0;
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Promise21ProcessPool, SubmittersRaceWithShutdown) {
  for (int round = 0; round < 20; ++round) {
    remuda::process_pool pool{2};
    std::vector<std::vector<remuda::future<int>>> accepted(3);
    std::vector<std::thread> submitters;
    for (auto& mine : accepted) {
      submitters.emplace_back([&pool, &mine] {
        try {
          for (int i = 0;; ++i) mine.push_back(pool.submit(twice, i));
        } catch (const remuda::shutdown_error&) {
        }
      });
    }
    ASSERT_TRUE(eventually([&] { return pool.stats().workers.at(0).run + pool.stats().workers.at(1).run > 10; }));
    pool.shutdown();
    for (auto& t : submitters) t.join();
    for (const auto& mine : accepted) {
      for (std::size_t i = 0; i < mine.size(); ++i) {
        ASSERT_TRUE(mine[i].done());
        EXPECT_EQ(mine[i].get(), 2 * static_cast<int>(i));
      }
    }
  }
}

TEST(ProcessPoolFork, AChildOfTheProgramGetsAnError) {
  remuda::process_pool pool{1};
  EXPECT_EQ(pool.submit(twice, 1).get(), 2);
  const pid_t child = fork();
  if (child == 0) {
    int outcome = 1;
    try {
      pool.submit(twice, 1);
    } catch (const remuda::broken_pool_error&) {
      outcome = 0;
    }
    _exit(outcome);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

}  // namespace
