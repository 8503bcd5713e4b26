// What a process pool shares with every pool: submitting, waiting, callbacks, map, cancelling.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;
using remuda::test::file_gate;
using remuda::test::shared_count;
using remuda::test::state_of;

int add(int a, int b) { return a + b; }

struct answer {
  int value;
  pid_t process;
};

/// One of several that wait for each other, each in a process of its own.
answer meet(int name, const std::string& count, long all) {
  shared_count::add(count);
  const auto arrived = [&] { return std::filesystem::file_size(count) >= static_cast<std::uintmax_t>(all); };
  if (!eventually(arrived)) throw std::runtime_error("they did not meet");
  return {name + 10, getpid()};
}

answer answer_of(int name) { return {name + 10, getpid()}; }

/// Same code for both kinds of pool.
template <class Pool>
int sum_of(Pool& pool) {
  std::vector<remuda::future<int>> results;
  for (int i = 0; i < 100; ++i) results.push_back(pool.submit(add, i, 1));
  int sum = 0;
  for (auto& f : results) sum += f.get();
  return sum;
}

static_assert(remuda::executor<remuda::process_pool>);

TEST(Promise23ProcessPool, SameCodeAsForThreads) {
  remuda::thread_pool threads{2};
  remuda::process_pool processes{2};
  EXPECT_EQ(sum_of(processes), sum_of(threads));
}

TEST(Promise23ProcessPool, FunctionsLambdasAndClosuresTravel) {
  remuda::process_pool pool{1};
  const auto captured = static_cast<int>(std::string("five!").size());
  EXPECT_EQ(pool.submit(&add, 2, 3).get(), 5);
  EXPECT_EQ(pool.submit([](int n) { return n * 2; }, 21).get(), 42);
  EXPECT_EQ(pool.submit([captured](int n) { return n + captured; }, 1).get(), 6);
  EXPECT_EQ(pool.submit([](int (*f)(int, int)) { return f(1, 1); }, &add).get(), 2);
  EXPECT_EQ(
      pool.submit([](const std::vector<std::string>& v) { return v.at(1); }, std::vector<std::string>{"a", "b"}).get(),
      "b");
  EXPECT_EQ(*pool.submit([] { return std::make_unique<int>(7); }).take(), 7);
}

TEST(Promise24ProcessPool, FiftyTasksOnThreeWorkersShowThreeProcesses) {
  const shared_count here;
  remuda::process_pool pool{3};
  std::vector<remuda::future<answer>> answers;
  for (int i = 0; i < 3; ++i) answers.push_back(pool.submit(meet, i, here.path(), 3));
  for (int i = 3; i < 50; ++i) answers.push_back(pool.submit(answer_of, i));
  std::set<pid_t> processes;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(answers[static_cast<std::size_t>(i)].get().value, i + 10);
    processes.insert(answers[static_cast<std::size_t>(i)].get().process);
  }
  EXPECT_EQ(processes.size(), 3U);
  EXPECT_EQ(processes.count(getpid()), 0U);
}

TEST(Promise24ProcessPool, WorkersOfAForkedZygoteSeeTheMemoryOfTheMoment) {
  static int seen = 0;
  seen = 77;
  remuda::process_pool_options options;
  options.workers = 1;
  options.start = remuda::start_method::fork;
  remuda::process_pool pool{options};
  seen = 78;
  EXPECT_EQ(pool.submit([] { return seen; }).get(), 77);
}

TEST(Promise01ProcessPool, CallbacksRunOnceInThisProcess) {
  std::atomic<int> runs{0};
  std::atomic<int> sum{0};
  {
    remuda::process_pool pool{2};
    for (int i = 0; i < 200; ++i) {
      pool.submit(add, i, 0).on_done([&](const remuda::future<int>& f) {
        ++runs;
        sum += f.get();
      });
    }
    pool.shutdown();
    EXPECT_EQ(runs, 200);  // promise 19: the callbacks too have run
  }
  EXPECT_EQ(sum, 199 * 200 / 2);
}

TEST(Promise02ProcessPool, AThrowingCallbackGoesToTheHook) {
  std::atomic<int> errors{0};
  remuda::process_pool_options options;
  options.workers = 1;
  options.on_error = [&](std::exception_ptr) { ++errors; };
  remuda::process_pool pool{options};
  pool.submit(add, 1, 1).on_done([](const auto&) { throw std::runtime_error("callback"); });
  pool.post([] { throw std::runtime_error("posted"); });
  pool.shutdown();
  EXPECT_EQ(errors, 2);
}

TEST(Promise03ProcessPool, CancelTakesBackWhatHasNotStarted) {
  remuda::process_pool pool{1};
  auto first = pool.submit([] { std::this_thread::sleep_for(1h); });
  ASSERT_TRUE(eventually([&] { return first.running(); }));
  auto second = pool.submit(add, 1, 1);
  EXPECT_FALSE(second.running());
  EXPECT_EQ(to_string(second), "pending");
  EXPECT_FALSE(first.cancel());
  EXPECT_TRUE(second.cancel());
  EXPECT_TRUE(second.cancel());
  EXPECT_THROW(second.get(), remuda::cancelled_error);
  EXPECT_TRUE(first.cancel(remuda::cancel_mode::force));
  EXPECT_THROW(first.get(), remuda::cancelled_error);
  EXPECT_EQ(pool.submit(add, 2, 2).get(), 4);
}

TEST(Promise04ProcessPool, ATimeOutOfTheWaitLeavesTheTaskRunning) {
  remuda::process_pool pool{1};
  const file_gate gate;
  auto f = pool.submit(
      [](const std::string& held_by) {
        file_gate::wait(held_by);
        return 3;
      },
      gate.path());
  EXPECT_THROW(f.get_for(1ms), remuda::timeout_error);
  gate.open();
  EXPECT_EQ(f.get(), 3);
}

