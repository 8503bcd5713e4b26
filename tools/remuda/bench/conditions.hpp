// The conditions that a benchmark run is made under, looked at before and after it: a figure without them cannot be
// compared with another one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/topo/host.hpp"
#include "tools/remuda/bench/results.hpp"

namespace remuda::tool::bench {

/// One look at the machine.
struct look {
  topo::host host;
  std::uint64_t cpu_ticks = 0, steal_ticks = 0;  ///< of all CPUs, since boot
};

look look_at_host();

/// What both looks tell. Compiler, build type and version stay as they are: they are told by the programs.
void record(host_record& to, const look& before, const look& after);

/// One line of the conditions.
struct fact {
  std::string name, value;
  bool same_for_comparison = true;  ///< reports that differ in it should not be compared
};
/// Those that are known.
std::vector<fact> facts(const report&);

/// Why the figures should not be believed, or not be shown around; empty if nothing speaks against them.
std::vector<std::string> doubts(const report&);

}  // namespace remuda::tool::bench
