// Promise 14: submit() and post().
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

struct own_error : std::runtime_error {
  explicit own_error(int c) : std::runtime_error("own"), code(c) {}
  int code;
};

TEST(Promise14Submit, ExceptionsSurfaceWithTheirOwnType) {
  thread_pool pool(1);
  const auto f = pool.submit([]() -> int { throw own_error(42); });
  try {
    f.get();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const own_error& e) {
    EXPECT_EQ(e.code, 42);
  }
}

TEST(Promise14Submit, ExceptionsThatAreNoStdException) {
  thread_pool pool(1);
  EXPECT_THROW(pool.submit([] { throw 17; }).get(), int);
  EXPECT_THROW(pool.submit([] { throw std::string("text"); }).get(), std::string);
  EXPECT_THROW(pool.submit([] { throw nullptr; }).get(), std::nullptr_t);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1) << "the worker lives on";
}

TEST(Promise14Submit, NestedExceptionsStayNested) {
  thread_pool pool(1);
  const auto f = pool.submit([] {
    try {
      throw own_error(1);
    } catch (...) {
      std::throw_with_nested(std::domain_error("outer"));
    }
  });
  try {
    f.get();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::domain_error& e) {
    EXPECT_THROW(std::rethrow_if_nested(e), own_error);
  }
}

TEST(Promise14Submit, ArgumentsAreMovedInOnceAndNeverCopied) {
  tally t;
  thread_pool pool(1);
  int moves = -1;
  pool.submit([&](counted&&) { moves = t.moves; }, counted(t)).get();
  EXPECT_EQ(moves, 1);
  EXPECT_EQ(t.copies, 0);
}

TEST(Promise14Submit, FunctionIsMovedInOnceAndNeverCopied) {
  tally t;
  thread_pool pool(1);
  int moves = -1;
  auto function = [&moves, &t, c = counted(t)] { moves = t.moves; };
  const int before = t.moves;
  pool.submit(std::move(function)).get();
  EXPECT_EQ(moves - before, 1);
  EXPECT_EQ(t.copies, 0);
}

TEST(Promise14Submit, LvaluesAreCopiedOnce) {
  tally t;
  thread_pool pool(1);
  const counted mine(t);
  pool.submit([](const counted&) {}, mine).get();
  EXPECT_EQ(t.copies, 1);
  EXPECT_EQ(t.alive, 1);
}

TEST(Promise14Submit, ArgumentsOfManyKinds) {
  thread_pool pool(1);
  int target = 0;
  struct adder {
    int base;
    int add(int n) const { return base + n; }
  };
  EXPECT_EQ(pool.submit([](std::unique_ptr<int> p, const std::string& s) { return *p + std::stoi(s); },
                        std::make_unique<int>(3), "4")
                .get(),
            7);
  pool.submit([](int& i) { i = 5; }, std::ref(target)).get();
  EXPECT_EQ(target, 5);
  EXPECT_EQ(pool.submit(&adder::add, adder{3}, 4).get(), 7);
  EXPECT_EQ(pool.submit([n = std::make_unique<int>(8)]() mutable { return ++*n; }).get(), 9);
}

TEST(Promise14Submit, ArgumentsAreDestroyedBeforeTheFutureIsDone) {
  thread_pool pool(2);
  for (int i = 0; i < scaled(1'000); ++i) {
    tally t;
    auto f = pool.submit([c = counted(t)](const counted&) {}, counted(t));
    while (!f.done()) {
    }
    ASSERT_EQ(t.alive, 0) << "though the future is kept";
    auto failing = pool.submit([c = counted(t)] { throw 17; });
    while (!failing.done()) {
    }
    ASSERT_EQ(t.alive, 0);
  }
}

TEST(Promise14Submit, ArgumentsAreDestroyedWhenNobodyKeptTheFuture) {
  tally t;
  thread_pool_options options;
  options.workers = 1;
  options.on_error = [](const std::exception_ptr&) {};
  thread_pool pool(options);
  pool.submit([c = counted(t)](const counted&) {}, counted(t));
  pool.submit([c = counted(t)] { throw 17; });
  pool.post([c = counted(t)](const counted&) {}, counted(t));
  pool.post([c = counted(t)] { throw 17; });
  EXPECT_TRUE(eventually([&] { return t.alive == 0; })) << "while the pool lives and has nothing else to do";
}

TEST(Promise14Submit, ResultsThatNobodyKeptAreDestroyed) {
  tally t;
  thread_pool pool(1);
  pool.submit([&] { return counted(t); });
  pool.post([&] { return counted(t); });
  EXPECT_TRUE(eventually([&] { return t.moves + t.copies + t.alive == 0 && pool.stats().total().run == 2; }));
}

struct throws_when_moved {
  throws_when_moved() = default;
  throws_when_moved(throws_when_moved&&) { throw std::domain_error("moved"); }
};

TEST(Promise14Submit, ArgumentThatCannotBeMovedInThrowsAtTheCall) {
  tally t;
  thread_pool pool(1);
  EXPECT_THROW(pool.submit([](const counted&, const throws_when_moved&) {}, counted(t), throws_when_moved()),
               std::domain_error);
  EXPECT_THROW(pool.post([](const counted&, const throws_when_moved&) {}, counted(t), throws_when_moved()),
               std::domain_error);
  EXPECT_EQ(t.alive, 0);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
}

TEST(Promise14Post, RunsAndHandsErrorsToTheHook) {
  std::mutex mutex;
  std::vector<std::exception_ptr> errors;
  std::atomic<int> ran{0};
  thread_pool_options options;
  options.workers = 1;
  options.on_error = [&](std::exception_ptr e) {
    const std::lock_guard lock(mutex);
    errors.push_back(std::move(e));
  };
  thread_pool pool(options);
  pool.post([&] { ++ran; });
  pool.post([] { throw own_error(1); });
  pool.post([] { throw 17; });
  pool.post([&](int i) { ran += i; }, 10);
  pool.shutdown();
  EXPECT_EQ(ran, 11);
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_THROW(std::rethrow_exception(errors[0]), own_error);
  EXPECT_THROW(std::rethrow_exception(errors[1]), int);
}

TEST(Promise14Post, ErrorIsOneLineOnStderrByDefault) {
  testing::internal::CaptureStderr();
  {
    thread_pool pool(1);
    pool.post([] { throw own_error(1); });
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("own_error"), std::string::npos) << text;
}

TEST(Promise14Submit, ErrorOfASubmittedTaskGoesToItsFutureAlone) {
  std::atomic<int> errors{0};
  thread_pool_options options;
  options.workers = 1;
  options.on_error = [&](const std::exception_ptr&) { ++errors; };
  thread_pool pool(options);
  EXPECT_THROW(pool.submit([] { throw own_error(1); }).get(), own_error);
  pool.shutdown();
  EXPECT_EQ(errors, 0);
}

TEST(Promise14Submit, FromManyThreadsAndFromTasks) {
  constexpr int threads = 4;
  const int each = scaled(20'000);
  std::atomic<int> ran{0};
  thread_pool pool(2);
  {
    std::vector<std::jthread> submitters;
    for (int i = 0; i < threads; ++i) {
      submitters.emplace_back([&] {
        for (int k = 0; k < each; ++k) {
          pool.post([&] {
            ++ran;
            pool.post([&] { ++ran; });
          });
        }
      });
    }
  }
  pool.shutdown();
  EXPECT_EQ(ran, 2 * threads * each);
  EXPECT_EQ(pool.stats().total().run, static_cast<std::uint64_t>(2 * threads * each));
}

}  // namespace
