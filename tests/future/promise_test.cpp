// Promises 6 and 7: the writing end, and that state and outcome are one.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "remuda/future.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

/// The text of the invalid_state_error that `f` throws, without the name of the operation, which may hold the word
/// "value" or "error" itself.
std::string refusal(const std::function<void()>& f) {
  std::string text;
  try {
    f();
    return "nothing was thrown";
  } catch (const invalid_state_error& e) {
    text = e.what();
  }
  for (const std::string operation : {"set_value", "set_error"}) {
    for (auto at = text.find(operation); at != std::string::npos; at = text.find(operation))
      text.erase(at, operation.size());
  }
  return text;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const auto some_error = std::make_exception_ptr(std::domain_error("first"));

TEST(Promise06SecondResult, AfterAValueThrowsAndKeepsIt) {
  promise<int> p;
  p.set_value(1);
  const auto by_value = refusal([&] { p.set_value(2); });
  const auto by_error = refusal([&] { p.set_error(some_error); });
  EXPECT_TRUE(contains(by_value, "value")) << by_value;
  EXPECT_TRUE(contains(by_error, "value")) << by_error;
  EXPECT_EQ(p.get_future().get(), 1);
}

TEST(Promise06SecondResult, AfterAnErrorThrowsAndKeepsIt) {
  promise<int> p;
  p.set_error(some_error);
  const auto by_value = refusal([&] { p.set_value(2); });
  const auto by_error = refusal([&] { p.set_error(std::make_exception_ptr(std::range_error("second"))); });
  EXPECT_TRUE(contains(by_value, "error")) << by_value;
  EXPECT_TRUE(contains(by_error, "error")) << by_error;
  EXPECT_THROW(p.get_future().get(), std::domain_error);
}

TEST(Promise06SecondResult, AfterCancellationThrowsAndKeepsIt) {
  promise<int> p;
  ASSERT_TRUE(p.get_future().cancel());
  const auto by_value = refusal([&] { p.set_value(2); });
  const auto by_error = refusal([&] { p.set_error(some_error); });
  EXPECT_TRUE(contains(by_value, "cancelled")) << by_value;
  EXPECT_TRUE(contains(by_error, "cancelled")) << by_error;
  EXPECT_TRUE(p.get_future().cancelled());
}

TEST(Promise06SecondResult, AfterTheValueWasTakenThrows) {
  promise<int> p;
  p.set_value(1);
  ASSERT_EQ(p.get_future().take(), 1);
  const auto text = refusal([&] { p.set_value(2); });
  EXPECT_TRUE(contains(text, "taken")) << text;
  EXPECT_THROW(p.get_future().get(), invalid_state_error);
}

struct sets_again {
  explicit sets_again(promise<sets_again>& p, std::string& text) {
    text = refusal([&] { p.set_error(some_error); });
  }
};

TEST(Promise06SecondResult, WhileTheFirstIsBeingMadeThrows) {
  struct source {
    promise<sets_again>& p;
    std::string& text;
    operator sets_again() const { return sets_again(p, text); }  // NOLINT(google-explicit-constructor)
  };
  promise<sets_again> p;
  std::string text;
  p.set_value(source{p, text});
  EXPECT_TRUE(contains(text, "running")) << text;
  EXPECT_NO_THROW(p.get_future().get());
}

TEST(Promise06SecondResult, OfManyThreadsAtOnceHasOneWinner) {
  constexpr int threads = 4;
  promise<int> p;
  std::atomic<int> winner{0};
  std::atomic<int> losers{0};
  {
    std::vector<std::jthread> setters;
    for (int i = 1; i <= threads; ++i) {
      setters.emplace_back([&, i] {
        try {
          p.set_value(i);
          winner = i;
        } catch (const invalid_state_error&) {
          ++losers;
        }
      });
    }
  }
  EXPECT_EQ(losers, threads - 1);
  EXPECT_EQ(p.get_future().get(), winner);
}

TEST(Promise06SecondResult, NullErrorIsRefusedAndChangesNothing) {
  promise<int> p;
  EXPECT_THROW(p.set_error(nullptr), std::invalid_argument);
  EXPECT_FALSE(p.get_future().done());
  p.set_value(1);
  EXPECT_EQ(p.get_future().get(), 1);
}

TEST(Promise06BrokenPromise, DestroyedWithoutAResult) {
  future<int> f;
  int callbacks = 0;
  {
    const promise<int> p;
    f = p.get_future();
    f.on_done([&](const future<int>& self) {
      ++callbacks;
      EXPECT_THROW(self.get(), broken_promise);
    });
  }
  EXPECT_TRUE(f.done());
  EXPECT_THROW(f.get(), broken_promise);
  EXPECT_EQ(callbacks, 1);
}

TEST(Promise06BrokenPromise, NotWithAResult) {
  future<int> value;
  future<int> error;
  future<int> cancelled;
  {
    promise<int> a;
    promise<int> b;
    const promise<int> c;
    value = a.get_future();
    error = b.get_future();
    cancelled = c.get_future();
    a.set_value(1);
    b.set_error(some_error);
    ASSERT_TRUE(cancelled.cancel());
  }
  EXPECT_EQ(value.get(), 1);
  EXPECT_THROW(error.get(), std::domain_error);
  EXPECT_THROW(cancelled.get(), cancelled_error);
}

TEST(Promise06BrokenPromise, MovingDoesNotBreakIt) {
  promise<int> a;
  const auto f = a.get_future();
  promise<int> b = std::move(a);
  promise<int> c;
  c = std::move(b);
  EXPECT_FALSE(f.done());
  c.set_value(1);
  EXPECT_EQ(f.get(), 1);
}

TEST(Promise06BrokenPromise, MovedFromRefusesEverything) {
  promise<int> a;
  const promise<int> b = std::move(a);
  EXPECT_THROW(a.get_future(), invalid_state_error);  // NOLINT(bugprone-use-after-move): that is what is asked
  EXPECT_THROW(a.set_value(1), invalid_state_error);
  EXPECT_THROW(a.set_error(some_error), invalid_state_error);
  EXPECT_FALSE(b.get_future().done());
}

TEST(Promise06BrokenPromise, GetFutureManyTimesSharesTheResult) {
  promise<int> p;
  const auto a = p.get_future();
  const auto b = p.get_future();
  EXPECT_EQ(a, b);
  p.set_value(1);
  EXPECT_EQ(&a.get(), &b.get());
}

// The promise holds the last reference to the result when its own callback destroys it.
TEST(Promise06OwnCallback, MayDestroyThePromiseThatIsBeingFulfilled) {
  const std::vector<std::function<void(promise<counted>&, tally&)>> ways{
      [](promise<counted>& p, tally& t) { p.set_value(counted(t)); },
      [](promise<counted>& p, tally&) { p.set_error(some_error); },
      [](promise<counted>& p, tally&) { p.get_future().cancel(); },
  };
  for (std::size_t way = 0; way < ways.size(); ++way) {
    tally t;
    int calls = 0;
    int alive_afterwards = 0;
    auto p = std::make_unique<promise<counted>>();
    p->get_future().on_done([&](const future<counted>&) {
      p.reset();
      ++calls;
    });
    p->get_future().on_done([&](const future<counted>& f) {
      alive_afterwards = t.alive;
      EXPECT_TRUE(f.done());
      ++calls;
    });
    ways[way](*p, t);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(p, nullptr);
    EXPECT_EQ(alive_afterwards, way == 0 ? 1 : 0) << "the value stays for the callbacks that are still to come";
    EXPECT_EQ(t.alive, 0) << "and not any longer";
  }
}

/// One thread completes futures one by one, the test follows: as soon as done() holds, the outcome must be there.
template <class Complete, class Check>
void watch(Complete complete, Check check) {
  std::vector<promise<std::vector<int>>> promises(static_cast<std::size_t>(scaled(100'000)));
  std::jthread completer([&] {
    for (auto& p : promises) complete(p);
  });
  for (const auto& p : promises) {
    const auto f = p.get_future();
    while (!f.done()) std::this_thread::yield();
    ASSERT_FALSE(f.running());
    check(f);
    if (testing::Test::HasFailure()) return;
  }
}

using numbers = std::vector<int>;

TEST(Promise07Atomic, DoneAndTheValue) {
  watch(
      [](promise<numbers>& p) {
        p.set_value(numbers{1, 2, 3});
      },
      [](const future<numbers>& f) {
        EXPECT_EQ(f.get_for(std::chrono::seconds(0)), (numbers{1, 2, 3}));
      });
}

TEST(Promise07Atomic, DoneAndTheError) {
  watch([](promise<numbers>& p) { p.set_error(std::make_exception_ptr(std::domain_error("no"))); },
        [](const future<numbers>& f) {
          EXPECT_THROW(f.get_for(std::chrono::seconds(0)), std::domain_error);
          EXPECT_FALSE(f.cancelled());
        });
}

TEST(Promise07Atomic, DoneAndTheCancellation) {
  watch([](promise<numbers>& p) { p.get_future().cancel(); },
        [](const future<numbers>& f) {
          EXPECT_TRUE(f.cancelled());
          EXPECT_THROW(f.get_for(std::chrono::seconds(0)), cancelled_error);
        });
}

}  // namespace
