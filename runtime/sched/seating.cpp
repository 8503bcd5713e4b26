#include "runtime/sched/seating.hpp"

#include <sched.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "runtime/sched/pool_core.hpp"
#include "runtime/topo/detect.hpp"

namespace remuda::detail {

os::cpu_mask inherited_mask() {
  if (this_thread != nullptr) return this_thread->core->mask();
  os::cpu_mask mask;
  os::get_affinity(mask);
  return mask;
}

topology machine_within(const os::cpu_mask& mask) {
  return mask.empty() ? detect_topology() : topo::detect_topology(mask);
}

topo::placement place_workers(topology machine, unsigned workers) {
  const int here = ::sched_getcpu();
  return place_workers(std::move(machine), workers, here >= 0 ? static_cast<unsigned>(here) : unknown_id);
}

topo::placement place_workers(topology machine, unsigned workers, unsigned maker) {
  std::vector<cpu>& cpus = machine.cpus;
  const auto found = std::find_if(cpus.begin(), cpus.end(), [&](const cpu& c) { return c.os_index == maker; });
  if (found == cpus.end() || workers >= cpus.size()) return {machine, workers};
  const cpu here = *found;
  const auto cores = std::count_if(cpus.begin(), cpus.end(), [](const cpu& c) { return c.smt_rank == 0; });
  if (workers < static_cast<std::size_t>(cores)) {
    std::erase_if(cpus, [&](const cpu& c) { return c.core == here.core; });
  } else {
    cpus.erase(found);
    // The core's next thread is its first one now, so that it gets a worker before any other core gets a second one.
    for (cpu& each : cpus) {
      if (each.core == here.core && each.smt_rank > here.smt_rank) --each.smt_rank;
    }
  }
  return {machine, workers};
}

}  // namespace remuda::detail
