// What the control groups of this process allow: CPU time, and CPUs.
//
// A pool asks for the quota only. The CPUs of a cpuset need no file: the kernel keeps the affinity mask of every thread
// within its cpuset, in version 1 and 2, so that the mask already tells them. Which group it is that takes a CPU away
// or holds threads up, and how often it did, is told by cgroup_levels().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace remuda::topo {

/// One control group on the way from the own one to the root, as far as they are visible from here.
struct cgroup_level {
  unsigned version = 2;                 ///< 1 or 2
  std::string path;                     ///< below what is mounted, "/" = the topmost group that is visible
  std::string folder;                   ///< where its files are
  std::optional<double> quota;          ///< CPUs; empty = no limit
  std::string cpuset;                   ///< CPU list as the kernel writes it; empty = not restricted here
  std::uint64_t periods = 0;            ///< quota periods so far
  std::uint64_t throttled_periods = 0;  ///< those in which the group was stopped
  std::uint64_t throttled_ns = 0;
};

/// The quota in CPUs (1.5 = three CPUs half of the time), infinity when there is none. The smallest quota of the own
/// group and all groups above it that are visible from here, in both versions of cgroups, as machines may run both.
/// A file that is missing or makes no sense counts as no quota. `root` stands before every path: tests put a made-up
/// machine there. Throws nothing but std::bad_alloc.
double cpu_quota(const std::string& root = "");

/// All groups that can restrict CPU time or CPUs, the own one first, then its ancestors; version 2 before version 1, of
/// which the hierarchies of `cpu` and `cpuset` may be two. Each once, also where it is mounted twice. `root` and
/// exceptions as above.
std::vector<cgroup_level> cgroup_levels(const std::string& root = "");

}  // namespace remuda::topo
