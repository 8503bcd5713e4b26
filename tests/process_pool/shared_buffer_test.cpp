// Memory that a process pool shares with its workers: promise 32, and what promises 21 and 31 say of it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/wire.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::shared_buffer;
using remuda::test::eventually;
using ints = shared_buffer<int>;

remuda::process_pool_options one_worker() {
  remuda::process_pool_options options;
  options.workers = 1;
  return options;
}

/// Bytes that the files of shared buffers take, of all pools of this process.
std::uint64_t memory_taken() {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).string().find("memfd:remuda-buffers") == std::string::npos) {
      continue;
    }
    struct stat about {};
    if (stat(entry.path().c_str(), &about) == 0) bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
  }
  return bytes;
}

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

int fill(ints b, int from) {
  std::iota(b.begin(), b.end(), from);
  return static_cast<int>(getpid());
}

/// The elements of a buffer as flags between two processes.
std::atomic_ref<int> flag(const ints& b, std::size_t i) { return std::atomic_ref<int>(b[i]); }

/// Says that it runs, and goes on for ever.
void run_for_ever(ints b) {
  flag(b, 0) = 1;
  for (;;) flag(b, 1).fetch_add(1);
}

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

TEST(Promise32SharedBuffer, AHandleDroppedWhileTheTaskRunsOrWaits) {
  remuda::process_pool pool{1};
  auto gate = pool.make_buffer<int>(1);
  const auto task = [](ints g, ints b) {
    while (flag(g, 0) == 0) std::this_thread::yield();
    return std::accumulate(b.begin(), b.end(), 0);
  };
  std::vector<remuda::future<int>> sums;
  for (int i = 0; i < 3; ++i) {
    auto b = pool.make_buffer<int>(2000);
    std::fill(b.begin(), b.end(), i + 1);
    sums.push_back(pool.submit(task, gate, std::move(b)));
  }
  EXPECT_GE(pool.stats().shared, 3 * 2000 * sizeof(int));
  flag(gate, 0) = 1;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)].get(), 2000 * (i + 1));
  EXPECT_TRUE(eventually([&] { return pool.stats().shared == 4096; }));
}

TEST(Promise32SharedBuffer, LivesThroughTheDeathOfItsWorker) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(100);
  auto f = pool.submit(
      [](ints c) {
        fill(c, 3);
        raise(SIGKILL);
      },
      b);
  EXPECT_THROW(f.get(), remuda::worker_died);
  EXPECT_EQ(b[99], 102);
  EXPECT_EQ(pool.submit([](ints c) { return c[99]; }, b).get(), 102);
  auto other = pool.submit([](ints) { raise(SIGKILL); }, pool.make_buffer<int>(1));
  EXPECT_THROW(other.get(), remuda::worker_died);
  EXPECT_EQ(pool.stats().shared, 4096U);
}

TEST(Promise32SharedBuffer, ARetriedTaskHasItAgain) {
  remuda::process_pool pool{1};
  auto f = pool.submit(
      remuda::task_options{.timeout = 0ns, .retries = 5},
      [](ints c) {
        if (++c[0] < 3) raise(SIGKILL);
        return c;
      },
      pool.make_buffer<int>(1));
  EXPECT_EQ(f.get()[0], 3);
  f = {};
  EXPECT_TRUE(eventually([&] { return pool.stats().shared == 0; }));
}

TEST(Promise32SharedBuffer, CancelledBeforeItStarts) {
  remuda::process_pool pool{1};
  auto gate = pool.make_buffer<int>(2);
  auto first = pool.submit(run_for_ever, gate);
  ASSERT_TRUE(eventually([&] { return flag(gate, 0) == 1; }));
  auto second = pool.submit(fill, pool.make_buffer<int>(1), 1);
  EXPECT_TRUE(second.cancel());
  EXPECT_EQ(pool.stats().shared, 4096U);
  EXPECT_TRUE(first.cancel(remuda::cancel_mode::force));
}

// A worker that is killed for its task may write until it is gone: until then nobody else may have the memory. While
// the pool's own thread is in a callback, no death is dealt with.

