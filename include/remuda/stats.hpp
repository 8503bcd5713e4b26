// What a pool counts: plain data, a copy taken at one moment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace remuda {

/// Counts of delays by powers of two. Bucket 0 holds [0, 64) ns, bucket i holds [32 * 2^i, 64 * 2^i) ns; the last one
/// everything above.
struct delay_histogram {
  static constexpr std::size_t size = 32;
  std::array<std::uint64_t, size> counts{};

  std::uint64_t total() const;
  /// Upper bound in nanoseconds of the bucket in which the quantile `q` (0 to 1) lies; 0 when nothing was counted.
  double quantile(double q) const;
};

struct worker_stats {
  int cpu = -1;                 ///< OS index of the CPU it is pinned to; -1: not pinned
  std::uint64_t run = 0;        ///< tasks run
  std::uint64_t stolen = 0;     ///< tasks taken from another worker
  std::uint64_t injected = 0;   ///< tasks taken from the outside queue
  std::uint64_t parked = 0;     ///< times it went to sleep
  std::uint64_t woken = 0;      ///< times somebody woke it
  delay_histogram queue_delay;  ///< from submit to start, of one task in 64
};

struct pool_stats {
  std::vector<worker_stats> workers;
  std::uint64_t spare_threads = 0;  ///< started so far because a task blocked in its worker
  std::uint64_t pending = 0;        ///< tasks queued now; approximate while the pool works

  worker_stats total() const;  ///< the sum over the workers; cpu is -1
};

struct process_stats {
  int pid = -1;                ///< -1: between two processes
  int cpu = -1;                ///< OS index of the CPU it is pinned to; -1: not pinned
  std::uint64_t run = 0;       ///< results that came from this place, whatever process was there
  std::uint64_t replaced = 0;  ///< times a new process took the place
};

struct process_pool_stats {
  std::vector<process_stats> workers;
  std::uint64_t pending = 0;    ///< tasks that wait in this process or in a ring; approximate while the pool works
  std::uint64_t died = 0;       ///< workers that ended against the plan
  std::uint64_t retried = 0;    ///< tasks started again after their worker died
  std::uint64_t timed_out = 0;  ///< tasks whose time limit passed
  std::uint64_t shared = 0;     ///< bytes in shared buffers now, in whole pages
};

}  // namespace remuda
