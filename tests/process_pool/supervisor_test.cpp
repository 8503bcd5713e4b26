// What the pool's own thread does step by step, at times of the test's own: a pool without processes.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <remuda/future.hpp>
#include <remuda/process_pool.hpp>

#include "tests/fuzz/process_core_harness.hpp"

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

  void answer(std::uint64_t position) {
    call_slot& slot = only.ring.at(position);
    slot.kind = slot_kind::value;
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