TEST(Promise32SharedBuffer, CancelledByForceItIsHeldUntilTheWorkerIsGone) {
  remuda::process_pool pool{2};
  auto said = pool.make_buffer<int>(2);
  auto f = pool.submit([](const ints& s, const ints&) { run_for_ever(s); }, said, pool.make_buffer<int>(1024));
  ASSERT_TRUE(eventually([&] { return flag(said, 0) == 1; }));
  remuda::test::gate gate;
  pool.submit([] {}).on_done([&](const auto&) { gate.wait(); });
  const remuda::test::gate_opener opener(gate);
  ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
  EXPECT_TRUE(f.cancel(remuda::cancel_mode::force));
  EXPECT_TRUE(f.cancelled());
  EXPECT_EQ(pool.stats().shared, 2 * 4096U);
  gate.open();
  EXPECT_TRUE(eventually([&] { return pool.stats().shared == 4096; }));
  const int last = flag(said, 1);
  EXPECT_EQ(pool.submit([](ints s) { return s[1]; }, said).get(), last);
}

TEST(Promise32SharedBuffer, PastItsTimeLimitItIsHeldUntilTheWorkerIsGone) {
  remuda::process_pool pool{1};
  auto said = pool.make_buffer<int>(2);
  std::atomic<std::uint64_t> held{0};
  auto f = pool.submit(
      remuda::task_options{.timeout = 20ms, .retries = 0}, [](const ints& s, const ints&) { run_for_ever(s); }, said,
      pool.make_buffer<int>(1024));
  f.on_done([&](const auto&) { held = pool.stats().shared; });
  EXPECT_THROW(f.get(), remuda::timeout_error);
  EXPECT_TRUE(eventually([&] { return held != 0; }));
  EXPECT_EQ(held, 2 * 4096U);
  EXPECT_TRUE(eventually([&] { return pool.stats().shared == 4096; }));
}

TEST(Promise32SharedBuffer, ATaskThatThrowsLetsGo) {
  remuda::process_pool pool{1};
  auto f = pool.submit([](ints) { throw std::runtime_error("no"); }, pool.make_buffer<int>(1));
  EXPECT_THROW(f.get(), std::runtime_error);
  EXPECT_EQ(pool.stats().shared, 0U);
}

TEST(Promise32SharedBuffer, OutlivesThePool) {
  const auto before = remuda::test::descriptors().size();
  ints b;
  remuda::future<ints> f;
  {
    remuda::process_pool pool{1};
    f = pool.submit(
        [](ints c) {
          fill(c, 1);
          return c;
        },
        pool.make_buffer<int>(50));
    b = pool.make_buffer<int>(50);
    pool.submit(fill, b, 2).get();
  }
  EXPECT_EQ(b[49], 51);
  EXPECT_EQ(f.get()[49], 50);
  b[49] = 1;
  b.reset();
  f = {};
  EXPECT_EQ(memory_taken(), 0U);
  EXPECT_LE(remuda::test::descriptors().size(), before);
}

TEST(Promise21SharedBuffer, NothingIsLeftOfAPoolThatHasEnded) {
  remuda::process_pool pool{1};
  pool.submit(fill, pool.make_buffer<int>(50), 2).get();
  pool.shutdown();
  for (const std::string& d : remuda::test::descriptors()) {
    EXPECT_EQ(d.find("remuda-buffers"), std::string::npos) << d;
  }
  EXPECT_THROW(pool.make_buffer<int>(1), remuda::shutdown_error);
}

TEST(Promise32SharedBuffer, ShutdownThatCancelsLetsGo) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(2);
  std::vector<remuda::future<int>> all;
  auto running = pool.submit(
      [](ints c) {
        flag(c, 0) = 1;
        while (flag(c, 1) == 0) std::this_thread::yield();
      },
      b);
  ASSERT_TRUE(eventually([&] { return flag(b, 0) == 1; }));
  for (int i = 0; i < 500; ++i) all.push_back(pool.submit(fill, pool.make_buffer<int>(1), i));
  std::thread closing([&] { pool.shutdown(remuda::shutdown_mode::cancel_pending); });
  EXPECT_TRUE(eventually([&] { return all.back().done(); }));
  flag(b, 1) = 1;
  closing.join();
  running.get();
  const auto held = b;
  b.reset();
  EXPECT_EQ(memory_taken(), 4096U);
}

