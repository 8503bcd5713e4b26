#include "runtime/sched/seating.hpp"

#include <sched.h>

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
  if (workers < machine.cpus.size()) {
    std::erase_if(machine.cpus, [here](const cpu& c) { return static_cast<int>(c.os_index) == here; });
  }
  return {machine, workers};
}

}  // namespace remuda::detail
