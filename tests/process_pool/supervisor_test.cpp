// What the pool's own thread does step by step, at times of the test's own, and what others meet in the middle of a
// step: a pool without processes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <optional>
#include <remuda/future.hpp>
#include <remuda/process_pool.hpp>
#include <string>
#include <thread>

#include "tests/fuzz/process_core_harness.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using namespace remuda::detail;

void nothing() {}

struct workers {
  process_core_harness pool;
  process_core_harness::as_supervisor here{pool};
  lane& first = pool.at(0);

  explicit workers(unsigned n = 1)
      : pool([n] {
          remuda::process_pool_options o;
          o.workers = n;
          o.pin = false;
          o.max_payload = 4096;
          o.max_deaths_in_a_row = 4;
          return o;
        }()) {
    pool.start_over();
    for (unsigned i = 0; i < n; ++i) {
      answer(pool.at(i), 0);
      pool.receive(pool.at(i));
    }
  }
  ~workers() {
    pool.break_pool();
    for (std::size_t i = 0; i < pool.lanes(); ++i) pool.die(pool.at(i), SIGKILL);
  }
  workers(const workers&) = delete;
  workers& operator=(const workers&) = delete;

  static void answer(lane& l, std::uint64_t position, slot_kind kind = slot_kind::value) {
    call_slot& slot = l.ring.at(position);
    slot.kind = kind;
    slot.where = slot.size = 0;
    slot.word.store(static_cast<std::uint32_t>(slot_state::done));  // of the first lap
  }
  remuda::future<void> submit(std::chrono::nanoseconds timeout = 0ns) {
    using task = remote_task<bound<void (*)()>, void, false>;
    auto* const made = make_block<task>([] { return bound<void (*)()>{&nothing}; }, pool.core->id());
    made->part.timeout = timeout;
    remuda::future<void> out(made);
    pool.core->schedule(made, made->part);
    return out;
  }
};

/// Does something on a thread of its own; its end waits for that.
class other_thread {
 public:
  template <class F>
  explicit other_thread(F f)
      : thread_([this, f] {
          id_ = gettid();
          f();
          done_ = true;
        }) {}
  ~other_thread() { thread_.join(); }
  other_thread(const other_thread&) = delete;
  other_thread& operator=(const other_thread&) = delete;

  /// Waits until it can do no more without this thread, or is through.
  void get_stuck() const {
    EXPECT_TRUE(remuda::test::eventually([this] { return done_ || (id_ != 0 && remuda::test::state_of(id_) == 'S'); }));
  }

