// Waiting for conditions in tests: never a bare sleep, never for ever.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace remuda::test {

/// Far above what anything takes on a busy machine under a sanitizer, below the time limit of a test.
inline constexpr std::chrono::seconds generous{60};

/// A time-out that is never meant to pass.
inline constexpr std::chrono::hours for_ever{1};

/// Polls until `condition()` holds; fails when it still does not after `bound`.
template <class Condition>
testing::AssertionResult eventually(Condition&& condition, std::chrono::milliseconds bound = generous) {
  const auto end = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) {
      return testing::AssertionFailure() << "the condition did not hold within " << bound.count() << " ms";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return testing::AssertionSuccess();
}

/// Holds tasks back until the test lets them go. A task that nobody lets go throws in the end, so that a test which
/// failed in between does not hang in the destructor of its pool.
class gate {
 public:
  gate() = default;
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    if (!changed_.wait_for(lock, generous, [this] { return open_; }))
      throw std::runtime_error("nobody opened the gate");
  }

  /// How many have come to wait() so far.
  int arrived() const {
    const std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrived_ = 0;
};

/// Opens a gate when the test leaves its scope, whichever way. Declared after the pool, it lets the pool's tasks end.
class gate_opener {
 public:
  explicit gate_opener(gate& g) : gate_(g) {}
  ~gate_opener() { gate_.open(); }
  gate_opener(const gate_opener&) = delete;
  gate_opener& operator=(const gate_opener&) = delete;

 private:
  gate& gate_;
};

}  // namespace remuda::test
