// What `remuda topo` shows, in whatever form: the machine, its host, and what a pool would make of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/topo/host.hpp"
#include "runtime/topo/placement.hpp"
#include "tools/remuda/default_pool.hpp"
#include "tools/remuda/machine.hpp"

namespace remuda::tool {

struct topo_report {
  chosen_machine machine;
  std::optional<topo::host> host;  ///< of this machine only
  default_pool by_default;
  unsigned workers = 0;
  bool workers_given = false;  ///< by --workers
  topo::placement placed;
};

/// How near the workers of a ring are to the worker it belongs to: "same core", "same L3", "distance 21" ..
std::string nearness(const topo_report& report, unsigned worker, unsigned ring);

/// The members of a ring, ascending.
std::vector<unsigned> members(const topo::victim_ring& ring);

/// The workers on each CPU, by place in whole.threads.
std::vector<std::vector<unsigned>> workers_of_threads(const topo_report& report);

/// The CPU numbers of all threads that are of this use.
std::vector<unsigned> cpus_of_use(const topo::whole_machine& whole, topo::cpu_use use);

std::string to_text(const topo_report& report);
std::string to_json(const topo_report& report);
std::string to_svg(const topo_report& report);

}  // namespace remuda::tool
