// Promises 8 and 19 for guests: threads that are not of the pool and run a task of it.
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

constexpr shutdown_mode both_modes[] = {shutdown_mode::wait, shutdown_mode::cancel_pending};

/// A pool whose only worker is held at a gate, so that only guests run its tasks.
class Promise08Guest : public testing::Test {
 protected:
  void SetUp() override { hold(pool_); }
  void TearDown() override { held_.open(); }

  void hold(thread_pool& pool) {
    const int before = held_.arrived();
    pool.post([this] { held_.wait(); });
    ASSERT_TRUE(eventually([&] { return held_.arrived() == before + 1; }));
  }

  gate held_;
  thread_pool pool_{1};
};

TEST_F(Promise08Guest, RunsWhatItsTaskWaitsFor) {
  const auto child = pool_.submit([] { return std::this_thread::get_id(); });
  const auto parent = pool_.submit([child] { return child.get(); });
  ASSERT_TRUE(parent.run_here());
  EXPECT_EQ(parent.get_for(generous), std::this_thread::get_id());
}

TEST_F(Promise08Guest, RunsWhatItsTaskHasSubmitted) {
  const auto parent = pool_.submit([&] {
    return pool_.submit([&] { return pool_.submit([] { return std::this_thread::get_id(); }).get(); }).get();
  });
  ASSERT_TRUE(parent.run_here());
  EXPECT_EQ(parent.get_for(generous), std::this_thread::get_id());
}

TEST_F(Promise08Guest, OfTwoPoolsAtOnce) {
  thread_pool other(1);
  const gate_opener opener(held_);
  hold(other);
  const auto child = pool_.submit([] { return std::this_thread::get_id(); });
  const auto between = other.submit([child] { return child.get(); });
  const auto parent = pool_.submit([between] {
    between.run_here();
    return between.get();
  });
  ASSERT_TRUE(parent.run_here());
  EXPECT_EQ(parent.get_for(generous), std::this_thread::get_id()) << "in both pools it is inside";
}

TEST_F(Promise08Guest, InAFullPoolThatLetsTheCallerRun) {
  thread_pool_options options;
  options.workers = 1;
  options.max_pending = 1;
  options.full = when_full::caller_runs;
  thread_pool full(options);
  const gate_opener opener(held_);
  hold(full);
  const auto child = full.submit([] { return std::this_thread::get_id(); });
  const auto parent = full.submit([child] { return child.get(); });
  EXPECT_EQ(parent.get_for(generous), std::this_thread::get_id());
}

/// Runs `f` on a thread with a stack of that many bytes.
void on_stack_of(std::size_t bytes, std::function<void()> f) {
  pthread_attr_t attributes;
  pthread_t thread{};
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &f), 0);
  pthread_attr_destroy(&attributes);
  pthread_join(thread, nullptr);
}

