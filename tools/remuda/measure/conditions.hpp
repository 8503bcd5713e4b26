// What else went on while it was measured, and whether the figures can be believed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/topo/measurements.hpp"

namespace remuda::tool {

/// CPU time of some CPUs since boot, in seconds.
struct cpu_seconds {
  double busy = 0;    ///< of all processes and interrupts
  double stolen = 0;  ///< in which they wanted to run and the hypervisor did not let them
};

/// From the text of /proc/stat, the sum over these CPUs; `per_second` is the unit of its numbers. Nothing where it does
/// not tell of any of them.
std::optional<cpu_seconds> parse_stat(const std::string& text, const std::vector<unsigned>& cpus, double per_second);

/// Everything that counts up, at one moment.
struct snapshot {
  std::chrono::steady_clock::time_point at;
  std::optional<cpu_seconds> cpus;
  double own_seconds = 0;                  ///< CPU time of this process and its ended children
  std::uint64_t involuntary_switches = 0;  ///< of the same: something else took their CPU
  std::uint64_t throttled_periods = 0;     ///< by the quotas of all control groups
  double throttled_seconds = 0;
};
snapshot look(const std::vector<unsigned>& cpus);

/// What happened between two snapshots.
struct conditions {
  double seconds = 0;
  std::optional<double> stolen_share;  ///< of the time that these CPUs wanted to run, 0..1
  std::optional<double> others_share;  ///< of the time of these CPUs that other processes used, 0..1
  double involuntary_switches_per_second = 0;
  std::uint64_t throttled_periods = 0;
  double throttled_seconds = 0;
};
conditions between(const snapshot& before, const snapshot& after, std::size_t cpus);

/// One sentence for each reason not to believe the figures, with what to do about it; empty where none was found.
std::vector<std::string> doubts_of(const topo::measurements& m, const conditions& meanwhile);

}  // namespace remuda::tool
