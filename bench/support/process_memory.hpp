// What the kernel says that a process has in memory.
#pragma once

#include <sys/types.h>

#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>

#include "bench/support/latency.hpp"

namespace bench {

/// pss: shared pages count in parts, so that the sum over the processes is what is used. private_dirty: what would be
/// free if the process were gone.
inline counters memory_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/smaps_rollup");
  in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  counters result;
  std::string name;
  for (double kib = 0; in >> name >> kib; in.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    if (name == "Pss:") result["pss_kib"] = kib;
    if (name == "Rss:") result["rss_kib"] = kib;
    if (name == "Private_Dirty:") result["private_dirty_kib"] = kib;
  }
  if (result.size() != 3) throw std::runtime_error("cannot read smaps_rollup");
  return result;
}

}  // namespace bench
