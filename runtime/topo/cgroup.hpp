// How much CPU time the control groups of this process allow.
//
// Only the quota is read here. The CPUs of a cpuset need no file: the kernel keeps the affinity mask of every thread
// within its cpuset, in version 1 and 2, so that the mask already tells them.
#pragma once

#include <string>

namespace remuda::topo {

/// The quota in CPUs (1.5 = three CPUs half of the time), infinity when there is none. The smallest quota of the own
/// group and all groups above it that are visible from here, in both versions of cgroups, as machines may run both.
/// A file that is missing or makes no sense counts as no quota. `root` stands before every path: tests put a made-up
/// machine there. Throws nothing but std::bad_alloc.
double cpu_quota(const std::string& root = "");

}  // namespace remuda::topo
