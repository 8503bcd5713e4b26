// What the machine and its administrator have set that changes how long things take: kernel, CPU frequency, isolation,
// huge pages, limits, control groups, hypervisor. Read from /proc and /sys; nothing is measured and nothing changed.
// A fact that the system does not tell is left empty, never guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/topo/cgroup.hpp"

namespace remuda::topo {

struct resource_limit {
  std::optional<std::uint64_t> soft;  ///< empty = unlimited
  std::optional<std::uint64_t> hard;
};

struct host {
  std::string kernel;  ///< release, as uname -r
  std::string cpu_model;
  std::string hypervisor;  ///< name, "unknown" for one without a name; empty = none seen
  std::vector<unsigned> online, isolated, nohz_full, rcu_nocbs;  ///< CPU numbers, ascending
  std::vector<std::string> governors;  ///< the different ones of all CPUs, sorted; empty = frequency is not told
  std::string frequency_driver;
  std::optional<bool> boost;
  std::optional<bool> smt_active;
  std::optional<std::uint64_t> deepest_idle_us;  ///< longest way back from an idle state that is not switched off
  std::string clock_source;
  std::string transparent_huge_pages;  ///< always, madvise or never
  std::string huge_page_defrag;        ///< always, defer, defer+madvise, madvise or never
  std::uint64_t reserved_huge_pages = 0;
  std::uint64_t free_huge_pages = 0;
  std::uint64_t memory_bytes = 0;
  std::optional<bool> numa_balancing;  ///< the kernel moves pages, and unmaps them now and then to learn where to
  resource_limit memlock, rtprio, processes, descriptors;
  std::uint64_t capabilities = 0;  ///< effective ones of this process, a bit each, as capabilities(7) numbers them
  double load_1min = 0;
  std::optional<double> steal_share;  ///< of CPU time since boot that the hypervisor kept for others, 0..1
  std::vector<cgroup_level> cgroups;  ///< own group first, then its ancestors; version 2 before version 1
};

/// `root` stands before every path of /proc and /sys: tests put a made-up machine there; what is only told by the CPU
/// or by system calls (name of the hypervisor, limits) is then left out or of this machine. Blocks while it reads;
/// throws nothing but std::bad_alloc.
host read_host(const std::string& root = "");

}  // namespace remuda::topo
