// What a pool knows of the machine: the usable CPUs, how near they are to each other, and how much CPU time may be
// used. Plain data: a program may build one by hand, for example to see what a pool would do on another machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace remuda {

/// An id that the machine does not tell, for example the L3 of a CPU that reports none.
inline constexpr unsigned unknown_id = std::numeric_limits<unsigned>::max();

/// One logical CPU, that is one hardware thread.
struct cpu {
  unsigned os_index = 0;            ///< the number that the kernel uses (/proc/cpuinfo, taskset)
  unsigned core = 0;                ///< physical core; always known, unique in the machine
  unsigned l2 = unknown_id;         ///< second-level cache, unique in the machine
  unsigned l3 = unknown_id;         ///< third-level cache, unique in the machine
  unsigned package = unknown_id;    ///< socket
  unsigned numa_node = unknown_id;  ///< the kernel's number of the NUMA node whose memory is nearest
  unsigned smt_rank = 0;            ///< place among the usable threads of its core; 0 = first
  unsigned efficiency_class = 0;    ///< of its core: the greater, the faster; 0 = slowest, or all are alike

  friend bool operator==(const cpu&, const cpu&) = default;
};

struct topology {
  /// The usable CPUs: the affinity mask of the caller, which the kernel keeps within the cpuset. In order of os_index,
  /// never empty.
  std::vector<cpu> cpus;

  /// The kernel's numbers of all NUMA nodes of the machine, ascending. Nodes without CPUs or without memory included.
  std::vector<unsigned> numa_nodes;

  /// Row i: how far each node is as seen from numa_nodes[i], in the unit of distance(). Empty when not known.
  std::vector<unsigned> node_distances;

  /// How many CPUs' worth of time the cgroups allow. Infinity when there is no limit.
  double cpu_quota = std::numeric_limits<double>::infinity();

  static constexpr unsigned local_distance = 10;   ///< of a node to itself, as ACPI defines it
  static constexpr unsigned remote_distance = 20;  ///< of two nodes of which nothing is known

  /// Distance as seen from one node to another, 10 = local.
  unsigned distance(unsigned from, unsigned to) const {
    if (from == to) return local_distance;
    if (node_distances.empty()) return remote_distance;
    const auto f = std::lower_bound(numa_nodes.begin(), numa_nodes.end(), from);
    const auto t = std::lower_bound(numa_nodes.begin(), numa_nodes.end(), to);
    if (f == numa_nodes.end() || *f != from || t == numa_nodes.end() || *t != to) return remote_distance;
    const auto row = static_cast<std::size_t>(f - numa_nodes.begin());
    return node_distances[row * numa_nodes.size() + static_cast<std::size_t>(t - numa_nodes.begin())];
  }

  /// All NUMA nodes, the nearest to `from` first: itself, then the others by distance; those equally far by number.
  std::vector<unsigned> nodes_by_distance(unsigned from) const {
    std::vector<unsigned> nodes = numa_nodes;
    std::stable_sort(nodes.begin(), nodes.end(),
                     [&](unsigned a, unsigned b) { return distance(from, a) < distance(from, b); });
    // Firmware may claim that another node is as near as the own one.
    const auto self = std::find(nodes.begin(), nodes.end(), from);
    if (self != nodes.end()) std::rotate(nodes.begin(), self, self + 1);
    return nodes;
  }

  /// How many workers can run at the same time without being held up: the smaller of the number of usable CPUs and
  /// the whole part of the quota, but at least 1. The quota is rounded down because one worker too many uses up the
  /// quota before the period ends, and then the kernel stops all of them for the rest of it: tens of milliseconds,
  /// the very thing that a runtime for low latency has to avoid. The fraction is not lost, as other threads use it.
  unsigned usable() const {
    const auto count = static_cast<unsigned>(cpus.size());
    if (!(cpu_quota < static_cast<double>(count))) return std::max(count, 1U);
    return cpu_quota < 1.0 ? 1U : static_cast<unsigned>(cpu_quota);
  }
};

/// Looks at this machine as the calling thread may use it. What the machine is gets read once per process (some
/// milliseconds); affinity mask and quota are read at each call, as they change while a program runs. Where the
/// machine does not tell its structure, every CPU of the mask counts as a core of its own.
/// Any thread may call it. Blocks while files of /proc and /sys are read. Throws nothing but std::bad_alloc.
topology detect_topology();

}  // namespace remuda
