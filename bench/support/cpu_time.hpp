// CPU time of a program's other threads.
#pragma once

#include <chrono>
#include <ctime>

namespace bench {

inline std::chrono::nanoseconds read_cpu_clock(clockid_t id) {
  std::timespec t{};
  clock_gettime(id, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

/// Used so far by all threads of this process but the calling one, whose reading of clocks would count too.
inline std::chrono::nanoseconds cpu_time_of_others() {
  const auto mine = read_cpu_clock(CLOCK_THREAD_CPUTIME_ID);
  return read_cpu_clock(CLOCK_PROCESS_CPUTIME_ID) - mine;
}

}  // namespace bench
