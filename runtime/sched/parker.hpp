// One thread's place to sleep, with a token: an unpark before the park makes the park return at once.
#pragma once

#include <cstdint>

#include "remuda/detail/sync.hpp"
#include "runtime/os/futex.hpp"

namespace remuda::detail {

class parker {
 public:
  /// Takes the token, or sleeps until it comes. One thread. Blocks.
  void park() {
    std::uint32_t expected = empty;
    // acquire, here and below: sees what the thread that put the token did before
    if (!word_.compare_exchange_strong(expected, asleep, std_sync::acquire, std_sync::acquire)) {
      word_.store(empty, std_sync::relaxed);  // relaxed: nobody else changes a token
      return;
    }
    while (word_.load(std_sync::acquire) != token) os::futex_wait(&word_, asleep);
    word_.store(empty, std_sync::relaxed);
  }

  /// Puts the token; any thread, once for each park. The system call is made only where somebody sleeps. Lock-free.
  void unpark() {
    // release: publishes to park(). The parker outlives the call: only a seat or thread of a living pool has one.
    if (word_.exchange(token, std_sync::release) == asleep) os::futex_wake(&word_, 1);
  }

 private:
  static constexpr std::uint32_t empty = 0, asleep = 1, token = 2;
  atomic<std::uint32_t> word_{empty};
};

}  // namespace remuda::detail
