// Promises 1 and 2: callbacks of a future, and callbacks that throw.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise01OnDone, BeforeCompletionRunsOnceOnTheCompletingThread) {
  promise<int> p;
  int calls = 0;
  std::thread::id where;
  p.get_future().on_done([&](const future<int>&) {
    ++calls;
    where = std::this_thread::get_id();
  });
  EXPECT_EQ(calls, 0);
  std::thread completer([&] {
    p.set_value(1);
    EXPECT_EQ(calls, 1) << "inline: it has run when set_value returns";
  });
  const auto expected = completer.get_id();
  completer.join();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(where, expected);
}

TEST(Promise01OnDone, OfATaskRunsOnTheWorkerThatRanIt) {
  gate g;
  std::promise<std::thread::id> callback_thread;
  thread_pool pool(2);
  const gate_opener opener(g);
  const auto f = pool.submit([&] {
    g.wait();
    return std::this_thread::get_id();
  });
  f.on_done([&](const future<std::thread::id>&) { callback_thread.set_value(std::this_thread::get_id()); });
  g.open();
  EXPECT_EQ(callback_thread.get_future().get(), f.get());
}

TEST(Promise01OnDone, SeesTheValue) {
  promise<std::string> p;
  std::string seen;
  p.get_future().on_done([&](const future<std::string>& f) {
    EXPECT_TRUE(f.done());
    seen = f.get();
  });
  p.set_value("value");
  EXPECT_EQ(seen, "value");
}

TEST(Promise01OnDone, SeesTheError) {
  promise<int> p;
  int calls = 0;
  p.get_future().on_done([&](const future<int>& f) {
    ++calls;
    EXPECT_TRUE(f.done());
    EXPECT_THROW(f.get(), std::domain_error);
    EXPECT_NE(f.error(), nullptr);
  });
  p.set_error(std::make_exception_ptr(std::domain_error("no")));
  EXPECT_EQ(calls, 1);
}

TEST(Promise01OnDone, SeesTheCancellationOnTheCancellingThread) {
  promise<int> p;
  const auto f = p.get_future();
  int calls = 0;
  f.on_done([&](const future<int>& self) {
    ++calls;
    EXPECT_TRUE(self.cancelled());
    EXPECT_THROW(self.get(), cancelled_error);
  });
  EXPECT_TRUE(f.cancel());
  EXPECT_EQ(calls, 1);
}

TEST(Promise01OnDone, AfterCompletionRunsAtOnceOnTheCallingThread) {
  promise<int> value;
  promise<int> error;
  promise<int> cancelled;
  value.set_value(3);
  error.set_error(std::make_exception_ptr(std::runtime_error("no")));
  ASSERT_TRUE(cancelled.get_future().cancel());
  int calls = 0;
  for (const auto& f : {value.get_future(), error.get_future(), cancelled.get_future()}) {
    const int before = calls;
    f.on_done([&](const future<int>& self) {
      EXPECT_EQ(self, f);
      ++calls;
    });
    EXPECT_EQ(calls, before + 1);
  }
  thread_pool pool(1);
  const auto f = pool.submit([] {});
  f.wait();
  std::thread::id where;
  f.on_done([&](const future<void>&) { where = std::this_thread::get_id(); });
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST(Promise01OnDone, OfATakenFutureRunsAtOnce) {
  promise<int> p;
  p.set_value(3);
  auto f = p.get_future();
  ASSERT_EQ(f.take(), 3);
  int calls = 0;
  f.on_done([&](const future<int>& self) {
    ++calls;
    EXPECT_TRUE(self.done());
  });
  EXPECT_EQ(calls, 1);
}

TEST(Promise01OnDone, SeveralRunInTheOrderAdded) {
  constexpr int callbacks = 100;
  promise<void> p;
  std::vector<int> order;
  std::vector<int> expected;
  for (int i = 0; i < callbacks; ++i) {
    p.get_future().on_done([&order, i](const future<void>&) { order.push_back(i); });
    expected.push_back(i);
  }
  p.set_value();
  EXPECT_EQ(order, expected);
}

TEST(Promise01OnDone, AddedByACallbackOfTheSameFutureRunsOnce) {
  promise<int> p;
  const auto f = p.get_future();
  int inner = 0;
  int last = 0;
  f.on_done([&](const future<int>& self) { self.on_done([&](const future<int>&) { ++inner; }); });
  f.on_done([&](const future<int>&) { ++last; });
  p.set_value(1);
  EXPECT_EQ(inner, 1);
  EXPECT_EQ(last, 1);
}

TEST(Promise01OnDone, MayBeMoveOnlyAndIsDestroyedAfterItRan) {
  tally t;
  promise<int> p;
  const auto f = p.get_future();
  int seen = 0;
  f.on_done([&seen, owned = std::make_unique<int>(7), c = counted(t)](const future<int>&) { seen = *owned; });
  EXPECT_EQ(t.alive, 1);
  p.set_value(1);
  EXPECT_EQ(seen, 7);
  EXPECT_EQ(t.alive, 0) << "what a callback holds is let go when it has run, though the future is still there";
}

TEST(Promise01OnDone, MayDropTheLastHandle) {
  auto p = std::make_unique<promise<int>>();
  auto f = std::make_unique<future<int>>(p->get_future());
  int calls = 0;
  f->on_done([&](const future<int>& self) {
    f.reset();
    calls += self.get();
  });
  p->set_value(1);
  EXPECT_EQ(calls, 1);
}

TEST(Promise01OnDone, ThatCompletesAnotherFutureDoesNotNest) {
  promise<void> first;
  promise<void> second;
  std::string order;
  first.get_future().on_done([&](const future<void>&) {
    order += "begin ";
    second.set_value();
    order += "end ";
  });
  second.get_future().on_done([&](const future<void>&) { order += "second"; });
  first.set_value();
  EXPECT_EQ(order, "begin end second");
}

TEST(Promise01OnDone, ThatRunsAtOnceAndCompletesAnotherFutureDoesNotNestEither) {
  promise<void> first;
  promise<void> second;
  std::string order;
  first.set_value();
  second.get_future().on_done([&](const future<void>&) { order += "second"; });
  first.get_future().on_done([&](const future<void>&) {
    order += "begin ";
    second.set_value();
    order += "end ";
  });
  EXPECT_EQ(order, "begin end second");
}

TEST(Promise01OnDone, ALongChainUsesConstantStack) {
  const int links = scaled(500'000);
  std::vector<promise<int>> chain(static_cast<std::size_t>(links));
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    chain[i].get_future().on_done([&next = chain[i + 1]](const future<int>& f) { next.set_value(f.get() + 1); });
  }
  chain.front().set_value(1);
  EXPECT_EQ(chain.back().get_future().get_for(generous), links);
}

TEST(Promise02ThrowingCallback, LaterCallbacksStillRun) {
  testing::internal::CaptureStderr();
  promise<int> p;
  int later = 0;
  p.get_future().on_done([](const future<int>&) { throw std::runtime_error("from a callback"); });
  p.get_future().on_done([&](const future<int>&) { ++later; });
  p.get_future().on_done([](const future<int>&) { throw 17; });
  p.get_future().on_done([&](const future<int>&) { ++later; });
  EXPECT_NO_THROW(p.set_value(1));
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(later, 2);
}

TEST(Promise02ThrowingCallback, OfADoneFutureDoesNotThrowAtOnDone) {
  testing::internal::CaptureStderr();
  promise<int> p;
  p.set_value(1);
  EXPECT_NO_THROW(p.get_future().on_done([](const future<int>&) { throw std::runtime_error("from a callback"); }));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("from a callback"), std::string::npos);
}

