// Where the workers of a pool sit, be they threads or processes.
#pragma once

#include "remuda/topology.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/topo/placement.hpp"

namespace remuda::detail {

/// The CPUs that a pool made here starts from: in a task those of its worker's pool, and not the one CPU that the
/// worker is pinned to.
os::cpu_mask inherited_mask();

/// The machine, as far as the mask lets it be used. An empty mask stands for the calling thread's.
topology machine_within(const os::cpu_mask& mask);

/// Where the workers go. A pool that leaves CPUs free leaves the one free on which it is made: a submitter that spins
/// for a result and the worker that makes it should not share one, and the kernel is slow to part them. One that leaves
/// a core free leaves that CPU's whole core free. One that needs all cores gets the core's other threads: two workers
/// never share a core while another one has none.
topo::placement place_workers(topology machine, unsigned workers);

/// The same for a pool that is made on the CPU with the OS index `maker`, which may be none of the machine's.
topo::placement place_workers(topology machine, unsigned workers, unsigned maker);

}  // namespace remuda::detail
