// Promise 33 and 34 as the counters tell them: stats().
#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise33Stats, EveryTaskIsCountedOnce) {
  const int tasks = scaled(10'000);
  thread_pool pool(3);
  for (int i = 0; i < tasks; ++i) {
    pool.post([&] { pool.submit([] {}); });
  }
  pool.shutdown();
  const auto total = pool.stats().total();
  EXPECT_EQ(total.run, 2 * static_cast<std::uint64_t>(tasks));
  EXPECT_LE(total.injected, static_cast<std::uint64_t>(tasks)) << "no more than came from outside";
  EXPECT_EQ(total.cpu, -1);
  EXPECT_EQ(pool.stats().pending, 0U);
}

TEST(Promise33Stats, TotalIsTheSumOverTheWorkers) {
  thread_pool pool(3);
  for (int i = 0; i < scaled(10'000); ++i) pool.post([] {});
  pool.shutdown();
  const auto stats = pool.stats();
  worker_stats sum;
  for (const auto& w : stats.workers) {
    sum.run += w.run;
    sum.stolen += w.stolen;
    sum.injected += w.injected;
    sum.parked += w.parked;
    sum.woken += w.woken;
  }
  const auto total = stats.total();
  EXPECT_EQ(total.run, sum.run);
  EXPECT_EQ(total.stolen, sum.stolen);
  EXPECT_EQ(total.injected, sum.injected);
  EXPECT_EQ(total.parked, sum.parked);
  EXPECT_EQ(total.woken, sum.woken);
}

TEST(Promise33Stats, PendingCountsWhatIsQueued) {
  constexpr std::uint64_t queued = 10;
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  for (std::uint64_t i = 0; i < queued; ++i) pool.post([] {});
  EXPECT_EQ(pool.stats().pending, queued);
  g.open();
  EXPECT_TRUE(eventually([&] { return pool.stats().pending == 0; }));
}

TEST(Promise33Stats, DelayIsSampledForOneTaskIn64) {
  constexpr int one_in = 64;
  const int tasks = scaled(100) * one_in;
  thread_pool pool(1);
  for (int i = 0; i < tasks; ++i) pool.post([] {});
  pool.shutdown();
  const auto delay = pool.stats().total().queue_delay;
  EXPECT_EQ(delay.total(), static_cast<std::uint64_t>(tasks / one_in));
  EXPECT_GT(delay.quantile(1.0), 0.0);
  EXPECT_LE(delay.quantile(0.5), delay.quantile(1.0));
}

TEST(Promise33Stats, QuantilesOfAHistogram) {
  delay_histogram h;
  EXPECT_EQ(h.total(), 0U);
  EXPECT_EQ(h.quantile(0.5), 0.0) << "nothing was counted";
  h.counts[0] = 90;  // [0, 64) ns
  h.counts[4] = 10;  // [512, 1024) ns
  EXPECT_EQ(h.total(), 100U);
  EXPECT_EQ(h.quantile(0.0), 64.0);
  EXPECT_EQ(h.quantile(0.5), 64.0);
  EXPECT_EQ(h.quantile(0.99), 1024.0);
  EXPECT_EQ(h.quantile(1.0), 1024.0);
}

TEST(Promise33Stats, MayBeReadWhileThePoolWorks) {
  thread_pool pool(2);
  std::jthread producer([&] {
    for (int i = 0; i < scaled(20'000); ++i) pool.post([] {});
  });
  std::uint64_t before = 0;
  for (int i = 0; i < scaled(1'000); ++i) {
    const auto now = pool.stats().total().run;
    EXPECT_GE(now, before);
    before = now;
  }
}

}  // namespace
