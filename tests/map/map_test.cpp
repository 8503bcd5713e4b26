// Promise 15: map().
#include "remuda/map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/pool.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

/// Walks a map of ints; an item that throws std::exception counts as `failed`.
constexpr int failed = -1;
template <class Range>
std::vector<int> walk(Range&& range) {
  std::vector<int> out;
  for (auto at = range.begin(); at != range.end(); ++at) {
    try {
      out.push_back(*at);
    } catch (const std::exception&) {
      out.push_back(failed);
    }
  }
  return out;
}

int squared(int i) { return i * i; }

TEST(Promise15Map, ResultsInInputOrder) {
  thread_pool pool(3);
  const int count = scaled(10'000);
  int expected = 0;
  for (const int result : pool.map(squared, std::views::iota(0, count))) {
    ASSERT_EQ(result, squared(expected));
    ++expected;
  }
  EXPECT_EQ(expected, count);
}

TEST(Promise15Map, InputOrderEvenIfTheFirstEndsLast) {
  thread_pool pool(2);
  gate g;
  const gate_opener opener(g);
  const std::vector<int> inputs{0, 1, 2, 3, 4};
  auto range = pool.map(
      [&](int i) {
        if (i == 0) g.wait();
        if (i == 4) g.open();
        return i;
      },
      inputs, {.window = inputs.size()});
  EXPECT_EQ(walk(range), inputs);
}

TEST(Promise15Map, FreeFunctionOnAnyExecutor) {
  thread_pool pool(1);
  EXPECT_EQ(walk(map(pool, squared, std::vector{1, 2, 3})), (std::vector{1, 4, 9}));
}

TEST(Promise15Map, FailedItemThrowsAtItsPlaceAfterTheResultsBefore) {
  thread_pool pool(2);
  for (const std::size_t chunk : {1U, 2U, 3U, 10U}) {
    auto range = pool.map(
        [](int i) {
          if (i == 2) throw std::domain_error("two");
          return i;
        },
        std::vector{0, 1, 2, 3, 4}, {.chunk_size = chunk});
    auto at = range.begin();
    EXPECT_EQ(*at, 0);
    ++at;
    EXPECT_EQ(*at, 1);
    ++at;
    EXPECT_THROW(*at, std::domain_error);
    EXPECT_THROW(*at, std::domain_error) << "as often as one asks";
    ++at;
    EXPECT_EQ(*at, 3) << "chunk_size " << chunk;
    ++at;
    EXPECT_EQ(*at, 4);
    ++at;
    EXPECT_TRUE(at == range.end());
  }
}

TEST(Promise15Map, FailedItemOfAnyTypeThrowsWithItsType) {
  thread_pool pool(1);
  auto range = pool.map([](int) -> int { throw 17; }, std::vector{0});
  auto at = range.begin();
  EXPECT_THROW(*at, int);
}

TEST(Promise15Map, EmptyRange) {
  thread_pool pool(1);
  EXPECT_TRUE(walk(pool.map(squared, std::vector<int>())).empty());
  EXPECT_TRUE(walk(pool.map(squared, std::vector<int>(), {.chunk_size = 5, .window = 1})).empty());
}

TEST(Promise15Map, ChunkSizeGroupsItems) {
  constexpr int items = 10;
  struct expectation {
    std::size_t chunk;
    std::uint64_t tasks;
  };
  for (const auto [chunk, tasks] : {expectation{1, 10}, expectation{3, 4}, expectation{5, 2}, expectation{100, 1}}) {
    thread_pool pool(2);
    std::vector<int> expected;
    for (int i = 0; i < items; ++i) expected.push_back(squared(i));
    EXPECT_EQ(walk(pool.map(squared, std::views::iota(0, items), {.chunk_size = chunk})), expected);
    pool.shutdown();
    EXPECT_EQ(pool.stats().total().run, tasks) << "chunk_size " << chunk;
  }
}

/// An endless range that counts how many of its items were drawn.
auto endless(int& drawn) {
  return std::views::iota(0) | std::views::transform([&drawn](int i) {
           ++drawn;
           return i;
         });
}

TEST(Promise15Map, WindowBoundsHowManyInputsAreDrawnAhead) {
  constexpr int results = 50;
  struct sizes {
    std::size_t chunk;
    std::size_t window;
  };
  for (const auto [chunk, window] : {sizes{1, 1}, sizes{1, 7}, sizes{4, 8}, sizes{3, 10}, sizes{5, 2}}) {
    thread_pool pool(2);
    int drawn = 0;
    auto range = pool.map(squared, endless(drawn), {.chunk_size = chunk, .window = window});
    // whole chunks are drawn: the one that is being read, and those of the window, of which there is at least one
    const auto most_ahead = static_cast<int>(std::max(chunk, window) + chunk - 1);
    EXPECT_LE(drawn, most_ahead + 1);
    auto at = range.begin();
    for (int i = 0; i < results; ++i, ++at) {
      ASSERT_EQ(*at, squared(i));
      ASSERT_LE(drawn - (i + 1), most_ahead) << "chunk_size " << chunk << ", window " << window << ", item " << i;
    }
  }
}

TEST(Promise15Map, DefaultWindowIsBoundedToo) {
  constexpr unsigned workers = 2;
  constexpr int results = 100;
  thread_pool pool(workers);
  int drawn = 0;
  auto range = pool.map(squared, endless(drawn));
  auto at = range.begin();
  for (int i = 0; i < results; ++i, ++at) ASSERT_EQ(*at, squared(i));
  EXPECT_LE(drawn, results + 4 * static_cast<int>(workers) + 1);
}

TEST(Promise15Map, StartsTheFirstWindowAtOnce) {
  thread_pool pool(1);
  std::atomic<int> ran{0};
  const auto range = pool.map([&](int i) { return ++ran, i; }, std::vector{1, 2, 3}, {.window = 3});
  EXPECT_TRUE(eventually([&] { return ran == 3; })) << "before anybody reads";
}

TEST(Promise15Map, DoesNotReadAnInputStreamFurtherThanNeeded) {
  thread_pool pool(1);
  std::istringstream in("1 2 3 4 5");
  auto range = pool.map(squared, std::views::istream<int>(in), {.window = 2});
  EXPECT_EQ(walk(range), (std::vector{1, 4, 9, 16, 25}));
}

TEST(Promise15Map, ZeroChunkSizeOrWindowThrowsAtTheCall) {
  thread_pool pool(1);
  const std::vector inputs{1};
  EXPECT_THROW(pool.map(squared, inputs, {.chunk_size = 0}), std::invalid_argument);
  EXPECT_THROW(pool.map(squared, inputs, {.window = 0}), std::invalid_argument);
  EXPECT_THROW(pool.map(squared, std::vector<int>(), {.chunk_size = 0}), std::invalid_argument);
  EXPECT_THROW(map(pool, squared, inputs, {.chunk_size = 0}), std::invalid_argument);
  pool.shutdown();
  EXPECT_EQ(pool.stats().total().run, 0U);
}

TEST(Promise15Map, ThenShutdownAtOnceGivesWhatWasDrawn) {
  constexpr int items = 8;
  thread_pool pool(2);
  auto range = pool.map(squared, std::views::iota(0, items), {.window = items});
  pool.shutdown();
  EXPECT_EQ(walk(range).size(), static_cast<std::size_t>(items));
}

TEST(Promise15Map, ThenShutdownAtOnceNeverHangs) {
  constexpr int window = 4;
  thread_pool pool(2);
  auto range = pool.map(squared, std::views::iota(0, 100), {.window = window});
  pool.shutdown();
  std::vector<int> results;
  auto at = range.begin();
  try {
    for (; at != range.end(); ++at) results.push_back(*at);
    ADD_FAILURE() << "what was not drawn cannot have run";
  } catch (const shutdown_error&) {
    ++at;
    EXPECT_TRUE(at == range.end()) << "nothing follows";
  }
  EXPECT_EQ(results, (std::vector{0, 1, 4, 9}));
}

TEST(Promise15Map, ThenShutdownThatCancelsNeverHangs) {
  constexpr int items = 5;
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  auto range = pool.map(
      [&](int i) {
        g.wait();
        return i;
      },
      std::views::iota(0, items), {.window = items});
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  std::jthread stopper([&] { pool.shutdown(shutdown_mode::cancel_pending); });
  ASSERT_TRUE(eventually([&] { return refuses(pool); }));
  g.open();
  stopper.join();
  EXPECT_EQ(walk(range), (std::vector{0, failed, failed, failed, failed})) << "each item at its own place";
}

TEST(Promise15Map, AfterShutdownThrowsShutdownErrorInPlaceOfTheFirst) {
  thread_pool pool(1);
  pool.shutdown();
  EXPECT_THROW(
      {
        auto range = pool.map(squared, std::vector{1});
        for (const int i : range) ADD_FAILURE() << i;
      },
      shutdown_error);
}

TEST(Promise15Map, RangeThatThrowsDoesSoAtItsPlace) {
  thread_pool pool(1);
  auto inputs = std::views::iota(0, 5) | std::views::transform([](int i) {
                  if (i == 2) throw std::domain_error("input");
                  return i;
                });
  for (const std::size_t chunk : {1U, 2U, 3U}) {
    auto range = pool.map(squared, inputs, {.chunk_size = chunk});
    std::vector<int> results;
    EXPECT_THROW(
        {
          for (const int i : range) results.push_back(i);
        },
        std::domain_error);
    EXPECT_EQ(results, (std::vector{0, 1})) << "chunk_size " << chunk;
  }
}

TEST(Promise15Map, DroppedEarlyCancelsWhatHasNotStarted) {
  constexpr int items = 10;
  gate g;
  std::atomic<int> ran{0};
  thread_pool pool(1);
  const gate_opener opener(g);
  {
    const auto range = pool.map(
        [&](int i) {
          ++ran;
          g.wait();
          return i;
        },
        std::views::iota(0, items), {.window = items});
    ASSERT_TRUE(eventually([&] { return ran == 1; }));
  }
  g.open();
  pool.shutdown();
  EXPECT_EQ(ran, 1);
}

TEST(Promise15Map, VoidMoveOnlyAndReferenceResults) {
  thread_pool pool(2);
  std::atomic<int> sum{0};
  int count = 0;
  auto nothing = pool.map([&](int i) { sum += i; }, std::vector{1, 2, 3});
  for (auto at = nothing.begin(); at != nothing.end(); ++at) {
    *at;
    ++count;
  }
  EXPECT_EQ(count, 3);
  EXPECT_EQ(sum, 6);

  int total = 0;
  for (auto& p : pool.map([](int i) { return std::make_unique<int>(i); }, std::vector{1, 2, 3})) {
    const std::unique_ptr<int> mine = std::move(p);
    total += *mine;
  }
  EXPECT_EQ(total, 6);

  for (const bool b : pool.map([](int i) { return i > 0; }, std::vector{1, 2})) EXPECT_TRUE(b);
}

TEST(Promise15Map, FunctionAndInputsAreLetGo) {
  tally t;
  thread_pool pool(2);
  {
    auto range = pool.map([c = counted(t)](int i) { return i; }, std::vector{1, 2, 3});
    EXPECT_EQ(walk(range), (std::vector{1, 2, 3}));
  }
  pool.shutdown();
  EXPECT_EQ(t.alive, 0);
}

TEST(Promise15Map, InsideATaskOnOneWorker) {
  thread_pool pool(1);
  const auto f = pool.submit([&] {
    int total = 0;
    for (const int i : pool.map(squared, std::views::iota(0, 100), {.chunk_size = 3})) total += i;
    return total;
  });
  EXPECT_EQ(f.get_for(generous), 328350);
}

}  // namespace