// More waits on top of each other than its stack holds: it runs as many as fit, and waits for the worker to do the
// rest.
TEST_F(Promise08Guest, LeavesTheRestToTheWorkersWhenItsStackIsFull) {
  const auto links = static_cast<std::size_t>(scaled(100'000));
  constexpr std::size_t small_stack = std::size_t{256} << 10;
  constexpr std::size_t usual_stack = std::size_t{8} << 20;
  for (const std::size_t stack : {small_stack, usual_stack}) {
    thread_pool pool(1);
    gate held;
    const gate_opener opener(held);
    pool.post([&] { held.wait(); });
    ASSERT_TRUE(eventually([&] { return held.arrived() == 1; }));
    std::vector<future<int>> futures{pool.submit([] { return 0; })};
    for (std::size_t i = 1; i <= links; ++i) {
      futures.push_back(pool.submit([before = futures.back()] { return before.get() + 1; }));
    }
    std::atomic<pid_t> id{0};
    std::jthread opens([&] {
      EXPECT_TRUE(eventually([&] { return id != 0 && is_asleep(id); }));
      held.open();
    });
    on_stack_of(stack, [&] {
      id = gettid();
      EXPECT_TRUE(futures.back().run_here());
    });
    EXPECT_EQ(futures.back().get_for(generous), static_cast<int>(links));
  }
}

TEST_F(Promise08Guest, WaitsWithATimeLimitWithoutRunningIt) {
  const auto child = pool_.submit([] { return 3; });
  const auto parent = pool_.submit([child] { return child.wait_for(std::chrono::milliseconds(1)); });
  ASSERT_TRUE(parent.run_here());
  EXPECT_FALSE(parent.get());
  EXPECT_FALSE(child.done());
}

using Promise19Guest = Promise08Guest;

TEST_F(Promise19Guest, SeesWhatACancellingShutdownHasLeftAsCancelled) {
  std::atomic<int> ran{0};
  const auto child = pool_.submit([&] { ++ran; });
  const auto parent = pool_.submit([&] {
    pool_.shutdown(shutdown_mode::cancel_pending);
    EXPECT_THROW(child.get(), cancelled_error);
  });
  ASSERT_TRUE(parent.run_here());
  EXPECT_NO_THROW(parent.get());
  EXPECT_EQ(ran, 0);
}

/// A thread that runs a task of `pool` as a guest and stays in it until the gate opens; its callback counts too.
struct busy_guest {
  busy_guest(thread_pool& pool, gate& g) {
    const auto f = pool.submit([&g] { g.wait(); });
    f.on_done([this](const future<void>&) { over = true; });
    const int before = g.arrived();
    thread = std::jthread([f] { EXPECT_TRUE(f.run_here()); });
    EXPECT_TRUE(eventually([&] { return g.arrived() == before + 1; }));
  }
  std::atomic<bool> over{false};
  std::jthread thread;
};

/// Ends a pool by `end` while a guest is in a task of it: `end` returns when the guest is through, and not before.
template <class End>
void expect_guest_is_waited_for(thread_pool& pool, End end) {
  gate worker;
  gate g;
  std::atomic<pid_t> worker_id{0};
  std::atomic<bool> worker_free{false};
  const gate_opener worker_opener(worker);
  pool.post([&] {
    worker.wait();
    worker_id = gettid();
    worker_free = true;
  });
  ASSERT_TRUE(eventually([&] { return worker.arrived() == 1; }));
  busy_guest guest(pool, g);
  std::atomic<pid_t> stopper_id{0};
  std::atomic<bool> returned{false};
  std::jthread stopper([&] {
    stopper_id = gettid();
    end();
    EXPECT_TRUE(guest.over);
    returned = true;
  });
  const gate_opener opener(g);
  ASSERT_TRUE(eventually([&] { return stopper_id != 0 && is_asleep(stopper_id); }));
  worker.open();
  ASSERT_TRUE(eventually([&] { return worker_free && (!is_thread(worker_id) || is_asleep(worker_id)); }));
  EXPECT_TRUE(is_thread(worker_id)) << "the worker has nothing to do, but the pool has not ended";
  EXPECT_FALSE(returned);
  g.open();
  EXPECT_TRUE(eventually([&] { return returned.load(); }));
}

TEST(Promise19GuestShutdown, IsWaitedFor) {
  for (const auto mode : both_modes) {
    thread_pool pool(1);
    expect_guest_is_waited_for(pool, [&] { pool.shutdown(mode); });
  }
}

TEST(Promise20GuestDestructor, IsWaitedFor) {
  auto pool = std::make_unique<thread_pool>(1);
  expect_guest_is_waited_for(*pool, [&] { pool.reset(); });
}

TEST(Promise20GuestDestructor, ByTheGuestsTaskReturnsAndTheWorkersEndByThemselves) {
  const auto before = thread_ids();
  gate worker;
  std::atomic<int> ran{0};
  auto pool = std::make_unique<thread_pool>(1);
  const gate_opener worker_opener(worker);
  pool->post([&] { worker.wait(); });
  ASSERT_TRUE(eventually([&] { return worker.arrived() == 1; }));
  const auto last_wish = pool->submit([&] { pool.reset(); });
  const auto queued = pool->submit([&] { ++ran; });
  EXPECT_TRUE(last_wish.run_here());
  EXPECT_TRUE(last_wish.done());
  worker.open();
  EXPECT_TRUE(queued.wait_for(generous));
  EXPECT_EQ(ran, 1);
  EXPECT_TRUE(eventually([&] { return thread_ids() == before; }));
}

}  // namespace
