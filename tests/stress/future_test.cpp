// Races in the life of one future: every outcome is possible, but exactly one happens, and everybody sees the same.
#include "remuda/future.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "remuda/combine.hpp"
#include "remuda/thread_pool.hpp"
#include "runtime/lockfree/slab.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;
using namespace std::chrono_literals;

/// Two threads that do one round after the other, each round together.
template <class First, class Second>
void race(int rounds, First first, Second second) {
  std::atomic<int> at_first{0};
  std::atomic<int> at_second{0};
  const auto run = [rounds](std::atomic<int>& mine, std::atomic<int>& theirs, auto& step) {
    for (int i = 1; i <= rounds; ++i) {
      mine = i;
      while (theirs < i) std::this_thread::yield();
      step(i - 1);
    }
  };
  std::jthread other([&] { run(at_second, at_first, second); });
  run(at_first, at_second, first);
}

/// What a future says of its end. Throws nothing.
enum class ending { value, error, cancelled, broken };
ending ending_of(const future<int>& f) {
  try {
    f.get();
    return ending::value;
  } catch (const cancelled_error&) {
    return ending::cancelled;
  } catch (const broken_promise&) {
    return ending::broken;
  } catch (const std::exception&) {
    return ending::error;
  }
}

TEST(Stress03Cancel, AgainstSetValueHasOneOutcome) {
  const int rounds = scaled(50'000);
  std::vector<promise<int>> promises(static_cast<std::size_t>(rounds));
  std::vector<char> set(promises.size());
  std::vector<char> cancelled(promises.size());
  race(
      rounds,
      [&](int i) {
        try {
          promises[static_cast<std::size_t>(i)].set_value(i);
          set[static_cast<std::size_t>(i)] = 1;
        } catch (const invalid_state_error&) {
        }
      },
      [&](int i) {
        cancelled[static_cast<std::size_t>(i)] = promises[static_cast<std::size_t>(i)].get_future().cancel() ? 1 : 0;
      });
  for (std::size_t i = 0; i < promises.size(); ++i) {
    ASSERT_EQ(set[i] + cancelled[i], 1) << "round " << i;
    ASSERT_EQ(ending_of(promises[i].get_future()), set[i] == 1 ? ending::value : ending::cancelled) << "round " << i;
  }
}

TEST(Stress03Cancel, AgainstStartAgainstGetHasOneOutcome) {
  const int rounds = scaled(20'000);
  std::atomic<int> ran{0};
  std::atomic<int> callbacks{0};
  int cancelled = 0;
  int values = 0;
  tally t;
  {
    thread_pool pool(2);
    for (int i = 0; i < rounds; ++i) {
      const auto f = pool.submit([&, i, c = counted(t)] {
        ++ran;
        return i;
      });
      f.on_done([&](const future<int>&) { ++callbacks; });
      std::optional<future<ending>> seen_by_a_task;
      if (i % 4 == 0) seen_by_a_task = pool.submit([f] { return ending_of(f); });
      if (i % 2 == 0) std::this_thread::yield();
      const bool accepted = f.cancel();
      const ending end = ending_of(f);
      ASSERT_EQ(end, accepted ? ending::cancelled : ending::value);
      ASSERT_EQ(f.cancelled(), accepted);
      if (seen_by_a_task) {
        ASSERT_EQ(seen_by_a_task->get(), end);
      }
      (accepted ? cancelled : values) += 1;
    }
  }
  EXPECT_EQ(ran, values);
  EXPECT_EQ(cancelled + values, rounds);
  EXPECT_EQ(callbacks, rounds);
  EXPECT_EQ(t.alive, 0);
}

TEST(Stress08RunHere, AgainstStartRunsOnce) {
  const int rounds = scaled(20'000);
  std::atomic<int> ran{0};
  thread_pool pool(1);
  for (int i = 0; i < rounds; ++i) {
    const auto f = pool.submit([&] {
      ++ran;
      return std::this_thread::get_id();
    });
    const bool mine = f.run_here();
    ASSERT_EQ(f.get() == std::this_thread::get_id(), mine);
    ASSERT_EQ(ran, i + 1);
  }
  pool.shutdown();
  EXPECT_EQ(ran, rounds);
}

TEST(Stress01OnDone, AgainstCompletionRunsEachOnceInOrder) {
  constexpr int callbacks = 4;
  const int rounds = scaled(30'000);
  std::vector<promise<int>> promises(static_cast<std::size_t>(rounds));
  struct trace {
    std::atomic<int> calls{0};
    std::atomic<int> disorder{0};
  };
  std::vector<trace> traces(promises.size());
  race(
      rounds, [&](int i) { promises[static_cast<std::size_t>(i)].set_value(i); },
      [&](int i) {
        auto& t = traces[static_cast<std::size_t>(i)];
        const auto f = promises[static_cast<std::size_t>(i)].get_future();
        for (int k = 0; k < callbacks; ++k) {
          f.on_done([&t, k, i](const future<int>& self) {
            // Those added before the end run in order on the other thread; those after it run at once on this one, and
            // may overtake. So a later one may come early, but never one of the same thread.
            thread_local const trace* last_trace = nullptr;
            thread_local int last = -1;
            if (last_trace == &t && last >= k) ++t.disorder;
            last_trace = &t;
            last = k;
            if (self.get_for(0s) != i) ++t.disorder;
            ++t.calls;
          });
        }
      });
  for (std::size_t i = 0; i < traces.size(); ++i) {
    ASSERT_EQ(traces[i].calls, callbacks) << "round " << i;
    ASSERT_EQ(traces[i].disorder, 0) << "round " << i;
  }
}

TEST(Stress01OnDone, AgainstCancelRunsEachOnce) {
  const int rounds = scaled(30'000);
  std::vector<promise<int>> promises(static_cast<std::size_t>(rounds));
  std::vector<std::atomic<int>> calls(promises.size());
  race(
      rounds, [&](int i) { promises[static_cast<std::size_t>(i)].get_future().cancel(); },
      [&](int i) {
        promises[static_cast<std::size_t>(i)].get_future().on_done([&calls, i](const future<int>& f) {
          if (f.cancelled()) ++calls[static_cast<std::size_t>(i)];
        });
      });
  for (const auto& c : calls) ASSERT_EQ(c, 1);
}

TEST(Stress05Wake, WaitersThatComeAtTheLastMomentWake) {
  const int rounds = scaled(30'000);
  std::vector<promise<int>> promises(static_cast<std::size_t>(rounds));
  race(
      rounds, [&](int i) { promises[static_cast<std::size_t>(i)].set_value(i); },
      [&](int i) {
        const auto f = promises[static_cast<std::size_t>(i)].get_future();
        ASSERT_EQ(i % 2 == 0 ? f.get() : f.get_for(for_ever), i);
      });
}

TEST(Stress05Wake, TimeOutsAgainstCompletionSeeAllOrNothing) {
  const int rounds = scaled(5'000);
  std::vector<promise<std::vector<int>>> promises(static_cast<std::size_t>(rounds));
  race(
      rounds, [&](int i) { promises[static_cast<std::size_t>(i)].set_value(std::vector<int>(3, i)); },
      [&](int i) {
        const auto f = promises[static_cast<std::size_t>(i)].get_future();
        try {
          ASSERT_EQ(f.get_for(std::chrono::microseconds(i % 20)), std::vector<int>(3, i));
        } catch (const timeout_error&) {
        }
        ASSERT_EQ(f.get(), std::vector<int>(3, i));
      });
}

TEST(Stress06BrokenPromise, DroppedAgainstGetCancelAndOnDone) {
  const int rounds = scaled(30'000);
  std::vector<std::optional<promise<int>>> promises;
  std::vector<future<int>> futures;
  for (int i = 0; i < rounds; ++i) futures.push_back(promises.emplace_back(std::in_place)->get_future());
  std::vector<std::atomic<int>> calls(futures.size());
  race(
      rounds, [&](int i) { promises[static_cast<std::size_t>(i)].reset(); },
      [&](int i) {
        const auto& f = futures[static_cast<std::size_t>(i)];
        f.on_done([&calls, i](const future<int>&) { ++calls[static_cast<std::size_t>(i)]; });
        const bool accepted = i % 2 == 0 && f.cancel();
        ASSERT_EQ(ending_of(f), accepted ? ending::cancelled : ending::broken);
      });
  for (const auto& c : calls) ASSERT_EQ(c, 1);
}

TEST(Stress09Values, LastHandleDroppedAgainstCompletion) {
  const int rounds = scaled(30'000);
  tally t;
  {
    std::vector<promise<counted>> promises(static_cast<std::size_t>(rounds));
    std::vector<std::optional<future<counted>>> futures;
    for (const auto& p : promises) futures.emplace_back(p.get_future());
    race(
        rounds,
        [&](int i) {
          auto p = std::move(promises[static_cast<std::size_t>(i)]);
          p.set_value(counted(t));
        },
        [&](int i) { futures[static_cast<std::size_t>(i)].reset(); });
  }
  EXPECT_EQ(t.alive, 0) << "each value was destroyed once";
}

TEST(Stress12Wait, FirstCompletedInALoopOverTenThousandStaysLinearInMemory) {
  constexpr std::size_t futures_count = 10'000;
  const auto rounds = static_cast<std::size_t>(scaled(300));
  std::vector<promise<int>> promises(futures_count);
  std::vector<future<int>> pending;
  for (const auto& p : promises) pending.push_back(p.get_future());
  std::size_t chunks = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    promises[i].set_value(1);
    auto result = wait(pending, wait_until::first_completed);
    ASSERT_EQ(result.done.size(), 1U);
    // nothing done, so that every round stands in all the futures until its time-out
    pending = wait(result.pending, wait_until::first_completed, 0s).pending;
    ASSERT_EQ(pending.size(), futures_count - i - 1);
    if (i == 2) chunks = detail::totals_of_slab().chunks;  // the busiest moment has been there
  }
  EXPECT_EQ(detail::totals_of_slab().chunks, chunks) << "waits that ended have left something behind";
}

TEST(Stress12Wait, FirstCompletedUntilNoneIsLeft) {
  const int tasks = scaled(2'000);
  thread_pool pool(2);
  std::vector<future<int>> pending;
  for (int i = 0; i < tasks; ++i) pending.push_back(pool.submit([i] { return i; }));
  long sum = 0;
  while (!pending.empty()) {
    auto result = wait(pending, wait_until::first_completed);
    ASSERT_FALSE(result.done.empty());
    for (const auto& f : result.done) sum += f.get();
    pending = std::move(result.pending);
  }
  EXPECT_EQ(sum, static_cast<long>(tasks) * (tasks - 1) / 2);
}

TEST(Stress12Wait, TimeOutsAgainstCompletion) {
  constexpr std::size_t each = 3;
  const int rounds = scaled(10'000);
  std::vector<promise<int>> promises(each * static_cast<std::size_t>(rounds));
  race(
      rounds,
      [&](int i) {
        for (std::size_t k = 0; k < each; ++k) promises[each * static_cast<std::size_t>(i) + k].set_value(1);
      },
      [&](int i) {
        std::vector<future<int>> futures;
        for (std::size_t k = 0; k < each; ++k) {
          futures.push_back(promises[each * static_cast<std::size_t>(i) + k].get_future());
        }
        const auto condition = i % 2 == 0 ? wait_until::first_completed : wait_until::first_failed;
        const auto result = wait(futures, condition, std::chrono::microseconds(i % 10));
        ASSERT_EQ(result.done.size() + result.pending.size(), each);
        for (const auto& f : result.done) ASSERT_TRUE(f.done());
        ASSERT_EQ(wait(futures).done.size(), each);
      });
}

TEST(Stress13AsCompleted, AgainstCompletionYieldsEachOnce) {
  constexpr std::size_t each = 4;
  const int rounds = scaled(10'000);
  std::vector<promise<int>> promises(each * static_cast<std::size_t>(rounds));
  race(
      rounds,
      [&](int i) {
        for (std::size_t k = 0; k < each; ++k) {
          promises[each * static_cast<std::size_t>(i) + k].set_value(1 << k);
        }
      },
      [&](int i) {
        std::vector<future<int>> futures;
        for (std::size_t k = 0; k < each; ++k) {
          futures.push_back(promises[each * static_cast<std::size_t>(i) + k].get_future());
        }
        int seen = 0;
        if (i % 3 == 0) {  // left early
          for (const future<int> f : as_completed(futures)) {
            seen += f.get();
            break;
          }
          ASSERT_NE(seen, 0);
        } else {
          for (const future<int> f : as_completed(futures)) {
            ASSERT_EQ(seen & f.get(), 0);
            seen |= f.get();
          }
          ASSERT_EQ(seen, (1 << each) - 1);
        }
      });
}

TEST(Stress12When, AllAndAnyAgainstCompletionFromTwoSides) {
  const int rounds = scaled(20'000);
  struct trio {
    promise<int> a, b;
    std::atomic<int> all{0}, any{0};
  };
  std::vector<trio> trios(static_cast<std::size_t>(rounds));
  race(
      rounds,
      [&](int i) {
        auto& t = trios[static_cast<std::size_t>(i)];
        t.a.set_value(i);
      },
      [&](int i) {
        auto& t = trios[static_cast<std::size_t>(i)];
        const std::vector futures{t.a.get_future(), t.b.get_future()};
        const auto all = when_all(futures);
        const auto any = when_any(futures);
        all.on_done([&t](const auto& f) {
          for (const auto& one : f.get()) t.all += one.done() ? 1 : 0;
        });
        any.on_done([&t](const auto& f) { t.any += f.get().futures[f.get().index].done() ? 1 : 0; });
        t.b.set_value(i);
        all.wait();
        any.wait();
      });
  for (const auto& t : trios) {
    // the callbacks may still have been running on the other thread when wait() returned, but the race is over now
    ASSERT_EQ(t.all, 2);
    ASSERT_EQ(t.any, 1);
  }
}

TEST(Stress12When, AnyOfTheSameFuturesAgainAndAgain) {
  const int rounds = scaled(20'000);
  const promise<int> never;
  std::size_t chunks = 0;
  for (int i = 0; i < rounds; ++i) {
    promise<int> p;
    const auto any = when_any(std::vector{never.get_future(), p.get_future()});
    p.set_value(i);
    ASSERT_TRUE(any.done());
    ASSERT_EQ(any.get().index, 1U);
    if (i == rounds / 10) chunks = detail::totals_of_slab().chunks;
  }
  EXPECT_EQ(detail::totals_of_slab().chunks, chunks) << "the future that goes on has kept something of each race";
}

}  // namespace
