// How long memory of shared buffers lives, promises 32 and 21, and what handles are refused, promise 31.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <numeric>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/support/shared_buffer.hpp"
#include "tests/support/wire.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::shared_buffer;
using remuda::test::eventually;
using remuda::test::file_gate;
using remuda::test::fill;
using remuda::test::flag;
using remuda::test::ints;
using remuda::test::memory_taken;
using remuda::test::run_for_ever;
using remuda::test::text_of;

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
  const file_gate attached;
  const auto other = pool.submit(file_gate::wait, attached.path());
  other.on_done([&](const auto&) { gate.wait(); });
  const remuda::test::gate_opener opener(gate);
  attached.open();
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
  const file_gate attached;
  const auto first = pool.submit(file_gate::wait, attached.path());
  auto f = pool.submit(
      remuda::task_options{.timeout = 20ms, .retries = 0}, [](const ints& s, const ints&) { run_for_ever(s); }, said,
      pool.make_buffer<int>(1024));
  f.on_done([&](const auto&) { held = pool.stats().shared; });
  attached.open();
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
