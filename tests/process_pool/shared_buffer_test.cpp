// Memory that a process pool shares with its workers, promise 32: what it is and how it travels.
#include "tests/support/shared_buffer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <new>
#include <optional>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/eventually.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::shared_buffer;
using remuda::test::eventually;
using remuda::test::fill;
using remuda::test::flag;
using remuda::test::ints;
using remuda::test::memory_taken;
using remuda::test::one_worker;

static_assert(remuda::travels<ints>);
static_assert(remuda::travels<shared_buffer<const double>>);
static_assert(remuda::travels<std::vector<std::optional<ints>>>);
static_assert(std::is_convertible_v<ints, shared_buffer<const int>>);
static_assert(!std::is_convertible_v<shared_buffer<const int>, ints>);

TEST(Promise32SharedBuffer, WhatATaskWritesIsSeenHere) {
  remuda::process_pool pool{2};
  auto b = pool.make_buffer<int>(1000);
  ASSERT_EQ(b.size(), 1000U);
  EXPECT_NE(pool.submit(fill, b, 5).get(), getpid());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(b[static_cast<std::size_t>(i)], i + 5);
  b[7] = -1;
  EXPECT_EQ(pool.submit([](ints c) { return c[7]; }, b).get(), -1);
}

TEST(Promise32SharedBuffer, BothSidesSeeTheSameMemoryWhileTheTaskRuns) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(2);
  auto f = pool.submit(
      [](ints c) {
        flag(c, 0) = 1;
        while (flag(c, 1) == 0) std::this_thread::yield();
        return 3;
      },
      b);
  EXPECT_TRUE(eventually([&] { return flag(b, 0) == 1; }));
  EXPECT_FALSE(f.done());
  flag(b, 1) = 1;
  EXPECT_EQ(f.get(), 3);
}

TEST(Promise32SharedBuffer, SizeDoesNotCountAsPayload) {
  auto options = one_worker();
  options.max_payload = std::size_t{1} << 20;
  remuda::process_pool pool{options};
  auto b = pool.make_buffer<int>((std::size_t{64} << 20) / sizeof(int));
  auto back = pool.submit(
                      [](ints c) {
                        c[c.size() - 1] = 9;
                        return c;
                      },
                      b)
                  .get();
  EXPECT_EQ(back, b);
  EXPECT_EQ(back.data(), b.data());
  EXPECT_EQ(b[b.size() - 1], 9);
}

TEST(Promise32SharedBuffer, TravelsInsideContainersAndComesBack) {
  remuda::process_pool pool{1};
  std::vector<ints> many;
  for (int i = 0; i < 10; ++i) {
    many.push_back(pool.make_buffer<int>(3));
    many.back()[0] = i;
  }
  using parts = std::tuple<std::optional<ints>, ints, std::vector<ints>>;
  const parts back = pool.submit(
                             [](const std::vector<ints>& v) {
                               return parts{v[2], ints(), {v[3], v[4], v[3]}};
                             },
                             many)
                         .get();
  EXPECT_EQ(std::get<0>(back), many[2]);
  EXPECT_TRUE(std::get<1>(back).empty());
  EXPECT_EQ(std::get<2>(back), (std::vector<ints>{many[3], many[4], many[3]}));
  many.clear();
  EXPECT_EQ((*std::get<0>(back))[0], 2);
}

TEST(Promise32SharedBuffer, ReadOnlyHandles) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(4);
  b[3] = 8;
  const shared_buffer<const int> view = b;
  EXPECT_EQ(pool.submit([](shared_buffer<const int> c) { return c[3] + static_cast<int>(c.size()); }, view).get(), 12);
  EXPECT_EQ(pool.submit([](shared_buffer<const int> c) { return c; }, view).get().data(), b.data());
}

TEST(Promise32SharedBuffer, BlocksArePageAlignedApartAndZero) {
  struct alignas(512) wide {
    char bytes[512];
  };
  remuda::process_pool pool{1};
  auto a = pool.make_buffer<char>(1);
  auto b = pool.make_buffer<wide>(3);
  for (const void* p : {static_cast<const void*>(a.data()), static_cast<const void*>(b.data())}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 4096, 0U);
  }
  EXPECT_TRUE(pool.submit(
                      [](shared_buffer<wide> c) {
                        return reinterpret_cast<std::uintptr_t>(c.data()) % 4096 == 0 && c.size() == 3;
                      },
                      b)
                  .get());
  a[0] = 'x';
  const void* const where = a.data();
  a.reset();
  EXPECT_EQ(a.data(), nullptr);
  auto again = pool.make_buffer<char>(1);
  EXPECT_EQ(static_cast<const void*>(again.data()), where);
  EXPECT_EQ(again[0], 0);
}

