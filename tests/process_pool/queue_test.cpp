// Tasks that wait in the pool's own process, because the rings are full, and go to a worker several at a time.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using remuda::test::eventually;
using remuda::test::file_gate;
using remuda::test::shared_count;

constexpr int many = 1000;  // more than a ring holds

/// Takes its time when it is encoded, once, after the test has asked for that.
struct slow_to_send {
  int value = 0;

  static inline std::atomic<bool> asked{false};
  static inline std::atomic<bool> encoding{false};
  static inline std::atomic<bool> cancelling{false};

  template <class Archive>
  void save(Archive& to) const {
    if (asked.exchange(false)) {
      encoding = true;
      while (!cancelling) std::this_thread::yield();
      // long enough that the cancelling thread comes to what is sent along with this one
      for (const auto end = steady::now() + 20ms; steady::now() < end;) std::this_thread::yield();
    }
    to(value);
  }
  template <class Archive>
  void load(Archive& from) {
    from(value);
  }
};

int value_of(const slow_to_send& v) { return v.value; }

int hold_until(const remuda::shared_buffer<int>& stage, int wanted) {
  while (std::atomic_ref<int>(stage[0]).load() < wanted) std::this_thread::yield();
  return wanted;
}

TEST(Promise03ProcessPool, WhatIsOnItsWayToAWorkerIsCancelledToo) {
  remuda::process_pool pool{1};
  const auto stage = pool.make_buffer<int>(1);
  auto first = pool.submit(hold_until, stage, 1);
  std::vector<remuda::future<int>> few;
  for (int i = 0; i < 20; ++i) few.push_back(pool.submit(value_of, slow_to_send{i}));
  auto second = pool.submit(hold_until, stage, 2);
  std::vector<remuda::future<int>> waiting;
  for (int i = 0; i < many; ++i) waiting.push_back(pool.submit(value_of, slow_to_send{i}));

  slow_to_send::asked = true;
  std::atomic_ref<int>(stage[0]).store(1);  // makes room for some of them
  ASSERT_TRUE(eventually([] { return slow_to_send::encoding.load(); }));
  slow_to_send::cancelling = true;
  // The worker is held, so none has begun. From the back: what is in the ring already would wait for the sending.
  for (auto f = waiting.rbegin(); f != waiting.rend(); ++f) EXPECT_TRUE(f->cancel());

  std::atomic_ref<int>(stage[0]).store(2);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(few[static_cast<std::size_t>(i)].get(), i);
  EXPECT_EQ(first.get() + second.get(), 3);
}

TEST(Promise03ProcessPool, ThoseCancelledWhileTheyWaitLeaveTheOthersInTheirOrder) {
  remuda::process_pool pool{1};
  const file_gate gate;
  const auto first = pool.submit(file_gate::wait, gate.path());
  std::vector<int> order;
  std::vector<remuda::future<int>> all;
  for (int i = 0; i < many; ++i) {
    all.push_back(pool.submit([](int n) { return n; }, i));
    all.back().on_done([&order](const remuda::future<int>& f) {
      if (!f.cancelled()) order.push_back(f.get());
    });
  }
  std::vector<int> left;
  for (std::size_t i = 0; i < many; ++i) {
    const std::size_t scattered = i * 7 % many;  // 7 and many have no common divisor
    if (scattered % 3 == 0 || scattered > many - 5) {
      EXPECT_TRUE(all[scattered].cancel()) << scattered;
    }
  }
  for (int i = 0; i < many; ++i) {
    if (i % 3 != 0 && i <= many - 5) left.push_back(i);
  }
  gate.open();
  pool.shutdown();
  EXPECT_EQ(order, left);
}

TEST(Promise14ProcessPool, MoreThanTheRingsHoldAreRunOnceEach) {
  remuda::process_pool pool{2};
  std::vector<remuda::future<int>> results;
  for (int i = 0; i < 20 * many; ++i) results.push_back(pool.submit(value_of, slow_to_send{i}));
  for (int i = 0; i < 20 * many; ++i) ASSERT_EQ(results[static_cast<std::size_t>(i)].get(), i);
}

void hold_and_die(const remuda::shared_buffer<int>& stage) {
  while (std::atomic_ref<int>(stage[1]).load() == 0) std::this_thread::yield();
  _exit(3);
}

TEST(Promise03ProcessPool, WhatADeadWorkerLeavesBehindIsCancelledToo) {
  const shared_count started;
  const file_gate replacement;
  auto options = remuda::test::with_workers(2);
  options.initializer = remuda::remote_call(
      [](const std::string& count, const std::string& gate) {
        if (shared_count::add(count) > 2) file_gate::wait(gate);
      },
      started.path(), replacement.path());
  remuda::process_pool pool{options};
  const auto stage = pool.make_buffer<int>(2);
  auto held = pool.submit(hold_until, stage, 1);
  auto dead = pool.submit(hold_and_die, stage);
  ASSERT_TRUE(eventually([&] { return held.running() && dead.running(); }));
  std::vector<remuda::future<int>> behind;  // one half of them behind either
  for (int i = 0; i < 20; ++i) behind.push_back(pool.submit(value_of, slow_to_send{i}));
  slow_to_send::encoding = slow_to_send::cancelling = false;
  slow_to_send::asked = true;
  std::atomic_ref<int>(stage[1]).store(1);
  ASSERT_TRUE(eventually([] { return slow_to_send::encoding.load(); }));
  slow_to_send::cancelling = true;
  // The first of the dead worker's tasks is on its way to the other worker, which is held, as is the one that is to
  // replace the dead one: so none has begun. Whose turn comes behind the held one waits for the sending; so there are
  // two threads.
  std::atomic<int> cancelled{0};
  const auto cancel_from = [&](std::size_t first) {
    for (std::size_t i = first; i < behind.size(); i += 2) cancelled += behind[i].cancel() ? 1 : 0;
  };
  std::thread even([&] { cancel_from(0); });
  cancel_from(1);
  even.join();
  EXPECT_EQ(cancelled, 20);
  replacement.open();
  std::atomic_ref<int>(stage[0]).store(1);
  EXPECT_EQ(held.get(), 1);
  EXPECT_THROW(dead.get(), remuda::worker_died);
}

}  // namespace
