// The tiny task of the throughput rows, and how its runs are counted: each thread counts on a line of its own with a
// plain addition, so that the counting costs about a nanosecond and adds no contention of its own to what is measured.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include "bench/support/latency.hpp"
#include "remuda/config.hpp"
#include "remuda/detail/sync.hpp"

namespace bench {

class tally {
 public:
  /// Counts one. Any thread.
  static void add() {
    thread_local seat* const mine = sit_down();
    using sync = remuda::detail::std_sync;
    // relaxed, and no read-modify-write: one thread writes, and the reader waits for the sum only
    mine->count.store(mine->count.load(sync::relaxed) + 1, sync::relaxed);
  }

  static std::uint64_t total() {
    std::uint64_t sum = 0;
    for (const seat& s : seats_) sum += s.count.load(remuda::detail::std_sync::relaxed);
    return sum;
  }

  /// Sleeps until the total is `target`. It looks every quarter of a millisecond: often enough for runs of ten, and
  /// rarely enough to leave the cores to the workers.
  static void wait_for(std::uint64_t target) {
    const auto patience = clock::now() + std::chrono::seconds(60);
    while (total() < target) {
      if (clock::now() > patience) throw std::runtime_error("tasks were lost");
      std::this_thread::sleep_for(std::chrono::microseconds(250));
    }
  }

 private:
  struct alignas(2 * remuda::cache_line) seat {  // two lines: the hardware fetches them in pairs
    remuda::detail::atomic<std::uint64_t> count;
    remuda::detail::atomic<bool> taken;
  };

  /// A seat for the life of this thread. Peers that start a thread per task need many, one after the other.
  static seat* sit_down() {
    struct lease {
      seat* held = nullptr;
      ~lease() {
        // release: the next thread on this seat goes on from the count that this one left
        if (held != nullptr) held->taken.store(false, remuda::detail::std_sync::release);
      }
    };
    thread_local lease mine;
    while (mine.held == nullptr) {
      for (seat& s : seats_) {
        if (!s.taken.exchange(true, remuda::detail::std_sync::acq_rel)) {
          mine.held = &s;
          break;
        }
      }
    }
    return mine.held;
  }

  static inline std::array<seat, 1024> seats_{};
};

}  // namespace bench