TEST(Promise32SharedBuffer, ZeroLengthIsNoMemory) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(0);
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(b.begin(), b.end());
  EXPECT_EQ(pool.submit([](ints c) { return c.size(); }, b).get(), 0U);
  EXPECT_TRUE(pool.submit([](ints c) { return c; }, b).get().empty());
  EXPECT_EQ(pool.stats().shared, 0U);
}

TEST(Promise32SharedBuffer, TooLargeIsAnError) {
  auto options = one_worker();
  options.max_shared = 100'000;
  remuda::process_pool pool{options};
  EXPECT_THROW(pool.make_buffer<int>(static_cast<std::size_t>(-1) / 2), std::bad_alloc);
  EXPECT_THROW(pool.make_buffer<char>(static_cast<std::size_t>(-1)), std::bad_alloc);
  try {
    pool.make_buffer<char>(1'000'000);
    FAIL();
  } catch (const std::bad_alloc& e) {
    EXPECT_NE(std::string(e.what()).find("max_shared"), std::string::npos) << e.what();
  }
  auto most = pool.make_buffer<char>(100'000);
  EXPECT_THROW(pool.make_buffer<char>(50'000), std::bad_alloc);
  EXPECT_EQ(pool.submit([](shared_buffer<char> c) { return c.size(); }, most).get(), 100'000U);
  most.reset();
  EXPECT_EQ(pool.make_buffer<char>(50'000).size(), 50'000U);
}

TEST(Promise32SharedBuffer, APoolWithoutBuffersMakesNone) {
  auto options = one_worker();
  options.max_shared = 0;
  remuda::process_pool pool{options};
  EXPECT_THROW(pool.make_buffer<int>(1), std::bad_alloc);
  EXPECT_EQ(pool.submit([](int n) { return n; }, 1).get(), 1);
}

TEST(Promise32SharedBuffer, MemoryThatNobodyHasGoesBack) {
  remuda::process_pool pool{1};
  constexpr std::size_t bytes = std::size_t{32} << 20;
  EXPECT_EQ(memory_taken(), 0U);
  auto b = pool.make_buffer<char>(bytes);
  EXPECT_GE(memory_taken(), bytes);
  EXPECT_EQ(pool.stats().shared, bytes);
  auto copy = b;
  b.reset();
  EXPECT_EQ(pool.stats().shared, bytes);
  copy.reset();
  EXPECT_EQ(pool.stats().shared, 0U);
  EXPECT_EQ(memory_taken(), 0U);
}

TEST(Promise32SharedBuffer, FreeRunsGrowTogether) {
  auto options = one_worker();
  options.max_shared = 64 * 4096;
  remuda::process_pool pool{options};
  for (int order = 0; order < 4; ++order) {
    std::vector<shared_buffer<char>> all;
    for (int i = 0; i < 64; ++i) all.push_back(pool.make_buffer<char>(1));
    EXPECT_THROW(pool.make_buffer<char>(1), std::bad_alloc);
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t which[] = {i, 63 - i, (i * 2) % 64 + i / 32, (i * 37) % 64};
      all[which[order]].reset();
    }
    EXPECT_EQ(pool.make_buffer<char>(64 * 4096).size(), 64U * 4096);  // in one piece
  }
  EXPECT_EQ(pool.stats().shared, 0U);
}

TEST(Promise32SharedBuffer, ManyFromSeveralThreads) {
  remuda::process_pool pool{2};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<ints> kept;
      for (int i = 0; i < 250; ++i) {
        auto b = pool.make_buffer<int>(static_cast<std::size_t>(1 + (i * 997) % 5000));
        if (std::any_of(b.begin(), b.end(), [](int n) { return n != 0; })) ++wrong;
        std::fill(b.begin(), b.end(), t * 1000 + i);
        const int back = pool.submit([](ints c) { return c[c.size() - 1]++; }, b).get();
        if (back != t * 1000 + i || b[b.size() - 1] != back + 1) ++wrong;
        if (i % 3 == 0) kept.push_back(b);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pool.stats().shared, 0U);
}

TEST(Promise32SharedBuffer, ForkedWorkersToo) {
  auto options = one_worker();
  options.start = remuda::start_method::fork;
  remuda::process_pool pool{options};
  auto b = pool.make_buffer<int>(100);
  pool.submit(fill, b, 1).get();
  EXPECT_EQ(b[99], 100);
  EXPECT_THROW(pool.submit([] { raise(SIGKILL); }).get(), remuda::worker_died);
  pool.submit(fill, b, 2).get();
  EXPECT_EQ(b[99], 101);
}

TEST(Promise32SharedBuffer, HardenedWorkersToo) {
  auto options = one_worker();
  options.harden = true;
  options.limits.memory = std::uint64_t{256} << 20;
  remuda::process_pool pool{options};
  auto b = pool.make_buffer<int>(100);
  pool.submit(fill, b, 1).get();
  EXPECT_EQ(b[99], 100);
}

}  // namespace
