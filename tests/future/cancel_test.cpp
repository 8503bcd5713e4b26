// Promise 3: cancel().
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise03Cancel, PendingIsCancelledForEver) {
  promise<int> p;
  const auto f = p.get_future();
  EXPECT_FALSE(f.cancelled());
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancelled());
  EXPECT_TRUE(f.done());
  EXPECT_FALSE(f.running());
  EXPECT_THROW(p.set_value(1), invalid_state_error);
  EXPECT_THROW(p.set_error(std::make_exception_ptr(std::runtime_error("late"))), invalid_state_error);
  EXPECT_TRUE(f.cancelled());
  EXPECT_THROW(f.get(), cancelled_error);
  EXPECT_THROW(f.get_for(for_ever), cancelled_error);
  EXPECT_THROW(std::rethrow_exception(f.error()), cancelled_error);
  EXPECT_THROW(future<int>(f).take(), cancelled_error);
}

TEST(Promise03Cancel, QueuedTaskNeverRuns) {
  gate g;
  std::atomic<bool> ran{false};
  thread_pool pool(1);
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  const auto f = pool.submit([&] { ran = true; });
  EXPECT_FALSE(f.done());
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancelled());
  g.open();
  pool.shutdown();
  EXPECT_FALSE(ran);
  EXPECT_TRUE(f.cancelled());
}

TEST(Promise03Cancel, QueuedTaskLetsGoOfItsArgumentsAtOnce) {
  gate g;
  tally t;
  thread_pool pool(1);
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  const auto f = pool.submit([](const counted&) {}, counted(t));
  EXPECT_EQ(t.alive, 1);
  EXPECT_TRUE(f.cancel());
  EXPECT_EQ(t.alive, 0);
}

TEST(Promise03Cancel, RunningIsRefusedAndNothingChanges) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  const auto f = pool.submit([&] {
    g.wait();
    return 5;
  });
  ASSERT_TRUE(eventually([&] { return g.arrived() == 1; }));
  EXPECT_TRUE(f.running());
  EXPECT_FALSE(f.cancel());
  EXPECT_TRUE(f.running());
  EXPECT_FALSE(f.cancelled());
  g.open();
  EXPECT_EQ(f.get(), 5);
}

TEST(Promise03Cancel, OfItselfFromInsideTheTaskIsRefused) {
  thread_pool pool(1);
  promise<future<bool>> self;
  const auto f = pool.submit([handle = self.get_future()] { return handle.get().cancel(); });
  self.set_value(f);
  EXPECT_FALSE(f.get());
}

TEST(Promise03Cancel, FinishedIsRefusedAndNothingChanges) {
  promise<int> value;
  value.set_value(5);
  EXPECT_FALSE(value.get_future().cancel());
  EXPECT_FALSE(value.get_future().cancelled());
  EXPECT_EQ(value.get_future().get(), 5);

  promise<int> error;
  error.set_error(std::make_exception_ptr(std::domain_error("no")));
  EXPECT_FALSE(error.get_future().cancel());
  EXPECT_FALSE(error.get_future().cancelled());
  EXPECT_THROW(error.get_future().get(), std::domain_error);

  promise<int> taken;
  taken.set_value(5);
  ASSERT_EQ(taken.get_future().take(), 5);
  EXPECT_FALSE(taken.get_future().cancel());
  EXPECT_FALSE(taken.get_future().cancelled());
}

TEST(Promise03Cancel, CancelledAlreadyIsTrueAgain) {
  promise<int> p;
  const auto f = p.get_future();
  int callbacks = 0;
  f.on_done([&](const future<int>&) { ++callbacks; });
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(future<int>(f).cancel());
  EXPECT_EQ(callbacks, 1);
}

TEST(Promise03Cancel, OfManyThreadsAtOnceIsTrueForAllAndRunsTheCallbacksOnce) {
  constexpr int threads = 8;
  promise<int> p;
  std::atomic<int> callbacks{0};
  std::atomic<int> accepted{0};
  p.get_future().on_done([&](const future<int>&) { ++callbacks; });
  std::vector<std::jthread> cancellers;
  for (int i = 0; i < threads; ++i) {
    cancellers.emplace_back([&accepted, f = p.get_future()] { accepted += f.cancel() ? 1 : 0; });
  }
  cancellers.clear();
  EXPECT_EQ(accepted, threads);
  EXPECT_EQ(callbacks, 1);
}

}  // namespace
