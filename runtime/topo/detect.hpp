// Detection of the machine, with the parts that remuda::detect_topology() puts together.
//
// Two sources are joined: hwloc tells what the machine is, the affinity mask tells which CPUs may be used. The mask
// decides. A CPU of the mask that hwloc does not know (it came online later, /sys is not mounted, hwloc was told to
// describe another machine) is a core of its own of which no cache, package or node is known. So a machine without
// hwloc is not a special case: it is the one where no CPU is known.
#pragma once

#include <limits>
#include <string>

#include "remuda/topology.hpp"
#include "runtime/os/affinity.hpp"

namespace remuda::topo {

/// detect_topology() with another mask in place of the calling thread's: for a pool that is made on a worker, which
/// is pinned itself, within the mask that the worker's own pool started from.
topology detect_topology(const os::cpu_mask& mask);

/// The topology of a machine that is described in hwloc's synthetic form ("pack:2 core:4 pu:2") or as hwloc's XML.
/// Nothing of this machine enters. A text that hwloc refuses describes a machine without known CPUs.
topology describe_topology(const std::string& text, double quota = std::numeric_limits<double>::infinity());

/// The same, of which only the CPUs of the mask may be used.
topology describe_topology(const std::string& text, const os::cpu_mask& mask,
                           double quota = std::numeric_limits<double>::infinity());

/// Takes what this machine is from hwloc's XML of it instead of looking at it, which is worth something before the
/// first look only. False when the machine is known already, or the text describes none.
bool adopt_machine(const std::string& xml);

/// How long it takes to look at this machine, and to read the same from its XML: medians, in ns. Both 0 when one of
/// them fails.
struct load_times {
  double look = 0;
  double read = 0;
};
load_times time_loading(const std::string& xml);

}  // namespace remuda::topo