TEST(Promise32SharedBuffer, OfAnotherPoolIsRefused) {
  remuda::process_pool one{1};
  remuda::process_pool two{1};
  auto b = one.make_buffer<int>(1);
  auto f = two.submit(fill, b, 1);
  ASSERT_THROW(f.get(), remuda::serialization_error);
  EXPECT_NE(text_of(f.error()).find("another pool"), std::string::npos);
  EXPECT_THROW(remuda::test::encoded(b), remuda::serialization_error);
  EXPECT_THROW(remuda::remote_call(fill, b, 1), remuda::serialization_error);
}

TEST(Promise31SharedBuffer, OnlyWhatATaskWasGivenComesBack) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(10);
  static ints kept;  // the worker's own
  pool.submit([](ints c) { kept = c; }, b).get();
  auto f = pool.submit([] { return kept; });
  ASSERT_THROW(f.get(), remuda::serialization_error);
  EXPECT_NE(text_of(f.error()).find("not given"), std::string::npos) << text_of(f.error());
  EXPECT_EQ(pool.submit(fill, b, 1).get() != getpid(), true);
}

/// In a worker: a handle of its own making.
ints forged(std::uint64_t offset, std::uint64_t bytes) {
  using remuda::detail::shared_block;
  return remuda::detail::buffer_access::make<int>(
      std::make_shared<shared_block>(shared_block{0, nullptr, offset, bytes}));
}

TEST(Promise31SharedBuffer, PlacesThatTheParentDidNotGiveAreRefused) {
  remuda::process_pool pool{1};
  auto b = pool.make_buffer<int>(10);
  auto other = pool.make_buffer<int>(10);
  const auto back = [](const ints&, std::uint64_t offset, std::uint64_t bytes) { return forged(offset, bytes); };
  const std::pair<std::uint64_t, std::uint64_t> tries[] = {
      {4096, 40},                          // of no task, though there is one
      {0, 44},                             // larger than it is
      {0, 36},                             // smaller
      {8, 32},                             // a part
      {~std::uint64_t{0}, 40},             // nowhere
      {0, ~std::uint64_t{0}},              // everything
      {std::uint64_t{1} << 63, 1U << 31},  // sums that overflow
  };
  for (const auto& [offset, bytes] : tries) {
    auto f = pool.submit(back, b, offset, bytes);
    EXPECT_THROW(f.get(), remuda::serialization_error) << offset << ' ' << bytes;
  }
  EXPECT_EQ(pool.submit(back, b, 0, 40).get(), b);  // the true one
}

TEST(Promise31SharedBuffer, OneOfAnotherElementTypeIsRefused) {
  struct three {
    char bytes[3];
  };
  remuda::process_pool pool{1};
  auto f = pool.submit(
      [](const ints&) {
        using remuda::detail::shared_block;
        return remuda::detail::buffer_access::make<three>(
            std::make_shared<shared_block>(shared_block{0, nullptr, 0, 40}));
      },
      pool.make_buffer<int>(10));
  EXPECT_THROW(f.get(), remuda::serialization_error);
}

TEST(Promise31SharedBuffer, AForkedChildOfTheUserFreesNothing) {
  remuda::process_pool pool{1};
  auto b = std::make_unique<ints>(pool.make_buffer<int>(10));
  (*b)[3] = 5;
  const auto result = remuda::test::in_child([&]() -> std::string {
    if ((*b)[3] != 5) return "it cannot read the buffer";
    b.reset();
    try {
      pool.make_buffer<int>(1);
    } catch (const remuda::error&) {
      return "";
    }
    return "it could make one";
  });
  EXPECT_TRUE(remuda::test::well(result)) << result;
  EXPECT_EQ((*b)[3], 5);
}

}  // namespace
