// The machine as parts within parts, for drawing. Built from what each CPU says where it is, and not from hwloc's own
// tree, so that CPUs of which nothing is known have a place as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/topo/whole_machine.hpp"

namespace remuda::tool {

enum class level { machine, package, node, l3, l2, core, thread };

struct part {
  level what = level::machine;
  unsigned id = 0;         ///< of a thread its CPU number
  std::size_t thread = 0;  ///< of a thread its place in whole_machine::threads
  std::vector<part> parts;
};

/// All online CPUs and all nodes. A level of which a CPU tells nothing is left out there, and L2 where no two cores
/// share one. Packages hold nodes, or nodes packages where one node spans several.
part parts_of(const topo::whole_machine& whole);

/// The size of a node's memory or of a cache in bytes, else 0.
std::uint64_t size_of(const topo::whole_machine& whole, const part& of);

}  // namespace remuda::tool
