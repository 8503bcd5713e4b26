// A machine as hwloc loads it: this one, or one that is described. Includes hwloc, so only sources of this folder
// include it.
#pragma once

#include <hwloc.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/os/affinity.hpp"

namespace remuda::topo {

struct destroy_topology {
  void operator()(hwloc_topology_t loaded) const { hwloc_topology_destroy(loaded); }
};
using hwloc_handle = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, destroy_topology>;

struct free_bitmap {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using bitmap = std::unique_ptr<hwloc_bitmap_s, free_bitmap>;

/// Null where hwloc fails.
hwloc_handle load_this_machine();

/// From hwloc's synthetic form or XML. Null where hwloc refuses it, and for machines that no kernel can have: with
/// more than most_described_cpus of them, or with larger numbers than largest_cpu_number.
hwloc_handle load_described_machine(const std::string& text);

/// What placement needs, before any restriction.
struct known_machine {
  std::vector<cpu> cpus;  // in OS index order; smt_rank is not set
  std::vector<unsigned> numa_nodes;
  std::vector<unsigned> node_distances;
  std::vector<std::string> kinds;  // names of kinds of cores by cpu::efficiency_class; empty = all cores are alike
};

/// Of a null handle: a machine of which nothing is known.
known_machine read_machine(const hwloc_handle& handle);

/// The CPUs of the mask, as the machine describes them; those that it does not know are cores of their own.
topology restrict(const known_machine& whole, const os::cpu_mask& mask, double quota);

/// A mask is never empty: without one, all known CPUs may be used, and a machine has at least one.
os::cpu_mask all_cpus(const known_machine& whole);

}  // namespace remuda::topo
