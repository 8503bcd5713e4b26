// Promise 9: what a result may be.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/counted.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

TEST(Promise09Values, MoveOnly) {
  promise<std::unique_ptr<int>> p;
  p.set_value(std::make_unique<int>(3));
  EXPECT_EQ(*p.get_future().get(), 3);
  EXPECT_EQ(*p.get_future().take(), 3);

  thread_pool pool(1);
  auto f = pool.submit([] { return std::make_unique<int>(4); });
  EXPECT_EQ(*f.get(), 4);
  EXPECT_EQ(*f.take(), 4);
}

TEST(Promise09Values, Void) {
  promise<void> p;
  const auto f = p.get_future();
  EXPECT_FALSE(f.done());
  p.set_value();
  EXPECT_NO_THROW(f.get());
  EXPECT_THROW(p.set_value(), invalid_state_error);

  thread_pool pool(1);
  int ran = 0;
  pool.submit([&] { ++ran; }).get();
  EXPECT_EQ(ran, 1);
}

TEST(Promise09Values, Reference) {
  int target = 3;
  promise<int&> p;
  p.set_value(target);
  p.get_future().get() = 4;
  EXPECT_EQ(target, 4);

  thread_pool pool(1);
  auto f = pool.submit([&]() -> int& { return target; });
  EXPECT_EQ(&f.get(), &target);
  EXPECT_EQ(&f.take(), &target);

  const std::string text = "text";
  const auto constant = pool.submit([&]() -> const std::string& { return text; });
  EXPECT_EQ(&constant.get(), &text);
}

template <std::size_t Alignment>
struct alignas(Alignment) aligned {
  int value = 0;
  bool well_placed() const { return reinterpret_cast<std::uintptr_t>(this) % Alignment == 0; }
};

template <std::size_t Alignment>
void expect_aligned() {
  thread_pool pool(1);
  std::vector<future<aligned<Alignment>>> futures;
  constexpr int count = 20;
  for (int i = 0; i < count; ++i) {
    futures.push_back(pool.submit([i] { return aligned<Alignment>{i}; }));
    promise<aligned<Alignment>> p;
    p.set_value(aligned<Alignment>{i});
    EXPECT_TRUE(p.get_future().get().well_placed());
    futures.push_back(futures.back().then([](const aligned<Alignment>& a) { return a; }));
    // an over-aligned closure, and one in a callback
    pool.submit([a = aligned<Alignment>{i}] { EXPECT_TRUE(a.well_placed()); }).get();
    bool called = false;
    p.get_future().on_done(
        [a = aligned<Alignment>{i}, &called](const future<aligned<Alignment>>&) { called = a.well_placed(); });
    EXPECT_TRUE(called);
  }
  for (std::size_t i = 0; i < futures.size(); ++i) {
    EXPECT_TRUE(futures[i].get().well_placed());
    EXPECT_EQ(futures[i].get().value, static_cast<int>(i / 2));
  }
}

TEST(Promise09Values, OverAligned) {
  expect_aligned<32>();
  expect_aligned<64>();
  expect_aligned<128>();
  expect_aligned<4096>();
}

TEST(Promise09Values, Large) {
  using large = std::array<char, 1 << 20>;
  thread_pool pool(1);
  const auto f = pool.submit([] {
    auto big = std::make_unique<large>();
    big->fill('x');
    return *big;
  });
  EXPECT_EQ(f.get().front(), 'x');
  EXPECT_EQ(f.get().back(), 'x');
}

struct throws_when_moved {
  throws_when_moved() = default;
  throws_when_moved(throws_when_moved&&) { throw std::domain_error("moved"); }
  throws_when_moved(const throws_when_moved&) { throw std::domain_error("copied"); }
};

TEST(Promise09Values, ThrowingMoveReachesTheFuture) {
  promise<throws_when_moved> moved;
  EXPECT_NO_THROW(moved.set_value(throws_when_moved()));
  EXPECT_THROW(moved.get_future().get(), std::domain_error);

  promise<throws_when_moved> copied;
  const throws_when_moved value;
  EXPECT_NO_THROW(copied.set_value(value));
  EXPECT_THROW(copied.get_future().get(), std::domain_error);

  thread_pool pool(1);
  throws_when_moved outside;
  const auto f = pool.submit([&] { return throws_when_moved(std::move(outside)); });
  EXPECT_THROW(f.get(), std::domain_error);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
}

TEST(Promise09Values, ValueIsDestroyedOnceWithTheLastHandle) {
  tally t;
  thread_pool pool(1);
  auto f = pool.submit([&] { return counted(t); });
  f.wait();
  EXPECT_EQ(t.alive, 1);
  auto copy = f;
  f = {};
  EXPECT_EQ(t.alive, 1);
  pool.shutdown();  // whatever handle the worker had is gone now
  copy = {};
  EXPECT_EQ(t.alive, 0);
}

TEST(Promise09Values, TakenValueIsDestroyedOnce) {
  tally t;
  {
    promise<counted> p;
    p.set_value(counted(t));
    {
      const counted taken = p.get_future().take();
      EXPECT_EQ(t.alive, 1);
    }
    EXPECT_EQ(t.alive, 0);
  }
  EXPECT_EQ(t.alive, 0);
  EXPECT_EQ(t.copies, 0);
}

}  // namespace
