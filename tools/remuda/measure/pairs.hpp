// Which CPUs are measured against each other. With n CPUs there are n * (n - 1) / 2 pairs: on a machine of 256 that
// would be an hour, of which most would tell the same thing many times.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "remuda/profile.hpp"
#include "remuda/topology.hpp"

namespace remuda::tool {

inline constexpr std::size_t kinds_of_nearness = 6;

/// As measurements name it: smt, l2, l3, node, package, remote.
const char* name_of(nearness n);

struct cpu_pair {
  unsigned first = 0;
  unsigned second = 0;  ///< both by os_index

  friend bool operator==(const cpu_pair&, const cpu_pair&) = default;
};

/// One pair for each nearness that two of these CPUs have, in the order of nearness.
struct pair_of_nearness {
  nearness kind;
  cpu_pair cpus;
};
std::vector<pair_of_nearness> one_pair_each(const std::vector<cpu>& cpus);

/// The CPUs of the matrix, neighbours next to each other: all if there are at most `most`, which is at least 16. Else
/// both of one pair of each nearness, one of each L3 (evenly left out where there are too many), and as many others,
/// evenly spread, as there is room.
std::vector<cpu> choose_cpus(const topology& machine, std::size_t most = 32);

/// Two CPUs for what needs two but no certain ones: near, but not of one core if that can be. Nothing with one CPU.
std::optional<cpu_pair> near_pair(const topology& machine);

}  // namespace remuda::tool
