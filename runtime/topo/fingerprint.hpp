// What tells machines apart, and one boot of a machine from another.
#pragma once

#include <string>

#include "remuda/profile.hpp"
#include "remuda/topology.hpp"
#include "runtime/topo/host.hpp"

namespace remuda::topo {

/// Of a machine whose CPUs are all in `whole`.
machine_fingerprint fingerprint_of(const topology& whole, const host& facts);

/// The topology of this machine with all its CPUs, whatever the calling thread may use of them.
topology detect_all();

/// What must be unchanged for an earlier look at the machine to hold still: the kernel's boot, and the CPUs and NUMA
/// nodes that are online. Without the xml. A few microseconds, as against milliseconds for that look. Members are empty
/// where the system does not tell. `root` stands before every path, for tests.
profile::cached_topology boot_state(const std::string& root = "");

/// `cached` was read in this very state of the machine.
bool still_holds(const profile::cached_topology& cached, const profile::cached_topology& now);

}  // namespace remuda::topo