TEST(Promise02ThrowingCallback, IsOneLineOnStderrByDefault) {
  testing::internal::CaptureStderr();
  {
    thread_pool pool(1);
    gate g;
    const gate_opener opener(g);
    const auto f = pool.submit([&] { g.wait(); });
    f.on_done([](const future<void>&) { throw std::runtime_error("from a callback"); });
    g.open();
    pool.shutdown();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("from a callback"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_TRUE(text.ends_with('\n')) << text;
}

TEST(Promise02ThrowingCallback, OfAnotherTypeThanStdExceptionIsOneLineToo) {
  testing::internal::CaptureStderr();
  promise<int> p;
  p.get_future().on_done([](const future<int>&) { throw 17; });
  p.set_value(1);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("int"), std::string::npos) << "it names the type: " << text;
}

TEST(Promise02ThrowingCallback, GoesToTheErrorHookOfThePool) {
  std::mutex mutex;
  std::vector<std::exception_ptr> errors;
  thread_pool_options options;
  options.workers = 1;
  options.on_error = [&](std::exception_ptr e) {
    const std::lock_guard lock(mutex);
    errors.push_back(std::move(e));
  };
  gate g;
  thread_pool pool(options);
  const gate_opener opener(g);
  const auto f = pool.submit([&] {
    g.wait();
    return 5;
  });
  bool later = false;
  f.on_done([](const future<int>&) { throw std::domain_error("first"); });
  f.on_done([](const future<int>&) { throw std::string("second"); });
  f.on_done([&](const future<int>&) { later = true; });
  g.open();
  EXPECT_EQ(f.get(), 5) << "the result is not touched by what callbacks do";
  EXPECT_EQ(pool.submit([] { return 6; }).get(), 6) << "the worker lives on";
  pool.shutdown();
  EXPECT_TRUE(later);
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_THROW(std::rethrow_exception(errors[0]), std::domain_error);
  EXPECT_THROW(std::rethrow_exception(errors[1]), std::string);
}

TEST(Promise02ThrowingCallback, OnCancellationGoesToTheErrorHookToo) {
  std::atomic<int> errors{0};
  thread_pool_options options;
  options.workers = 1;
  options.on_error = [&](const std::exception_ptr&) { ++errors; };
  gate g;
  thread_pool pool(options);
  const gate_opener opener(g);
  pool.post([&] { g.wait(); });
  const auto f = pool.submit([] {});
  bool later = false;
  f.on_done([](const future<void>&) { throw std::bad_alloc(); });
  f.on_done([&](const future<void>&) { later = true; });
  EXPECT_NO_THROW(EXPECT_TRUE(f.cancel()));
  EXPECT_EQ(errors, 1);
  EXPECT_TRUE(later);
}

}  // namespace
