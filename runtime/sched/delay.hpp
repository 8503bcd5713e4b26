// Sampling of the time that tasks spend in queues: one task in 64, in units of 64 ns.
#pragma once

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "remuda/stats.hpp"

namespace remuda::detail {

inline std::uint32_t delay_clock() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() / 64);
}

/// The stamp of a task that is submitted now; 0 for those that are not sampled. The counter is the calling thread's.
inline std::uint32_t delay_stamp(std::uint32_t& counter) {
  if (++counter % 64 != 0) [[likely]]
    return 0;
  const std::uint32_t now = delay_clock();
  return now == 0 ? 1 : now;
}

/// The clock wraps every 275 s; a longer delay is counted as a shorter one.
inline std::size_t delay_bucket(std::uint32_t stamp) {
  const auto bucket = static_cast<std::size_t>(std::bit_width(delay_clock() - stamp));
  return bucket < delay_histogram::size ? bucket : delay_histogram::size - 1;
}

}  // namespace remuda::detail
