// What the pool's own thread does step by step, at times of the test's own, and what others meet in the middle of a
// step: a pool without processes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <remuda/future.hpp>
#include <remuda/process_pool.hpp>
#include <thread>

#include "tests/fuzz/process_core_harness.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using namespace remuda::detail;

void nothing() {}

struct one_worker {
  process_core_harness pool{[] {
    remuda::process_pool_options o;
    o.workers = 1;
    o.pin = false;
    o.max_payload = 4096;
    return o;
  }()};
  process_core_harness::as_supervisor here{pool};
  lane& only = pool.at(0);

  one_worker() {
    pool.start_over();
    answer(0);
    pool.receive(only);
  }
  ~one_worker() {
    pool.break_pool();
    pool.die(only, SIGKILL);
  }
  one_worker(const one_worker&) = delete;
  one_worker& operator=(const one_worker&) = delete;

  void answer(std::uint64_t position, slot_kind kind = slot_kind::value) {
    call_slot& slot = only.ring.at(position);
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

/// Does something on a thread of its own, until the end of which the test comes only then.
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
  one_worker w;
  const auto first = w.submit();
  const auto second = w.submit();
  bool cancelled = false;
  {
    std::optional<other_thread> canceller;
    const process_core_harness::sender in_between(w.pool, w.only);
    canceller.emplace([&] { cancelled = second.cancel(); });
    canceller->get_stuck();
    EXPECT_FALSE(second.done());
  }
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(second.cancelled());
  EXPECT_FALSE(first.done());
}

// The receiver would take it for garbage, and end the worker.
TEST(ProcessPoolSupervisor, P30_AWorkerMayPassAWithdrawnCallWhoseTaskIsStillInTheTable) {
  one_worker w;
  const auto withdrawn = w.submit();
  {
    std::optional<other_thread> receiver;
    const process_core_harness::withdrawer in_between(w.pool, w.only);
    w.answer(in_between.position(), slot_kind::skipped);
    receiver.emplace([&] { w.pool.receive(w.only); });
    receiver->get_stuck();
    EXPECT_FALSE(withdrawn.done());
  }
  EXPECT_TRUE(withdrawn.cancelled());
  EXPECT_TRUE(w.pool.open(w.only));
}

TEST(ProcessPoolSupervisor, P29_AWorkerThatIsGoneBeforeItIsWatchedIsADeathAmongOthers) {
  one_worker w;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(w.pool.begin(w.only, child));
  EXPECT_FALSE(w.pool.broken());
}

// A worker that lies about its words is found by the looks of once a second, so they go on while somebody has a task.
TEST(ProcessPoolSupervisor, P31_WatchesWhatIsSentWhileItIsAboutToSleep) {
  one_worker w;
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
  one_worker w;
  const auto first = w.submit(1h);
  const auto second = w.submit(10ms);
  w.pool.core->serve(std::chrono::steady_clock::now());
  ASSERT_FALSE(w.pool.kicked());
  w.answer(1);
  serving = nullptr;  // another thread takes the result
  EXPECT_TRUE(first.done() || first.wait_for(1s));
  EXPECT_TRUE(w.pool.kicked());
}

}  // namespace