 private:
  std::atomic<pid_t> id_{0};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(ProcessPoolSupervisor, P03_WhatIsBetweenTheQueueAndARingIsCancelled) {
  workers w;
  const auto first = w.submit();
  const auto second = w.submit();
  bool cancelled = false;
  {
    std::optional<other_thread> canceller;
    process_core_harness::sender in_between(w.pool, w.first);
    in_between.take_newest();
    canceller.emplace([&] { cancelled = second.cancel(); });
    canceller->get_stuck();
    EXPECT_FALSE(second.done());
  }
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(second.cancelled());
  EXPECT_FALSE(first.done());
}

TEST(ProcessPoolSupervisor, P03_WhatIsTakenBackDoesNotRun) {
  workers w;
  const auto first = w.submit();
  const auto second = w.submit();
  bool running = true;
  {
    std::optional<other_thread> observer;
    process_core_harness::sender in_between(w.pool, w.first);
    observer.emplace([&] { running = second.running(); });
    observer->get_stuck();
    in_between.take_newest();
  }
  EXPECT_FALSE(running);
}

// Those that the pool is going to cancel are no exception.
TEST(ProcessPoolSupervisor, P03_WhatAShutdownHasTakenBackIsCancelledByOthersToo) {
  workers w{2};
  const auto first = w.submit();
  const auto second = w.submit();
  w.pool.core->shutdown(remuda::shutdown_mode::cancel_pending);  // of the pool's own thread: it does not wait
  {
    std::optional<other_thread> closer;
    const process_core_harness::sender somebody(w.pool, w.pool.at(1));
    closer.emplace([&] { w.pool.look(); });
    closer->get_stuck();
    EXPECT_FALSE(first.done());
    EXPECT_TRUE(first.cancel());
    EXPECT_TRUE(first.cancelled());
  }
  EXPECT_TRUE(second.cancelled());
}

// The receiver would take it for garbage, and end the worker.
TEST(ProcessPoolSupervisor, P30_AWorkerMayPassAWithdrawnCallWhoseTaskIsStillInTheTable) {
  workers w;
  const auto withdrawn = w.submit();
  {
    std::optional<other_thread> receiver;
    const process_core_harness::withdrawer in_between(w.pool, w.first);
    workers::answer(w.first, in_between.position(), slot_kind::skipped);
    receiver.emplace([&] { w.pool.receive(w.first); });
    receiver->get_stuck();
    EXPECT_FALSE(withdrawn.done());
  }
  EXPECT_TRUE(withdrawn.cancelled());
  EXPECT_TRUE(w.pool.open(w.first));
}

/// The first of two workers dies again and again before its first call is answered. How often, until that breaks the
/// pool: what the other worker finishes meanwhile does not make up for it.
template <class Death>
int deaths_at_start(Death die) {
  workers w{2};
  int deaths = 0;
  w.pool.die(w.first, SIGKILL);
  while (!w.pool.broken() && ++deaths < 10) {
    const auto done = w.submit();
    workers::answer(w.pool.at(1), static_cast<std::uint64_t>(deaths));
    w.pool.receive(w.pool.at(1));
    EXPECT_TRUE(done.done());
    die(w);
  }
  return deaths;
}

TEST(ProcessPoolSupervisor, P29_AWorkerThatTakesTheZygoteAlongWheneverItStartsBreaksThePool) {
  EXPECT_EQ(deaths_at_start([](workers& w) { w.pool.die(w.first, SIGKILL, true); }), 4);
}

TEST(ProcessPoolSupervisor, P31_AWorkerThatWritesNonsenseWheneverItStartsBreaksThePool) {
  EXPECT_EQ(deaths_at_start([](workers& w) {
              w.first.ring.at(0).word.store(7);
              w.pool.receive(w.first);
              w.pool.die(w.first, SIGKILL);
            }),
            4);
}

TEST(ProcessPoolSupervisor, P29_FailedStartsAreNotInARowWhenOneIsNot) {
  workers w;
  for (int round = 0; round < 10; ++round) {
    w.first.memory.header().retired.store(1);
    const auto last = w.submit();
    workers::answer(w.first, 1);
    w.pool.receive(w.first);
    ASSERT_TRUE(last.done());
    ASSERT_TRUE(w.pool.die(w.first, 0)) << "by plan";
    ASSERT_TRUE(w.pool.die(w.first, SIGKILL)) << "at its start, round " << round;
    workers::answer(w.first, 0);
    w.pool.receive(w.first);
    ASSERT_TRUE(w.pool.open(w.first));
  }
}

TEST(ProcessPoolSupervisor, TheConstructorWaitsForEachPlaceAndNotForAsManyStarts) {
  workers w{2};
  w.pool.start_over();
  for (int i = 0; i < 2; ++i) {
    workers::answer(w.first, 0);
    w.pool.receive(w.first);
    EXPECT_EQ(w.pool.starting(), 1U);
    ASSERT_TRUE(w.pool.die(w.first, SIGKILL));
  }
  workers::answer(w.pool.at(1), 0);
  w.pool.receive(w.pool.at(1));
  EXPECT_EQ(w.pool.starting(), 0U);
}

// By its number alone it might be taken for another process.
TEST(ProcessPoolSupervisor, P29_AWorkerWithoutADescriptorBreaksThePool) {
  workers w;
  const auto pending = w.submit();
  EXPECT_FALSE(w.pool.begin(w.first, getpid()));
  w.pool.look();
  const std::string text = remuda::test::text_of<remuda::broken_pool_error>(pending);
  EXPECT_NE(text.find(std::strerror(EMFILE)), std::string::npos) << text;
}

// A worker that lies about its words is found by the looks of once a second, so they go on while somebody has a task.
TEST(ProcessPoolSupervisor, P31_WatchesWhatIsSentWhileItIsAboutToSleep) {
  workers w;
  w.pool.audit();
  w.pool.audit();
  ASSERT_FALSE(w.pool.watches()) << "nothing is going on";
  w.pool.announce_sleep();
  // It is woken by something else, finds nothing, and is about to sleep again.
  const auto sent = w.submit();
  w.pool.announce_sleep();
  w.pool.core->serve(std::chrono::steady_clock::now());  // finds that it was kicked
  EXPECT_TRUE(w.pool.watches());
}

// It waits for the end of the longer limit else.
TEST(ProcessPoolSupervisor, P26_HearsOfItWhenALimitBehindALongerOneBegins) {
  workers w;
  const auto first = w.submit(1h);
  const auto second = w.submit(10ms);
  w.pool.core->serve(std::chrono::steady_clock::now());
  ASSERT_FALSE(w.pool.kicked());
  workers::answer(w.first, 1);
  serving = nullptr;  // another thread takes the result
  EXPECT_TRUE(first.done() || first.wait_for(1s));
  EXPECT_TRUE(w.pool.kicked());
}

}  // namespace
