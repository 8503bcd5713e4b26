// The whole machine, for people: also what a pool has no use for, and the CPUs that it may not use. Plain data, from
// one loading by hwloc, which gives the topology that pools work with as well.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/os/affinity.hpp"

namespace remuda::topo {

/// No description of a machine may have more CPUs. hwloc's time grows with their square: seconds for so many.
inline constexpr unsigned most_described_cpus = 4096;

/// Whether a CPU may be used, and if not, why not.
enum class cpu_use { allowed, not_in_mask, not_in_cpuset, offline };

/// "allowed", "not in the mask" ..
const char* to_string(cpu_use use);

struct whole_machine {
  struct thread {
    cpu what;  ///< smt_rank counts all threads of the core here; of an offline CPU only os_index is told
    unsigned kind = unknown_id;  ///< of its core: place in `kinds`, or unknown_id where all are alike
    cpu_use use = cpu_use::allowed;
  };

  struct node {
    unsigned os_index = 0;
    std::uint64_t memory_bytes = 0;
    unsigned cpus = 0;  ///< whose nearest node it is
  };

  struct cache {
    unsigned id = 0;  ///< cpu::l2 or cpu::l3
    std::uint64_t bytes = 0;
  };

  /// Cores of a hybrid machine that are alike.
  struct core_kind {
    std::string name;  ///< "P" and "E" for fast and for thrifty cores, else "kind 0", .. from the slowest on
    unsigned threads = 0;
  };

  std::vector<thread> threads;           ///< in order of os_index
  std::vector<node> nodes;               ///< in order of os_index, also those without CPUs or without memory
  std::vector<unsigned> node_distances;  ///< as in remuda::topology; empty = not known
  std::vector<cache> l2, l3;             ///< in order of id
  std::vector<core_kind> kinds;          ///< the slowest first; empty = all cores are alike
  std::uint64_t memory_bytes() const;
};

/// A machine that hwloc has loaded. Moves, and does not copy.
class machine_source {
 public:
  /// This machine. Takes some milliseconds.
  static machine_source this_machine();

  /// From hwloc's synthetic form ("pack:2 core:4 pu:2") or hwloc's XML. Nothing of this machine enters.
  static machine_source described(const std::string& text);

  ~machine_source();
  machine_source(machine_source&&) noexcept;
  machine_source& operator=(machine_source&&) noexcept;

  /// Whether hwloc could load it. If not, no CPU is known, and the mask alone makes a machine.
  bool known() const;

  /// The numbers of all CPUs that it has and that are online, ascending.
  std::vector<unsigned> cpus() const;

  /// What a pool uses, as detect_topology() and describe_topology() give it. An empty mask stands for all CPUs.
  topology usable(const os::cpu_mask& mask, double quota = std::numeric_limits<double>::infinity()) const;

  /// All of it. Of this machine a CPU without a place in the mask may be out of the cpuset or offline instead; of a
  /// described one it is not in the mask.
  whole_machine whole(const os::cpu_mask& mask) const;

  /// hwloc's own form of it, for described(). Empty where it is not known.
  std::string xml() const;

 private:
  struct loaded;
  explicit machine_source(std::unique_ptr<loaded> what);

  std::unique_ptr<loaded> loaded_;
};

}  // namespace remuda::topo