TEST(Promise08ProcessPool, ACallbackMayWaitForTasksOfItsOwnPool) {
  remuda::process_pool pool{2};
  remuda::promise<int> done;
  auto result = done.get_future();
  pool.submit(add, 1, 1).on_done([&](const remuda::future<int>& f) {
    int sum = f.get();
    for (int i = 0; i < 20; ++i) sum += pool.submit(add, i, 1).get();
    auto all = std::vector{pool.submit(add, 1, 2), pool.submit(add, 3, 4)};
    for (auto each : remuda::as_completed(all)) sum += each.get();
    done.set_value(sum);
  });
  EXPECT_EQ(result.get(), 2 + 210 + 10);
}

TEST(Promise12ProcessPool, WaitNeverMissesOne) {
  remuda::process_pool pool{3};
  for (int round = 0; round < 20; ++round) {
    std::vector<remuda::future<int>> all;
    for (int i = 0; i < 100; ++i) all.push_back(pool.submit(add, i, round));
    EXPECT_EQ(remuda::wait(all).done.size(), 100U);
    EXPECT_TRUE(remuda::wait(all, remuda::wait_until::first_completed).pending.empty());
  }
}

TEST(Promise14ProcessPool, FromManyThreads) {
  remuda::process_pool pool{2};
  constexpr int threads = 4;
  constexpr int each = 2000;
  std::atomic<long> sum{0};
  std::vector<std::thread> submitters;
  for (int t = 0; t < threads; ++t) {
    submitters.emplace_back([&] {
      std::vector<remuda::future<int>> mine;
      for (int i = 0; i < each; ++i) mine.push_back(pool.submit(add, i, 0));
      for (auto& f : mine) sum += f.get();
    });
  }
  for (auto& t : submitters) t.join();
  EXPECT_EQ(sum, long{threads} * each * (each - 1) / 2);
}

TEST(Promise14ProcessPool, FuturesThatNobodyKeeps) {
  remuda::process_pool pool{2};
  for (int i = 0; i < 5000; ++i) pool.submit(add, i, 1);
  pool.shutdown();
  const auto stats = pool.stats();
  EXPECT_EQ(stats.workers.at(0).run + stats.workers.at(1).run, 5000U);
}

TEST(Promise15ProcessPool, MapGivesResultsInOrderAndErrorsAtTheirPlace) {
  remuda::process_pool pool{2};
  std::vector<int> inputs(100);
  std::iota(inputs.begin(), inputs.end(), 0);
  int expected = 0;
  auto results = pool.map(
      [](int n) {
        if (n == 50) throw std::out_of_range("fifty");
        return n * n;
      },
      inputs, {.chunk_size = 7});
  for (auto at = results.begin(); at != results.end(); ++at, ++expected) {
    if (expected == 50) {
      EXPECT_THROW(*at, std::out_of_range);
    } else {
      EXPECT_EQ(*at, expected * expected);
    }
  }
  EXPECT_EQ(expected, 100);
}

TEST(Promise16ProcessPool, OptionsWithoutAMeaning) {
  EXPECT_THROW(remuda::process_pool{0U}, std::invalid_argument);
  EXPECT_THROW(remuda::process_pool{remuda::process_pool::max_workers + 1}, std::invalid_argument);
}

TEST(Promise17ProcessPool, AFullPoolFailsBlocksOrRunsInTheCaller) {
  for (const auto full : {remuda::when_full::fail, remuda::when_full::block, remuda::when_full::caller_runs}) {
    remuda::process_pool_options options;
    options.workers = 1;
    options.max_pending = 2;
    options.full = full;
    remuda::process_pool pool{options};
    const file_gate gate;
    const auto first = pool.submit(file_gate::wait, gate.path());
    const pid_t submitter = gettid();
    std::atomic<bool> all_submitted{false};
    std::thread opener([&] {
      const auto blocked = [&] { return full == remuda::when_full::block && state_of(submitter) == 'S'; };
      EXPECT_TRUE(eventually([&] { return all_submitted || blocked(); }));
      gate.open();
    });
    std::vector<remuda::future<pid_t>> all;
    int refused = 0;
    for (int i = 0; i < 12; ++i) {
      try {
        all.push_back(pool.submit([] { return getpid(); }));
      } catch (const remuda::pool_full_error&) {
        ++refused;
      }
    }
    all_submitted = true;
    opener.join();
    int here = 0;
    for (auto& f : all) here += f.get() == getpid() ? 1 : 0;
    EXPECT_EQ(refused > 0, full == remuda::when_full::fail);
    EXPECT_EQ(here > 0, full == remuda::when_full::caller_runs);
    EXPECT_EQ(all.size() + static_cast<std::size_t>(refused), 12U);
  }
}

TEST(Promise25ProcessPool, TasksBehindALongOneRunOnAnIdleWorker) {
  remuda::process_pool pool{2};
  // However they are spread over the workers, those that lie behind the long one do not wait for it.
  auto endless = pool.submit([] { std::this_thread::sleep_for(1h); });
  ASSERT_TRUE(eventually([&] { return endless.running(); }));
  std::vector<remuda::future<int>> all;
  for (int i = 0; i < 200; ++i) {
    all.push_back(pool.submit(
        [](int n) {
          std::this_thread::sleep_for(1ms);
          return n;
        },
        i));
  }
  for (auto& f : all) f.get();
  EXPECT_FALSE(endless.done());
  EXPECT_TRUE(endless.cancel(remuda::cancel_mode::force));
}

}  // namespace
